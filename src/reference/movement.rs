//! Elements that change place: each output position names its source, and the
//! adjoints add back to that source.

use super::{Tensor, checked_index, for_each_position};
use crate::error::Result;
use crate::graph::{PadMode, Shape};

pub(super) fn broadcast(x: &Tensor, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        let source: Vec<usize> = (0..p.len())
            .map(|axis| if x.shape[axis] == 1 { 0 } else { p[axis] })
            .collect();
        x.at(&source)
    })
}

pub(super) fn permute(x: &Tensor, order: &[usize], shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        let mut source = vec![0; p.len()];
        for (axis, &from) in order.iter().enumerate() {
            source[from] = p[axis];
        }
        x.at(&source)
    })
}

pub(super) fn pad(x: &Tensor, before: &[usize], mode: PadMode, shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        pad_source(p, before, &x.shape, mode).map_or(0.0, |source| x.at(&source))
    })
}

pub(super) fn pad_fold(x: &Tensor, before: &[usize], mode: PadMode, shape: &Shape) -> Tensor {
    let mut y = Tensor::full(shape.clone(), 0.0);
    for_each_position(&x.shape, |p| {
        if let Some(source) = pad_source(p, before, shape, mode) {
            *y.at_mut(&source) += x.at(p);
        }
    });
    y
}

/// Where in the unpadded tensor of shape `inner` the element at `position` of
/// the padded one comes from; `None` for a zero of the border.
fn pad_source(
    position: &[usize],
    before: &[usize],
    inner: &Shape,
    mode: PadMode,
) -> Option<Vec<usize>> {
    (0..position.len())
        .map(|axis| {
            let last = inner[axis] as isize - 1;
            let place = position[axis] as isize - before[axis] as isize;
            let source = match mode {
                PadMode::Zero => (0..=last).contains(&place).then_some(place)?,
                PadMode::Reflect if place < 0 => -place,
                PadMode::Reflect if place > last => 2 * last - place,
                PadMode::Reflect => place,
                PadMode::Replicate => place.max(0).min(last),
            };
            Some(source as usize)
        })
        .collect()
}

pub(super) fn slice(x: &Tensor, start: &[usize], shape: &Shape) -> Tensor {
    Tensor::from_fn(shape.clone(), |p| {
        let source: Vec<usize> = (0..p.len()).map(|axis| start[axis] + p[axis]).collect();
        x.at(&source)
    })
}

pub(super) fn concat(parts: &[&Tensor], axis: usize, shape: &Shape) -> Tensor {
    let mut y = Tensor::full(shape.clone(), 0.0);
    let mut start = 0;
    for part in parts {
        for_each_position(&part.shape, |p| {
            let mut target = p.to_vec();
            target[axis] += start;
            *y.at_mut(&target) = part.at(p);
        });
        start += part.shape[axis];
    }
    y
}

pub(super) fn gather(x: &Tensor, index: &Tensor, axis: usize) -> Result<Tensor> {
    let places = index_places("Gather", index, x.shape[axis])?;
    let mut place = places.into_iter();
    Ok(Tensor::from_fn(index.shape.clone(), |p| {
        let mut source = p.to_vec();
        // One place an element of index, in the same order.
        source[axis] = place.next().expect("as many places as elements");
        x.at(&source)
    }))
}

pub(super) fn scatter_add(
    updates: &Tensor,
    index: &Tensor,
    axis: usize,
    shape: &Shape,
) -> Result<Tensor> {
    let places = index_places("ScatterAdd", index, shape[axis])?;
    let mut place = places.into_iter();
    let mut y = Tensor::full(shape.clone(), 0.0);
    for_each_position(&index.shape, |p| {
        let mut target = p.to_vec();
        // One place an element of index, in the same order.
        target[axis] = place.next().expect("as many places as elements");
        *y.at_mut(&target) += updates.at(p);
    });
    Ok(y)
}

fn index_places(op: &'static str, index: &Tensor, size: usize) -> Result<Vec<usize>> {
    let places = index.data.iter();
    places
        .map(|&value| checked_index(op, value, size))
        .collect()
}
