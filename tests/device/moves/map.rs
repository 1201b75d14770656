use gpugan::graph::{Binary, Op, Scalar, Unary};
use gpugan::ops::Load;
use gpugan::ops::map::Map;
use gpugan::ops::scalar::{binary_code, literal, select_code, unary_code};
use gpugan::reference::Tensor;

use super::harness::{close, lay, noise, run, strides, truth};

fn body(expression: &str) -> String {
    format!("    let result = {expression};\n")
}

/// Small, ordinary and large numbers of both signs.
fn magnitudes(limit: f64) -> Tensor {
    let mut data = vec![0.0];
    let mut size = 1e-6;
    while size < limit {
        data.extend([size, -size]);
        size *= 1.13;
    }
    let data: Vec<f64> = data.iter().map(|&x| f64::from(x as f32)).collect();
    Tensor::new([data.len()], data).unwrap()
}

fn kept(x: Tensor, keep: impl Fn(f64) -> bool) -> Tensor {
    let data: Vec<f64> = x.data.into_iter().filter(|&x| keep(x)).collect();
    Tensor::new([data.len()], data).unwrap()
}

#[test]
fn unary_functions_keep_relative_accuracy() {
    let positive = || kept(magnitudes(1e6), |x| x > 0.0);
    let near_one = || {
        let data: Vec<f64> = magnitudes(0.9).data.iter().map(|x| 1.0 + x).collect();
        let data = data.iter().map(|&x| f64::from(x as f32)).collect();
        Tensor::new([magnitudes(0.9).data.len()], data).unwrap()
    };
    let halves = || Tensor::from_fn([41], |p| p[0] as f64 * 0.5 - 10.0);
    for (f, x, tolerance) in [
        (Unary::Neg, magnitudes(1e6), 0.0),
        (Unary::Exp, magnitudes(60.0), 2e-5),
        (Unary::Log, kept(positive(), |x| x != 1.0), 1e-5),
        (Unary::Log, kept(near_one(), |x| x != 1.0), 1e-6),
        (Unary::Sqrt, positive(), 1e-6),
        (Unary::Rsqrt, positive(), 1e-5),
        (Unary::Recip, positive(), 1e-6),
        (Unary::Abs, magnitudes(1e6), 0.0),
        (Unary::Sign, magnitudes(1e6), 0.0),
        (Unary::Sigmoid, magnitudes(80.0), 2e-5),
        (Unary::Sigmoid, magnitudes(3.0), 2e-6),
        (Unary::Tanh, magnitudes(1e3), 1e-6),
        (Unary::Softplus, magnitudes(80.0), 2e-5),
        (Unary::Softplus, magnitudes(3.0), 2e-6),
        (Unary::Atanh, magnitudes(0.999), 1e-5),
        (Unary::Floor, halves(), 0.0),
        (Unary::Round, halves(), 0.0),
        (Unary::Finite, magnitudes(1e6), 0.0),
        (Unary::LeakyRelu(Scalar(0.2)), magnitudes(1e3), 1e-6),
        (Unary::LeakyRelu(Scalar(0.0)), magnitudes(1e3), 0.0),
    ] {
        let shape = x.shape.to_vec();
        let expected = truth(&Op::Unary(f), &[&x], &shape);
        let map = Map::new(
            shape.clone(),
            vec![Load::contiguous(&shape)],
            body(&unary_code(f, "v0")),
        );
        let found = run(map.launch(), &[lay(&x, &[0])], shape[0]);
        close(
            &found,
            &lay(&expected, &[0]),
            tolerance,
            0.0,
            &format!("{f:?}"),
        );
    }
    // Sine and cosine are absolute.
    for f in [Unary::Sin, Unary::Cos] {
        let x = magnitudes(3.1);
        let shape = x.shape.to_vec();
        let expected = truth(&Op::Unary(f), &[&x], &shape);
        let map = Map::new(
            shape.clone(),
            vec![Load::contiguous(&shape)],
            body(&unary_code(f, "v0")),
        );
        let found = run(map.launch(), &[lay(&x, &[0])], shape[0]);
        close(&found, &lay(&expected, &[0]), 0.0, 1e-5, &format!("{f:?}"));
    }
}

/// What a network made of an overflow must not pass for a pixel.
#[test]
fn saturating_functions_pass_on_what_is_no_number() {
    let x = Tensor::new([3], vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).unwrap();
    for (f, least) in [(Unary::Tanh, -1.0), (Unary::Sigmoid, 0.0)] {
        let map = Map::new(
            vec![3],
            vec![Load::contiguous(&[3])],
            body(&unary_code(f, "v0")),
        );
        let found = run(map.launch(), &[lay(&x, &[0])], 3);
        assert!(found[0].is_nan(), "{f:?}: {found:?}");
        assert_eq!(found[1..], [1.0, least], "{f:?}");
    }
}

