//! `<A x, y> = <x, A^T y>` for every pair of linear primitives, at odd sizes.

use gpugan::graph::{Binary, ConvGeometry, Op, PadMode, Window};
use gpugan::reference::Tensor;

use super::{GROUPED, POOL, noise, run};

/// Asserts that `forward` of x `[from]` and `backward` of y `[to]`, linear in
/// their first input, are adjoint. Both also get `others`.
fn assert_adjoint(forward: Op, from: &[usize], backward: Op, to: &[usize], others: &[&Tensor]) {
    let what = format!("{forward:?} {from:?} and {backward:?} {to:?}");
    let (x, y) = (noise(from, 100), noise(to, 101));
    let with_first = |first| [&[first], others].concat();
    let ax = run(forward, &with_first(&x), to);
    let aty = run(backward, &with_first(&y), from);
    assert_same_product(&what, (&ax, &y), (&x, &aty));
}

fn assert_same_product(what: &str, left: (&Tensor, &Tensor), right: (&Tensor, &Tensor)) {
    let dot = |(a, b): (&Tensor, &Tensor), f: fn(f64) -> f64| -> f64 {
        let products = a.data.iter().zip(&b.data).map(|(a, b)| f(a * b));
        products.sum()
    };
    let (one, other) = (dot(left, |x| x), dot(right, |x| x));
    let size = dot(left, f64::abs).max(dot(right, f64::abs));
    assert!(size > 0.0, "{what}: nothing to compare");
    assert!(
        (one - other).abs() <= 1e-12 * size,
        "{what}: {one} and {other}"
    );
}

#[test]
fn the_three_convolutions_are_each_others_adjoints() {
    let mut cases = vec![(GROUPED, 3, 4, 6)];
    let forward = |input, kernel, stride, dilation, pad, groups| {
        ConvGeometry::forward(input, kernel, stride, dilation, pad, groups).unwrap()
    };
    cases.push((
        forward([5, 7], [1, 1], [1, 1], [1, 1], [[0, 0]; 2], 1),
        2,
        3,
        5,
    ));
    cases.push((
        forward([7, 5], [3, 3], [1, 1], [1, 1], [[1, 1]; 2], 1),
        1,
        2,
        3,
    ));
    cases.push((
        forward([11, 13], [4, 4], [2, 2], [1, 1], [[1, 1]; 2], 1),
        2,
        3,
        2,
    ));
    cases.push((
        forward([11, 7], [5, 3], [3, 2], [1, 3], [[1, 2], [2, 4]], 3),
        2,
        3,
        6,
    ));
    cases.push((
        forward([1, 101], [1, 25], [1, 4], [1, 1], [[0, 10], [0, 11]], 1),
        1,
        2,
        3,
    ));
    // One more row of padding than the kernel can see.
    cases.push((
        forward([3, 3], [2, 2], [2, 2], [1, 1], [[3, 0], [0, 3]], 1),
        1,
        1,
        1,
    ));
    for (from, stride, output_padding, groups) in [
        ([4, 3], [2, 2], [1, 0], 1),
        ([3, 5], [3, 5], [2, 4], 5),
        ([1, 1], [1, 1], [0, 0], 1),
    ] {
        let pad = [[1, 0], [0, 1]];
        cases.push((
            ConvGeometry::transposed(from, [5, 3], stride, [1, 2], pad, output_padding, groups)
                .unwrap(),
            2,
            5,
            5,
        ));
    }
    for (g, batch, channels, outputs) in cases {
        let image = [batch, channels, g.input[0], g.input[1]];
        let output = [batch, outputs, g.output[0], g.output[1]];
        let weight = [outputs, channels / g.groups, g.kernel[0], g.kernel[1]];
        let (x, w, y) = (noise(image, 1), noise(weight, 2), noise(output, 3));
        assert_adjoint(
            Op::Conv2d(g),
            &image,
            Op::ConvTranspose2d(g),
            &output,
            &[&w],
        );
        // In the weight: <conv(x, w), y> = <w, weight_grad(x, y)>.
        let forward = run(Op::Conv2d(g), &[&x, &w], output);
        let gradient = run(Op::ConvWeightGrad(g), &[&x, &y], weight);
        assert_same_product(&format!("{g:?}"), (&forward, &y), (&w, &gradient));
        // Which is also <transpose(y, w), x>.
        let back = run(Op::ConvTranspose2d(g), &[&y, &w], image);
        assert_same_product(&format!("{g:?}"), (&back, &x), (&w, &gradient));
    }
}

#[test]
fn window_sums_and_their_spreading_are_adjoint() {
    let small = Window {
        input: [5, 11],
        output: [2, 4],
        kernel: [2, 5],
        stride: [3, 2],
        pad: [0, 1],
    };
    for w in [POOL, small, Window::tiles([6, 9], [2, 3])] {
        let image = [2, 3, w.input[0], w.input[1]];
        let pooled = [2, 3, w.output[0], w.output[1]];
        assert_adjoint(Op::SumPool(w), &image, Op::SumUnpool(w), &pooled, &[]);
        let index = run(Op::MaxPoolIndex(w), &[&noise(image, 5)], pooled);
        let (gather, scatter) = (Op::PoolGather(w), Op::PoolScatter(w));
        assert_adjoint(gather, &image, scatter, &pooled, &[&index]);
    }
}

