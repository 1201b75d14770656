//! The primitives against PyTorch; golden.py wrote golden.json.

use std::collections::HashMap;

use gpugan::graph::{ConvGeometry, Op, PadMode, Scalar, Unary};
use gpugan::reference::Tensor;

use super::{GROUPED, POOL, assert_close, run, run_graph, tensor};

#[derive(serde::Deserialize)]
struct GoldenTensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

#[derive(serde::Deserialize)]
struct GoldenCase {
    inputs: Vec<GoldenTensor>,
    output: GoldenTensor,
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: HashMap<String, GoldenCase>,
}

/// The primitive behind each case of golden.py, but for `max_pool` and
/// `avg_pool_inside`, which several make up.
fn golden_ops() -> Vec<(String, Op)> {
    let asymmetric =
        ConvGeometry::forward([6, 5], [4, 3], [2, 1], [1, 1], [[1, 2], [3, 0]], 1).unwrap();
    let transposed =
        ConvGeometry::transposed([4, 5], [3, 2], [2, 3], [2, 1], [[1, 0]; 2], [1, 2], 2).unwrap();
    let before = vec![0, 0, 2, 3];
    let mut ops = vec![
        ("conv2d", Op::Conv2d(GROUPED)),
        ("conv_weight_grad", Op::ConvWeightGrad(GROUPED)),
        ("conv2d_asymmetric", Op::Conv2d(asymmetric)),
        ("conv_transpose2d", Op::ConvTranspose2d(transposed)),
        ("max_pool_index", Op::MaxPoolIndex(POOL)),
        ("sum_pool", Op::SumPool(POOL)),
        ("gather", Op::Gather(1)),
        ("scatter_add", Op::ScatterAdd(1)),
        ("permute", Op::Permute(vec![2, 0, 1])),
        (
            "matmul_both_transposed",
            Op::MatMul {
                transpose_a: true,
                transpose_b: true,
            },
        ),
        (
            "batch_norm",
            Op::BatchNorm {
                eps: Scalar(2f32.powi(-10)),
            },
        ),
        ("channel_stats", Op::ChannelStats),
    ];
    for name in ["resize_up", "resize_down", "resize_mixed"] {
        ops.push((name, Op::ResizeBilinear));
    }
    for name in [
        "resize_up_adjoint",
        "resize_down_adjoint",
        "resize_mixed_adjoint",
    ] {
        ops.push((name, Op::ResizeBilinearAdjoint));
    }
    for (pad, fold, mode) in [
        ("pad_reflect", "pad_fold_reflect", PadMode::Reflect),
        ("pad_replicate", "pad_fold_replicate", PadMode::Replicate),
    ] {
        let (before, again) = (before.clone(), before.clone());
        ops.push((pad, Op::Pad { before, mode }));
        let before = again;
        ops.push((fold, Op::PadFold { before, mode }));
    }
    let mut ops: Vec<(String, Op)> = ops
        .into_iter()
        .map(|(name, op)| (name.to_owned(), op))
        .collect();
    for f in [
        Unary::Neg,
        Unary::Exp,
        Unary::Log,
        Unary::Sqrt,
        Unary::Rsqrt,
        Unary::Recip,
        Unary::Abs,
        Unary::Sign,
        Unary::Sigmoid,
        Unary::Tanh,
        Unary::Softplus,
        Unary::Atanh,
        Unary::Sin,
        Unary::Cos,
        Unary::Floor,
        Unary::Round,
        Unary::LeakyRelu(Scalar(0.25)),
    ] {
        ops.push((Op::Unary(f).name(), Op::Unary(f)));
    }
    ops
}

#[test]
fn primitives_compute_what_pytorch_computes() {
    let mut golden: Golden = serde_json::from_str(include_str!("golden.json")).unwrap();
    let mut take = |name: &str| {
        let case = golden.cases.remove(name).unwrap();
        let tensors = case.inputs.into_iter().chain([case.output]);
        tensors
            .map(|t| tensor(t.shape, &t.data))
            .collect::<Vec<_>>()
    };
    for (name, op) in golden_ops() {
        let case = take(&name);
        let (output, inputs) = case.split_last().unwrap();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let got = run(op, &inputs, output.shape.clone());
        assert_close(&name, &got, output, 1e-12);
    }
    let [x, pooled] = &take("max_pool")[..] else {
        panic!("max_pool has one input")
    };
    let got = run_graph(&[x], |g, n| g.max_pool(n[0], POOL).unwrap());
    assert_eq!(&got, pooled);
    let [x, inside] = &take("avg_pool_inside")[..] else {
        panic!("avg_pool_inside has one input")
    };
    let got = run_graph(&[x], |g, n| g.avg_pool_inside(n[0], POOL).unwrap());
    assert_close("avg_pool_inside", &got, inside, 1e-12);
    let untested: Vec<_> = golden.cases.keys().collect();
    assert!(untested.is_empty(), "{untested:?}");
}
