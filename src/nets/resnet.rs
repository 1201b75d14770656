//! Residual networks: those of Gulrajani et al. 2017 (1704.00028) and Miyato et
//! al. 2018 (1802.05957) for CIFAR-10, at other sizes with more blocks. All
//! blocks have `width` channels, 3x3 convolutions, and a ReLU (and normalisation)
//! before each. Convolutions have biases but where a normalisation takes them
//! away again.
//!
//! The generator doubles an image of at most 7 pixels by blocks up to its size,
//! the discriminator halves down to at most 8 and adds two blocks there. What
//! it finds is averaged over the pixels (Gulrajani), or with spectral
//! normalisation, which makes scores small, summed (Miyato).
//!
//! With `condition = batch-norm` the generator's batch normalisations have a gain and
//! an offset for each class, and with `projection` the discriminator adds to its
//! score the product of these features with a vector of the class (Miyato and
//! Koyama 2018, 1802.05637, equation 4).

use std::sync::Arc;

use super::parts::{output, uniform};
use super::{Compared, Conditioned, Entry, Family, Judgement, Norm, Normalised, Pair};
use crate::config::{Allowed, Keys, Refusal, Size, refuse, section, words};
use crate::error::Result;
use crate::graph::{Graph, NodeId, Window};
use crate::nn::{
    BATCH_NORM_EPS, Init, Inits, Net, Resampling, Square, flatten, leaky_relu, one_hot,
};

/// Keeps the size of an image.
const SAME: Square = Square {
    kernel: 3,
    stride: 1,
    pad: 1,
};
/// Sees single pixels.
const POINT: Square = Square {
    kernel: 1,
    stride: 1,
    pad: 0,
};
/// What the convolutions differ in.
#[derive(Clone, Copy)]
struct Conv {
    square: Square,
    gain: f32,
    bias: bool,
}
/// In a block, before a ReLU.
const INNER: Conv = Conv {
    square: SAME,
    gain: 2.0,
    bias: true,
};
/// Past a block.
const SHORTCUT: Conv = Conv {
    square: POINT,
    gain: 1.0,
    bias: true,
};
/// To the image.
const OUTPUT: Conv = Conv {
    square: SAME,
    gain: 1.0,
    bias: true,
};

impl Conv {
    const fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// A weight of variance `gain / inputs`, and a bias where there is one.
    fn inits(self, channels: usize) -> Inits {
        let inputs = channels * self.square.kernel * self.square.kernel;
        let weight = uniform(inputs, self.gain);
        if self.bias {
            Inits::zero_bias(weight)
        } else {
            Inits::weight(weight)
        }
    }
}

/// Largest sides of the generator's first and the discriminator's last images.
const FIRST: usize = 7;
const LAST: usize = 8;
/// Blocks of the discriminator after its halvings.
const PLAIN: usize = 2;
/// Normalisations start as the identity.
const GAIN: Init = Init::Constant(1.0);

section! {
    /// Sizes of both networks.
    Resnet {
        /// Channels of every block.
        width: usize = 64, Allowed::Whole(1, 4096);
        /// How the generator knows the class that it makes: `batch-norm` with gains and offsets for each class in every batch normalisation, for labelled data; `none` makes images of no class.
        condition: Condition = Condition::None, Allowed::Choice(&["none", "batch-norm"]);
        /// Whether the discriminator knows the class, by a projection (Miyato and Koyama 2018), if there is a condition. Without it, `loss.class_weight_d` and `loss.class_weight_g` teach classes (Odena et al. 2017).
        projection: bool = true, Allowed::Flag;
    }
}

words! {
    /// How a generator knows the class that it makes.
    Condition {
        /// Not at all.
        None,
        /// By batch normalisation whose gain and offset are of the class.
        BatchNorm,
    }
}

/// As `model.architecture` names it.
pub(super) const ENTRY: Entry = Entry {
    name: "resnet",
    sections: || {
        vec![
            Resnet::at("model"),
            Normalised::at("model"),
            Compared::at("model"),
        ]
    },
    open: |config| {
        Ok(Arc::new(Networks {
            resnet: config.own("model")?,
            normalised: config.own("model")?,
            compared: config.own("model")?,
        }))
    },
};