#[test]
fn saturated_functions_stay_finite() {
    let x = Tensor::new([4], vec![-1e4, 1e4, -200.0, 200.0]).unwrap();
    for f in [Unary::Sigmoid, Unary::Tanh, Unary::Softplus] {
        let expected = truth(&Op::Unary(f), &[&x], &[4]);
        let map = Map::new(
            vec![4],
            vec![Load::contiguous(&[4])],
            body(&unary_code(f, "v0")),
        );
        let found = run(map.launch(), &[lay(&x, &[0])], 4);
        close(
            &found,
            &lay(&expected, &[0]),
            1e-6,
            1e-30,
            &format!("{f:?}"),
        );
    }
}

#[test]
fn binary_functions_and_select_in_all_orders() {
    let orders: [[usize; 4]; 3] = [[0, 1, 2, 3], [0, 2, 3, 1], [3, 1, 0, 2]];
    for shape in [[2, 3, 5, 7], [3, 4, 1, 8], [2, 8, 4, 4]] {
        // Few different numbers, so that some are equal.
        let a = noise(shape, 1);
        let a = Tensor::from_fn(shape, |p| (a.at(p) * 4.0).round() / 4.0 + 2.0);
        let b = noise(shape, 2);
        let b = Tensor::from_fn(shape, |p| (b.at(p) * 4.0).round() / 4.0 + 2.0);
        for f in [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Max,
            Binary::Min,
            Binary::Pow,
            Binary::Greater,
            Binary::GreaterEqual,
            Binary::Equal,
        ] {
            let expected = truth(&Op::Binary(f), &[&a, &b], &shape);
            for out in orders {
                let walked: Vec<usize> = out.iter().map(|&axis| shape[axis]).collect();
                let load = |order: &[usize]| Load {
                    strides: {
                        let steps = strides(&shape, order);
                        out.iter().map(|&axis| steps[axis]).collect()
                    },
                    offset: 0,
                };
                let map = Map::new(
                    walked,
                    vec![load(&orders[0]), load(&orders[1])],
                    body(&binary_code(f, "v0", "v1")),
                );
                let inputs = [lay(&a, &orders[0]), lay(&b, &orders[1])];
                let found = run(map.launch(), &inputs, expected.data.len());
                let what = format!("{f:?} {shape:?} {out:?}");
                close(&found, &lay(&expected, &out), 1e-5, 0.0, &what);
            }
        }
    }
    let shape = [13];
    let condition = Tensor::from_fn(shape, |p| (p[0] % 3) as f64);
    let (a, b) = (noise(shape, 3), noise(shape, 4));
    let expected = truth(&Op::Select, &[&condition, &a, &b], &shape);
    let map = Map::new(
        shape.to_vec(),
        vec![Load::contiguous(&shape); 3],
        body(&select_code("v0", "v1", "v2")),
    );
    let inputs = [&condition, &a, &b].map(|t| lay(t, &[0]));
    close(
        &run(map.launch(), &inputs, 13),
        &lay(&expected, &[0]),
        0.0,
        0.0,
        "Select",
    );
}

#[test]
fn stretched_sliced_and_counted_inputs() {
    for [n, c, w] in [[3, 4, 5], [3, 5, 8], [2, 8, 12]] {
        let x = noise([n + 1, c + 3, w + 2], 5);
        let bias = noise([c], 6);
        // x[1.., 2.., 1..] * 0.5 + bias + the place along w and n.
        let steps = strides(&x.shape, &[0, 1, 2]);
        let map = Map::new(
            vec![n, c, w],
            vec![
                Load {
                    offset: steps[0] + 2 * steps[1] + 1,
                    strides: steps,
                },
                Load {
                    strides: vec![0, 1, 0],
                    offset: 0,
                },
            ],
            body(&format!(
                "v0 * {} + v1 + f32(i2) + 100.0 * f32(i0)",
                literal(-0.5)
            )),
        );
        let expected = Tensor::from_fn([n, c, w], |p| {
            -0.5 * x.at(&[p[0] + 1, p[1] + 2, p[2] + 1])
                + bias.at(&[p[1]])
                + p[2] as f64
                + 100.0 * p[0] as f64
        });
        let inputs = [lay(&x, &[0, 1, 2]), lay(&bias, &[0])];
        let found = run(map.launch(), &inputs, n * c * w);
        close(&found, &lay(&expected, &[0, 1, 2]), 1e-6, 1e-6, "stretched");
    }
}

#[test]
fn stored_maps_write_their_part_and_nothing_else() {
    for (part, whole, start) in [([3, 4], 9, 5), ([3, 4], 12, 4), ([5, 3], 7, 2)] {
        let x = noise(part, 7);
        let map = Map::new(part.to_vec(), vec![Load::contiguous(&part)], body("v0"));
        let map = map.stored(Load {
            strides: vec![whole, 1],
            offset: start,
        });
        let found = run(map.launch(), &[lay(&x, &[0, 1])], part[0] * whole);
        for (place, value) in found.iter().enumerate() {
            let (row, column) = (place / whole, place % whole);
            if (start..start + part[1]).contains(&column) {
                assert_eq!(*value, x.at(&[row, column - start]) as f32);
            } else {
                assert!(
                    value.to_bits() & 0x7fff_ffff > 0x7f80_0000,
                    "{place} is {value}"
                );
            }
        }
    }
}
