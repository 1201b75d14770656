//! What the verbs of the command line are asked to do, parsed and checked.

use std::path::PathBuf;

use super::Config;
use crate::data::Reading;
use crate::metrics::Metric;

/// What `gpugan train` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// The run, completely described.
    pub config: Config,
    /// Where it goes.
    pub folder: RunFolder,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// A safetensors file, or a run folder, whose newest checkpoint is taken: its tensors
    /// replace the initial weights of the same names and shapes.
    pub init: Option<PathBuf>,
    /// What is measured at each snapshot; the first decides which is the best.
    pub metrics: Vec<Metric>,
    /// A classifier's file for that; the one that is kept for the data where not
    /// given.
    pub features: Option<PathBuf>,
    /// Steps, from the first of this session, that each write their losses; 0 is none.
    pub trace: u64,
    /// Build and report everything, but take no step and write nothing.
    pub dry_run: bool,
    /// Print the recordings of the steps.
    pub dump_plan: bool,
    /// Say how many kernels a step dispatches, too.
    pub verbose: bool,
    /// Print nothing but errors.
    pub quiet: bool,
}

impl TrainOptions {
    /// A new run below `runs`, on the best adapter, without scores; it prints what
    /// `gpugan train` prints.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            folder: RunFolder::New("runs".into()),
            adapter: None,
            init: None,
            metrics: Vec::new(),
            features: None,
            trace: 0,
            dry_run: false,
            dump_plan: false,
            verbose: false,
            quiet: false,
        }
    }
}

/// Where a run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunFolder {
    /// A new numbered folder in this one.
    New(PathBuf),
    /// This run goes on from its newest checkpoint.
    Resume(PathBuf),
}

/// What `gpugan sample` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOptions {
    /// A checkpoint file, or a run folder, whose newest checkpoint is taken.
    pub checkpoint: PathBuf,
    /// The latent vectors.
    pub start: Start,
    /// Seeds whose mean latent vector is added to each of them.
    pub add: Vec<u64>,
    /// Seeds whose mean latent vector is subtracted.
    pub subtract: Vec<u64>,
    /// Classes by name or number, of each of which all seeds are shown; all where there
    /// are none, of a model that makes images of classes.
    pub classes: Vec<String>,
    /// The file or folder to write.
    pub out: PathBuf,
    /// What to write there.
    pub form: SampleForm,
    /// How many times images are enlarged; where not given as it suits a grid, and not at
    /// all for images of their own.
    pub scale: Option<u32>,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Sample the weights themselves, not their moving average.
    pub raw: bool,
}

impl SampleOptions {
    /// A grid of the averaged generator's first images, on the best adapter.
    pub fn new(checkpoint: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint: checkpoint.into(),
            start: Start::Seeds(None),
            add: Vec::new(),
            subtract: Vec::new(),
            classes: Vec::new(),
            out: out.into(),
            form: SampleForm::Grid {
                columns: None,
                frame: false,
            },
            scale: None,
            adapter: None,
            raw: false,
        }
    }
}

/// Where latent vectors begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// One of each seed, in this order; at least one, two for a walk. Where not given
    /// those from 0 on, enough for a grid.
    Seeds(Option<Vec<u64>>),
    /// The mean of those of these seeds.
    Mean(Vec<u64>),
    /// Those of a safetensors file, its tensor `z` of `[count, length]`.
    File(PathBuf),
}

/// Formats of animations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Animation {
    /// 256 colours a frame.
    Gif,
    /// All colours.
    Apng,
    /// By the program ffmpeg.
    Mp4,
}

/// What `gpugan sample` writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleForm {
    /// One PNG of all images.
    Grid {
        /// Images in a row; at least 1. Where not given a row for each of several
        /// classes, else the square root of their number.
        columns: Option<usize>,
        /// Whether a single image has the frame of a grid.
        frame: bool,
    },
    /// A folder of one PNG for each seed, as `seed0007.png`, or `class3-seed0007.png`.
    Folder,
    /// An animation that goes through the latent vectors and back to the first, all
    /// classes side by side.
    Walk {
        /// Frames from one vector to the next; at least 1.
        frames: usize,
        /// Frames a second.
        fps: f64,
        /// Of the file.
        format: Animation,
    },
    /// A safetensors file of the latent vectors themselves.
    Latents,
}