#[derive(Debug)]
struct Networks {
    resnet: Resnet,
    normalised: Normalised,
    compared: Compared,
}

impl Networks {
    /// A block of the discriminator. One that halves takes the mean of four pixels
    /// at its end, and of the input for the 1x1 convolution that leads past; past
    /// the others the input itself leads. The first sees the image: neither a ReLU
    /// nor a normalisation comes before its convolutions' input.
    fn block_of(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        block: usize,
        x: NodeId,
        halves: bool,
    ) -> Result<NodeId> {
        let name = format!("blocks.{block}");
        let channels = self.resnet.width;
        let normalised = block > 0 && self.normalised.norm_d != Norm::None;
        let active = |graph: &mut Graph, net: &mut Net, layer: &str, x| -> Result<NodeId> {
            let mut h = x;
            if normalised {
                h = self
                    .normalised
                    .apply(graph, net, &format!("{name}.{layer}"), h, GAIN)?;
            }
            Ok(leaky_relu(graph, h, 0.0))
        };
        let mut h = x;
        if block > 0 {
            h = active(graph, net, "norm1", h)?;
        }
        h = conv(
            graph,
            net,
            &format!("{name}.conv1"),
            h,
            channels,
            INNER.bias(!normalised),
        )?;
        h = active(graph, net, "norm2", h)?;
        let [second, shortcut] = ["conv2", "shortcut"].map(|layer| format!("{name}.{layer}"));
        if !halves {
            h = conv(graph, net, &second, h, channels, INNER)?;
            return graph.add(h, x);
        }
        let inits = INNER.inits(channels);
        h = net.conv_resampled(graph, &second, h, channels, Resampling::Halving, inits)?;
        let past = graph.avg_pool(x, Window::tiles(sides(graph, x), [2, 2]))?;
        let past = conv(graph, net, &shortcut, past, channels, SHORTCUT)?;
        graph.add(h, past)
    }
}

