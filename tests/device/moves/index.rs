use gpugan::graph::{Op, PadMode};
use gpugan::ops::Load;
use gpugan::ops::index::{Border, Indexed};
use gpugan::reference::Tensor;

use super::harness::{close, lay, noise, run, strides, truth};

fn load(shape: &[usize], order: &[usize]) -> Load {
    Load {
        strides: strides(shape, order),
        offset: 0,
    }
}

#[test]
fn gather_and_scatter_along_every_axis() {
    let order = [2, 0, 1];
    for axis in 0..3 {
        let inner = [3, 5, 7];
        let mut picked = inner;
        picked[axis] = 11;
        let x = noise(inner, 16);
        let g = noise(picked, 17);
        // Repeats places and leaves some out.
        let index = Tensor::from_fn(picked, |p| {
            let number = p[0] * 5 + p[1] * 3 + p[2] * 7 + p[axis] * p[axis];
            (number % (inner[axis] - 1)) as f64
        });
        for (scatter, op, input, to) in [
            (false, Op::Gather(axis), &x, picked),
            (true, Op::ScatterAdd(axis), &g, inner),
        ] {
            let expected = truth(&op, &[input, &index], &to);
            let indexed = Indexed {
                scatter,
                axis,
                shape: to.to_vec(),
                size: if scatter { picked[axis] } else { inner[axis] },
                x: load(&input.shape, &order),
                index: load(&picked, &[0, 1, 2]),
                y: strides(&to, &[1, 0, 2]),
            };
            let inputs = [lay(input, &order), lay(&index, &[0, 1, 2])];
            let found = run(indexed.launch(None), &inputs, expected.data.len());
            close(
                &found,
                &lay(&expected, &[1, 0, 2]),
                1e-6,
                1e-6,
                &format!("{op:?}"),
            );
        }
    }
}

#[test]
fn borders_of_every_mode_and_their_folds() {
    for (inner, before, after) in [
        ([2, 3, 5, 7], [0, 0, 1, 2], [0, 0, 3, 0]),
        ([1, 2, 3, 4], [1, 0, 2, 3], [0, 3, 2, 3]),
        ([2, 1, 6, 1], [0, 0, 5, 0], [0, 0, 5, 0]),
        ([1, 2, 1, 4], [0, 0, 3, 1], [0, 0, 2, 0]),
    ] {
        let padded: [usize; 4] = std::array::from_fn(|a| before[a] + inner[a] + after[a]);
        for mode in [PadMode::Zero, PadMode::Reflect, PadMode::Replicate] {
            let fits = (0..4).all(|a| before[a].max(after[a]) < inner[a]);
            if mode == PadMode::Reflect && !fits {
                continue;
            }
            for fold in [false, true] {
                if fold && mode == PadMode::Zero {
                    continue;
                }
                let (from, to) = if fold {
                    (padded, inner)
                } else {
                    (inner, padded)
                };
                let before = before.to_vec();
                let op = if fold {
                    Op::PadFold {
                        before: before.clone(),
                        mode,
                    }
                } else {
                    Op::Pad {
                        before: before.clone(),
                        mode,
                    }
                };
                let x = noise(from, 18);
                let expected = truth(&op, &[&x], &to);
                for order in [[0, 1, 2, 3], [0, 2, 3, 1]] {
                    let border = Border {
                        fold,
                        mode,
                        before: before.clone(),
                        inner: inner.to_vec(),
                        padded: padded.to_vec(),
                        x: load(&from, &order),
                        y: strides(&to, &order),
                    };
                    let found = run(border.launch(), &[lay(&x, &order)], expected.data.len());
                    let what = format!("{op:?} {inner:?} {order:?}");
                    close(&found, &lay(&expected, &order), 1e-6, 1e-6, &what);
                }
            }
        }
    }
}
