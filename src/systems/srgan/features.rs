//! The features that enlarged and true images are compared by.

use std::path::Path;

use super::Terms;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nets::Classifier;
use crate::nn::Net;
use crate::systems::frozen::{Extractor, Frozen};
use crate::systems::{Given, Network};

/// What the content loss compares.
#[derive(Clone, Debug)]
pub(super) struct Features {
    of: Frozen,
    /// After which halving, of a classifier.
    halvings: usize,
}

impl Features {
    /// Those that the keys name, or that a checkpoint keeps.
    ///
    /// # Errors
    /// [`Error::Usage`] where no file is named, or it does not fit; as of
    /// [`Frozen::open`].
    pub(super) fn open(terms: &Terms, config: &Config, given: &Given<'_>) -> Result<Self> {
        let [channels, ..] = given.image;
        let path = terms.features.as_deref().unwrap_or_default();
        if path.is_empty() && given.fresh.is_some() {
            let (data, size) = (&config.data, config.data.size);
            return Err(Error::usage(
                format!(
                    "loss.content = {} compares features, but loss.features names no file of a network",
                    terms.content
                ),
                format!(
                    "run `gpugan classify --data {} --size {} --channels {channels} --out features.safetensors` and give --set loss.features=features.safetensors, or train on pixels alone with --set loss.content=0 --set loss.pixel=1",
                    data.source, size.height
                ),
            ));
        }
        let of = Frozen::open(given, Path::new(path), terms.layer)?;
        of.check_channels(channels)?;
        let halvings = match &of.kind {
            Extractor::Vgg(_) => 0,
            Extractor::Classifier(network) => halvings_to(network, terms.layer)?,
        };
        Ok(Self { of, halvings })
    }

    /// What a checkpoint has to keep of them.
    pub(super) fn kept(&self) -> String {
        self.of.kept()
    }

    /// The network of this name that they are of, for images `[C, H, W]`.
    ///
    /// # Errors
    /// As of [`Frozen::network`].
    pub(super) fn network(&self, name: &'static str, [c, h, w]: [usize; 3]) -> Result<Network> {
        self.of.network(name, |graph, net| {
            let images = graph.constant(0.0, [1, c, h, w]);
            self.build(graph, net, images)
        })
    }

    /// The features `[N, C, h, w]` of images `[N, C, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Where the images are too small.
    pub(super) fn build(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<NodeId> {
        let shown = self.of.shown(graph, images)?;
        match &self.of.kind {
            Extractor::Vgg(of) => of.build(graph, net, shown),
            Extractor::Classifier(of) => of.map(graph, net, shown, self.halvings),
        }
    }
}

/// After which halving a classifier's layer of this place lies.
fn halvings_to(of: &Classifier, layer: Option<usize>) -> Result<usize> {
    let all = of.halvings();
    let place = |halvings: usize| 3 * halvings - 1;
    match layer {
        None => Ok(all),
        Some(layer) => (1..=all)
            .find(|&halvings| place(halvings) == layer)
            .ok_or_else(|| {
                let places: Vec<String> = (1..=all).map(|count| place(count).to_string()).collect();
                Error::usage(
                    format!("loss.layer = {layer} is not a ReLU of the classifier's convolutions"),
                    format!("use {}", places.join(" or ")),
                )
            }),
    }
}
