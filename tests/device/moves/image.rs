use gpugan::graph::{Op, Window};
use gpugan::ops::window::{Pool, Pooling, Resize};
use gpugan::reference::Tensor;

use super::harness::{close, lay, noise, run, strides, truth};

const ORDERS: [[usize; 4]; 2] = [[0, 1, 2, 3], [0, 2, 3, 1]];

fn four(shape: &[usize], order: &[usize]) -> [usize; 4] {
    strides(shape, order).try_into().unwrap()
}

#[test]
fn pools_of_all_windows_and_orders() {
    let windows = [
        Window::tiles([6, 8], [2, 2]),
        Window::tiles([7, 9], [2, 3]),
        Window {
            input: [7, 5],
            output: [4, 3],
            kernel: [3, 3],
            stride: [2, 2],
            pad: [1, 1],
        },
        Window {
            input: [5, 11],
            output: [3, 4],
            kernel: [2, 1],
            stride: [1, 3],
            pad: [0, 0],
        },
        Window {
            input: [5, 4],
            output: [5, 4],
            kernel: [5, 3],
            stride: [1, 1],
            pad: [2, 1],
        },
    ];
    let (n, c) = (2, 3);
    for window in windows {
        let image = [n, c, window.input[0], window.input[1]];
        let small = [n, c, window.output[0], window.output[1]];
        let x = noise(image, 13);
        // Ties, so that the first cell matters.
        let x = Tensor::from_fn(image, |p| (x.at(p) * 4.0).round() + 0.25);
        let g = noise(small, 14);
        let index = truth(&Op::MaxPoolIndex(window), &[&x], &small);
        for (pooling, op, inputs, to) in [
            (Pooling::SumPool, Op::SumPool(window), vec![&x], small),
            (Pooling::SumUnpool, Op::SumUnpool(window), vec![&g], image),
            (
                Pooling::MaxPoolIndex,
                Op::MaxPoolIndex(window),
                vec![&x],
                small,
            ),
            (
                Pooling::PoolGather,
                Op::PoolGather(window),
                vec![&x, &index],
                small,
            ),
            (
                Pooling::PoolScatter,
                Op::PoolScatter(window),
                vec![&g, &index],
                image,
            ),
        ] {
            let expected = truth(&op, &inputs, &to);
            for x_order in ORDERS {
                for y_order in ORDERS {
                    let pool = Pool {
                        pooling,
                        window,
                        batch: n,
                        channels: c,
                        x: four(&inputs[0].shape, &x_order),
                        index: four(&small, &y_order),
                        y: four(&to, &y_order),
                    };
                    let mut data = vec![lay(inputs[0], &x_order)];
                    if let Some(index) = inputs.get(1) {
                        data.push(lay(index, &y_order));
                    }
                    let found = run(pool.launch(), &data, expected.data.len());
                    let what = format!("{op:?} {x_order:?} {y_order:?}");
                    close(&found, &lay(&expected, &y_order), 1e-6, 1e-6, &what);
                }
            }
        }
    }
}

#[test]
fn resizes_up_down_and_back() {
    for (image, resized) in [
        ([5, 7], [10, 14]),
        ([5, 7], [11, 3]),
        ([8, 8], [4, 2]),
        ([1, 3], [4, 9]),
        ([6, 13], [1, 13]),
        ([3, 2], [29, 31]),
        ([31, 29], [3, 2]),
    ] {
        let from = [2, 3, image[0], image[1]];
        let to = [2, 3, resized[0], resized[1]];
        for order in ORDERS {
            for adjoint in [false, true] {
                let (read, write) = if adjoint { (to, from) } else { (from, to) };
                let op = if adjoint {
                    Op::ResizeBilinearAdjoint
                } else {
                    Op::ResizeBilinear
                };
                let x = noise(read, 15);
                let expected = truth(&op, &[&x], &write);
                let resize = Resize {
                    adjoint,
                    batch: 2,
                    channels: 3,
                    image,
                    resized,
                    x: four(&read, &order),
                    y: four(&write, &order),
                };
                let found = run(resize.launch(), &[lay(&x, &order)], expected.data.len());
                let what = format!("{op:?} {image:?} {resized:?} {order:?}");
                close(&found, &lay(&expected, &order), 1e-5, 2e-6, &what);
            }
        }
    }
}
