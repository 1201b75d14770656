//! Networks that a run takes from a file and leaves as they are: what they make of
//! images, losses compare or other networks draw.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Given, Network, classifier};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nets::{Classifier, Vgg};
use crate::nn::{Init, Mode, Net};
use crate::store::checkpoint::Checkpoint;
use crate::store::classifier::About;

/// What a frozen network is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Extractor {
    /// A classifier that `gpugan classify` wrote.
    Classifier(Classifier),
    /// Convolutions under torchvision's names.
    Vgg(Vgg),
}

impl Extractor {
    fn is_possible(&self) -> bool {
        match self {
            Self::Classifier(of) => of.is_possible(),
            Self::Vgg(of) => of.is_possible(),
        }
    }
}

/// A frozen network, described but not built.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) kind: Extractor,
    /// The values of its tensors by their names; none where a checkpoint gives them.
    weights: BTreeMap<String, Vec<f32>>,
}

impl Frozen {
    /// The network of a file where weights are drawn anew, else the one that a
    /// checkpoint keeps; a classifier of usual sizes where neither is known yet. Of
    /// convolutions only those up to the layer `last` are taken.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that holds no such network; errors of reading.
    pub(super) fn open(given: &Given<'_>, file: &Path, last: Option<usize>) -> Result<Self> {
        let kind = match (given.fresh, given.kept) {
            (Some(_), _) => return Self::load(file, last),
            (None, "") => {
                let classes = given.classes.len().max(2);
                Extractor::Classifier(Classifier::new(given.image, classes))
            }
            (None, kept) => {
                let found: Option<Extractor> = serde_json::from_str(kept).ok();
                found.filter(Extractor::is_possible).ok_or_else(|| {
                    Error::usage(
                        "the checkpoint does not describe a possible network for its features",
                        "give a checkpoint that this version wrote",
                    )
                })?
            }
        };
        Ok(Self {
            kind,
            weights: BTreeMap::new(),
        })
    }

    fn load(path: &Path, last: Option<usize>) -> Result<Self> {
        let file = Checkpoint::load(path)?;
        if About::is_of(&file) {
            let prefix = format!("{}.", classifier::C);
            let tensors = file.tensors.iter();
            let own = tensors.filter_map(|(name, (_, values))| {
                Some((name.strip_prefix(&prefix)?.to_owned(), values.clone()))
            });
            return Ok(Self {
                kind: Extractor::Classifier(About::of(&file, path)?.network),
                weights: own.collect(),
            });
        }
        let mut convolutions: Vec<(usize, usize)> = Vec::new();
        for (name, (shape, _)) in &file.tensors {
            let place = name.strip_prefix("features.");
            let place = place.and_then(|name| name.strip_suffix(".weight"));
            if let Some(place) = place.and_then(|text| text.parse().ok()) {
                convolutions.push((place, shape.first().copied().unwrap_or(0)));
            }
        }
        convolutions.sort_unstable();
        let network = Vgg::of(&convolutions, last).ok_or_else(|| {
            let (what, mend) = match (convolutions.is_empty(), last) {
                (false, Some(last)) => (
                    format!("no convolutions that end with a layer {last}"),
                    "leave loss.layer out, or give a file with features.0.weight, features.0.bias, features.2.weight, ... as torchvision names those of VGG without batch normalisation",
                ),
                _ => (
                    "neither a classifier nor convolutions".to_owned(),
                    "give a file that `gpugan classify` wrote, or one with features.0.weight, features.0.bias, ... as torchvision names those of VGG without batch normalisation",
                ),
            };
            Error::usage(format!("{} holds {what}", path.display()), mend)
        })?;
        let weights = file.tensors.into_iter();
        Ok(Self {
            kind: Extractor::Vgg(network),
            weights: weights.map(|(name, (_, values))| (name, values)).collect(),
        })
    }

    /// Channels of the images that it takes.
    pub(super) fn channels(&self) -> usize {
        match &self.kind {
            Extractor::Classifier(of) => of.image[0],
            Extractor::Vgg(_) => Vgg::CHANNELS,
        }
    }

    /// Refuses images of other channels than it takes. Grey ones pass as colours.
    ///
    /// # Errors
    /// [`Error::Usage`] with both numbers.
    pub(super) fn check_channels(&self, channels: usize) -> Result<()> {
        let takes = self.channels();
        if takes == channels || (takes, channels) == (3, 1) {
            return Ok(());
        }
        Err(Error::usage(
            format!(
                "the network of loss.features takes images of {takes} channels, but these have {channels}"
            ),
            format!("use data.channels = {takes}, or other features"),
        ))
    }

    /// Images `[N, C, H, W]` as it takes them: grey ones as equal colours.
    ///
    /// # Errors
    /// None for images that [`Frozen::check_channels`] let pass.
    pub(super) fn shown(&self, graph: &mut Graph, images: NodeId) -> Result<NodeId> {
        match (graph.shape(images)[1], self.channels()) {
            (1, 3) => graph.concat(&[images; 3], 1),
            _ => Ok(images),
        }
    }

    /// What a checkpoint has to keep of it.
    pub(super) fn kept(&self) -> String {
        serde_json::json!(self.kind).to_string()
    }

    /// It as a network of a system, with the tensors that `build` takes from it.
    ///
    /// # Errors
    /// Where the file lacks one of them or has another size; errors of `build`.
    pub(super) fn network(
        &self,
        name: &'static str,
        build: impl FnOnce(&mut Graph, &mut Net) -> Result<NodeId>,
    ) -> Result<Network> {
        let mut net = Net::new(name, Mode::EVAL);
        build(&mut Graph::new(), &mut net)?;
        let mut tensors: Vec<_> = net.parameters().cloned().collect();
        for tensor in &mut tensors {
            let own = tensor.name[name.len()..].trim_start_matches('.');
            tensor.init = match self.weights.get(own) {
                Some(values) if values.len() == tensor.shape.numel() => {
                    Init::Values(values.clone())
                }
                None if self.weights.is_empty() => Init::Constant(0.0),
                _ => {
                    return Err(Error::usage(
                        format!(
                            "the file of features has no tensor {own} of {}",
                            tensor.shape
                        ),
                        "give a file whose features take images of as many channels",
                    ));
                }
            };
        }
        Ok(Network {
            name,
            tensors,
            moves: None,
            average: 0.0,
        })
    }
}
