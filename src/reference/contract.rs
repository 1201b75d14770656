//! Matrix products and the three convolutions.

use super::Tensor;
use crate::graph::{ConvGeometry, Shape};

pub(super) fn matmul(
    a: &Tensor,
    b: &Tensor,
    transpose_a: bool,
    transpose_b: bool,
    shape: &Shape,
) -> Tensor {
    let rank = shape.rank();
    let depth = a.shape[if transpose_a { rank - 2 } else { rank - 1 }];
    Tensor::from_fn(shape.clone(), |p| {
        let (row, column) = (p[rank - 2], p[rank - 1]);
        let batch = if rank == 3 { p[0] } else { 0 };
        let entry = |x: &Tensor, i: usize, j: usize, transposed: bool| {
            let (i, j) = if transposed { (j, i) } else { (i, j) };
            let (rows, columns) = (x.shape[rank - 2], x.shape[rank - 1]);
            x.data[(batch * rows + i) * columns + j]
        };
        (0..depth)
            .map(|k| entry(a, row, k, transpose_a) * entry(b, k, column, transpose_b))
            .sum()
    })
}

pub(super) fn conv2d(image: &Tensor, weight: &Tensor, g: &ConvGeometry, shape: &Shape) -> Tensor {
    let mut output = Tensor::full(shape.clone(), 0.0);
    for_each_tap(&image.shape, shape, g, |i, w, o| {
        *output.at_mut(o) += image.at(i) * weight.at(w);
    });
    output
}

pub(super) fn conv_transpose2d(
    output: &Tensor,
    weight: &Tensor,
    g: &ConvGeometry,
    shape: &Shape,
) -> Tensor {
    let mut image = Tensor::full(shape.clone(), 0.0);
    for_each_tap(shape, &output.shape, g, |i, w, o| {
        *image.at_mut(i) += output.at(o) * weight.at(w);
    });
    image
}

pub(super) fn conv_weight_grad(
    image: &Tensor,
    output: &Tensor,
    g: &ConvGeometry,
    shape: &Shape,
) -> Tensor {
    let mut weight = Tensor::full(shape.clone(), 0.0);
    for_each_tap(&image.shape, &output.shape, g, |i, w, o| {
        *weight.at_mut(w) += image.at(i) * output.at(o);
    });
    weight
}

/// Visits the terms of the form `sum of image * weight * output` whose three
/// partial derivatives are the three convolutions, as positions in the image
/// `[N, C, H, W]`, the weight `[O, C/g, KH, KW]` and the output
/// `[N, O, OH, OW]`. Taps on the zero border are left out.
fn for_each_tap(
    image: &Shape,
    output: &Shape,
    g: &ConvGeometry,
    mut visit: impl FnMut(&[usize], &[usize], &[usize]),
) {
    let (channels, outputs) = (image[1] / g.groups, output[1] / g.groups);
    for n in 0..image[0] {
        for o in 0..output[1] {
            let first_channel = o / outputs * channels;
            for oy in 0..g.output[0] {
                for ox in 0..g.output[1] {
                    for c in 0..channels {
                        for ky in 0..g.kernel[0] {
                            for kx in 0..g.kernel[1] {
                                let (Some(y), Some(x)) = (tap(g, 0, oy, ky), tap(g, 1, ox, kx))
                                else {
                                    continue;
                                };
                                visit(
                                    &[n, first_channel + c, y, x],
                                    &[o, c, ky, kx],
                                    &[n, o, oy, ox],
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The image row (`axis` 0) or column (1) under tap `k` of window `o`, if the
/// image has it.
fn tap(g: &ConvGeometry, axis: usize, o: usize, k: usize) -> Option<usize> {
    let place = (o * g.stride[axis] + k * g.dilation[axis]).checked_sub(g.pad[axis])?;
    (place < g.input[axis]).then_some(place)
}
