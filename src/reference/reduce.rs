//! Sums, maxima and their places over axes, which stay with size 1.

use super::{Tensor, for_each_position};

pub(super) fn sum(x: &Tensor, axes: &[usize]) -> Tensor {
    let mut y = Tensor::full(x.shape.reduced(axes), 0.0);
    for_each_position(&x.shape, |p| *y.at_mut(&kept(p, axes)) += x.at(p));
    y
}

pub(super) fn max(x: &Tensor, axes: &[usize]) -> Tensor {
    let mut y = Tensor::full(x.shape.reduced(axes), f64::NEG_INFINITY);
    for_each_position(&x.shape, |p| {
        let largest = y.at_mut(&kept(p, axes));
        *largest = largest.max(x.at(p));
    });
    y
}

pub(super) fn argmax(x: &Tensor, axes: &[usize]) -> Tensor {
    let shape = x.shape.reduced(axes);
    let mut largest = Tensor::full(shape.clone(), f64::NEG_INFINITY);
    let mut first = Tensor::full(shape.clone(), 0.0);
    // The elements of one result come in row-major order of the reduced axes,
    // so counting them counts that position.
    let mut seen = Tensor::full(shape, 0.0);
    for_each_position(&x.shape, |p| {
        let target = kept(p, axes);
        if x.at(p) > largest.at(&target) {
            *largest.at_mut(&target) = x.at(p);
            *first.at_mut(&target) = seen.at(&target);
        }
        *seen.at_mut(&target) += 1.0;
    });
    first
}

/// The position of the result that the element at `position` counts to.
fn kept(position: &[usize], axes: &[usize]) -> Vec<usize> {
    let mut target = position.to_vec();
    for &axis in axes {
        target[axis] = 0;
    }
    target
}
