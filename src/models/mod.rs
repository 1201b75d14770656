//! The systems of the papers, one file each: functions that build a generator
//! and a discriminator.

mod dcgan;
mod dense;
mod goodfellow;
mod resnet;

use crate::config::{Architecture, Config, Norm, Output};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nn::{Init, Mode, Net, flatten, minibatch_std};

/// A pair of networks, described but not built.
#[derive(Clone, Debug)]
pub struct Model {
    config: crate::config::Model,
    /// `[C, H, W]` of images.
    image: [usize; 3],
    /// Mean real pixel per position in the generator's output range, where the
    /// output bias starts from it.
    mean_image: Option<Vec<f32>>,
    /// Images that the discriminator judges together.
    pack: usize,
}

/// What a discriminator says of images.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// `[N, 1]`: logits of being real, or a critic's scores.
    pub logits: NodeId,
    /// What the last layer sees.
    pub features: NodeId,
    /// Every hidden layer from the image on, `[N, C, H, W]` or `[N, units]`:
    /// activations, or the sum at the end of a residual block. None depends on
    /// the other images of the batch but by batch normalisation.
    pub hidden: Vec<NodeId>,
}

impl From<NodeId> for Judgement {
    /// Of a discriminator without hidden layers.
    fn from(logits: NodeId) -> Self {
        Self {
            logits,
            features: logits,
            hidden: Vec::new(),
        }
    }
}

impl Model {
    /// The networks of a configuration for images of `channels`.
    pub fn new(config: &Config, channels: usize) -> Self {
        let size = config.data.size;
        Self::of_images(config, [channels, size.height, size.width])
    }

    /// The networks of a configuration for images `[C, H, W]`.
    pub fn of_images(config: &Config, image: [usize; 3]) -> Self {
        Self {
            config: config.model.clone(),
            image,
            mean_image: None,
            pack: config.loss.pack,
        }
    }

    /// Starts the generator's output at this mean image, `[C * H * W]` in the
    /// output's range, if the configuration asks for it.
    #[must_use]
    pub fn with_mean_image(mut self, mean: Vec<f32>) -> Self {
        self.mean_image = Some(mean);
        self
    }

    /// `[C, H, W]` of images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// Length of a latent vector.
    pub fn latent(&self) -> usize {
        self.config.latent
    }

    /// Images `[N, C, H, W]` in the output's range from latents `[N, latent]`.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn generator(&self, graph: &mut Graph, net: &mut Net, z: NodeId) -> Result<NodeId> {
        match self.config.architecture {
            Architecture::Mlp => goodfellow::generator(self, graph, net, z),
            Architecture::Dcgan => dcgan::generator(self, graph, net, z),
            Architecture::Resnet => resnet::generator(self, graph, net, z),
            Architecture::Dense => dense::generator(self, graph, net, z),
        }
    }

    /// Neighbouring images stacked along their channels, `[N, C, H, W]` to
    /// `[N / pack, pack * C, H, W]`, as the discriminator takes them.
    ///
    /// # Errors
    /// Where `pack` does not divide the batch.
    pub fn packed(&self, graph: &mut Graph, x: NodeId) -> Result<NodeId> {
        let [c, h, w] = self.image;
        let batch = graph.shape(x)[0];
        graph.reshape(x, [batch / self.pack, self.pack * c, h, w])
    }

    /// What the discriminator says of packed images.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn discriminator(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Judgement> {
        match self.config.architecture {
            Architecture::Mlp => goodfellow::discriminator(self, graph, net, x),
            Architecture::Dcgan => dcgan::discriminator(self, graph, net, x),
            Architecture::Resnet => resnet::discriminator(self, graph, net, x),
            Architecture::Dense => dense::discriminator(self, graph, net, x),
        }
    }

    /// The discriminator's normalisation of a hidden layer `x [N, C, H, W]`.
    fn normalised(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        layer: &str,
        x: NodeId,
        gain: Init,
    ) -> Result<NodeId> {
        let channels = graph.shape(x)[1];
        let groups = match self.config.norm_d {
            Norm::Batch => return net.batch_norm(graph, layer, x, gain),
            Norm::None => return Ok(x),
            Norm::Layer => 1,
            Norm::Instance => channels,
            Norm::Group => self.config.norm_groups,
        };
        net.group_norm(graph, layer, x, groups, gain)
    }

    /// A discriminator's last features `[N, C, H, W]` with what the configuration
    /// compares of the batch as further channels, the same at every pixel.
    /// `weight` starts the projection of minibatch discrimination.
    fn compared(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        features: NodeId,
        weight: Init,
    ) -> Result<NodeId> {
        let config = &self.config;
        let mut h = features;
        if config.minibatch_std > 0 {
            h = minibatch_std(graph, h, config.minibatch_std)?;
        }
        if config.minibatch_features > 0 {
            let sizes = [config.minibatch_features, config.minibatch_dims];
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

    /// The two networks before they are built, G and D.
    pub fn nets(&self, mode: Mode) -> [Net; 2] {
        let [g, d] = ["G", "D"].map(|name| Net::new(name, mode));
        [g, d.spectral(self.config.spectral_norm)]
    }

    /// Both networks built once, for their parameters.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn networks(&self) -> Result<[Net; 2]> {
        let mut graph = Graph::new();
        let [mut g, mut d] = self.nets(Mode::Train);
        let batch = self.pack * self.config.minibatch_std.max(1);
        let z = graph.constant(0.0, [batch, self.latent()]);
        let image = self.generator(&mut graph, &mut g, z)?;
        let image = self.packed(&mut graph, image)?;
        self.discriminator(&mut graph, &mut d, image)?;
        Ok([g, d])
    }
}

