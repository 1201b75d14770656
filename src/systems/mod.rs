//! What can be trained. A system says, as data, which networks there are, what a
//! batch holds, which passes a step replays and what can be looked at; layout,
//! updates, averages, statistics, checkpoints, resume, health and figures follow
//! from that in `run`, which knows no system's name.

mod build;
pub mod classifier;
mod counters;
pub mod gan;
pub mod made;
pub mod presets;
pub mod rbm;
mod registry;
pub mod vae;

pub use build::Build;
pub use counters::Counters;
pub use registry::{open, read_config, sections_of};

use crate::adversarial::{Level, Loss};
use crate::config::{Latent, Optimizer, Output};
use crate::data::{IMAGE, LABEL};
use crate::error::{Error, Result};
use crate::graph::{NodeId, Shape};
use crate::nn::{Init, Mode, Net, Parameter};

/// What a system has to know of the data that it is opened for.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// `[C, H, W]` of images.
    pub image: [usize; 3],
    /// Names of the classes; empty where there are no labels.
    pub classes: &'a [String],
    /// The mean real image `[C * H * W]` with pixels in [0, 1], computed when it
    /// is asked for; none where weights are not drawn anew.
    pub mean_image: Option<&'a dyn Fn() -> Result<Vec<f32>>>,
}

impl<'a> Given<'a> {
    /// Images `[C, H, W]`, and nothing else that is known.
    pub fn images(image: [usize; 3]) -> Self {
        Self {
            image,
            classes: &[],
            mean_image: None,
        }
    }

    /// Images `[C, H, W]` of ten classes, as those of the data that come with the
    /// program, for what is known of a run without its data.
    pub fn labelled(image: [usize; 3]) -> Self {
        static UNNAMED: [String; 10] = [const { String::new() }; 10];
        Self {
            classes: &UNNAMED,
            ..Self::images(image)
        }
    }
}

/// One system with the values of its keys, for data of one shape.
pub trait System: Send + Sync {
    /// Its networks in the order of their memory.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn networks(&self) -> Result<Vec<Network>>;

    /// A network before it is built, its tensors named `<prefix>.`.
    fn net(&self, network: &str, prefix: &str, mode: Mode) -> Net {
        let _ = network;
        Net::new(prefix, mode)
    }

    /// What a batch holds, in the order of its memory.
    fn fields(&self) -> Vec<Field>;

    /// Tensors that are saved with a run beside its networks'.
    fn memory(&self) -> Vec<Memory> {
        Vec::new()
    }

    /// The numbers that a step reports.
    fn reports(&self) -> Vec<Report>;

    /// The passes that a step may take.
    fn passes(&self) -> Vec<Pass>;

    /// Builds a pass.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn build(&self, pass: &str, build: &mut Build<'_>) -> Result<()>;

    /// The passes of the next step, in their order.
    fn schedule(&self, done: &Counters) -> Vec<&'static str>;

    /// The value of a field whose source is [`Source::Scalar`].
    fn scalar(&self, field: &str, done: &Counters) -> f32 {
        let _ = (field, done);
        0.0
    }

    /// What can be looked at; the first is what figures show and scores are of.
    fn views(&self) -> Vec<View>;

    /// Builds a view of [`Build::count`] records.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()>;

