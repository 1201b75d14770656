//! Functions of the elements at one place.

use super::Tensor;
use crate::graph::{Binary, Unary};

pub(super) fn unary(f: Unary, x: &Tensor) -> Tensor {
    Tensor {
        shape: x.shape.clone(),
        data: x.data.iter().map(|&x| unary_of(f, x)).collect(),
    }
}

fn unary_of(f: Unary, x: f64) -> f64 {
    match f {
        Unary::Neg => -x,
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => 1.0 / x.sqrt(),
        Unary::Recip => 1.0 / x,
        Unary::Abs => x.abs(),
        // f64::signum(0) is 1.
        Unary::Sign if x > 0.0 => 1.0,
        Unary::Sign if x < 0.0 => -1.0,
        Unary::Sign => 0.0,
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Unary::Atanh => x.atanh(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Floor => x.floor(),
        Unary::Round => x.round_ties_even(),
        Unary::Finite => f64::from(u8::from(x.is_finite())),
        Unary::LeakyRelu(_) if x > 0.0 => x,
        Unary::LeakyRelu(slope) => f64::from(slope.0) * x,
    }
}

pub(super) fn binary(f: Binary, a: &Tensor, b: &Tensor) -> Tensor {
    assert_eq!(a.shape, b.shape, "inputs of {f:?}");
    let pairs = a.data.iter().zip(&b.data);
    Tensor {
        shape: a.shape.clone(),
        data: pairs.map(|(&a, &b)| binary_of(f, a, b)).collect(),
    }
}

fn binary_of(f: Binary, a: f64, b: f64) -> f64 {
    let truth = |condition: bool| if condition { 1.0 } else { 0.0 };
    match f {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow => a.powf(b),
        Binary::Greater => truth(a > b),
        Binary::GreaterEqual => truth(a >= b),
        Binary::Equal => truth(a == b),
    }
}

pub(super) fn select(condition: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    Tensor::from_fn(condition.shape.clone(), |p| {
        if condition.at(p) != 0.0 {
            a.at(p)
        } else {
            b.at(p)
        }
    })
}
