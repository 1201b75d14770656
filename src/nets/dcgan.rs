//! DCGAN (Radford et al. 2015, 1511.06434) in the form of PyTorch's example:
//! 4x4 kernels, stride 2, batch normalisation except next to the images,
//! LeakyReLU 0.2 in the discriminator, which may be normalised otherwise or not
//! at all.
//!
//! With stem `conv` the networks run between a 1x1 latent image and a square of
//! 16, 32, 64, ...; with stem `linear` between a dense layer at a quarter of
//! the image and the image.

use std::sync::Arc;

use super::parts::output;
use super::{Compared, Entry, Family, Judgement, Norm, Normalised, Pair};
use crate::config::{Allowed, Keys, Refusal, Size, refuse, section, words};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, Square, leaky_relu};

/// Halves or doubles an image.
const HALVE: Square = Square {
    kernel: 4,
    stride: 2,
    pad: 1,
};
/// Between 1x1 and 4x4.
const WHOLE: Square = Square {
    kernel: 4,
    stride: 1,
    pad: 0,
};
const SLOPE: f32 = 0.2;

section! {
    /// Sizes of both networks.
    Dcgan {
        /// Channels of the layer next to the image, in both networks; each halving of the image doubles them.
        width: usize = 64, Allowed::Whole(1, 4096);
        /// `linear` makes an image of a quarter of the size with a dense layer and doubles it twice, with biases in the layer next to the image; `conv` makes 4x4 with a convolution and doubles it up to a square of 16, 32, 64, ..., without biases.
        stem: Stem = Stem::Linear, Allowed::Choice(&["linear", "conv"]);
        /// Standard deviation of the initial weights, around 0 for convolutions and around 1 for the gains of batch normalisation.
        init_std: f64 = 0.02, Allowed::POSITIVE;
    }
}

words! {
    /// How the networks start from the latent vector, and end in the logit.
    Stem {
        /// Dense layer to a quarter of the image, then two doublings.
        Linear,
        /// 4x4 transposed convolution to 4x4, then doublings up to the image.
        Conv,
    }
}

/// As `model.architecture` names it.
pub(super) const ENTRY: Entry = Entry {
    name: "dcgan",
    sections: || {
        vec![
            Dcgan::at("model"),
            Normalised::at("model"),
            Compared::at("model"),
        ]
    },
    open: |config| {
        Ok(Arc::new(Networks {
            dcgan: config.own("model")?,
            normalised: config.own("model")?,
            compared: config.own("model")?,
        }))
    },
};

impl Dcgan {
    /// How often the generator doubles its first image.
    fn doublings(&self, image: [usize; 3]) -> usize {
        match self.stem {
            Stem::Conv => (image[1] / 4).max(1).ilog2() as usize,
            Stem::Linear => 2,
        }
    }

    /// Of weights and of gains.
    fn inits(&self) -> (Init, Init) {
        let std = self.init_std as f32;
        (
            Init::Normal { mean: 0.0, std },
            Init::Normal { mean: 1.0, std },
        )
    }
}

#[derive(Debug)]
struct Networks {
    dcgan: Dcgan,
    normalised: Normalised,
    compared: Compared,
}

