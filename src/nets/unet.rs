//! The U-Net generator of pix2pix (Isola et al. 2017, 1611.07004) in the form of
//! `junyanz/pytorch-CycleGAN-and-pix2pix`.
//!
//! Levels are counted from the image, 1 to `downs`. Each halves the image by a 4x4
//! convolution of stride 2 on the way in and doubles it by a transposed one on the
//! way out:
//!
//! | level | in | out |
//! |---|---|---|
//! | 1 | convolution | ReLU, transposed convolution with bias, tanh |
//! | between | LeakyReLU 0.2, convolution, norm | ReLU, transposed convolution, norm, dropout in some |
//! | last | LeakyReLU 0.2, convolution | ReLU, transposed convolution, norm |
//!
//! What a level takes in comes back beside what the level makes of it, `[taken, made]`.
//! It is taken behind the LeakyReLU, as there, where that works in place; the ReLU that
//! follows leaves the same of it as of what is in front.
//!
//! Tensors have the names of that source's `UnetGenerator`, which nests the levels:
//! level 1 is `model`, level 2 `model.model.1`, each further one `.model.3` of the last
//! (`model.model.1.model.3`, ...), and within a level `.model.<i>` with i = 0 and 3 for
//! the convolutions of level 1, 1 (norm 2) and 5 (norm 6) between, 1 and 3 (norm 4) in
//! the last.

use std::ops::Range;

use super::parts::{ImageNorm, image_edge};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nn::{Net, Square, leaky_relu};

/// Halves or doubles an image.
const HALVE: Square = Square {
    kernel: 4,
    stride: 2,
    pad: 1,
};
const SLOPE: f32 = 0.2;
const DROPOUT: f32 = 0.5;

/// A U-Net described by its sizes, but not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unet {
    /// Channels of the output.
    pub channels: usize,
    /// Channels of level 1; each further level has twice as many.
    pub width: usize,
    /// Channels of a level at most, in multiples of the width.
    pub most: usize,
    /// Levels, at least 2: the image is halved so often.
    pub downs: usize,
    /// Normalisation of all but the convolutions next to the image and the last one on
    /// the way in.
    pub norm: ImageNorm,
    /// Layers of the way out that drop half of their output, counted from the last
    /// level, which is 0; the layer of level 1 never does.
    pub dropped: Range<usize>,
}

impl Unet {
    /// The source's network for that many levels: 8 is its `unet_256`, 7 its `unet_128`,
    /// with a width of 64. With dropout, layers of the way out drop from the second to
    /// the one of level 5, so three of 8 levels do and none of 5.
    pub fn new(
        channels: usize,
        width: usize,
        downs: usize,
        norm: ImageNorm,
        dropout: bool,
    ) -> Self {
        let end = if dropout { downs.saturating_sub(4) } else { 1 };
        Self {
            channels,
            width,
            most: 8,
            downs,
            norm,
            dropped: 1..end.max(1),
        }
    }

    /// Sides of images are multiples of this.
    pub fn multiple(&self) -> usize {
        1 << self.downs
    }

    /// Pixels around the square of [`Unet::multiple`] that an output pixel lies in, that
    /// it depends on, where no normalisation takes the statistics of the image: at each
    /// level one pixel of it on the way in, one of the next on the way out.
    pub fn reach(&self) -> usize {
        3 * (self.multiple() - 1)
    }

    /// Builds it on images `[N, C, H, W]`; gives `[N, channels, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Where the sides are no multiples of `2^downs`, or there are less than 2 levels.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        let &Self { downs, norm, .. } = self;
        let shape = graph.shape(x);
        let halves = |&side: &usize| side.is_multiple_of(self.multiple());
        if downs < 2 || shape.rank() != 4 || !shape[2..].iter().all(halves) {
            return Err(Error::shape(
                "U-Net",
                format!("{shape} is not [N, C, H, W] with sides that halve {downs} times"),
            ));
        }
        let first = format!("{}.model.0", block(1));
        let mut h = net.conv(graph, &first, x, self.level(1), HALVE, norm.inits())?;
        let mut taken = Vec::new();
        for level in 2..=downs {
            h = leaky_relu(graph, h, SLOPE);
            taken.push(h);
            let name = |index| format!("{}.model.{index}", block(level));
            let out = self.level(level);
            h = net.conv(graph, &name(1), h, out, HALVE, norm.inits())?;
            if level < downs {
                h = norm.apply(graph, net, &name(2), h)?;
            }
        }
        for level in (2..=downs).rev() {
            // The last level has no level inside and no norm on the way in.
            let index = if level == downs { 3 } else { 5 };
            let name = |index| format!("{}.model.{index}", block(level));
            let out = self.level(level - 1);
            h = leaky_relu(graph, h, 0.0);
            h = net.conv_transpose(graph, &name(index), h, out, HALVE, norm.inits())?;
            h = norm.apply(graph, net, &name(index + 1), h)?;
            if self.dropped.contains(&(downs - level)) {
                h = net.dropout(graph, h, DROPOUT)?;
            }
            h = graph.concat(&[taken[level - 2], h], 1)?;
        }
        h = leaky_relu(graph, h, 0.0);
        let last = format!("{}.model.3", block(1));
        h = net.conv_transpose(graph, &last, h, self.channels, HALVE, image_edge())?;
        Ok(graph.unary(Unary::Tanh, h))
    }

    /// Channels of a level, from 1.
    fn level(&self, level: usize) -> usize {
        let doubled = 1usize.checked_shl(level as u32 - 1).unwrap_or(usize::MAX);
        self.width * doubled.min(self.most)
    }
}

/// The name of a level, from 1.
fn block(level: usize) -> String {
    match level {
        1 => "model".to_owned(),
        2 => "model.model.1".to_owned(),
        _ => format!("{}.model.3", block(level - 1)),
    }
}