#[test]
fn bilinear_resize_has_its_adjoint() {
    for (from, to) in [([3, 5], [7, 11]), ([7, 4], [3, 9]), ([1, 2], [5, 1])] {
        let (from, to) = ([2, 3, from[0], from[1]], [2, 3, to[0], to[1]]);
        assert_adjoint(
            Op::ResizeBilinear,
            &from,
            Op::ResizeBilinearAdjoint,
            &to,
            &[],
        );
    }
}

#[test]
fn movements_have_their_adjoints() {
    let start = || vec![2, 0, 3];
    let (inner, outer) = ([4, 5, 7], [7, 6, 11]);
    for mode in [PadMode::Zero, PadMode::Reflect, PadMode::Replicate] {
        let pad = Op::Pad {
            before: start(),
            mode,
        };
        let fold = Op::PadFold {
            before: start(),
            mode,
        };
        assert_adjoint(pad, &inner, fold, &outer, &[]);
    }
    let zeros = Op::Pad {
        before: start(),
        mode: PadMode::Zero,
    };
    assert_adjoint(Op::Slice { start: start() }, &outer, zeros, &inner, &[]);

    assert_adjoint(
        Op::Broadcast,
        &[3, 1, 5, 1],
        Op::Sum(vec![1, 3]),
        &[3, 7, 5, 2],
        &[],
    );
    assert_adjoint(Op::Broadcast, &[1, 1], Op::Sum(vec![0, 1]), &[5, 3], &[]);
    assert_adjoint(Op::Reshape, &[6, 5], Op::Reshape, &[3, 2, 5], &[]);
    let (order, inverse) = (vec![2, 0, 3, 1], vec![1, 3, 0, 2]);
    assert_adjoint(
        Op::Permute(order),
        &[2, 3, 5, 7],
        Op::Permute(inverse),
        &[5, 2, 7, 3],
        &[],
    );

    for axis in 0..3 {
        let (mut from, mut to) = ([3, 5, 7], [3, 5, 7]);
        (from[axis], to[axis]) = (11, 6);
        let mut next = 0;
        // Five even places for six updates: some repeat, odd ones stay empty.
        let index = Tensor::from_fn(to, |_| {
            next = (next + 4) % 5;
            2.0 * next as f64
        });
        assert_adjoint(
            Op::Gather(axis),
            &from,
            Op::ScatterAdd(axis),
            &to,
            &[&index],
        );
    }
}

#[test]
fn joining_and_cutting_are_adjoint() {
    let (a, b, y) = (
        noise([2, 3, 5], 1),
        noise([2, 4, 5], 2),
        noise([2, 7, 5], 3),
    );
    let joined = run(Op::Concat(1), &[&a, &b], [2, 7, 5]);
    let cut = |start: usize, size: usize| {
        let op = Op::Slice {
            start: vec![0, start, 0],
        };
        run(op, &[&y], [2, size, 5])
    };
    let zero = |x: &Tensor| Tensor::full(x.shape.clone(), 0.0);
    let (only_a, only_b) = (
        run(Op::Concat(1), &[&a, &zero(&b)], [2, 7, 5]),
        run(Op::Concat(1), &[&zero(&a), &b], [2, 7, 5]),
    );
    assert_same_product("first part", (&only_a, &y), (&a, &cut(0, 3)));
    assert_same_product("second part", (&only_b, &y), (&b, &cut(3, 4)));
    let sum = run(Op::Binary(Binary::Add), &[&only_a, &only_b], [2, 7, 5]);
    assert_eq!(joined, sum);
}

#[test]
fn matrix_products_have_transposed_adjoints_in_both_factors() {
    let product = |a: &Tensor, b: &Tensor, ta: bool, tb: bool, shape: Vec<usize>| {
        let op = Op::MatMul {
            transpose_a: ta,
            transpose_b: tb,
        };
        run(op, &[a, b], shape)
    };
    for batch in [vec![], vec![3]] {
        let shape = |rows: usize, columns: usize, swapped: bool| {
            let (rows, columns) = if swapped {
                (columns, rows)
            } else {
                (rows, columns)
            };
            [batch.clone(), vec![rows, columns]].concat()
        };
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let (sa, sb) = (shape(5, 7, ta), shape(7, 3, tb));
            let (a, b, y) = (
                noise(sa.clone(), 1),
                noise(sb.clone(), 2),
                noise(shape(5, 3, false), 3),
            );
            let ab = product(&a, &b, ta, tb, shape(5, 3, false));
            // y b^T and a^T y, themselves transposed where the factor is.
            let da = if ta {
                product(&b, &y, tb, true, sa)
            } else {
                product(&y, &b, false, !tb, sa)
            };
            let db = if tb {
                product(&y, &a, true, ta, sb)
            } else {
                product(&a, &y, !ta, false, sb)
            };
            let what = format!("{batch:?} {ta} {tb}");
            assert_same_product(&what, (&ab, &y), (&a, &da));
            assert_same_product(&what, (&ab, &y), (&b, &db));
        }
    }
}
