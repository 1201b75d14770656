//! The systems of the papers, one file each: functions that build a generator
//! and a discriminator.

mod dcgan;
mod goodfellow;

use crate::config::{Architecture, Config};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Mode, Net};

/// A pair of networks, described but not built.
#[derive(Clone, Debug)]
pub struct Model {
    config: crate::config::Model,
    /// `[C, H, W]` of images.
    image: [usize; 3],
    /// Mean real pixel per position in the generator's output range, where the
    /// output bias starts from it.
    mean_image: Option<Vec<f32>>,
}

impl Model {
    /// The networks of a configuration for images of `channels`.
    pub fn new(config: &Config, channels: usize) -> Self {
        let size = config.data.size;
        Self {
            config: config.model.clone(),
            image: [channels, size.height, size.width],
            mean_image: None,
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
        }
    }

    /// Logits `[N, 1]` of images `[N, C, H, W]` being real.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn discriminator(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        match self.config.architecture {
            Architecture::Mlp => goodfellow::discriminator(self, graph, net, x),
            Architecture::Dcgan => dcgan::discriminator(self, graph, net, x),
        }
    }

    /// Both networks built once, for their parameters.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn networks(&self) -> Result<[Net; 2]> {
        let mut graph = Graph::new();
        let [mut g, mut d] = ["G", "D"].map(|name| Net::new(name, Mode::Train));
        let z = graph.constant(0.0, [1, self.latent()]);
        let image = self.generator(&mut graph, &mut g, z)?;
        self.discriminator(&mut graph, &mut d, image)?;
        Ok([g, d])
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