impl Family for Networks {
    fn generator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        _: Option<NodeId>,
    ) -> Result<NodeId> {
        let config = &self.dcgan;
        let [image_channels, height, width] = pair.image;
        let (weight, gain) = config.inits();
        let batch = graph.shape(z)[0];
        let doublings = config.doublings(pair.image);
        let mut channels = config.width << (doublings - 1);
        let mut layer = 0;
        let mut h = match config.stem {
            Stem::Conv => {
                let point = graph.reshape(z, [batch, pair.latent, 1, 1])?;
                net.conv_transpose(
                    graph,
                    "main.0",
                    point,
                    channels,
                    WHOLE,
                    Inits::weight(weight.clone()),
                )?
            }
            Stem::Linear => {
                let (rows, columns) = (height >> doublings, width >> doublings);
                // The reshape is a layer of its own in an nn.Sequential.
                layer += 1;
                let image = [channels, rows, columns];
                let inits = Inits::weight(weight.clone());
                net.linear_to_image(graph, "main.0", z, image, inits)?
            }
        };
        for _ in 1..doublings {
            h = net.batch_norm(graph, &format!("main.{}", layer + 1), h, gain.clone())?;
            h = leaky_relu(graph, h, 0.0);
            channels /= 2;
            h = net.conv_transpose(
                graph,
                &format!("main.{}", layer + 3),
                h,
                channels,
                HALVE,
                Inits::weight(weight.clone()),
            )?;
            layer += 3;
        }
        h = net.batch_norm(graph, &format!("main.{}", layer + 1), h, gain)?;
        h = leaky_relu(graph, h, 0.0);
        let last = format!("main.{}", layer + 3);
        h = net.conv_transpose(
            graph,
            &last,
            h,
            image_channels,
            HALVE,
            edge(config.stem, weight),
        )?;
        Ok(output(graph, pair.output, h))
    }

    fn discriminator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        _: Option<NodeId>,
    ) -> Result<Judgement> {
        let config = &self.dcgan;
        let (weight, gain) = config.inits();
        let batch = graph.shape(x)[0];
        let mut channels = config.width;
        let inits = edge(config.stem, weight.clone());
        let mut h = net.conv(graph, "main.0", x, channels, HALVE, inits)?;
        h = leaky_relu(graph, h, SLOPE);
        let mut hidden = vec![h];
        let mut layer = 2;
        for _ in 1..config.doublings(pair.image) {
            channels *= 2;
            let name = format!("main.{layer}");
            if self.normalised.norm_d == Norm::None {
                let inits = Inits::zero_bias(weight.clone());
                h = net.conv(graph, &name, h, channels, HALVE, inits)?;
                layer += 2;
            } else {
                h = net.conv(
                    graph,
                    &name,
                    h,
                    channels,
                    HALVE,
                    Inits::weight(weight.clone()),
                )?;
                let name = format!("main.{}", layer + 1);
                h = self.normalised.apply(graph, net, &name, h, gain.clone())?;
                layer += 3;
            }
            h = leaky_relu(graph, h, SLOPE);
            hidden.push(h);
        }
        let features = h;
        h = self.compared.apply(graph, net, h, weight.clone())?;
        let logits = match config.stem {
            Stem::Conv => {
                let name = format!("main.{layer}");
                let logits = net.conv(graph, &name, h, 1, WHOLE, Inits::weight(weight))?;
                graph.reshape(logits, [batch, 1])?
            }
            Stem::Linear => {
                // nn.Flatten comes before.
                let layer = format!("main.{}", layer + 1);
                net.linear_of_image(graph, &layer, h, 1, Inits::zero_bias(weight))?
            }
        };
        Ok(Judgement {
            logits,
            features,
            hidden,
            classes: None,
        })
    }

    fn refusals(&self, size: Size) -> Vec<Option<Refusal>> {
        let Size { height, width } = size;
        let side = height.max(width);
        let up = |side: usize| side.next_multiple_of(4);
        let (norm, groups) = (self.normalised.norm_d, self.normalised.norm_groups);
        vec![
            refuse(
                self.dcgan.stem == Stem::Conv
                    && (height != width || height < 16 || !height.is_power_of_two()),
                format!(
                    "data.size = {size} does not fit model.stem = conv, which doubles 4x4 up to a square of 16, 32, 64, ..."
                ),
                format!(
                    "use data.size = {}, or model.stem = linear for sides that are multiples of 4",
                    side.max(16).next_power_of_two()
                ),
            ),
            refuse(
                self.dcgan.stem == Stem::Linear && (height % 4 != 0 || width % 4 != 0),
                format!(
                    "data.size = {size} does not fit model.stem = linear, which doubles a quarter of it twice"
                ),
                format!(
                    "use multiples of 4, such as data.size = {}",
                    Size {
                        height: up(height),
                        width: up(width)
                    }
                ),
            ),
            refuse(
                norm == Norm::Instance && height.min(width) < 8,
                format!(
                    "model.norm_d = instance turns the single pixel per channel that data.size = {size} leaves into zero"
                ),
                "use model.norm_d = layer, or images of at least 8 pixels",
            ),
            refuse(
                norm == Norm::Group && !self.dcgan.width.is_multiple_of(groups),
                format!(
                    "model.norm_groups = {groups} does not divide model.width = {}",
                    self.dcgan.width
                ),
                "use a divisor of the width",
            ),
        ]
    }

    fn normalised(&self) -> Option<&Normalised> {
        Some(&self.normalised)
    }

    fn compared(&self) -> Option<&Compared> {
        Some(&self.compared)
    }
}

/// Convolutions next to the image have a bias in the small form only.
fn edge(stem: Stem, weight: Init) -> Inits {
    match stem {
        Stem::Linear => Inits::zero_bias(weight),
        Stem::Conv => Inits::weight(weight),
    }
}
