//! What several families are made of.

use crate::config::{Allowed, Output, section, words};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nn::{Init, Inits, Net, flatten, instance_norm, minibatch_std};

section! {
    /// Normalisation of a discriminator.
    Normalised {
        /// Normalisation of the discriminator's hidden layers except the first: `batch`, `layer` (all channels of an image), `instance` (each channel of an image), `group`, or `none`, with biases instead. Gradient penalties are per image and need one of the last four.
        norm_d: Norm = Norm::Batch, Allowed::Choice(&["batch", "layer", "instance", "group", "none"]);
        /// Groups of channels of `group` normalisation; divides `width`.
        norm_groups: usize = 8, Allowed::Whole(1, 4096);
    }
}

section! {
    /// What a discriminator compares of a batch.
    Compared {
        /// Images per group; the discriminator sees the mean standard deviation of a group as one more channel of its last features (Karras et al. 2018). Divides the batch; 0 is off.
        minibatch_std: usize = 0, Allowed::Whole(0, crate::config::WIDEST);
        /// Minibatch discrimination (Salimans et al. 2016, section 3.2): this many more channels of the discriminator's last features say how near an image is to the others of its batch; 0 is off.
        minibatch_features: usize = 0, Allowed::Whole(0, 4096);
        /// Numbers that `minibatch_features` compares for each of its channels.
        minibatch_dims: usize = 5, Allowed::Whole(1, 4096);
    }
}

words! {
    /// Normalisation of hidden layers.
    Norm {
        /// Over the batch (Ioffe and Szegedy 2015).
        Batch,
        /// Over all channels of an image, with a gain a channel.
        Layer,
        /// Over each channel of an image.
        Instance,
        /// Over groups of channels of an image.
        Group,
        /// None; biases instead.
        None,
    }
}

impl Normalised {
    /// The normalisation of a hidden layer `x [N, C, H, W]`.
    pub(super) fn apply(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        layer: &str,
        x: NodeId,
        gain: Init,
    ) -> Result<NodeId> {
        let channels = graph.shape(x)[1];
        let groups = match self.norm_d {
            Norm::Batch => return net.batch_norm(graph, layer, x, gain),
            Norm::None => return Ok(x),
            Norm::Layer => 1,
            Norm::Instance => channels,
            Norm::Group => self.norm_groups,
        };
        net.group_norm(graph, layer, x, groups, gain)
    }
}

impl Compared {
    /// A discriminator's last features `[N, C, H, W]` with what is compared of the
    /// batch as further channels, the same at every pixel. `weight` starts the
    /// projection of minibatch discrimination.
    pub(super) fn apply(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        features: NodeId,
        weight: Init,
    ) -> Result<NodeId> {
        let mut h = features;
        if self.minibatch_std > 0 {
            h = minibatch_std(graph, h, self.minibatch_std)?;
        }
        if self.minibatch_features > 0 {
            let sizes = [self.minibatch_features, self.minibatch_dims];
            let flat = flatten(graph, features)?;
            let near = net.minibatch_discrimination(graph, "minibatch", flat, sizes, weight)?;
            let [batch, _, rows, columns] = graph.shape(h)[..] else {
                return Err(Error::shape("compared", "features are [N, C, H, W]"));
            };
            let near = graph.reshape(near, [batch, sizes[0], 1, 1])?;
            let near = graph.broadcast(near, [batch, sizes[0], rows, columns])?;
            h = graph.concat(&[h, near], 1)?;
        }
        Ok(h)
    }
}

words! {
    /// Normalisation in the networks of images to images, as
    /// `junyanz/pytorch-CycleGAN-and-pix2pix` has it.
    ImageNorm {
        /// Over the batch, with gain, offset and running statistics.
        Batch,
        /// Over each channel of an image, without any tensor ([`instance_norm`]).
        Instance,
        /// None.
        None,
    }
}

impl ImageNorm {
    /// The normalisation of `x [N, C, H, W]`; gains start from N(1, 0.02^2).
    pub(super) fn apply(
        self,
        graph: &mut Graph,
        net: &mut Net,
        layer: &str,
        x: NodeId,
    ) -> Result<NodeId> {
        let (mean, std) = (1.0, IMAGE_STD);
        match self {
            Self::Batch => net.batch_norm(graph, layer, x, Init::Normal { mean, std }),
            Self::Instance => instance_norm(graph, x),
            Self::None => Ok(x),
        }
    }

    /// How the tensors of a convolution inside such a network start. It has a bias
    /// with instance normalisation only, even where no normalisation follows: that is
    /// the source's rule, in which [`ImageNorm::None`] goes without biases.
    pub(super) fn inits(self) -> Inits {
        match self {
            Self::Instance => image_edge(),
            Self::Batch | Self::None => Inits::weight(image_edge().weight),
        }
    }
}

/// Standard deviation of initial weights and gains in networks of images to images.
const IMAGE_STD: f32 = 0.02;

/// How a convolution that always has a bias starts in such a network: weights from
/// N(0, 0.02^2), the bias from 0.
pub(super) fn image_edge() -> Inits {
    let (mean, std) = (0.0, IMAGE_STD);
    Inits::zero_bias(Init::Normal { mean, std })
}

/// Uniform initial weights of variance `gain / inputs` (He et al. 2015 with gain
/// 2, before a ReLU).
pub(super) fn uniform(inputs: usize, gain: f32) -> Init {
    Init::Uniform((3.0 * gain / inputs as f32).sqrt())
}

/// The generator's last function.
pub(super) fn output(graph: &mut Graph, kind: Output, x: NodeId) -> NodeId {
    match kind {
        Output::Tanh => graph.unary(Unary::Tanh, x),
        Output::Sigmoid => graph.unary(Unary::Sigmoid, x),
        Output::Linear => x,
    }
}
