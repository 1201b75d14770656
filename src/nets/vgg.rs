//! The convolutions of VGG (Simonyan and Zisserman 2015, 1409.1556), whose activations
//! a perceptual loss compares: 3x3 convolutions, a ReLU after each, some followed by
//! 2x2 max pooling. Tensors are named as in torchvision: `features.0.weight`,
//! `features.0.bias`, ... at the place of the convolution in an `nn.Sequential` of
//! convolutions, ReLUs and poolings. Those places alone tell where it pools.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Window};
use crate::nn::{Init, Inits, Net, Square, leaky_relu};

const SAME: Square = Square {
    kernel: 3,
    stride: 1,
    pad: 1,
};

/// Of ImageNet, over red, green and blue in [0, 1], as torchvision's networks expect.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// A layer of an `nn.Sequential`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// A convolution to so many channels.
    Conv(usize),
    /// What is above 0.
    Relu,
    /// The largest of 2x2 pixels.
    Pool,
}

/// Convolutions described by their layers, but not built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vgg {
    /// All layers; the output of the last is what they are for.
    pub layers: Vec<Layer>,
}

impl Vgg {
    /// Channels of the images.
    pub const CHANNELS: usize = MEAN.len();

    /// Whether its layers are some that a file may ask for.
    pub fn is_possible(&self) -> bool {
        let fits = |layer: &Layer| match layer {
            Layer::Conv(out) => (1..=4096).contains(out),
            Layer::Relu | Layer::Pool => true,
        };
        self.layers.len() <= 1000 && self.layers.iter().all(fits)
    }

    /// The network of these convolutions, `(place, output channels)` in the order of
    /// their places, up to the layer at place `last`, the last ReLU where not given.
    /// `None` where other layers must lie between them, or `last` beyond them.
    pub fn of(convolutions: &[(usize, usize)], last: Option<usize>) -> Option<Self> {
        let mut layers = Vec::new();
        for &(place, channels) in convolutions {
            match place.checked_sub(layers.len()) {
                Some(0) => {}
                Some(1) if place > 1 => layers.push(Layer::Pool),
                _ => return None,
            }
            layers.extend([Layer::Conv(channels), Layer::Relu]);
        }
        let last = last.unwrap_or(layers.len().checked_sub(1)?);
        if last == layers.len() {
            layers.push(Layer::Pool);
        }
        let fits = last < layers.len();
        layers.truncate(last + 1);
        fits.then_some(Self { layers })
    }

    /// Builds it on images `[N, 3, H, W]` in [-1, 1]; gives the last layer's output
    /// `[N, C, h, w]`. Of an odd side the last pixel is not pooled.
    ///
    /// # Errors
    /// Where the images have other channels or are too small to be pooled so often.
    pub fn build(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<NodeId> {
        let shape = graph.shape(images).clone();
        let &[batch, Self::CHANNELS, h, w] = &shape[..] else {
            return Err(Error::shape("VGG", format!("{shape} is not [N, 3, H, W]")));
        };
        let mut channels = Vec::new();
        for (channel, (mean, std)) in MEAN.into_iter().zip(STD).enumerate() {
            let x = graph.slice(images, &[0, channel, 0, 0], [batch, 1, h, w])?;
            // (x + 1) / 2 is in [0, 1].
            let x = graph.scale(x, 0.5 / std);
            channels.push(graph.binary_scalar(Binary::Add, x, (0.5 - mean) / std));
        }
        let mut x = graph.concat(&channels, 1)?;
        for (place, layer) in self.layers.iter().enumerate() {
            x = match *layer {
                Layer::Conv(out) => {
                    let inputs = graph.shape(x)[1] * SAME.kernel * SAME.kernel;
                    let std = (2.0 / inputs as f32).sqrt();
                    let inits = Inits::zero_bias(Init::Normal { mean: 0.0, std });
                    net.conv(graph, &format!("features.{place}"), x, out, SAME, inits)?
                }
                Layer::Relu => leaky_relu(graph, x, 0.0),
                Layer::Pool => pooled(graph, x)?,
            };
        }
        Ok(x)
    }
}

fn pooled(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let input = [graph.shape(x)[2], graph.shape(x)[3]];
    let output = input.map(|side| side / 2);
    if output.contains(&0) {
        let what = format!("{} is too small to be pooled", graph.shape(x));
        return Err(Error::shape("VGG", what));
    }
    graph.max_pool(
        x,
        Window {
            input,
            output,
            kernel: [2; 2],
            stride: [2; 2],
            pad: [0; 2],
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_tell_where_it_pools() {
        use Layer::{Conv, Pool, Relu};
        let small = [(0, 4), (2, 4), (5, 8)];
        let all = [Conv(4), Relu, Conv(4), Relu, Pool, Conv(8), Relu];
        let of = |last| Vgg::of(&small, last).map(|vgg| vgg.layers);
        assert_eq!(of(None).as_deref(), Some(&all[..]));
        assert_eq!(of(Some(4)).as_deref(), Some(&all[..5]));
        assert_eq!(of(Some(7)), Some([&all[..], &[Pool]].concat()));
        assert_eq!(of(Some(8)), None);
        // As those with batch normalisation, or that start elsewhere.
        assert_eq!(Vgg::of(&[(0, 4), (3, 4), (7, 8)], None), None);
        assert_eq!(Vgg::of(&[(1, 4)], None), None);
        assert_eq!(Vgg::of(&[], None), None);
        // VGG19: 16 convolutions, the last ReLU at 35.
        let places = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34];
        let whole = Vgg::of(&places.map(|place| (place, 64)), None).expect("VGG19");
        assert_eq!(whole.layers.len(), 36);
    }
}