    /// Builds what the health monitor looks at beside the networks.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let _ = build;
        Ok(Observed::default())
    }

    /// What it says of the probability of a record, if it does.
    fn likelihood(&self) -> Option<Likelihood> {
        None
    }

    /// Names of the classes that it makes records of; empty where it makes them of
    /// none.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// What distinguishes its values of the keys, in a few words each.
    fn traits(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it takes images `[C, H, W]`, as `[2, 1, 1]`, which are points of a
    /// plane.
    fn takes(&self, image: [usize; 3]) -> bool {
        let _ = image;
        false
    }

    /// Whether its images are points, which have neither colours nor places.
    fn of_points(&self) -> bool {
        false
    }

    /// The two players, where there are any.
    fn duel(&self) -> Option<Duel> {
        None
    }

    /// Names of tensors of [`System::memory`] that statistics show, with the names
    /// that they have there.
    fn shown(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// A network of a system.
#[derive(Clone, Debug)]
pub struct Network {
    /// The prefix of its tensors' names.
    pub name: &'static str,
    /// Its tensors in the order of their memory.
    pub tensors: Vec<Parameter>,
    /// How its weights move.
    pub optimizer: Optimizer,
    /// Largest size of a weight after an update, where there is one.
    pub clip: Option<f64>,
    /// Decay, in an update, of the moving average of its weights; 0 is none.
    pub average: f64,
}

impl Network {
    /// The prefix of the averaged tensors' names.
    pub fn average_name(&self) -> String {
        average_of(self.name)
    }

    /// Number of trained elements.
    pub fn count(&self) -> usize {
        let trained = self.tensors.iter().filter(|tensor| tensor.is_trained());
        trained.map(|tensor| tensor.shape.numel()).sum()
    }

    /// The name of a tensor's average, `G.x` as `G_ema.x`, so that the average is
    /// a network of its own in files.
    pub fn averaged(&self, tensor: &str) -> String {
        let rest = tensor.strip_prefix(self.name).unwrap_or(tensor);
        format!("{}{rest}", self.average_name())
    }
}

/// The prefix of a network's averaged tensors.
pub fn average_of(network: &str) -> String {
    format!("{network}_ema")
}

/// Something that a batch, or a view, takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The tensor's name.
    pub name: &'static str,
    /// The shape of one record's part.
    pub record: Vec<usize>,
    /// Where its values come from.
    pub source: Source,
}

impl Field {
    /// Images `[C, H, W]` of the first stream, scaled for a network of this output.
    pub fn pixels(name: &'static str, image: [usize; 3], range: Output) -> Self {
        Self {
            name,
            record: image.to_vec(),
            source: Source::Pixels {
                stream: 0,
                column: IMAGE,
                range,
            },
        }
    }

    /// The class of each record of the first stream.
    pub fn labels(name: &'static str) -> Self {
        Self {
            name,
            record: vec![1],
            source: Source::Column {
                stream: 0,
                column: LABEL,
            },
        }
    }

    /// The shape of a batch.
    pub fn shape(&self, batch: usize) -> Shape {
        match self.source {
            Source::Scalar => [1; 4].into(),
            _ => [&[batch], &self.record[..]].concat().into(),
        }
    }
}

/// Where the values of a field come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Pixels of a column of a data stream, in the range of this output.
    Pixels {
        /// Which stream, counted from 0.
        stream: usize,
        /// The column's name.
        column: &'static str,
        /// What black and white are to the networks.
        range: Output,
    },
    /// Other numbers of a column of a data stream, as they are.
    Column {
        /// Which stream, counted from 0.
        stream: usize,
        /// The column's name.
        column: &'static str,
    },
    /// Random numbers, drawn on the host.
    Latent(Latent),
    /// One number that follows from what the run has done ([`System::scalar`]).
    Scalar,
    /// Zeros at the first replay of a view.
    Zero,
}

/// A tensor that is saved with a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// The tensor's name, in memory and in checkpoints.
    pub name: &'static str,
    /// The tensor's shape.
    pub shape: Shape,
    /// How it starts.
    pub init: Init,
}

/// A number that a step reports; a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its tensor's name and its key in statistics.
    pub name: &'static str,
    /// What a reader calls it.
    pub label: &'static str,
    /// What it is a number of.
    pub unit: Unit,
}

/// What a report is a number of; those of one unit share a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Something that is minimised.
    Loss,
    /// What a discriminator gives: a probability, or a critic's score.
    Output,
    /// A part of a whole, 0 to 1.
    Share,
    /// An energy, or the logarithm of a probability, in nats.
    Nats,
}

