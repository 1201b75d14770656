//! A 3x3 convolution and a halving or doubling of the image beside it, as one 4x4
//! convolution of stride 2. Both are linear, so taps that meet the same pixel add up:
//! 16 taps for four pixels of the larger image where there were 36, and no image
//! between the two.

use super::{Inits, Net, image};
use crate::error::{Error, Result};
use crate::graph::{Binary, ConvGeometry, Graph, NodeId, Unary};

/// What a convolution of 3x3 taps, which keeps the size, does to an image besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resampling {
    /// Takes the mean of each 2x2 pixels, afterwards.
    Halving,
    /// Repeats each pixel 2x2 times, before.
    Doubling,
}

impl Net {
    /// [`Net::conv`] of 3x3 taps that halves or doubles `x [N, C, H, W]` besides, to
    /// `[N, out, H / 2, W / 2]` or `[N, out, 2 H, 2 W]`. Its weight is `[out, C, 3, 3]`.
    ///
    /// # Errors
    /// Where a side to be halved is odd, or the layer's name is taken.
    pub fn conv_resampled(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        resampling: Resampling,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "Conv2d", x)?;
        let unfit = || Error::shape("Conv2d", format!("no {resampling:?} of a {h}x{w} image"));
        let weight = self.weight(graph, layer, [out, channels, 3, 3], 0, weight)?;
        let wide = widened(graph, weight, resampling)?;
        let [kernel, stride, dilation, pad] = [[4; 2], [2; 2], [1; 2], [1; 2]];
        let y = match resampling {
            Resampling::Halving => {
                let even = h.is_multiple_of(2) && w.is_multiple_of(2);
                let geometry = ConvGeometry::forward([h, w], kernel, stride, dilation, [pad; 2], 1)
                    .filter(|_| even)
                    .ok_or_else(unfit)?;
                graph.conv2d(x, wide, geometry)?
            }
            Resampling::Doubling => {
                let geometry =
                    ConvGeometry::transposed([h, w], kernel, stride, dilation, [pad; 2], [0; 2], 1)
                        .ok_or_else(unfit)?;
                let wide = graph.permute(wide, &[1, 0, 2, 3])?; // [C, out, 4, 4]
                graph.conv_transpose2d(x, wide, geometry)?
            }
        };
        self.channel_bias(graph, layer, y, out, bias)
    }
}

/// The 4x4 taps that a weight `[out, in, 3, 3]` comes to, `[out, in, 4, 4]`.
fn widened(graph: &mut Graph, weight: NodeId, resampling: Resampling) -> Result<NodeId> {
    let shape = graph.shape(weight).clone();
    let line = taps_of_a_line(graph, resampling)?;
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
fn taps_of_a_line(graph: &mut Graph, resampling: Resampling) -> Result<NodeId> {
    let [three, four] = [graph.iota([3, 4], 0)?, graph.iota([3, 4], 1)?];
    let (difference, between, share) = match resampling {
        Resampling::Halving => (graph.sub(four, three)?, 0.5, 0.5),
        Resampling::Doubling => (graph.add(four, three)?, 2.5, 1.0),
    };
    // Differences of 1/2 count, those from 3/2 on do not.
    let apart = graph.binary_scalar(Binary::Add, difference, -between);
    let apart = graph.unary(Unary::Abs, apart);
    let apart = graph.binary_scalar(Binary::Min, apart, 1.5);
    let scaled = graph.scale(apart, -share);
    Ok(graph.binary_scalar(Binary::Add, scaled, 1.5 * share))
}
