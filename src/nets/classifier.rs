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
    /// The network for images `[C, H, W]` of so many classes.
    pub fn new(image: [usize; 3], classes: usize) -> Self {
        Self {
            image,
            classes,
            width: 32,
            features: 64,
        }
    }

    /// Builds it on images `[N, C, H, W]` in [-1, 1]. Layers are numbered as in
    /// an `nn.Sequential` of Conv2d, BatchNorm2d, ReLU for each halving, then
    /// Flatten, Linear, BatchNorm1d, ReLU, Dropout, Linear.
    ///
    /// # Errors
    /// Where the images have another shape than the network's.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<Classified> {
        let [_, height, width] = self.image;
        let mut side = height.max(width);
        let mut channels = self.width;
        let (mut h, mut layer) = (images, 0);
        loop {
            h = net.conv(
                graph,
                &format!("main.{layer}"),
                h,
                channels,
                HALVE,
                Inits::weight(start(graph, h, HALVE.kernel)),
            )?;
            h = net.batch_norm(
                graph,
                &format!("main.{}", layer + 1),
                h,
                Init::Constant(1.0),
            )?;
            h = leaky_relu(graph, h, 0.0);
            layer += 3;
            side = side.div_ceil(2);
            channels = (2 * channels).min(128);
            if side <= SHORT {
                break;
            }
        }
        let flat = flatten(graph, h)?;
        let inits = Inits::weight(start(graph, flat, 1));
        let name = format!("main.{}", layer + 1);
        h = net.linear(graph, &name, flat, self.features, inits)?;
        let name = format!("main.{}", layer + 2);
        h = net.batch_norm(graph, &name, h, Init::Constant(1.0))?;
        let features = leaky_relu(graph, h, 0.0);
        let kept = net.dropout(graph, features, DROPOUT)?;
        let inits = Inits::zero_bias(start(graph, kept, 1));
        let name = format!("main.{}", layer + 5);
        let logits = net.linear(graph, &name, kept, self.classes, inits)?;
        Ok(Classified { features, logits })
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
