//! Families of generators and discriminators from the papers, one file each with
//! its own keys: functions from nodes to nodes. Networks that take images are here
//! too, without keys: [`Unet`], [`Translator`], [`Patches`], [`SrResnet`] and
//! [`SrDiscriminator`], [`Drawer`] and [`Ternary`], and the frozen [`Vgg`] and
//! [`Inception`].

pub mod cdcgan;
mod classifier;
pub mod dcgan;
pub mod dense;
mod inception;
pub mod mlp;
mod parts;
mod patch;
pub mod resnet;
mod srresnet;
mod transfer;
mod translator;
mod unet;
mod vgg;

use std::sync::Arc;

use toml::Table;

use crate::config::{Config, Output, Refusal, Section, Size, refuse};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::nn::{Mode, Net};
pub use classifier::{Classified, Classifier};
pub use inception::Inception;
pub use parts::{Compared, ImageNorm, Norm, Normalised};
pub use patch::{Patched, Patches};
pub use srresnet::{SrDiscriminator, SrResnet};
pub use transfer::{Answered, Drawer, Ternary};
pub use translator::Translator;
pub use unet::Unet;
pub use vgg::Vgg;

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
    /// `[N, classes]`: logits of the images' classes, where [`Pair`] asks for them.
    pub classes: Option<NodeId>,
}

impl From<NodeId> for Judgement {
    /// Of a discriminator without hidden layers.
    fn from(logits: NodeId) -> Self {
        Self {
            logits,
            features: logits,
            hidden: Vec::new(),
            classes: None,
        }
    }
}

/// A generator and a discriminator with the values of their keys.
pub(crate) trait Family: std::fmt::Debug + Send + Sync {
    /// Images `[N, C, H, W]` in the output's range from latents `[N, latent]`, of
    /// the classes `labels [N, 1]` where [`Family::conditional`].
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn generator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        labels: Option<NodeId>,
    ) -> Result<NodeId>;

    /// What the discriminator says of packed images. Without labels, a conditional
    /// one judges them as of no class.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn discriminator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        labels: Option<NodeId>,
    ) -> Result<Judgement>;

    /// What does not go together with images of this size.
    fn refusals(&self, size: Size) -> Vec<Option<Refusal>>;

    /// The discriminator's normalisation, where it can be chosen.
    fn normalised(&self) -> Option<&Normalised> {
        None
    }

    /// What the discriminator compares of a batch, where it can.
    fn compared(&self) -> Option<&Compared> {
        None
    }

    /// Whether the generator starts from the mean real image.
    fn starts_from_mean(&self) -> bool {
        false
    }

    /// Whether its images are points, which have neither colours nor places.
    fn of_points(&self) -> bool {
        false
    }

    /// How its networks take classes, if they do.
    fn condition(&self) -> Option<Conditioned> {
        None
    }
}

/// How networks take classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditioned {
    /// Whether the discriminator's score depends on the class.
    pub(crate) judges: bool,
    /// Whether the discriminator can tell classes of images without being told.
    pub(crate) classifies: bool,
    /// Whether the discriminator is batch-normalised and can not be otherwise.
    pub(crate) batch_normalised: bool,
}

/// A family as `model.architecture` names it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    name: &'static str,
    /// Keys of the section `model` beside those of all families.
    sections: fn() -> Vec<Section>,
    open: fn(&Config) -> Result<Arc<dyn Family>>,
}

/// The families that there are.
const FAMILIES: [Entry; 5] = [
    mlp::ENTRY,
    dcgan::ENTRY,
    cdcgan::ENTRY,
    resnet::ENTRY,
    dense::ENTRY,
];

/// The names that `model.architecture` may have.
pub(crate) const NAMES: [&str; FAMILIES.len()] = {
    let mut names = [""; FAMILIES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FAMILIES[index].name;
        index += 1;
    }
    names
};

/// The keys of the family that some values name.
pub(crate) fn sections(table: &Table) -> Vec<Section> {
    chosen(table).map_or_else(Vec::new, |entry| (entry.sections)())
}

fn chosen(table: &Table) -> Option<&'static Entry> {
    let name = crate::config::lookup(table, "model.architecture");
    let name = name.and_then(|name| name.as_str()).unwrap_or(DEFAULT);
    FAMILIES.iter().find(|entry| entry.name == name)
}

/// The family of a configuration that names none.
pub(crate) const DEFAULT: &str = "dcgan";

/// What to say of a key that other families have.
pub(crate) fn elsewhere(table: &Table, path: &str) -> Option<Refusal> {
    let key = path.strip_prefix("model.")?;
    let knows = |entry: &&Entry| {
        let sections = (entry.sections)();
        sections
            .iter()
            .any(|section| section.keys.iter().any(|known| known.name == key))
    };
    let others: Vec<&str> = FAMILIES
        .iter()
        .filter(knows)
        .map(|entry| entry.name)
        .collect();
    refuse(
        !others.is_empty(),
        format!(
            "model.architecture = {} does not have the key {path}",
            chosen(table)?.name
        ),
        format!(
            "leave {path} out or use model.architecture = {}",
            others.join(" or ")
        ),
    )
}

