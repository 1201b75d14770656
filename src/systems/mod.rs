//! What can be trained. A system says, as data, which networks there are, what a
//! batch holds, which passes a step replays and what can be looked at; layout,
//! updates, averages, statistics, checkpoints, resume, health and figures follow
//! from that in `run`, which knows no system's name.

mod build;
pub mod classifier;
mod counters;
pub mod cyclegan;
pub mod dtn;
mod field;
mod frozen;
pub mod gan;
pub(crate) mod inception;
pub mod made;
mod network;
pub mod pix2pix;
pub mod presets;
pub mod rbm;
mod registry;
pub mod srgan;
pub mod vae;
mod view;

pub use build::{Build, Weights};
pub use counters::Counters;
pub use field::{Field, Source};
pub(crate) use network::find;
pub use network::{Moves, Network, average_of};
pub use registry::{open, read_config, sections_of};
pub use view::{AnySize, Known, Likelihood, Medium, Translation, View};

use crate::adversarial::{Level, Loss};
use crate::config::Config;
use crate::data::Sides;
use crate::error::Result;
use crate::graph::{NodeId, Shape};
use crate::nn::{Init, Mode, Net};

/// What a system has to know of the data that it is opened for.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// `[C, H, W]` of images.
    pub image: [usize; 3],
    /// What there is beside the images.
    pub sides: Sides,
    /// Names of the classes; empty where there are no labels.
    pub classes: &'a [String],
    /// Which of its stages a run is in, from 0 ([`System::stage`]).
    pub stage: usize,
    /// What a checkpoint keeps for it ([`System::kept`]); empty where weights come from
    /// none.
    pub kept: &'a str,
    /// What weights that are drawn anew may depend on; none where they come from a
    /// checkpoint.
    pub fresh: Option<Fresh<'a>>,
}

/// What weights that are drawn anew may depend on.
#[derive(Clone, Copy)]
pub struct Fresh<'a> {
    /// The mean real image `[C * H * W]` with pixels in [0, 1], computed when it is
    /// asked for.
    pub mean_image: &'a dyn Fn() -> Result<Vec<f32>>,
}

impl<'a> Given<'a> {
    /// Images `[C, H, W]`, and nothing else that is known.
    pub fn images(image: [usize; 3]) -> Self {
        Self {
            image,
            sides: Sides::Images,
            classes: &[],
            stage: 0,
            kept: "",
            fresh: None,
        }
    }

    /// What a configuration is made for, as far as can be told without its data: ten
    /// classes, as those of the data that come with the program, and images of so many
    /// channels on every side.
    pub fn presumed(config: &Config, channels: usize) -> Self {
        static UNNAMED: [String; 10] = [const { String::new() }; 10];
        let size = config.data.size;
        let image = [channels, size.height, size.width];
        Self {
            classes: &UNNAMED,
            sides: config.data.sides(image),
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

    /// The steps that it is for. Where another stage follows, the system is opened
    /// for that ([`Given::stage`]) and takes over the weights, averages and memory
    /// tensors that have the same names and shapes; its optimisers start anew.
    fn stage(&self) -> Stage {
        Stage::default()
    }

    /// What a checkpoint has to keep beside the values of the keys so that the system
    /// can be opened for it ([`Given::kept`]), as sizes of a network that a file gave.
    fn kept(&self) -> String {
        String::new()
    }

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

/// Steps of a run with the same networks and passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Steps of a run that are before it.
    pub first: u64,
    /// The step after which the next stage begins; none where this is the last.
    pub end: Option<u64>,
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
    /// Its name.
    pub name: &'static str,
    /// The fields that are drawn anew for it; others keep what they had.
    pub takes: Vec<&'static str>,
    /// Whether dropout and all else that is drawn on the device is drawn as in the
    /// pass before, where the same nodes are built first.
    pub draws_again: bool,
}

impl Pass {
    /// A pass with random numbers of its own.
    pub fn new(name: &'static str, takes: impl Into<Vec<&'static str>>) -> Self {
        Self {
            name,
            takes: takes.into(),
            draws_again: false,
        }
    }
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
