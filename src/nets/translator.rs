//! The residual generator of CycleGAN (Zhu et al. 2017, 1703.10593; after Johnson et
//! al. 2016) in the form of `junyanz/pytorch-CycleGAN-and-pix2pix`.
//!
//! | layers | channels |
//! |---|---|
//! | reflection padding 3, 7x7 convolution, norm, ReLU | `width` |
//! | twice: 3x3 convolution of stride 2, norm, ReLU | `2 width`, `4 width` |
//! | `blocks` times: x + (reflection padding 1, 3x3, norm, ReLU, dropout if asked for, reflection padding 1, 3x3, norm) | `4 width` |
//! | twice: 3x3 transposed convolution of stride 2 and output padding 1, norm, ReLU | `2 width`, `width` |
//! | reflection padding 3, 7x7 convolution with bias, tanh | the output's |
//!
//! Tensors have the names of that source's `ResnetGenerator`, places in one
//! `nn.Sequential`: `model.1` (norm 2), `model.4` (5), `model.7` (8); blocks from
//! `model.10` on, each with `conv_block.1` (2) and `conv_block.5` (6), or 6 (7) with
//! dropout between; behind `n` blocks `model.{10+n}` (11 + n), `model.{13+n}` (14 + n)
//! and `model.{17+n}`.

use super::parts::{ImageNorm, image_edge};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nn::{Net, Square, leaky_relu, reflection_pad};

/// Next to the images, behind a padding of 3.
const WIDE: Square = Square {
    kernel: 7,
    stride: 1,
    pad: 0,
};
/// Halves an image; with one more row and column at the end, doubles it.
const HALVE: Square = Square {
    kernel: 3,
    stride: 2,
    pad: 1,
};
const OUTPUT_PAD: usize = 1;
/// In a block, behind a padding of 1.
const INNER: Square = Square {
    kernel: 3,
    stride: 1,
    pad: 0,
};
/// How often the image is halved and doubled again.
const DOWNS: usize = 2;
const DROPOUT: f32 = 0.5;

/// A residual generator described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translator {
    /// Channels of the output.
    pub channels: usize,
    /// Channels of the layers next to the images.
    pub width: usize,
    /// Residual blocks: 9 for images of 256 pixels in the source, 6 for 128.
    pub blocks: usize,
    /// Normalisation of all layers but the last.
    pub norm: ImageNorm,
    /// Whether half of the features within a block are dropped.
    pub dropout: bool,
}

impl Translator {
    /// Sides of images are multiples of this.
    pub const MULTIPLE: usize = 1 << DOWNS;
    /// No side is shorter: reflection takes a second pixel, so blocks need 2 of the
    /// halved image.
    pub const LEAST: usize = 2 * Self::MULTIPLE;

    /// Pixels around the square of 4 that an output pixel lies in, that it depends on,
    /// where no normalisation takes the statistics of the image: 3 next to the images
    /// at both ends, 1 and 2 on the way in, 2 and 4 on the way out, two of 4 in a block.
    pub fn reach(&self) -> usize {
        15 + 2 * Self::MULTIPLE * self.blocks
    }

    /// Builds it on images `[N, C, H, W]`; gives `[N, channels, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Where the sides are no multiples of 4 from 8.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        let &Self { width, norm, .. } = self;
        let shape = graph.shape(x);
        let fits = |&side: &usize| side.is_multiple_of(Self::MULTIPLE) && side >= Self::LEAST;
        if shape.rank() != 4 || !shape[2..].iter().all(fits) {
            return Err(Error::shape(
                "Translator",
                format!("{shape} is not [N, C, H, W] with sides of 8, 12, 16, ..."),
            ));
        }
        let name = |index: usize| format!("model.{index}");
        let mut h = reflection_pad(graph, x, 3)?;
        h = net.conv(graph, &name(1), h, width, WIDE, norm.inits())?;
        h = norm.apply(graph, net, &name(2), h)?;
        h = leaky_relu(graph, h, 0.0);
        let mut layer = 4;
        for down in 1..=DOWNS {
            h = net.conv(graph, &name(layer), h, width << down, HALVE, norm.inits())?;
            h = norm.apply(graph, net, &name(layer + 1), h)?;
            h = leaky_relu(graph, h, 0.0);
            layer += 3;
        }
        for _ in 0..self.blocks {
            let inner = self.block(graph, net, &name(layer), h)?;
            h = graph.add(h, inner)?;
            layer += 1;
        }
        let doubled = (HALVE, OUTPUT_PAD);
        for down in (0..DOWNS).rev() {
            let (name, norm_name) = (name(layer), name(layer + 1));
            h = net.conv_transpose_padded(graph, &name, h, width << down, doubled, norm.inits())?;
            h = norm.apply(graph, net, &norm_name, h)?;
            h = leaky_relu(graph, h, 0.0);
            layer += 3;
        }
        h = reflection_pad(graph, h, 3)?;
        let last = name(layer + 1);
        h = net.conv(graph, &last, h, self.channels, WIDE, image_edge())?;
        Ok(graph.unary(Unary::Tanh, h))
    }

    /// What a block adds to `x`.
    fn block(&self, graph: &mut Graph, net: &mut Net, block: &str, x: NodeId) -> Result<NodeId> {
        let &Self { norm, dropout, .. } = self;
        let channels = graph.shape(x)[1];
        let name = |index: usize| format!("{block}.conv_block.{index}");
        let mut h = reflection_pad(graph, x, 1)?;
        h = net.conv(graph, &name(1), h, channels, INNER, norm.inits())?;
        h = norm.apply(graph, net, &name(2), h)?;
        h = leaky_relu(graph, h, 0.0);
        if dropout {
            h = net.dropout(graph, h, DROPOUT)?;
        }
        // A module of its own in the source, whether it drops or not.
        let second = if dropout { 6 } else { 5 };
        h = reflection_pad(graph, h, 1)?;
        h = net.conv(graph, &name(second), h, channels, INNER, norm.inits())?;
        norm.apply(graph, net, &name(second + 1), h)
    }
}