/// Uniform initial weights of variance `gain / inputs` (He et al. 2015 with gain
/// 2, before a ReLU).
fn uniform(inputs: usize, gain: f32) -> Init {
    Init::Uniform((3.0 * gain / inputs as f32).sqrt())
}

/// The generator's last function.
fn output(graph: &mut Graph, kind: Output, x: NodeId) -> NodeId {
    match kind {
        Output::Tanh => graph.unary(Unary::Tanh, x),
        Output::Sigmoid => graph.unary(Unary::Sigmoid, x),
        Output::Linear => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    fn counts(preset: &str, changes: &[&str], channels: usize) -> [usize; 2] {
        let changes = changes
            .iter()
            .map(|text| crate::config::assignment(text).expect("a known key"));
        let config = presets::load(preset)
            .expect("a preset")
            .with(changes)
            .expect("valid");
        Model::new(&config, channels)
            .networks()
            .expect("builds")
            .map(|net| net.count())
    }

    /// Totals computed by hand from the papers' layer lists.
    #[test]
    fn full_size_networks_have_the_papers_parameter_counts() {
        assert_eq!(counts("mlp", &[], 1), [2_503_984, 1_231_441]);
        assert_eq!(counts("dcgan64", &[], 3), [3_576_704, 2_765_568]);
        assert_eq!(counts("dcgan28", &[], 1), [234_177, 36_577]);
    }

    /// Sums by hand. The second is Gulrajani et al.'s for CIFAR-10, but for the
    /// biases that batch normalisation takes away.
    #[test]
    fn residual_networks_have_the_sums_of_their_layers() {
        let resnet = "model.architecture=resnet";
        assert_eq!(counts("wgan-gp", &[resnet], 1), [141_441, 66_209]);
        let cifar = [
            resnet,
            "data.size=32",
            "model.width=128",
            "model.latent=128",
        ];
        assert_eq!(counts("wgan-gp", &cifar, 3), [1_203_331, 1_053_825]);
        let large = [resnet, "data.size=64"];
        assert_eq!(counts("lsgan", &large, 3), [112_547, 86_785]);
    }

    #[test]
    fn minibatch_discrimination_adds_its_projection_and_its_channels() {
        let four = ["model.minibatch_features=4", "model.minibatch_dims=3"];
        let added = 3136 * 12 + 4 * 49;
        assert_eq!(counts("dcgan28", &four, 1), [234_177, 36_577 + added]);
        let resnet = [&four[..], &["model.architecture=resnet"]].concat();
        assert_eq!(
            counts("wgan-gp", &["model.architecture=resnet"], 1)[1],
            66_209
        );
        let added = 32 * 12 + 4;
        // R1, as its gradient has no norm to hold.
        let resnet = [&resnet[..], &["loss.penalty=r1"]].concat();
        assert_eq!(counts("wgan-gp", &resnet, 1)[1], 66_209 + added);
    }

    #[test]
    fn the_small_digits_network_has_its_count() {
        let changes = [
            "data.size=8",
            "model.latent=64",
            "model.hidden_g=[256, 256]",
            "model.maxout_units=120",
        ];
        assert_eq!(counts("mlp", &changes, 1), [98_880, 111_721]);
    }
}
