//! Shapes: sizes of the axes of a tensor, outermost first.

use std::fmt;
use std::ops::Deref;

use crate::error::{Error, Result};

/// Most axes a tensor may have.
pub const MAX_RANK: usize = 6;

/// Most elements a tensor may have. Kernels count elements in 32 bits, and what
/// they round up to whole tiles has to fit as well.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Sizes of a tensor's axes, outermost first; images are `[N, C, H, W]`. The
/// empty shape is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The shape of a scalar, without axes.
    pub fn scalar() -> Self {
        Self(Vec::new())
    }

    /// Number of elements; the largest `usize` where there are more.
    pub fn numel(&self) -> usize {
        self.0
            .iter()
            .fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// Refuses more than [`MAX_ELEMENTS`]; `name` begins the message.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let count = self.numel();
        if count <= MAX_ELEMENTS {
            return Ok(());
        }
        let rest = Self(self.0[1..].to_vec()).numel();
        let first = match MAX_ELEMENTS / rest {
            0 => String::new(),
            most => format!("; with its other sizes the first may be at most {most}"),
        };
        Err(Error::Size {
            what: format!(
                "{name} would be {self}, but a tensor may have at most {MAX_ELEMENTS} elements{first}"
            ),
        })
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Steps in elements between neighbours along each axis, last axis fastest.
    pub fn strides(&self) -> Vec<usize> {
        self.strides_in(&(0..self.rank()).collect::<Vec<_>>())
    }

    /// Steps between neighbours along each axis when the axes lie in memory in
    /// `order`, outermost first (`[0, 2, 3, 1]` is channels-last).
    pub fn strides_in(&self, order: &[usize]) -> Vec<usize> {
        let mut strides = vec![0; self.rank()];
        let mut step: usize = 1;
        for &axis in order.iter().rev() {
            strides[axis] = step;
            step = step.saturating_mul(self.0[axis]);
        }
        strides
    }

    /// The shape with `axes` kept at size 1, as reductions leave it.
    pub fn reduced(&self, axes: &[usize]) -> Self {
        Self(
            (0..self.rank())
                .map(|axis| {
                    if axes.contains(&axis) {
                        1
                    } else {
                        self.0[axis]
                    }
                })
                .collect(),
        )
    }

    /// The shape that both broadcast to (aligned at the last axis, size 1
    /// stretches), or `None`.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let size = |shape: &Self, axis: usize| {
            let skipped = rank - shape.rank();
            if axis < skipped {
                1
            } else {
                shape.0[axis - skipped]
            }
        };
        (0..rank)
            .map(|axis| match (size(self, axis), size(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Self {
        Self(sizes.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Self(sizes)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Self {
        Self(sizes.to_vec())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