/// What `gpugan apply` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplyOptions {
    /// A checkpoint file, or a run folder, whose newest checkpoint is taken.
    pub checkpoint: PathBuf,
    /// What a file is that does not say so itself.
    pub preset: Option<Config>,
    /// Pictures, folders and archives of them, names with `*` and `?`, embedded sets.
    pub inputs: Vec<String>,
    /// The folder to write to, or of one image the file.
    pub out: PathBuf,
    /// A picture of inputs beside outputs.
    pub compare: Option<PathBuf>,
    /// What should come out, by the names of inputs.
    pub truth: Option<PathBuf>,
    /// The name of the view; the first where not given.
    pub direction: Option<String>,
    /// What the model draws follows from it.
    pub seed: u64,
    /// Images that are taken at most, of the files and of each embedded set.
    pub count: Option<usize>,
    /// Pixels of a side that are computed together at most, where the networks allow it.
    pub tile: Option<usize>,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Use the weights themselves, not their moving average.
    pub raw: bool,
    /// Print nothing but errors.
    pub quiet: bool,
}

/// What `gpugan classify` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifyOptions {
    /// Data, labelled unless `rotations`, as `--data` names it.
    pub data: String,
    /// Test images; the data's own, or a held-out part, where not given.
    pub test: Option<String>,
    /// How they are read.
    pub reading: Reading,
    /// How often each image is seen; above 0.
    pub epochs: f64,
    /// Images in a step, at least 2.
    pub batch: usize,
    /// First learning rate, above 0.
    pub lr: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// Whether images are mirrored by chance.
    pub mirror: bool,
    /// Length of the feature vector.
    pub features: usize,
    /// Whether the classes are ways up, not labels.
    pub rotations: bool,
    /// The file to write; in the user's cache folder where not given.
    pub out: Option<PathBuf>,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Print nothing but errors.
    pub quiet: bool,
}

/// What `gpugan eval` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOptions {
    /// A checkpoint file, or a run folder, whose newest checkpoint is taken.
    pub checkpoint: PathBuf,
    /// Real images, as `--data` names them; those of the training where not given.
    pub data: Option<String>,
    /// A classifier's file; the one that is kept for the data where not given.
    pub features: Option<PathBuf>,
    /// How many images are generated, of the seeds from 0 on; at least 1.
    pub samples: usize,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// Print the report as JSON instead of a table.
    pub json: bool,
    /// Train classifiers on generated images too.
    pub synthetic: bool,
    /// Compare the discriminator's features with raw pixels too.
    pub representation: bool,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Sample the weights themselves, not their moving average.
    pub raw: bool,
    /// Print nothing but the report and errors.
    pub quiet: bool,
}

/// What `gpugan compare` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareOptions {
    /// What is compared: presets with their data, all of one image size.
    pub configs: Vec<Config>,
    /// Trainings of each, with the seeds from 0 on; at least 1.
    pub seeds: u64,
    /// How many images of each training are scored, at least 1.
    pub samples: usize,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// A classifier's file; the one that is kept for the data where not given.
    pub features: Option<PathBuf>,
    /// Folder of the runs and of what is told of them.
    pub outdir: PathBuf,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Print nothing but the table and errors.
    pub quiet: bool,
}

/// What `gpugan check` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Print one JSON object a line instead of a table.
    pub json: bool,
    /// Only the cases whose name contains this.
    pub filter: Option<String>,
}

/// What `gpugan toy` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyOptions {
    /// Networks, loss and loop.
    pub config: Config,
    /// Name of a distribution, or path of a picture.
    pub data: String,
    /// Folder of runs.
    pub outdir: PathBuf,
    /// Frames of the animation; at least 2.
    pub frames: u64,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Print nothing but errors.
    pub quiet: bool,
}

/// What `gpugan bench` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchOptions {
    /// What to measure.
    pub what: BenchWhat,
    /// Which adapter, as `--adapter` names it; the best where not given.
    pub adapter: Option<String>,
    /// Print one JSON object a line instead of a table.
    pub json: bool,
    /// Print the names of the cases and measure nothing.
    pub list: bool,
    /// A folder to write the kernels to instead of measuring them.
    pub emit: Option<PathBuf>,
    /// A file to write all rows to.
    pub save: Option<PathBuf>,
    /// A file that `save` wrote, to compare with; of two, they are shown beside each
    /// other and nothing is measured.
    pub compare: Vec<PathBuf>,
}

/// What `gpugan bench` measures.
#[derive(Clone, Debug, PartialEq)]
pub enum BenchWhat {
    /// The adapter's ceilings and the kernel cases that contain one of these
    /// words, all where there is none.
    Kernels(Vec<String>),
    /// Training steps of a run.
    Step(Box<Config>),
    /// Every variant of the contractions of a run, to keep the fastest.
    Tune(Box<Config>),
    /// Training steps over batches and image sizes, drawn into this file.
    Scaling(Box<Config>, PathBuf),
}