/// A generator and a discriminator, described but not built.
#[derive(Clone, Debug)]
pub struct Pair {
    family: Arc<dyn Family>,
    /// `[C, H, W]` of images.
    image: [usize; 3],
    latent: usize,
    output: Output,
    /// Mean real pixel per position in the generator's output range, where the
    /// output bias starts from it.
    mean_image: Option<Vec<f32>>,
    /// Images that the discriminator judges together.
    pack: usize,
    /// Whether the discriminator's weights have a largest singular value of 1.
    spectral_norm: bool,
    /// Classes that images are made of; 0 where they are made of none.
    classes: usize,
    /// Whether the discriminator tells the classes of images too.
    classifies: bool,
    /// Layers of the discriminator, from the first on, that are not trained.
    freeze_d: usize,
}

/// What all families take.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) image: [usize; 3],
    pub(crate) latent: usize,
    pub(crate) output: Output,
    pub(crate) pack: usize,
    pub(crate) spectral_norm: bool,
    /// Classes of the data.
    pub(crate) classes: usize,
    /// Whether the discriminator tells the classes of images too.
    pub(crate) classifies: bool,
    /// Layers of the discriminator, from the first on, that are not trained.
    pub(crate) freeze_d: usize,
}

impl Pair {
    /// The networks of the family that a configuration names.
    pub(crate) fn new(config: &Config, architecture: &str, sizes: Sizes) -> Result<Self> {
        let entry = FAMILIES.iter().find(|entry| entry.name == architecture);
        let entry = entry.ok_or_else(|| {
            Error::usage(
                format!("model.architecture = {architecture} is unknown"),
                format!("use {}", NAMES.join(" or ")),
            )
        })?;
        let Sizes {
            image,
            latent,
            output,
            pack,
            spectral_norm,
            classes,
            classifies,
            freeze_d,
        } = sizes;
        let family = (entry.open)(config)?;
        let conditional = family.condition().is_some();
        Ok(Self {
            classes: if conditional { classes } else { 0 },
            classifies: conditional && classifies,
            family,
            image,
            latent,
            output,
            mean_image: None,
            pack,
            spectral_norm,
            freeze_d,
        })
    }

    /// Starts the generator's output at this mean image, `[C * H * W]` in the
    /// output's range, if the configuration asks for it.
    #[must_use]
    pub(crate) fn with_mean_image(mut self, mean: Option<Vec<f32>>) -> Self {
        self.mean_image = mean;
        self
    }

    pub(crate) fn family(&self) -> &dyn Family {
        &*self.family
    }

    /// `[C, H, W]` of images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// Length of a latent vector.
    pub fn latent(&self) -> usize {
        self.latent
    }

    /// Images that the discriminator judges together.
    pub fn pack(&self) -> usize {
        self.pack
    }

    /// Classes that images are made of; 0 where they are made of none.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Images `[N, C, H, W]` in the output's range from latents `[N, latent]`, of
    /// the classes `labels [N, 1]`, whole numbers below [`Pair::classes`], where
    /// there are any.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together, or labels are missing.
    pub fn generator(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        labels: Option<NodeId>,
    ) -> Result<NodeId> {
        if self.classes > 0 && labels.is_none() {
            return Err(Error::shape("generator", "there are no labels"));
        }
        self.family.generator(self, graph, net, z, labels)
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

    /// The images of packs, `[N, C, H, W]`.
    ///
    /// # Errors
    /// None for what [`Pair::packed`] gave.
    pub fn unpacked(&self, graph: &mut Graph, packs: NodeId) -> Result<NodeId> {
        let [c, h, w] = self.image;
        let count = graph.shape(packs)[0];
        graph.reshape(packs, [count * self.pack, c, h, w])
    }

    /// What the discriminator says of packed images, of the classes `labels [N, 1]`
    /// where there are any. Without labels a conditional one judges images as of no
    /// class.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn discriminator(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        labels: Option<NodeId>,
    ) -> Result<Judgement> {
        self.family.discriminator(self, graph, net, x, labels)
    }

    /// A network before it is built; the discriminator's weights are normalised
    /// where that is asked for.
    pub fn net(&self, name: &str, mode: Mode, discriminates: bool) -> Net {
        let frozen = if discriminates { self.freeze_d } else { 0 };
        Net::new(name, mode)
            .spectral(discriminates && self.spectral_norm)
            .frozen(frozen)
    }

    /// Both networks, named so, built once for their parameters.
    ///
    /// # Errors
    /// Where the configuration's sizes do not fit together.
    pub fn networks(&self, names: [&str; 2]) -> Result<[Net; 2]> {
        Ok(self.built(names)?.0)
    }

    /// Hidden layers of the discriminator.
    ///
    /// # Errors
    /// As of [`Pair::networks`].
    pub(crate) fn hidden_layers(&self) -> Result<usize> {
        Ok(self.built(["generator", "discriminator"])?.1.hidden.len())
    }

    fn built(&self, [g, d]: [&str; 2]) -> Result<([Net; 2], Judgement)> {
        let mut graph = Graph::new();
        let mut g = self.net(g, Mode::TRAIN, false);
        let mut d = self.net(d, Mode::TRAIN, true);
        let group = self.family.compared().map_or(0, |c| c.minibatch_std);
        let batch = self.pack * group.max(1);
        let z = graph.constant(0.0, [batch, self.latent()]);
        let labels = (self.classes > 0).then(|| graph.constant(0.0, [batch, 1]));
        let image = self.generator(&mut graph, &mut g, z, labels)?;
        let image = self.packed(&mut graph, image)?;
        let judgement = self.discriminator(&mut graph, &mut d, image, labels)?;
        Ok(([g, d], judgement))
    }
}
