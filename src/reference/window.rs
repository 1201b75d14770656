//! Pooling and resizing of the image axes of `[N, C, H, W]`.

use super::{Tensor, checked_index, for_each_position};
use crate::error::{Error, Result};
use crate::graph::{Shape, Window};

pub(super) fn sum_pool(x: &Tensor, window: &Window, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        let cells = cells(window, p).into_iter();
        cells.map(|[h, w]| x.at(&[p[0], p[1], h, w])).sum()
    })
}

pub(super) fn sum_unpool(y: &Tensor, window: &Window, shape: &Shape) -> Tensor {
    let mut x = Tensor::full(shape.clone(), 0.0);
    for_each_position(&y.shape, |p| {
        for [h, w] in cells(window, p) {
            *x.at_mut(&[p[0], p[1], h, w]) += y.at(p);
        }
    });
    x
}

pub(super) fn max_pool_index(x: &Tensor, window: &Window, shape: &Shape) -> Result<Tensor> {
    let mut some_empty = false;
    let index = Tensor::from_fn(shape.clone(), |p| {
        let mut cells = cells(window, p).into_iter();
        let Some(mut best) = cells.next() else {
            some_empty = true;
            return 0.0;
        };
        let value = |[h, w]: [usize; 2]| x.at(&[p[0], p[1], h, w]);
        for cell in cells {
            if value(cell) > value(best) {
                best = cell;
            }
        }
        (best[0] * window.input[1] + best[1]) as f64
    });
    if some_empty {
        return Err(Error::shape(
            "MaxPoolIndex",
            format!("{window:?} has a window outside the image"),
        ));
    }
    Ok(index)
}

pub(super) fn pool_gather(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    let mut y = Tensor::full(index.shape.clone(), 0.0);
    for_each_pooled("PoolGather", index, &x.shape, |pooled, cell| {
        *y.at_mut(pooled) = x.at(cell);
    })?;
    Ok(y)
}

pub(super) fn pool_scatter(updates: &Tensor, index: &Tensor, shape: &Shape) -> Result<Tensor> {
    let mut x = Tensor::full(shape.clone(), 0.0);
    for_each_pooled("PoolScatter", index, shape, |pooled, cell| {
        *x.at_mut(cell) += updates.at(pooled);
    })?;
    Ok(x)
}

/// Visits each position of `index` with the cell of `image` it points at.
fn for_each_pooled(
    op: &'static str,
    index: &Tensor,
    image: &Shape,
    mut visit: impl FnMut(&[usize], &[usize]),
) -> Result<()> {
    let (height, width) = (image[2], image[3]);
    let mut result = Ok(());
    for_each_position(&index.shape, |p| {
        match checked_index(op, index.at(p), height * width) {
            Ok(place) => visit(p, &[p[0], p[1], place / width, place % width]),
            Err(error) => result = Err(error),
        }
    });
    result
}

/// The cells `[h, w]` of the image under the window at `[.., oh, ow]`, in
/// row-major order.
fn cells(window: &Window, position: &[usize]) -> Vec<[usize; 2]> {
    let places = |axis: usize| -> Vec<usize> {
        (0..window.kernel[axis])
            .filter_map(|k| {
                (position[2 + axis] * window.stride[axis] + k).checked_sub(window.pad[axis])
            })
            .filter(|&place| place < window.input[axis])
            .collect()
    };
    let columns = places(1);
    places(0)
        .into_iter()
        .flat_map(|h| columns.iter().map(move |&w| [h, w]))
        .collect()
}

pub(super) fn resize_bilinear(x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        let corners = corners(&x.shape, shape, p).into_iter();
        corners.map(|(corner, share)| share * x.at(&corner)).sum()
    })
}

pub(super) fn resize_bilinear_adjoint(y: &Tensor, shape: &Shape) -> Tensor {
    let mut x = Tensor::full(shape.clone(), 0.0);
    for_each_position(&y.shape, |p| {
        for (corner, share) in corners(shape, &y.shape, p) {
            *x.at_mut(&corner) += share * y.at(p);
        }
    });
    x
}

/// The four cells of the small or large image `from` that make up the cell at
/// `position` of its resized form `to`, each with its share.
fn corners(from: &Shape, to: &Shape, position: &[usize]) -> [([usize; 4], f64); 4] {
    // Per image axis: the two neighbours and the share of the second.
    let neighbours = |axis: usize| {
        let (size, resized) = (from[axis] as f64, to[axis] as f64);
        let source = ((position[axis] as f64 + 0.5) * size / resized - 0.5).max(0.0);
        let lower = source.floor() as usize;
        let upper = (lower + 1).min(from[axis] - 1);
        (lower, upper, source - source.floor())
    };
    let (top, bottom, down) = neighbours(2);
    let (left, right, across) = neighbours(3);
    let cell = |h, w| [position[0], position[1], h, w];
    [
        (cell(top, left), (1.0 - down) * (1.0 - across)),
        (cell(top, right), (1.0 - down) * across),
        (cell(bottom, left), down * (1.0 - across)),
        (cell(bottom, right), down * across),
    ]
}
