//! SRResNet, which enlarges images, and the discriminator that makes it SRGAN (Ledig
//! et al. 2017, 1609.04802, figure 4).
//!
//! | generator | tensors |
//! |---|---|
//! | 9x9 convolution, PReLU | `conv_block1.0`, slope `conv_block1.1` |
//! | `blocks` times: x + (3x3, BN, PReLU, 3x3, BN) | `trunk.<i>.rcb.0` (BN 1, slope 2) and `.3` (BN 4) |
//! | 3x3, BN; plus what the first layer gave | `conv_block2.0`, BN `conv_block2.1` |
//! | for each doubling: 3x3 to `4 width`, pixel shuffle, PReLU | `upsampling.<i>.upsample_block.0`, slope `.2` |
//! | 9x9 convolution to the image's channels, linear | `conv_block3` |
//!
//! | discriminator | tensors |
//! |---|---|
//! | 3x3 convolution to `width`, LeakyReLU 0.2; 3x3 of stride 2, BN, LeakyReLU | `features.0`; `features.2`, BN 3 |
//! | for each further stage: 3x3 to twice the channels, BN, LeakyReLU; 3x3 of stride 2, BN, LeakyReLU | `features.5`, BN 6; 8, BN 9; ... |
//! | dense to `units`, LeakyReLU; dense to the logit | `classifier.0`, `classifier.2` |
//!
//! The names are those of `Lornatang/SRGAN-PyTorch` (`model.py` of 2022), which cuts
//! the generator's output to [0, 1], as is not done here. Convolutions have biases but
//! in front of batch normalisation. The paper does not say how weights start; here
//! they do as PyTorch's layers by default: uniform, at most `1 / sqrt(inputs)` from 0,
//! slopes from 0.25.

use super::Judgement;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, Square, flatten, leaky_relu, pixel_shuffle};

/// Next to the images.
const WIDE: Square = Square {
    kernel: 9,
    stride: 1,
    pad: 4,
};
/// Keeps the size of an image.
const SAME: Square = Square {
    kernel: 3,
    stride: 1,
    pad: 1,
};
/// Halves an image.
const HALVE: Square = Square { stride: 2, ..SAME };
const SLOPE: f32 = 0.2;
/// Batch normalisations start as the identity.
const GAIN: Init = Init::Constant(1.0);

/// A generator that enlarges images, described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrResnet {
    /// Channels of all layers, 64 in the paper.
    pub width: usize,
    /// Residual blocks, 16 in the paper.
    pub blocks: usize,
    /// How many times larger the output's sides are, a power of 2; 4 in the paper.
    pub scale: usize,
}

impl SrResnet {
    /// Pixels of a small image around the one that an output pixel lies in, that it
    /// depends on, where batch normalisation has running statistics: 4 of the first
    /// layer, 2 of a block, 1 after them, less than 2 of all doublings and 2 at most of
    /// the last layer.
    pub fn reach(&self) -> usize {
        9 + 2 * self.blocks
    }

    /// Builds it on images `[N, C, H, W]`; gives `[N, C, H scale, W scale]`, which no
    /// function bounds.
    ///
    /// # Errors
    /// Where `x` is no image or the scale no power of 2.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        let &Self { width, scale, .. } = self;
        let &[_, channels, _, _] = &graph.shape(x)[..] else {
            let what = format!("{} is not [N, C, H, W]", graph.shape(x));
            return Err(Error::shape("SRResNet", what));
        };
        if !scale.is_power_of_two() {
            let what = format!("{scale} times larger is not a power of two");
            return Err(Error::shape("SRResNet", what));
        }
        let h = conv(graph, net, "conv_block1.0", x, width, WIDE, true)?;
        let first = net.prelu(graph, "conv_block1.1", h)?;
        let mut h = first;
        for block in 0..self.blocks {
            let name = |index: usize| format!("trunk.{block}.rcb.{index}");
            let mut inner = conv(graph, net, &name(0), h, width, SAME, false)?;
            inner = net.batch_norm(graph, &name(1), inner, GAIN)?;
            inner = net.prelu(graph, &name(2), inner)?;
            inner = conv(graph, net, &name(3), inner, width, SAME, false)?;
            inner = net.batch_norm(graph, &name(4), inner, GAIN)?;
            h = graph.add(h, inner)?;
        }
        h = conv(graph, net, "conv_block2.0", h, width, SAME, false)?;
        h = net.batch_norm(graph, "conv_block2.1", h, GAIN)?;
        h = graph.add(first, h)?;
        for doubling in 0..scale.ilog2() {
            let name = |index: usize| format!("upsampling.{doubling}.upsample_block.{index}");
            h = conv(graph, net, &name(0), h, 4 * width, SAME, true)?;
            h = pixel_shuffle(graph, h, 2)?;
            h = net.prelu(graph, &name(2), h)?;
        }
        conv(graph, net, "conv_block3", h, channels, WIDE, true)
    }
}

/// A discriminator of enlarged images, described by its sizes, but not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrDiscriminator {
    /// Channels of the first stage, 64 in the paper; each further one has twice as many.
    pub width: usize,
    /// How often the image is halved, at least once; 4 in the paper.
    pub stages: usize,
    /// Features of the dense layer, 1024 in the paper.
    pub units: usize,
}

impl SrDiscriminator {
    /// Builds it on images `[N, C, H, W]`. A side that is odd somewhere is halved to the
    /// larger half.
    ///
    /// # Errors
    /// Where `x` is no image.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Judgement> {
        let mut hidden = Vec::new();
        let (mut h, mut layer) = (x, 0);
        for stage in 0..self.stages {
            let channels = self.width << stage;
            for square in [SAME, HALVE] {
                let name = |index: usize| format!("features.{index}");
                // The first layer of all has a bias and no normalisation.
                let edge = layer == 0;
                h = conv(graph, net, &name(layer), h, channels, square, edge)?;
                layer += 1;
                if !edge {
                    h = net.batch_norm(graph, &name(layer), h, GAIN)?;
                    layer += 1;
                }
                h = leaky_relu(graph, h, SLOPE);
                layer += 1;
                hidden.push(h);
            }
        }
        let flat = flatten(graph, h)?;
        let inits = Inits::linear(graph.shape(flat)[1]);
        let h = net.linear(graph, "classifier.0", flat, self.units, inits)?;
        let features = leaky_relu(graph, h, SLOPE);
        hidden.push(features);
        let inits = Inits::linear(self.units);
        let logits = net.linear(graph, "classifier.2", features, 1, inits)?;
        Ok(Judgement {
            logits,
            features,
            hidden,
            classes: None,
        })
    }
}

/// A convolution that starts as PyTorch's.
fn conv(
    graph: &mut Graph,
    net: &mut Net,
    layer: &str,
    x: NodeId,
    out: usize,
    square: Square,
    bias: bool,
) -> Result<NodeId> {
    let channels = graph.shape(x).get(1).copied().unwrap_or(1);
    let mut inits = Inits::linear(channels * square.kernel * square.kernel);
    if !bias {
        inits.bias = None;
    }
    net.conv(graph, layer, x, out, square, inits)
}
