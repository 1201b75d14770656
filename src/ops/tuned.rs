//! Variants that won by measurement on one adapter.

use serde::{Deserialize, Serialize};

use super::conv::{Conv, Target};
use super::matmul::MatMul;
use super::{Epilogue, Facts, Launches, Variant};
use crate::graph::Shape;

/// A matrix product or convolution with its sizes and strides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Contraction {
    /// A matrix product.
    MatMul(MatMul),
    /// A convolution or one of its adjoints.
    Conv(Conv),
}

impl Contraction {
    /// Whether the sizes are the same. Strides do not count: they depend on the
    /// variants of what comes before.
    pub fn is_like(&self, other: &Self) -> bool {
        self.without_strides() == other.without_strides()
    }

    fn without_strides(self) -> Self {
        match self {
            Self::MatMul(product) => Self::MatMul(MatMul {
                a: [0; 3],
                b: [0; 3],
                y: [0; 3],
                ..product
            }),
            Self::Conv(conv) => Self::Conv(Conv {
                x: [0; 4],
                w: [0; 4],
                y: [0; 4],
                ..conv
            }),
        }
    }

    /// All variants that make sense for these sizes on this adapter.
    pub fn candidates(&self, facts: &Facts) -> Vec<Variant> {
        match self {
            Self::MatMul(product) => product.candidates(facts),
            Self::Conv(conv) => conv.candidates(facts),
        }
    }

    /// The variant to use.
    pub fn choose(&self, facts: &Facts) -> Variant {
        match self {
            Self::MatMul(product) => product.choose(facts),
            Self::Conv(conv) => conv.choose(facts),
        }
    }

    /// With operands in the memory orders that `variant` demands.
    pub fn packed(&self, variant: Variant) -> Self {
        match *self {
            Self::MatMul(mut product) => {
                let orders = product.orders(variant);
                let [_, a, b] = self.shapes();
                let reorder =
                    |shape: &Shape, order: Option<[usize; 3]>, strides: &mut [usize; 3]| {
                        if let Some(order) = order {
                            strides.copy_from_slice(&shape.strides_in(&order));
                        }
                    };
                reorder(&a, orders.a, &mut product.a);
                reorder(&b, orders.b, &mut product.b);
                Self::MatMul(product)
            }
            Self::Conv(mut conv) => {
                let orders = conv.orders(variant);
                let [x, w, y] = conv_shapes(&conv);
                let reorder =
                    |shape: &Shape, order: Option<[usize; 4]>, strides: &mut [usize; 4]| {
                        if let Some(order) = order {
                            strides.copy_from_slice(&shape.strides_in(&order));
                        }
                    };
                reorder(&x, orders.x, &mut conv.x);
                reorder(&w, orders.w, &mut conv.w);
                reorder(&y, orders.y, &mut conv.y);
                Self::Conv(conv)
            }
        }
    }

    /// Sizes of the output and of the two operands, in binding order.
    pub fn shapes(&self) -> [Shape; 3] {
        match self {
            Self::MatMul(p) => [
                [p.batch, p.m, p.n].into(),
                [p.batch, p.m, p.k].into(),
                [p.batch, p.k, p.n].into(),
            ],
            Self::Conv(conv) => in_binding_order(conv.kind, conv_shapes(conv)),
        }
    }

    /// Strides of the output and of the two operands.
    pub fn strides(&self) -> [Vec<usize>; 3] {
        match self {
            Self::MatMul(p) => [p.y, p.a, p.b].map(Vec::from),
            Self::Conv(conv) => {
                in_binding_order(conv.kind, [conv.x, conv.w, conv.y].map(Vec::from))
            }
        }
    }

    /// The kernels of a variant with their workgroups.
    pub fn launches(&self, variant: Variant) -> Launches {
        match self {
            Self::MatMul(product) => Launches::one(product.launch(variant, &Epilogue::none())),
            Self::Conv(conv) => conv.launches(variant, &Epilogue::none()),
        }
    }
}

/// Of (x, w, y).
fn conv_shapes(conv: &Conv) -> [Shape; 3] {
    let g = &conv.geometry;
    [
        [conv.batch, conv.channels, g.input[0], g.input[1]].into(),
        [
            conv.filters,
            conv.channels / g.groups,
            g.kernel[0],
            g.kernel[1],
        ]
        .into(),
        [conv.batch, conv.filters, g.output[0], g.output[1]].into(),
    ]
}

fn in_binding_order<T>(kind: Target, [x, w, y]: [T; 3]) -> [T; 3] {
    match kind {
        Target::Forward => [y, x, w],
        Target::Transpose => [x, y, w],
        Target::WeightGrad => [w, x, y],
    }
}

/// What won for which contraction.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Tuned {
    /// One entry a contraction.
    pub winners: Vec<(Contraction, Variant)>,
}

impl Tuned {
    /// The winner, if there was a contest and it still is a candidate: files
    /// may be older than the program.
    pub(super) fn winner(&self, contraction: &Contraction, facts: &Facts) -> Option<Variant> {
        self.winners
            .iter()
            .find(|(known, _)| known.is_like(contraction))
            .map(|&(_, variant)| variant)
            .filter(|variant| contraction.candidates(facts).contains(variant))
    }

    /// Adds winners, which replace those of the same contractions.
    pub fn add(&mut self, winners: Vec<(Contraction, Variant)>) {
        self.winners
            .retain(|(known, _)| !winners.iter().any(|(new, _)| new.is_like(known)));
        self.winners.extend(winners);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winners_are_taken_unless_they_are_no_candidates() {
        let product = MatMul {
            batch: 1,
            m: 64,
            n: 64,
            k: 64,
            a: [0, 64, 1],
            b: [0, 64, 1],
            y: [0, 64, 1],
        };
        let contraction = Contraction::MatMul(product);
        let with = |variant| -> Facts {
            let mut tuned = Tuned::default();
            tuned.add(vec![(contraction, Variant::Plain)]);
            tuned.add(vec![(contraction, variant)]);
            assert_eq!(tuned.winners.len(), 1);
            Facts {
                tuned: Some(Box::leak(Box::new(tuned))),
                ..Facts::SOFTWARE
            }
        };
        let usual = product.choose(&Facts::SOFTWARE);
        let other = Variant::Workgroup { side: 32 };
        assert_ne!(usual, other);
        assert_eq!(product.choose(&with(other)), other);
        // A subgroup of a size that this adapter lacks.
        let stale = Variant::Subgroup {
            lanes: 64,
            columns: 32,
        };
        assert_eq!(product.choose(&with(stale)), usual);
        let larger = MatMul { k: 68, ..product };
        assert_eq!(larger.choose(&with(other)), larger.choose(&Facts::SOFTWARE));
    }
}
