//! Views: how a node's elements lie in some memory.

use std::ops::Range;

use crate::graph::Shape;

/// Which memory of a lowering.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct ValueId(pub(super) usize);

/// Elements of `shape` at `offset + sum of coordinate * stride` of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct View {
    pub(super) value: ValueId,
    pub(super) shape: Shape,
    pub(super) offset: usize,
    pub(super) strides: Vec<usize>,
}

impl View {
    /// All of a value whose axes lie in memory in `order`.
    pub(super) fn whole(value: ValueId, shape: &Shape, order: &[usize]) -> Self {
        Self {
            value,
            shape: shape.clone(),
            offset: 0,
            strides: shape.strides_in(order),
        }
    }

    /// Whether the axes lie densely in `order`; axes of size 1 lie anywhere.
    pub(super) fn lies_in(&self, order: &[usize]) -> bool {
        let dense = self.shape.strides_in(order);
        (0..self.shape.rank())
            .all(|axis| self.shape[axis] == 1 || self.strides[axis] == dense[axis])
    }

    /// The order of the axes in memory, outermost first, where the view covers
    /// its elements densely without gaps or repetition.
    pub(super) fn order(&self) -> Option<Vec<usize>> {
        let mut order = row_major(self.shape.rank());
        order.sort_by_key(|&axis| std::cmp::Reverse((self.strides[axis], self.shape[axis])));
        let order = spread_units(&self.shape, order);
        self.lies_in(&order).then_some(order)
    }

    pub(super) fn broadcast(mut self, shape: &Shape) -> Self {
        for axis in 0..shape.rank() {
            if self.shape[axis] != shape[axis] {
                self.strides[axis] = 0;
            }
        }
        self.shape = shape.clone();
        self
    }

    pub(super) fn permute(mut self, order: &[usize], shape: &Shape) -> Self {
        self.strides = order.iter().map(|&axis| self.strides[axis]).collect();
        self.shape = shape.clone();
        self
    }

    pub(super) fn slice(mut self, start: &[usize], shape: &Shape) -> Self {
        self.offset += start
            .iter()
            .zip(&self.strides)
            .map(|(start, stride)| start * stride)
            .sum::<usize>();
        self.shape = shape.clone();
        self
    }

    /// The view under another shape, if strides can express it: runs of axes
    /// whose strides chain may be merged and split, others only kept.
    pub(super) fn reshape(mut self, shape: &Shape) -> Option<Self> {
        let from: Vec<(usize, usize)> = self
            .shape
            .iter()
            .copied()
            .zip(self.strides.iter().copied())
            .filter(|&(size, _)| size != 1)
            .collect();
        let mut strides = vec![0; shape.rank()];
        let (mut source, mut target) = (0, 0);
        while source < from.len() {
            let (mut have, mut want) = (from[source].0, 1);
            let first = target;
            let mut last_source = source;
            loop {
                while want < have && target < shape.rank() {
                    want *= shape[target];
                    target += 1;
                }
                if want == have {
                    break;
                }
                if want < have {
                    return None;
                }
                // Merge the next source axis, whose steps must chain.
                last_source += 1;
                let &(size, stride) = from.get(last_source)?;
                if from[last_source - 1].1 != size * stride {
                    return None;
                }
                have *= size;
            }
            let mut step = from[last_source].1;
            for axis in (first..target).rev() {
                strides[axis] = step;
                step *= shape[axis];
            }
            source = last_source + 1;
        }
        self.shape = shape.clone();
        self.strides = strides;
        Some(self)
    }
}

/// Axes from the outermost to the innermost.
pub(super) fn row_major(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// The order for a copy that nothing asks for in another one: images of whole vectors
/// of channels lie channels-last, as the kernels of convolutions want them.
pub(super) fn order_of_copies(shape: &Shape) -> Vec<usize> {
    match shape[..] {
        [_, channels, _, _] if channels.is_multiple_of(4) => vec![0, 2, 3, 1],
        _ => row_major(shape.rank()),
    }
}

/// The axes of `from` that each axis of `to` consists of, where it consists of whole ones.
pub(super) fn merged_axes(from: &Shape, to: &Shape) -> Option<Vec<Range<usize>>> {
    let mut end = 0;
    let mut merged = Vec::with_capacity(to.rank());
    for (axis, &size) in to.iter().enumerate() {
        let start = end;
        let is_last = axis + 1 == to.rank();
        while end < from.rank() && (is_last || from[start..end].iter().product::<usize>() < size) {
            end += 1;
        }
        if from[start..end].iter().product::<usize>() != size {
            return None;
        }
        merged.push(start..end);
    }
    Some(merged)
}

/// Keeps axes of size 1 at their own place, where they harm no order.
fn spread_units(shape: &Shape, order: Vec<usize>) -> Vec<usize> {
    let mut long = order.into_iter().filter(|&axis| shape[axis] != 1);
    let row_major: Vec<usize> = (0..shape.rank()).collect();
    row_major
        .into_iter()
        .map(|axis| {
            if shape[axis] == 1 {
                axis
            } else {
                long.next().unwrap_or(axis)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], strides: &[usize]) -> View {
        View {
            value: ValueId(0),
            shape: shape.into(),
            offset: 0,
            strides: strides.to_vec(),
        }
    }

    #[test]
    fn reshape_merges_and_splits_what_chains() {
        let merged = view(&[2, 3, 4], &[12, 4, 1])
            .reshape(&[6, 4].into())
            .expect("dense");
        assert_eq!(merged.strides, [4, 1]);
        let split = view(&[6, 4], &[4, 1])
            .reshape(&[3, 2, 2, 2].into())
            .expect("dense");
        assert_eq!(split.strides, [8, 4, 2, 1]);
        let units = view(&[2, 5], &[1, 2])
            .reshape(&[2, 1, 5, 1].into())
            .expect("units");
        assert_eq!((units.strides[0], units.strides[2]), (1, 2));
        assert!(
            view(&[2, 5], &[1, 2]).reshape(&[10].into()).is_none(),
            "transposed axes do not merge"
        );
        assert_eq!(
            view(&[4, 6], &[0, 1])
                .reshape(&[2, 2, 6].into())
                .expect("broadcast splits")
                .strides,
            [0, 0, 1]
        );
    }

    #[test]
    fn order_finds_channels_last() {
        assert_eq!(
            view(&[2, 3, 4, 5], &[60, 1, 15, 3]).order(),
            Some(vec![0, 2, 3, 1])
        );
        assert_eq!(view(&[2, 3, 4, 5], &[120, 1, 15, 3]).order(), None, "a gap");
        assert_eq!(
            view(&[2, 1, 4, 5], &[20, 1, 5, 1]).order(),
            Some(vec![0, 1, 2, 3])
        );
    }

    #[test]
    fn merged_axes_are_whole_axes() {
        let axes = |from: &[usize], to: &[usize]| merged_axes(&from.into(), &to.into());
        assert_eq!(
            axes(&[2, 3, 4, 2, 5, 2], &[2, 3, 8, 10]),
            Some(vec![0..1, 1..2, 2..4, 4..6])
        );
        assert_eq!(axes(&[2, 1, 3], &[1, 6]), Some(vec![0..0, 0..3]));
        assert_eq!(axes(&[4, 6], &[2, 12]), None, "a part of an axis");
        assert_eq!(axes(&[4], &[4, 1]), Some(vec![0..1, 1..1]));
    }
}
