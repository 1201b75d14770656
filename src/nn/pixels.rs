//! Layers that move pixels: borders, and channels that are pixels.

use super::image;
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, PadMode, Unary};

/// `x [N, C, H, W]` with `pad` more pixels on each side, mirrored at the edge pixel,
/// which is not repeated: `nn.ReflectionPad2d(pad)`.
///
/// # Errors
/// Where a side is not longer than `pad`.
pub fn reflection_pad(graph: &mut Graph, x: NodeId, pad: usize) -> Result<NodeId> {
    image(graph, "ReflectionPad2d", x)?;
    let each = [0, 0, pad, pad];
    graph.pad(x, &each, &each, PadMode::Reflect)
}

/// Keeps the slope of a length finite where nothing changes.
const SMOOTH: f32 = 1e-8;

/// Mean length of the step to the next pixels, `sqrt(dx^2 + dy^2)`, of each channel of
/// `x [N, C, H, W]`, a scalar: total variation (Rudin et al. 1992) over the number of
/// places that have a pixel to the right and one below.
///
/// # Errors
/// Where a side is a single pixel.
pub fn total_variation(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let [channels, h, w] = image(graph, "TotalVariation", x)?;
    if h < 2 || w < 2 {
        let what = format!("a {h}x{w} image has no neighbours");
        return Err(Error::shape("TotalVariation", what));
    }
    let here = [graph.shape(x)[0], channels, h - 1, w - 1];
    let mut at = |y, x_| graph.slice(x, &[0, 0, y, x_], here);
    let [pixel, below, right] = [at(0, 0)?, at(1, 0)?, at(0, 1)?];
    let [dy, dx] = [graph.sub(below, pixel)?, graph.sub(right, pixel)?];
    let [dy, dx] = [graph.square(dy), graph.square(dx)];
    let square = graph.add(dy, dx)?;
    let square = graph.binary_scalar(Binary::Add, square, SMOOTH);
    let length = graph.unary(Unary::Sqrt, square);
    graph.mean_all(length)
}

/// `[N, C r^2, H, W]` to `[N, C, H r, W r]`: channel `c r^2 + dy r + dx` holds the
/// pixels `(y r + dy, x r + dx)` of channel `c`, as `nn.PixelShuffle(r)` (Shi et al.
/// 2016, 1609.05158, equation 4).
///
/// # Errors
/// Where `factor^2` does not divide the channels.
pub fn pixel_shuffle(graph: &mut Graph, x: NodeId, factor: usize) -> Result<NodeId> {
    let [channels, h, w] = image(graph, "PixelShuffle", x)?;
    let batch = graph.shape(x)[0];
    let pixels = factor * factor;
    if pixels == 0 || !channels.is_multiple_of(pixels) {
        return Err(Error::shape(
            "PixelShuffle",
            format!("{channels} channels do not divide into {factor}x{factor} pixels"),
        ));
    }
    let out = channels / pixels;
    let apart = graph.reshape(x, [batch, out, factor, factor, h, w])?;
    let beside = graph.permute(apart, &[0, 1, 4, 2, 5, 3])?; // [N, C, H, dy, W, dx]
    graph.reshape(beside, [batch, out, h * factor, w * factor])
}

/// The inverse of [`pixel_shuffle`], `[N, C, H r, W r]` to `[N, C r^2, H, W]`:
/// `nn.PixelUnshuffle(r)`.
///
/// # Errors
/// Where `factor` does not divide both sides.
pub fn pixel_unshuffle(graph: &mut Graph, x: NodeId, factor: usize) -> Result<NodeId> {
    let [channels, h, w] = image(graph, "PixelUnshuffle", x)?;
    let batch = graph.shape(x)[0];
    if factor == 0 || !h.is_multiple_of(factor) || !w.is_multiple_of(factor) {
        return Err(Error::shape(
            "PixelUnshuffle",
            format!("a {h}x{w} image does not divide into {factor}x{factor} pixels"),
        ));
    }
    let [rows, columns] = [h / factor, w / factor];
    let beside = graph.reshape(x, [batch, channels, rows, factor, columns, factor])?;
    let apart = graph.permute(beside, &[0, 1, 3, 5, 2, 4])?; // [N, C, dy, dx, H, W]
    graph.reshape(apart, [batch, channels * factor * factor, rows, columns])
}

/// `x [N, C, H, W]` at another size, `[N, C, *size]`, by cubic convolution as
/// [`bicubic`](crate::data::bicubic) has it, without its rounding.
///
/// # Errors
/// Where `x` is no image or a size is 0.
pub fn resize_bicubic(graph: &mut Graph, x: NodeId, size: [usize; 2]) -> Result<NodeId> {
    let [channels, h, w] = image(graph, "ResizeBicubic", x)?;
    let (batch, [to_h, to_w]) = (graph.shape(x)[0], size);
    let planes = batch * channels;
    let across = cubic_weights(graph, w, to_w)?;
    let down = cubic_weights(graph, h, to_h)?;
    let rows = graph.reshape(x, [planes * h, w])?;
    let rows = graph.matmul(rows, across, false, true)?;
    let wide = graph.reshape(rows, [planes, h, to_w])?;
    let turned = graph.permute(wide, &[0, 2, 1])?; // [N C, W', H]
    let columns = graph.reshape(turned, [planes * to_w, h])?;
    let columns = graph.matmul(columns, down, false, true)?;
    let tall = graph.reshape(columns, [planes, to_w, to_h])?;
    let upright = graph.permute(tall, &[0, 2, 1])?;
    graph.reshape(upright, [batch, channels, to_h, to_w])
}

/// How much of each pixel of a line is in each of a line of `to`, `[to, from]`.
fn cubic_weights(graph: &mut Graph, from: usize, to: usize) -> Result<NodeId> {
    if to == 0 {
        return Err(Error::shape("ResizeBicubic", "a size is 0"));
    }
    let scale = from as f32 / to as f32;
    let wide = scale.max(1.0);
    // The distance of the pixels' centres, in widths of the kernel.
    let [made, given] = [graph.iota([to, from], 0)?, graph.iota([to, from], 1)?];
    let [made, given] = [
        graph.scale(made, scale / wide),
        graph.scale(given, wide.recip()),
    ];
    let apart = graph.sub(given, made)?;
    let apart = graph.binary_scalar(Binary::Add, apart, 0.5 * (1.0 - scale) / wide);
    let apart = graph.unary(Unary::Abs, apart);
    // Keys' kernel with a = -1/2 is one cubic up to 1 and another up to 2; both are 0 at
    // 1, and the second at 2.
    let near = graph.binary_scalar(Binary::Min, apart, 1.0);
    let near = cubic(graph, near, [1.5, -2.5, 0.0, 1.0])?;
    let far = graph.binary_scalar(Binary::Max, apart, 1.0);
    let far = graph.binary_scalar(Binary::Min, far, 2.0);
    let far = cubic(graph, far, [-0.5, 2.5, -4.0, 2.0])?;
    let weights = graph.add(near, far)?;
    let sum = graph.sum(weights, &[1])?;
    graph.div(weights, sum)
}

/// `((a x + b) x + c) x + d`.
fn cubic(graph: &mut Graph, x: NodeId, [a, b, c, d]: [f32; 4]) -> Result<NodeId> {
    let mut y = graph.scale(x, a);
    for next in [b, c] {
        y = graph.binary_scalar(Binary::Add, y, next);
        y = graph.mul(y, x)?;
    }
    Ok(graph.binary_scalar(Binary::Add, y, d))
}
