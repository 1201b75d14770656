//! The list of cases: a file a family, a few lines a case.

mod contraction;
mod elementwise;
mod fusion;
mod movement;
mod normalization;
mod random;
mod reduction;
mod shapes;
mod tiles;
mod window;

pub use shapes::{Size, shapes};

use super::Case;

/// All cases, by family. Sizes are odd or prime where nothing speaks for
/// others; kinks are kept away from.
pub fn cases() -> Vec<Case> {
    cases_at(Size::Small)
}

/// All cases, the shapes of real networks at this size.
pub fn cases_at(size: Size) -> Vec<Case> {
    let on_plain = |list: Vec<Case>| list.into_iter().map(tiles::on_plain).collect();
    [
        elementwise::cases(),
        movement::cases(),
        reduction::cases(),
        on_plain(contraction::products()),
        on_plain(contraction::convolutions()),
        window::cases(),
        normalization::cases(),
        random::cases(),
        fusion::cases(),
        shapes(size),
    ]
    .into_iter()
    .flatten()
    .map(tiles::on_tiles)
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::Family;
    use crate::graph::{Binary, Distribution, Op, PadMode, Unary};

    /// Numbers the kinds of primitives. A new one does not compile here until
    /// it has a number, and [`every_primitive_has_a_case`] then asks for a
    /// case.
    fn kind(op: &Op) -> usize {
        match op {
            Op::State(_) => 0,
            Op::Constant(_) => 1,
            Op::Iota(_) => 2,
            Op::Select => 3,
            Op::StopGradient => 4,
            Op::Broadcast => 5,
            Op::Reshape => 6,
            Op::Permute(_) => 7,
            Op::Slice { .. } => 8,
            Op::Concat(_) => 9,
            Op::Gather(_) => 10,
            Op::ScatterAdd(_) => 11,
            Op::Sum(_) => 12,
            Op::Max(_) => 13,
            Op::ArgMax(_) => 14,
            Op::MatMul {
                transpose_a,
                transpose_b,
            } => 15 + usize::from(*transpose_a) + 2 * usize::from(*transpose_b),
            Op::Conv2d(_) => 19,
            Op::ConvTranspose2d(_) => 20,
            Op::ConvWeightGrad(_) => 21,
            Op::SumPool(_) => 22,
            Op::SumUnpool(_) => 23,
            Op::MaxPoolIndex(_) => 24,
            Op::PoolGather(_) => 25,
            Op::PoolScatter(_) => 26,
            Op::ResizeBilinear => 27,
            Op::ResizeBilinearAdjoint => 28,
            Op::ChannelStats => 29,
            Op::ChannelDot => 30,
            Op::BatchNorm { .. } => 31,
            Op::Pad { mode, .. } => match mode {
                PadMode::Zero => 32,
                PadMode::Reflect => 33,
                PadMode::Replicate => 34,
            },
            Op::PadFold { mode, .. } => match mode {
                // The builder makes a slice of it.
                PadMode::Zero => 8,
                PadMode::Reflect => 35,
                PadMode::Replicate => 36,
            },
            Op::Random { distribution, .. } => match distribution {
                Distribution::Uniform => 37,
                Distribution::Normal => 38,
                Distribution::Bernoulli(_) => 39,
            },
            Op::Binary(f) => match f {
                Binary::Add => 40,
                Binary::Sub => 41,
                Binary::Mul => 42,
                Binary::Div => 43,
                Binary::Max => 44,
                Binary::Min => 45,
                Binary::Pow => 46,
                Binary::Greater => 47,
                Binary::GreaterEqual => 48,
                Binary::Equal => 49,
            },
            Op::Unary(f) => match f {
                Unary::Neg => 50,
                Unary::Exp => 51,
                Unary::Log => 52,
                Unary::Sqrt => 53,
                Unary::Rsqrt => 54,
                Unary::Recip => 55,
                Unary::Abs => 56,
                Unary::Sign => 57,
                Unary::Sigmoid => 58,
                Unary::Tanh => 59,
                Unary::Softplus => 60,
                Unary::Atanh => 61,
                Unary::Sin => 62,
                Unary::Cos => 63,
                Unary::Floor => 64,
                Unary::Round => 65,
                Unary::LeakyRelu(_) => 66,
                Unary::Finite => 67,
            },
        }
    }

    /// One more than the largest number of `kind`.
    const KINDS: usize = 68;

    #[test]
    fn every_primitive_has_a_case() {
        // The case's own nodes, without those of its gradients.
        let mut seen = [false; KINDS];
        for case in cases() {
            let derived = case.derive().unwrap_or_else(|e| panic!("{case:?}: {e}"));
            for node in &derived.graph.nodes()[..=derived.result.0] {
                seen[kind(&node.op)] = true;
            }
        }
        let missing: Vec<usize> = (0..KINDS).filter(|&kind| !seen[kind]).collect();
        assert!(missing.is_empty(), "kinds without a case: {missing:?}");
    }

    #[test]
    fn names_are_unique_and_families_complete() {
        let mut names = BTreeSet::new();
        let mut families = BTreeSet::new();
        for case in cases() {
            assert!(names.insert(case.name.clone()), "{} twice", case.name);
            families.insert(case.family);
        }
        assert_eq!(families, BTreeSet::from(Family::ALL));
    }
}
