//! A 3x3 convolution and a halving or doubling of the image beside it, as one 4x4
//! convolution of stride 2. Both are linear, so taps that meet the same pixel add up:
//! 16 taps for four pixels of the larger image where there were 36, and no image
//! between the two.

use super::{Inits, Net, image};
use crate::error::{Error, Result};
use crate::graph::{Binary, ConvGeometry, Graph, NodeId, Unary};

/// What lies beside the convolution, which keeps the size.
#[derive(Clone, Copy)]
enum Beside {
    /// The mean of 2x2 pixels, behind it.
    Mean,
    /// Each pixel 2x2 times, before it.
    Repetition,
}

impl Net {
    /// [`Net::conv`] of 3x3 taps that keeps the size, then the mean of each 2x2 pixels:
    /// `x [N, C, H, W]` to `[N, out, H / 2, W / 2]`, weight `[out, C, 3, 3]`.
    ///
    /// # Errors
    /// Where a side is odd, or the layer's name is taken.
    pub fn conv_halved(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "Conv2d", x)?;
        let odd = || Error::shape("Conv2d", format!("a {h}x{w} image cannot be halved"));
        let even = h.is_multiple_of(2) && w.is_multiple_of(2);
        let geometry = ConvGeometry::forward([h, w], [4; 2], [2; 2], [1; 2], [[1; 2]; 2], 1)
            .filter(|_| even)
            .ok_or_else(odd)?;
        let weight = self.weight(graph, layer, [out, channels, 3, 3], 0, weight)?;
        let weight = widened(graph, weight, Beside::Mean)?;
        let y = graph.conv2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }

    /// Each pixel 2x2 times, then [`Net::conv`] of 3x3 taps that keeps the size:
    /// `x [N, C, H, W]` to `[N, out, 2 H, 2 W]`, weight `[out, C, 3, 3]`.
    ///
    /// # Errors
    /// Where the layer's name is taken.
    pub fn conv_doubled(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "ConvTranspose2d", x)?;
        let empty = || Error::shape("ConvTranspose2d", format!("{h}x{w} is no image"));
        let geometry =
            ConvGeometry::transposed([h, w], [4; 2], [2; 2], [1; 2], [[1; 2]; 2], [0; 2], 1)
                .ok_or_else(empty)?;
        let weight = self.weight(graph, layer, [out, channels, 3, 3], 0, weight)?;
        let weight = widened(graph, weight, Beside::Repetition)?;
        let weight = graph.permute(weight, &[1, 0, 2, 3])?; // [C, out, 4, 4]
        let y = graph.conv_transpose2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }
}

/// The 4x4 taps that a weight `[out, in, 3, 3]` comes to, `[out, in, 4, 4]`.
fn widened(graph: &mut Graph, weight: NodeId, beside: Beside) -> Result<NodeId> {
    let shape = graph.shape(weight).clone();
    let line = taps_of_a_line(graph, beside)?;
    let [rows, columns] = [[3, 1, 4, 1], [1, 3, 1, 4]].map(|shape| graph.reshape(line, shape));
    let square = graph.mul(rows?, columns?)?; // [3, 3, 4, 4]
    let square = graph.reshape(square, [9, 16])?;
    let flat = graph.reshape(weight, [shape[0] * shape[1], 9])?;
    let wide = graph.matmul(flat, square, false, false)?;
    graph.reshape(wide, [shape[0], shape[1], 4, 4])
}

/// How much of each of three taps is in each of four, `[3, 4]`. With pixels from tap to
/// tap, tap k of a pixel and its neighbour behind it is tap k and k + 1 of their mean.
/// A transposed convolution has its taps mirrored: where each pixel stands for two, tap
/// k is in taps 2 - k and 3 - k.
fn taps_of_a_line(graph: &mut Graph, beside: Beside) -> Result<NodeId> {
    let [three, four] = [graph.iota([3, 4], 0)?, graph.iota([3, 4], 1)?];
    let (difference, between, share) = match beside {
        Beside::Mean => (graph.sub(four, three)?, 0.5, 0.5),
        Beside::Repetition => (graph.add(four, three)?, 2.5, 1.0),
    };
    // Differences of 1/2 count, those from 3/2 on do not.
    let apart = graph.binary_scalar(Binary::Add, difference, -between);
    let apart = graph.unary(Unary::Abs, apart);
    let apart = graph.binary_scalar(Binary::Min, apart, 1.5);
    let scaled = graph.scale(apart, -share);
    Ok(graph.binary_scalar(Binary::Add, scaled, 1.5 * share))
}