/// Something that a step replays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The tensor's name, in memory and in checkpoints.
    pub name: &'static str,
    /// The fields that are drawn anew for it; others keep what they had.
    pub takes: Vec<&'static str>,
}

/// Something to look at: a function of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name; its tensors are named `<name>.<tensor>`.
    pub name: &'static str,
    /// What it takes.
    pub inputs: Vec<Field>,
    /// Names of what it gives, the main thing first.
    pub outputs: Vec<String>,
    /// What its first output is.
    pub medium: Medium,
    /// The number of records is a multiple of this.
    pub multiple: usize,
    /// How often it is replayed. From one replay to the next an output becomes the
    /// input of the same name.
    pub repeat: usize,
    /// Whether random numbers are drawn in it. Then each record is computed alone,
    /// so that what it becomes follows from its own seed.
    pub draws: bool,
}

impl View {
    /// A view of this name that is replayed once and draws nothing.
    pub fn new(name: &'static str, inputs: Vec<Field>, outputs: &[&str], medium: Medium) -> Self {
        Self {
            name,
            inputs,
            outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
            medium,
            multiple: 1,
            repeat: 1,
            draws: false,
        }
    }

    /// Records of a replay that is to show at least `count`, or as few as can be
    /// where each is computed alone.
    pub fn records(&self, count: usize) -> usize {
        let least = if self.draws { 1 } else { count };
        least.next_multiple_of(self.multiple)
    }
}

/// What a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Images `[N, C, H, W]`.
    Images {
        /// `[C, H, W]`.
        shape: [usize; 3],
        /// What black and white are to the networks.
        range: Output,
    },
    /// Numbers of any meaning.
    Numbers,
}

impl Medium {
    /// Values that a view gave, images in [-1, 1].
    pub fn to_unit(self, values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Images { range, .. } => range.to_unit(&values),
            Self::Numbers => values,
        }
    }

    /// `[C, H, W]` of images.
    pub fn image(self) -> Option<[usize; 3]> {
        match self {
            Self::Images { shape, .. } => Some(shape),
            Self::Numbers => None,
        }
    }
}

/// The logarithm of a record's probability, or of its density, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likelihood {
    /// The view whose first output it is, `[N, 1]`.
    pub view: &'static str,
    /// How it is known.
    pub known: Known,
}

/// How a likelihood is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By a closed form or by enumeration.
    Exactly,
    /// From below, by a bound.
    AsBound,
    /// By sampling, with an error of its own.
    AsEstimate,
}

/// What the health monitor looks at.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The discriminator's judgement of the last batch.
    pub judged: Option<Judged>,
    /// Generated and real records `[N, ...]` of the last batch, whose distances
    /// are measured.
    pub records: Option<[NodeId; 2]>,
}

/// Logits, or a critic's scores, and what the generator makes of them.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// Of the real batch.
    pub real: NodeId,
    /// Of the generated batch.
    pub fake: NodeId,
    /// The generator's loss.
    pub loss: NodeId,
    /// What tells whether D is right.
    pub level: Level,
    /// D's target on real images.
    pub real_label: f64,
}

/// Two players of a game.
#[derive(Clone, Debug)]
pub struct Duel {
    /// The network that generates.
    pub generator: &'static str,
    /// The network that judges.
    pub discriminator: &'static str,
    /// The reports of their losses, the generator's first.
    pub losses: [&'static str; 2],
    /// Logits of a batch.
    pub logits: usize,
    /// What they minimise.
    pub loss: Loss,
}

/// The network of this name.
///
/// # Errors
/// Where the system has no such network.
pub(crate) fn find<'a>(networks: &'a [Network], name: &str) -> Result<&'a Network> {
    let found = networks.iter().find(|network| network.name == name);
    found.ok_or_else(|| Error::shape("system", format!("there is no network {name}")))
}
