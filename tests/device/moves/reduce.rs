use gpugan::graph::{Op, Unary};
use gpugan::ops::norm::{ChannelDot, ChannelStats, Channels};
use gpugan::ops::reduce::{Reduce, Reduction, Stages};
use gpugan::ops::{Facts, Load};
use gpugan::recording::StepValues;
use gpugan::reference::Tensor;

use super::harness::{close, lay, noise, run_step, strides, truth};

/// Both have their own geometry, and any adapter must run either.
const KINDS: [Facts; 2] = [Facts::CARD, Facts::SOFTWARE];

fn run(stages: &Stages, inputs: &[Vec<f32>], len: usize) -> Vec<f32> {
    run_step(stages, inputs, len, &StepValues::default())
}

/// The reduction of one tensor that lies in memory in `order`; what is kept
/// lies row-major.
fn reduce(shape: &[usize], order: &[usize], axes: &[usize], kind: Reduction) -> Reduce {
    let steps = strides(shape, order);
    let kept: Vec<usize> = (0..shape.len()).filter(|a| !axes.contains(a)).collect();
    let pick = |from: &[usize], axes: &[usize]| axes.iter().map(|&a| from[a]).collect::<Vec<_>>();
    Reduce {
        kept: pick(shape, &kept),
        reduced: pick(shape, axes),
        loads: vec![Load {
            strides: [pick(&steps, &kept), pick(&steps, axes)].concat(),
            offset: 0,
        }],
        body: "    let result = v0;\n".to_owned(),
        kind,
    }
}

#[test]
fn sums_maxima_and_places_of_all_sizes_and_orders() {
    let natural = [0, 1, 2, 3];
    let last = [0, 2, 3, 1];
    for (shape, axes) in [
        ([2, 3, 5, 7], vec![0, 1, 2, 3]),
        ([2, 3, 5, 7], vec![1]),
        ([2, 3, 5, 7], vec![0, 2, 3]),
        ([7, 1, 1, 131], vec![3]),
        ([37, 5, 16, 16], vec![0, 2, 3]),
        ([64, 3, 31, 32], vec![0, 1, 2, 3]),
        ([64, 16, 8, 8], vec![1, 2, 3]),
        ([300, 2, 1, 33], vec![0, 3]),
    ] {
        let x = noise(shape, 8);
        // Ties, so that the first place matters.
        let ties = Tensor::from_fn(shape, |p| (x.at(p) * 8.0).round());
        let kept = gpugan::graph::Shape::from(shape).reduced(&axes);
        for order in [natural, last] {
            let what = format!("{shape:?} {axes:?} {order:?}");
            for (kind, op, x, tolerances) in [
                (Reduction::Sum, Op::Sum(axes.clone()), &x, (1e-5, 2e-4)),
                (Reduction::Max, Op::Max(axes.clone()), &x, (0.0, 0.0)),
                (
                    Reduction::ArgMax,
                    Op::ArgMax(axes.clone()),
                    &ties,
                    (0.0, 0.0),
                ),
            ] {
                let expected = lay(&truth(&op, &[x], &kept), &natural);
                for facts in &KINDS {
                    let stages = reduce(&shape, &order, &axes, kind).stages(facts);
                    let found = run(&stages, &[lay(x, &order)], kept.numel());
                    let what = format!("{what} {kind:?} {facts:?}");
                    close(&found, &expected, tolerances.0, tolerances.1, &what);
                }
            }
        }
    }
}

#[test]
fn a_million_elements_take_two_kernels_and_any_expression() {
    let shape = [64, 16, 32, 32];
    let x = noise(shape, 9);
    let mut sum = reduce(&shape, &[0, 1, 2, 3], &[0, 1, 2, 3], Reduction::Sum);
    sum.body = "    let result = op_softplus(v0) * v0;\n".to_owned();
    let soft = truth(&Op::Unary(Unary::Softplus), &[&x], &shape);
    let expected: f64 = soft.data.iter().zip(&x.data).map(|(a, b)| a * b).sum();
    for facts in &KINDS {
        let stages = sum.stages(facts);
        assert!(matches!(stages, Stages::Two { .. }));
        let found = run(&stages, &[lay(&x, &[0, 1, 2, 3])], 1);
        close(&found, &[expected as f32], 2e-6, 0.0, "softplus");
    }
}

#[test]
fn reduced_coordinates_reach_the_expression() {
    let x = noise([3, 70], 10);
    let mut sum = reduce(&[3, 70], &[0, 1], &[1], Reduction::Sum);
    sum.body = "    let result = v0 * f32(i1) + f32(i0);\n".to_owned();
    let expected = Tensor::from_fn([3], |p| {
        (0..70)
            .map(|k| x.at(&[p[0], k]) * k as f64 + p[0] as f64)
            .sum()
    });
    for facts in &KINDS {
        let found = run(&sum.stages(facts), &[lay(&x, &[0, 1])], 3);
        close(&found, &lay(&expected, &[0]), 1e-5, 1e-3, "coordinates");
    }
}

#[test]
fn channel_statistics_survive_a_large_mean() {
    for [n, c, p] in [
        [2, 3, 35],
        [5, 7, 1],
        [3, 64, 49],
        [33, 3, 1024],
        [19, 40, 361],
    ] {
        let shape = [n, c, p];
        let sizes = Channels {
            batch: n,
            channels: c,
            pixels: p,
        };
        let x = noise(shape, 11);
        let x = Tensor::from_fn(shape, |at| {
            f64::from((300.0 + at[1] as f64 + x.at(at)) as f32)
        });
        let g = noise(shape, 12);
        let stats = truth(&Op::ChannelStats, &[&x], &[2, c]);
        let rounded = Tensor::from_fn([2, c], |at| f64::from(stats.at(at) as f32));
        let dot = truth(&Op::ChannelDot, &[&g, &x, &rounded], &[2, c]);
        for order in [[0, 1, 2], [0, 2, 1]] {
            let steps = strides(&shape, &order);
            let steps = [steps[0], steps[1], steps[2]];
            let what = format!("{shape:?} {order:?}");
            for facts in &KINDS {
                let stages = ChannelStats { sizes, x: steps }.stages(facts);
                let found = run(&stages, &[lay(&x, &order)], 2 * c);
                close(&found, &lay(&stats, &[0, 1]), 1e-5, 0.0, &what);
            }
            let natural = strides(&shape, &[0, 1, 2]);
            let launch = ChannelDot {
                sizes,
                g: [natural[0], natural[1], natural[2]],
                x: steps,
            };
            let inputs = [lay(&g, &[0, 1, 2]), lay(&x, &order), lay(&rounded, &[0, 1])];
            for facts in &KINDS {
                let found = run(&launch.stages(facts), &inputs, 2 * c);
                // Means are f32 near 300: g times 1.5e-5 an element.
                close(&found, &lay(&dot, &[0, 1]), 1e-5, 2e-4, &what);
            }
        }
    }
}
