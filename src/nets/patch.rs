//! The discriminators of pix2pix and CycleGAN, which judge patches of an image (Isola
//! et al. 2017, 1611.07004), in the form of `junyanz/pytorch-CycleGAN-and-pix2pix`.
//!
//! With `layers` n from 1 (its `NLayerDiscriminator`; 3 is the common one) all kernels
//! are 4x4 with a padding of 1:
//!
//! | layer | stride | channels | tensors |
//! |---|---|---|---|
//! | convolution with bias, LeakyReLU 0.2 | 2 | `width` | `model.0` |
//! | i = 1 to n - 1: convolution, norm, LeakyReLU | 2 | `min(2^i, 8) width` | `model.{3i-1}`, norm `model.{3i}` |
//! | convolution, norm, LeakyReLU | 1 | `min(2^n, 8) width` | `model.{3n-1}`, norm `model.{3n}` |
//! | convolution with bias | 1 | 1 | `model.{3n+2}` |
//!
//! A logit sees 16, 34, 70, 142, 286 or 574 pixels across for n = 1 to 6. With 0 layers
//! (its `PixelDiscriminator`) it sees one: 1x1 convolutions to `width` (`net.0`, with
//! bias, LeakyReLU), `2 width` (`net.2`, norm `net.3`, LeakyReLU) and 1 (`net.5`, with a
//! bias only beside instance normalisation).

use super::parts::{ImageNorm, image_edge};
use crate::config::Size;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nn::{Net, Square, leaky_relu};

/// Halves an image.
const HALVE: Square = Square {
    kernel: 4,
    stride: 2,
    pad: 1,
};
/// Makes an image a pixel smaller.
const STEP: Square = Square { stride: 1, ..HALVE };
/// Sees single pixels.
const POINT: Square = Square {
    kernel: 1,
    stride: 1,
    pad: 0,
};
const SLOPE: f32 = 0.2;
/// Channels at most, in multiples of the width.
const MOST: usize = 8;

/// A discriminator of patches described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Channels of the first layer.
    pub width: usize,
    /// Layers that halve the image, 1 to 6 in the source; 0 judges single pixels.
    pub layers: usize,
    /// Normalisation of all layers but the first and the last.
    pub norm: ImageNorm,
}

/// What a discriminator of patches says of images.
#[derive(Clone, Debug)]
pub struct Patched {
    /// `[N, 1, h, w]`: a logit for each patch.
    pub logits: NodeId,
    /// The activations of every hidden layer from the image on, `[N, C, h, w]`.
    pub hidden: Vec<NodeId>,
}

impl Patches {
    /// Rows and columns of logits for an image of these sides; none where it is too
    /// small.
    pub fn logits(&self, sides: [usize; 2]) -> Option<[usize; 2]> {
        if self.layers == 0 {
            return Some(sides);
        }
        let halved = sides.map(|side| (0..self.layers).fold(side, |side, _| side / 2));
        // Each of the last two convolutions takes a pixel.
        let left = halved.map(|side| side.saturating_sub(2));
        (!left.contains(&0)).then_some(left)
    }

    /// Logits of an image of this size.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that is too small.
    pub(crate) fn count(&self, size: Size) -> Result<usize> {
        let logits = self.logits([size.height, size.width]);
        let logits = logits.ok_or_else(|| {
            Error::usage(
                format!(
                    "model.d_layers = {} leaves nothing of images of size {size}",
                    self.layers
                ),
                "use a lower model.d_layers",
            )
        })?;
        Ok(logits.iter().product())
    }

    /// Pixels across that a logit sees.
    pub fn field(&self) -> usize {
        match self.layers {
            0 => 1,
            // Backwards, a step to the left adds 3 pixels of its layer.
            layers => (0..layers).fold(7, |field, _| 2 * (field - 1) + 4),
        }
    }

    /// Builds it on images `[N, C, H, W]`; a pair is one image of the channels of both.
    ///
    /// # Errors
    /// Where [`Patches::logits`] finds the image too small.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Patched> {
        let &Self {
            width,
            layers,
            norm,
        } = self;
        if layers == 0 {
            return self.pixels(graph, net, x);
        }
        let name = |index: usize| format!("model.{index}");
        let mut h = net.conv(graph, &name(0), x, width, HALVE, image_edge())?;
        h = leaky_relu(graph, h, SLOPE);
        let mut hidden = vec![h];
        for layer in 1..=layers {
            let out = width * (1usize << layer.min(16)).min(MOST);
            let square = if layer < layers { HALVE } else { STEP };
            h = net.conv(graph, &name(3 * layer - 1), h, out, square, norm.inits())?;
            h = norm.apply(graph, net, &name(3 * layer), h)?;
            h = leaky_relu(graph, h, SLOPE);
            hidden.push(h);
        }
        let last = name(3 * layers + 2);
        let logits = net.conv(graph, &last, h, 1, STEP, image_edge())?;
        Ok(Patched { logits, hidden })
    }

    fn pixels(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Patched> {
        let &Self { width, norm, .. } = self;
        let h = net.conv(graph, "net.0", x, width, POINT, image_edge())?;
        let first = leaky_relu(graph, h, SLOPE);
        let h = net.conv(graph, "net.2", first, 2 * width, POINT, norm.inits())?;
        let h = norm.apply(graph, net, "net.3", h)?;
        let second = leaky_relu(graph, h, SLOPE);
        let logits = net.conv(graph, "net.5", second, 1, POINT, norm.inits())?;
        Ok(Patched {
            logits,
            hidden: vec![first, second],
        })
    }
}
