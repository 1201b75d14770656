//! The class-conditional DCGAN of the program that comes with Radford et al. 2015
//! (1511.06434): `mnist/train_cond_dcgan.py` of `Newmu/dcgan_code`. The class stands
//! before every layer of both networks, one-hot, beside the features of a dense
//! layer and as constant maps beside the channels of a convolution.
//!
//! | generator | discriminator |
//! |---|---|
//! | dense to `units`, BN, ReLU | 5x5 convolution, stride 2, to `width`, LeakyReLU 0.2 |
//! | dense to `2 width` maps of a quarter of the image, BN, ReLU | 5x5, stride 2, to `2 width`, BN, LeakyReLU |
//! | 5x5 transposed, stride 2, to `width`, BN, ReLU | dense to `units`, BN, LeakyReLU |
//! | 5x5 transposed, stride 2, to the image | dense to the logit |
//!
//! No layer has a bias, and batch normalisation neither gain nor offset; after the
//! second dense layer it is over the batch for each feature, before the maps. Weights
//! start from N(0, 0.02^2). That program normalises with statistics of the batch in
//! sampling too, where an image depends on the others and on the mix of classes;
//! here sampling takes running statistics.
//!
//! Each update there has a minibatch of its own with its labels, the generator's in
//! turn with the discriminator's; so it is here, where a step begins with the
//! discriminator's.

use std::sync::Arc;

use super::parts::output;
use super::{Conditioned, Entry, Family, Judgement, Pair};
use crate::config::{Allowed, Keys, Refusal, Size, refuse, section};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, Square, flatten, leaky_relu, one_hot};

/// Halves an image; with one more row and column at the end, doubles it.
const HALVE: Square = Square {
    kernel: 5,
    stride: 2,
    pad: 2,
};
const OUTPUT_PAD: usize = 1;
const SLOPE: f32 = 0.2;
/// Added to the variance in batch normalisation.
const EPS: f32 = 1e-8;

section! {
    /// Sizes of both networks.
    Cdcgan {
        /// Channels of the layer next to the image, in both networks; the layer beyond has twice as many.
        width: usize = 64, Allowed::Whole(1, 4096);
        /// Features of the dense layer farthest from the image, in both networks.
        units: usize = 1024, Allowed::Whole(1, 1 << 16);
        /// Standard deviation of the initial weights, around 0.
        init_std: f64 = 0.02, Allowed::POSITIVE;
    }
}

/// As `model.architecture` names it.
pub(super) const ENTRY: Entry = Entry {
    name: "cdcgan",
    sections: || vec![Cdcgan::at("model")],
    open: |config| Ok(Arc::new(Networks(config.own("model")?))),
};

#[derive(Debug)]
struct Networks(Cdcgan);

impl Networks {
    fn inits(&self) -> Inits {
        Inits::weight(Init::Normal {
            mean: 0.0,
            std: self.0.init_std as f32,
        })
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
        let Cdcgan { width, units, .. } = self.0;
        let [image_channels, rows, columns] = pair.image;
        let [rows, columns] = [rows / 4, columns / 4];
        let batch = graph.shape(z)[0];
        let class = class(graph, pair, labels, batch)?;
        let h = beside(graph, z, class)?;
        let h = net.linear(graph, "dense1", h, units, self.inits())?;
        let h = net.batch_norm_plain(graph, "norm1", h, EPS)?;
        let h = leaky_relu(graph, h, 0.0);
        let h = beside(graph, h, class)?;
        let maps = 2 * width * rows * columns;
        let h = net.linear(graph, "dense2", h, maps, self.inits())?;
        let h = net.batch_norm_plain(graph, "norm2", h, EPS)?;
        let h = leaky_relu(graph, h, 0.0);
        let h = graph.reshape(h, [batch, 2 * width, rows, columns])?;
        let h = beside(graph, h, class)?;
        let doubled = (HALVE, OUTPUT_PAD);
        let h = net.conv_transpose_padded(graph, "conv1", h, width, doubled, self.inits())?;
        let h = net.batch_norm_plain(graph, "norm3", h, EPS)?;
        let h = leaky_relu(graph, h, 0.0);
        let h = beside(graph, h, class)?;
        let inits = self.inits();
        let h = net.conv_transpose_padded(graph, "conv2", h, image_channels, doubled, inits)?;
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
        let Cdcgan { width, units, .. } = self.0;
        let batch = graph.shape(x)[0];
        let class = class(graph, pair, labels, batch)?;
        let h = beside(graph, x, class)?;
        let h = net.conv(graph, "conv1", h, width, HALVE, self.inits())?;
        let first = leaky_relu(graph, h, SLOPE);
        let h = beside(graph, first, class)?;
        let h = net.conv(graph, "conv2", h, 2 * width, HALVE, self.inits())?;
        let h = net.batch_norm_plain(graph, "norm1", h, EPS)?;
        let second = leaky_relu(graph, h, SLOPE);
        let h = flatten(graph, second)?;
        let h = beside(graph, h, class)?;
        let h = net.linear(graph, "dense1", h, units, self.inits())?;
        let h = net.batch_norm_plain(graph, "norm2", h, EPS)?;
        let features = leaky_relu(graph, h, SLOPE);
        let h = beside(graph, features, class)?;
        let logits = net.linear(graph, "dense2", h, 1, self.inits())?;
        Ok(Judgement {
            logits,
            features,
            hidden: vec![first, second, features],
            classes: None,
        })
    }

    fn refusals(&self, size: Size) -> Vec<Option<Refusal>> {
        let Size { height, width } = size;
        let up = |side: usize| side.next_multiple_of(4);
        vec![refuse(
            height % 4 != 0 || width % 4 != 0,
            format!(
                "data.size = {size} does not fit model.architecture = cdcgan, which doubles a quarter of it twice"
            ),
            format!(
                "use multiples of 4, such as data.size = {}",
                Size {
                    height: up(height),
                    width: up(width)
                }
            ),
        )]
    }

    fn condition(&self) -> Option<Conditioned> {
        Some(Conditioned {
            judges: true,
            classifies: false,
            batch_normalised: true,
        })
    }
}

/// Classes `[N, K]`, one-hot, or zeros where there are no labels.
fn class(graph: &mut Graph, pair: &Pair, labels: Option<NodeId>, batch: usize) -> Result<NodeId> {
    match labels {
        Some(labels) => one_hot(graph, labels, pair.classes),
        None => Ok(graph.constant(0.0, [batch, pair.classes])),
    }
}

/// `[x, class]`: features `[N, F]` to `[N, F + K]`, maps `[N, C, H, W]` to `[N, C +
/// K, H, W]`.
fn beside(graph: &mut Graph, x: NodeId, class: NodeId) -> Result<NodeId> {
    let class = match (&graph.shape(x)[..], &graph.shape(class)[..]) {
        (&[_, _], _) => class,
        (&[_, _, rows, columns], &[batch, classes]) => {
            let points = graph.reshape(class, [batch, classes, 1, 1])?;
            graph.broadcast(points, [batch, classes, rows, columns])?
        }
        (x, _) => return Err(Error::shape("cdcgan", format!("{x:?} holds no features"))),
    };
    graph.concat(&[x, class], 1)
}
