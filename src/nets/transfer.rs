//! The networks that domain transfer (Taigman et al. 2017, 1611.02200) trains: one that
//! draws images of the features of a fixed network, and a discriminator with three
//! answers. The sizes are those of `yunjey/domain-transfer-network` for digits of 32
//! pixels, whose own discriminators have one answer each.
//!
//! | drawer | discriminator |
//! |---|---|
//! | transposed convolution of the features, a pixel, to `4 width` maps of the first image, BN, ReLU | 3x3 convolution of stride 2 with bias, to `width`, LeakyReLU 0.2 |
//! | 3x3 transposed, stride 2, to `2 width`, BN, ReLU | 3x3, stride 2, to `2 width`, BN, LeakyReLU |
//! | 3x3 transposed, stride 2, to `width`, BN, ReLU | 3x3, stride 2, to `4 width`, BN, LeakyReLU |
//! | 3x3 transposed, stride 2, with bias, to the image, tanh | convolution of the whole, with bias, to three logits |
//!
//! An image of `s 2^k` pixels across, with s from 4 to 7, is doubled k times from s, and
//! halved as often; each halving doubles the channels. So 32 pixels go by 4, 28 by 7.
//! Weights start from N(0, 0.02^2), gains from N(1, 0.02^2), as those of DCGAN.
//!
//! Tensors are named by their places in an `nn.Sequential` of the layers above:
//! `main.0`, BN `main.1`, `main.3`, BN `main.4`, ... in the drawer, `main.0`, `main.2`,
//! BN `main.3`, `main.5`, ... in the discriminator.

use super::parts::{ImageNorm, image_edge};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nn::{Net, Square, leaky_relu};

/// Halves an image; with one more row and column at the end, doubles it.
const HALVE: Square = Square {
    kernel: 3,
    stride: 2,
    pad: 1,
};
const OUTPUT_PAD: usize = 1;
const SLOPE: f32 = 0.2;
const NORM: ImageNorm = ImageNorm::Batch;

/// How a side divides: the first image's, and how often it is doubled.
fn doublings(side: usize) -> Result<(usize, usize)> {
    let (mut first, mut count) = (side, 0);
    while first >= 8 && first.is_multiple_of(2) {
        first /= 2;
        count += 1;
    }
    if count > 0 && (4..8).contains(&first) {
        return Ok((first, count));
    }
    Err(Error::shape(
        "transfer",
        format!("{side} pixels are not 4, 5, 6 or 7 times a power of two"),
    ))
}

/// Between a pixel and a whole image.
fn whole(side: usize) -> Square {
    Square {
        kernel: side,
        stride: 1,
        pad: 0,
    }
}

/// What draws images of features, described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawer {
    /// Channels of the image.
    pub channels: usize,
    /// Rows, and columns, of the image.
    pub side: usize,
    /// Channels of the layer next to the image, 128 in the source.
    pub width: usize,
}

impl Drawer {
    /// Whether there are drawers of images of so many pixels across.
    pub fn draws(side: usize) -> bool {
        doublings(side).is_ok()
    }

    /// Builds it on features `[N, F]` or `[N, F, 1, 1]`; gives `[N, channels, side,
    /// side]` in [-1, 1].
    ///
    /// # Errors
    /// Where the features have another shape, or the side is not 4 to 7 doubled some
    /// times.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, features: NodeId) -> Result<NodeId> {
        let (batch, count) = match graph.shape(features)[..] {
            [batch, count] | [batch, count, 1, 1] => (batch, count),
            _ => {
                let what = format!("{} is not [N, F]", graph.shape(features));
                return Err(Error::shape("transfer", what));
            }
        };
        let (first, doublings) = doublings(self.side)?;
        let name = |index: usize| format!("main.{index}");
        let mut h = graph.reshape(features, [batch, count, 1, 1])?;
        let channels = self.width << (doublings - 1);
        h = net.conv_transpose(graph, &name(0), h, channels, whole(first), NORM.inits())?;
        let doubled = (HALVE, OUTPUT_PAD);
        for layer in 1..=doublings {
            h = NORM.apply(graph, net, &name(3 * layer - 2), h)?;
            h = leaky_relu(graph, h, 0.0);
            let (out, inits) = if layer == doublings {
                (self.channels, image_edge())
            } else {
                (self.width << (doublings - 1 - layer), NORM.inits())
            };
            h = net.conv_transpose_padded(graph, &name(3 * layer), h, out, doubled, inits)?;
        }
        Ok(graph.unary(Unary::Tanh, h))
    }
}

/// A discriminator with three answers, such as: drawn of a source image, drawn of a
/// target image, real. Described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ternary {
    /// Channels of the first layer, 128 in the source.
    pub width: usize,
}

/// What a discriminator with three answers says of images.
#[derive(Clone, Debug)]
pub struct Answered {
    /// `[N, 3]`: logits of the answers.
    pub logits: NodeId,
    /// The activations of every hidden layer from the image on, `[N, C, h, w]`.
    pub hidden: Vec<NodeId>,
}

impl Ternary {
    /// Number of answers.
    pub const ANSWERS: usize = 3;

    /// Builds it on square images `[N, C, side, side]`; gives logits `[N, 3]`.
    ///
    /// # Errors
    /// Where the images are not square or the side is not 4 to 7 doubled some times.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Answered> {
        let (batch, side) = match graph.shape(x)[..] {
            [batch, _, rows, columns] if rows == columns => (batch, rows),
            _ => {
                let what = format!("{} is not [N, C, side, side]", graph.shape(x));
                return Err(Error::shape("transfer", what));
            }
        };
        let (last, halvings) = doublings(side)?;
        let name = |index: usize| format!("main.{index}");
        let mut h = net.conv(graph, &name(0), x, self.width, HALVE, image_edge())?;
        h = leaky_relu(graph, h, SLOPE);
        let mut hidden = vec![h];
        for layer in 1..halvings {
            let out = self.width << layer;
            h = net.conv(graph, &name(3 * layer - 1), h, out, HALVE, NORM.inits())?;
            h = NORM.apply(graph, net, &name(3 * layer), h)?;
            h = leaky_relu(graph, h, SLOPE);
            hidden.push(h);
        }
        let (layer, inits) = (name(3 * halvings - 1), image_edge());
        let logits = net.conv(graph, &layer, h, Self::ANSWERS, whole(last), inits)?;
        let logits = graph.reshape(logits, [batch, Self::ANSWERS])?;
        Ok(Answered { logits, hidden })
    }
}
