//! A classifier: strided convolutions with batch normalisation, a dense layer
//! whose output are the features, and a dense layer to the logits.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, Square, flatten, leaky_relu};

/// Halves an image.
const HALVE: Square = Square {
    kernel: 5,
    stride: 2,
    pad: 2,
};

/// Images are halved, at least once, until no side is longer than this.
const SHORT: usize = 8;

/// Share of the features that are dropped before the last layer in training.
const DROPOUT: f32 = 0.3;

/// A classifier described by its sizes, but not built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classifier {
    /// `[C, H, W]` of the images.
    pub image: [usize; 3],
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Channels of the first convolution; each further one has twice as many, 128
    /// at most.
    pub width: usize,
    /// Length of the feature vector.
    pub features: usize,
}

/// What a classifier says of images.
#[derive(Clone, Copy, Debug)]
pub struct Classified {
    /// `[N, features]`, not negative: what the last layer sees.
    pub features: NodeId,
    /// Logits of the classes, `[N, classes]`.
    pub logits: NodeId,
}

impl Classifier {
    /// The usual length of the feature vector.
    pub const FEATURES: usize = 64;

    /// The network for images `[C, H, W]` of so many classes.
    pub fn new(image: [usize; 3], classes: usize) -> Self {
        Self {
            image,
            classes,
            width: 32,
            features: Self::FEATURES,
        }
    }

    /// Whether its sizes are some that a file may ask for.
    pub fn is_possible(&self) -> bool {
        let [c, h, w] = self.image;
        let sizes = [self.width, self.features];
        (1..=4).contains(&c)
            && [h, w].iter().all(|side| (1..=1024).contains(side))
            && sizes.iter().all(|size| (1..=4096).contains(size))
            && (2..=1 << 16).contains(&self.classes)
    }

    /// How often it halves images.
    pub fn halvings(&self) -> usize {
        let [_, height, width] = self.image;
        let mut side = height.max(width);
        let mut count = 0;
        while count == 0 || side > SHORT {
            side = side.div_ceil(2);
            count += 1;
        }
        count
    }

    /// Builds it on images `[N, C, H, W]` in [-1, 1]. Layers are numbered as in
    /// an `nn.Sequential` of Conv2d, BatchNorm2d, ReLU for each halving, then
    /// Flatten, Linear, BatchNorm1d, ReLU, Dropout, Linear.
    ///
    /// # Errors
    /// Where the images have another shape than the network's.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<Classified> {
        let features = self.features(graph, net, images)?;
        let kept = net.dropout(graph, features, DROPOUT)?;
        let inits = Inits::zero_bias(start(graph, kept, 1));
        let name = format!("main.{}", 3 * self.halvings() + 5);
        let logits = net.linear(graph, &name, kept, self.classes, inits)?;
        Ok(Classified { features, logits })
    }

    /// As [`Classifier::build`], up to the features `[N, features]`.
    ///
    /// # Errors
    /// As of [`Classifier::build`].
    pub fn features(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<NodeId> {
        let halvings = self.halvings();
        let h = self.map(graph, net, images, halvings)?;
        let flat = flatten(graph, h)?;
        let inits = Inits::weight(start(graph, flat, 1));
        let layer = |number: usize| format!("main.{}", 3 * halvings + number);
        let h = net.linear(graph, &layer(1), flat, self.features, inits)?;
        let h = net.batch_norm(graph, &layer(2), h, Init::Constant(1.0))?;
        Ok(leaky_relu(graph, h, 0.0))
    }

    /// As [`Classifier::build`], up to the activations after so many halvings,
    /// `[N, channels, h, w]`. They are maps of images of any size.
    ///
    /// # Errors
    /// Where `images` are no images.
    pub fn map(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        images: NodeId,
        halvings: usize,
    ) -> Result<NodeId> {
        let mut channels = self.width;
        let mut h = images;
        for halving in 0..halvings {
            let layer = |number: usize| format!("main.{}", 3 * halving + number);
            let inits = Inits::weight(start(graph, h, HALVE.kernel));
            h = net.conv(graph, &layer(0), h, channels, HALVE, inits)?;
            h = net.batch_norm(graph, &layer(1), h, Init::Constant(1.0))?;
            h = leaky_relu(graph, h, 0.0);
            channels = (2 * channels).min(128);
        }
        Ok(h)
    }
}

/// He et al. 2015, equation 10: normal with variance 2 over the inputs of a unit.
fn start(graph: &Graph, x: NodeId, kernel: usize) -> Init {
    let inputs = graph.shape(x).get(1).copied().unwrap_or(1) * kernel * kernel;
    Init::Normal {
        mean: 0.0,
        std: (2.0 / inputs as f32).sqrt(),
    }
}