impl Family for Networks {
    fn generator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        labels: Option<NodeId>,
    ) -> Result<NodeId> {
        let config = &self.resnet;
        let class = match labels {
            Some(labels) if pair.classes > 0 => Some(one_hot(graph, labels, pair.classes)?),
            _ => None,
        };
        let [image_channels, height, width] = pair.image;
        let blocks = halvings([height, width], FIRST);
        let [rows, columns] = [height, width].map(|side| side >> blocks);
        let channels = config.width;
        let inits = Inits::zero_bias(uniform(pair.latent, 1.0));
        let mut h = net.linear_to_image(graph, "input", z, [channels, rows, columns], inits)?;
        for block in 0..blocks {
            h = up_block(graph, net, &format!("blocks.{block}"), h, class)?;
        }
        h = norm_of_class(graph, net, "norm", h, class)?;
        h = leaky_relu(graph, h, 0.0);
        h = conv(graph, net, "output", h, image_channels, OUTPUT)?;
        Ok(output(graph, pair.output, h))
    }

    fn discriminator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        labels: Option<NodeId>,
    ) -> Result<Judgement> {
        let config = &self.resnet;
        let [_, height, width] = pair.image;
        let halvings = halvings([height, width], LAST);
        let mut h = x;
        let mut hidden = Vec::new();
        for block in 0..halvings + PLAIN {
            h = self.block_of(graph, net, block, h, block < halvings)?;
            hidden.push(h);
        }
        h = leaky_relu(graph, h, 0.0);
        let seen = if pair.spectral_norm {
            graph.sum(h, &[2, 3])?
        } else {
            graph.mean(h, &[2, 3])?
        }; // [N, width, 1, 1]
        let features = flatten(graph, seen)?;
        let h = self
            .compared
            .apply(graph, net, seen, uniform(config.width, 1.0))?;
        let h = flatten(graph, h)?;
        let inits = Inits::zero_bias(uniform(graph.shape(h)[1], 1.0));
        let mut logits = net.linear(graph, "output", h, 1, inits)?;
        if let Some(labels) = labels
            && pair.classes > 0
            && config.projection
        {
            let class = one_hot(graph, labels, pair.classes)?;
            let start = uniform(config.width, 1.0);
            let seen = net.embedding(graph, "embedding", class, config.width, start)?;
            let products = graph.mul(seen, features)?;
            let agreement = graph.sum(products, &[1])?;
            logits = graph.add(logits, agreement)?;
        }
        let classes = match pair.classifies {
            true => {
                let inits = Inits::zero_bias(uniform(config.width, 1.0));
                Some(net.linear(graph, "classes", features, pair.classes, inits)?)
            }
            false => None,
        };
        Ok(Judgement {
            logits,
            features,
            hidden,
            classes,
        })
    }

    fn refusals(&self, size: Size) -> Vec<Option<Refusal>> {
        let Size { height, width } = size;
        let halved_twice = |side: usize| side >= 16 && side.is_multiple_of(4);
        let up = |side: usize| side.max(16).next_multiple_of(4);
        let groups = self.normalised.norm_groups;
        vec![
            refuse(
                !(halved_twice(height) && halved_twice(width)),
                format!(
                    "data.size = {size} does not fit model.architecture = resnet, which halves it at least twice"
                ),
                format!(
                    "use multiples of 4 from 16 on, such as data.size = {}",
                    Size {
                        height: up(height),
                        width: up(width)
                    }
                ),
            ),
            refuse(
                self.normalised.norm_d == Norm::Group && !self.resnet.width.is_multiple_of(groups),
                format!(
                    "model.norm_groups = {groups} does not divide model.width = {}",
                    self.resnet.width
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

    fn condition(&self) -> Option<Conditioned> {
        (self.resnet.condition != Condition::None).then_some(Conditioned {
            judges: self.resnet.projection,
            classifies: true,
            batch_normalised: false,
        })
    }
}

/// Batch normalisation, of the classes `[N, K]` where there are any.
fn norm_of_class(
    graph: &mut Graph,
    net: &mut Net,
    layer: &str,
    x: NodeId,
    class: Option<NodeId>,
) -> Result<NodeId> {
    match class {
        Some(class) => net.conditional_batch_norm(graph, layer, x, class, BATCH_NORM_EPS),
        None => net.batch_norm(graph, layer, x, GAIN),
    }
}

/// Doubles `x`, by the nearest pixel; a 1x1 convolution leads past.
fn up_block(
    graph: &mut Graph,
    net: &mut Net,
    name: &str,
    x: NodeId,
    class: Option<NodeId>,
) -> Result<NodeId> {
    let channels = graph.shape(x)[1];
    // Batch normalisation follows on everything here.
    let [inner, shortcut] = [INNER, SHORTCUT].map(|kind| kind.bias(false));
    let mut h = norm_of_class(graph, net, &format!("{name}.norm1"), x, class)?;
    h = leaky_relu(graph, h, 0.0);
    let inits = inner.inits(channels);
    let first = format!("{name}.conv1");
    h = net.conv_resampled(graph, &first, h, channels, Resampling::Doubling, inits)?;
    h = norm_of_class(graph, net, &format!("{name}.norm2"), h, class)?;
    h = leaky_relu(graph, h, 0.0);
    h = conv(graph, net, &format!("{name}.conv2"), h, channels, inner)?;
    // A convolution of points may as well come before the doubling.
    let past = conv(
        graph,
        net,
        &format!("{name}.shortcut"),
        x,
        channels,
        shortcut,
    )?;
    let past = graph.upsample_nearest(past, [2, 2])?;
    graph.add(h, past)
}

/// A convolution of this kind.
fn conv(
    graph: &mut Graph,
    net: &mut Net,
    layer: &str,
    x: NodeId,
    out: usize,
    kind: Conv,
) -> Result<NodeId> {
    let inits = kind.inits(graph.shape(x)[1]);
    net.conv(graph, layer, x, out, kind.square, inits)
}

/// Height and width of `x [N, C, H, W]`.
fn sides(graph: &Graph, x: NodeId) -> [usize; 2] {
    let shape = graph.shape(x);
    [shape[2], shape[3]]
}

/// How often an image can be halved before a side is odd or at most `smallest`.
fn halvings(mut sides: [usize; 2], smallest: usize) -> usize {
    let mut count = 0;
    while sides.iter().all(|&side| side > smallest && side % 2 == 0) {
        sides = sides.map(|side| side / 2);
        count += 1;
    }
    count
}
