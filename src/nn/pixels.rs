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
