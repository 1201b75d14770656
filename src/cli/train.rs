//! `gpugan train`: a new run, or one that goes on.

use std::path::{Path, PathBuf};

use super::{AdapterArg, group};
use crate::config::options::{RunFolder, TrainOptions};
use crate::config::{Config, Override, assignment, of_option};
use crate::data::from_anywhere;
use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::store::run_folder;
use crate::systems::{self, Given, gan, presets};

/// Arguments of `gpugan train`. Options that stand for a key are read as the key's.
#[derive(Debug, clap::Parser)]
pub struct TrainArgs {
    /// Folder, archive or files of images, or a built-in set: fashion, digits, emoji [default:
    /// fashion]; where the same images are now, for a run that is resumed
    #[arg(long, help_heading = group::DATA, value_name = "SOURCE")]
    data: Option<String>,
    /// Learn to make images of a class, from labelled data, with the preset cdcgan28 unless another
    /// is given
    #[arg(long, help_heading = group::DATA)]
    cond: bool,
    /// Real images per step [default: the preset's]
    #[arg(long, help_heading = group::DATA, value_name = "N", allow_negative_numbers = true)]
    batch: Option<String>,
    /// Mirror each image left to right with probability 1/2
    #[arg(long, help_heading = group::DATA)]
    mirror: bool,
    /// Preset (see `gpugan presets`) or TOML file to start from [default: dcgan28]
    #[arg(long, help_heading = group::MODEL, value_name = "NAME")]
    preset: Option<String>,
    /// Set any key, such as optimizer.g.lr=1e-4; overrides other options, may be repeated. A
    /// resumed run takes those that change neither networks nor data
    #[arg(long, help_heading = group::MODEL, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Start from the weights of a run or a safetensors file: all tensors that match by name and
    /// shape
    #[arg(long, help_heading = group::MODEL, value_name = "PATH")]
    init: Option<PathBuf>,
    /// Folder for runs; each run gets a new numbered folder in it
    #[arg(long, help_heading = group::RUN, value_name = "DIR", default_value = "runs")]
    outdir: PathBuf,
    /// Generator step at which the run ends [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// Length of the run in thousands of real images, one batch a step, instead of --steps
    #[arg(
        long,
        help_heading = group::RUN,
        value_name = "K",
        allow_negative_numbers = true,
        conflicts_with = "steps"
    )]
    kimg: Option<f64>,
    /// Steps per tick; each tick prints a line of statistics [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "STEPS", allow_negative_numbers = true)]
    tick: Option<String>,
    /// Ticks per snapshot, which writes samples and a checkpoint [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "TICKS", allow_negative_numbers = true)]
    snap: Option<String>,
    /// Seed of all random numbers [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Continue the run in DIR [default: the newest run in --outdir]
    #[arg(long, help_heading = group::RUN, value_name = "DIR")]
    resume: Option<Option<PathBuf>>,
    /// What to do when training goes wrong: warn, stop, or rollback to the last healthy checkpoint
    /// with other learning rates [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "WHAT")]
    on_collapse: Option<String>,
    /// Scores of each snapshot (see `gpugan eval --help`); the first one decides which checkpoint
    /// becomes best.safetensors
    #[arg(long, help_heading = group::SCORES, value_name = "LIST")]
    metrics: Option<String>,
    /// Classifier, or the FID's Inception network (docs/measuring.md), whose features are used
    /// [default: the one that `gpugan classify` made for the data]
    #[arg(long, help_heading = group::SCORES, value_name = "FILE", requires = "metrics")]
    features: Option<PathBuf>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print only errors
    #[arg(long, help_heading = group::OUTPUT)]
    quiet: bool,
    /// Print how many kernels each part of a step dispatches
    #[arg(long, help_heading = group::DEBUGGING, conflicts_with = "quiet")]
    verbose: bool,
    /// Print the configuration and the memory plan, then exit
    #[arg(long, help_heading = group::DEBUGGING)]
    dry_run: bool,
    /// Print every dispatch of a step
    #[arg(long, help_heading = group::DEBUGGING)]
    dump_plan: bool,
    /// Write weights, batches, latents and losses of the first N steps to trace.safetensors, to
    /// replay them in another framework
    #[arg(
        long,
        help_heading = group::DEBUGGING,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    trace: u64,
}
impl TrainArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the configuration forbids, for a run to resume
    /// that is not there, and for a change that a resumed run cannot take;
    /// [`Error::Io`] where a file cannot be read.
    pub fn options(self) -> Result<TrainOptions> {
        let (mut config, folder) = match &self.resume {
            None => {
                let default = match self.cond {
                    true => presets::CONDITIONAL,
                    false => presets::DEFAULT,
                };
                let base = presets::load(self.preset.as_deref().unwrap_or(default))?;
                let mut config = base.with(self.overrides()?)?;
                if self.cond {
                    config = gan::conditional(config)?;
                }
                (config, RunFolder::New(self.outdir.clone()))
            }
            Some(named) => {
                let run = match named {
                    Some(run) => run.clone(),
                    None => newest_run(&self.outdir)?,
                };
                let config = self.resumed(&run)?;
                (config, RunFolder::Resume(run))
            }
        };
        // So that the run can go on from wherever it is resumed.
        config.data.source = from_anywhere(&config.data.source);
        let metrics = match &self.metrics {
            Some(list) => Metric::list(list)?,
            None => Vec::new(),
        };
        Ok(TrainOptions {
            config: self.lengthened(config)?,
            folder,
            adapter: self.adapter.chosen(),
            init: self.init,
            metrics,
            features: self.features,
            trace: self.trace,
            dry_run: self.dry_run,
            dump_plan: self.dump_plan,
            verbose: self.verbose,
            quiet: self.quiet,
        })
    }

    /// The options that stand for keys; `--set` wins.
    fn overrides(&self) -> Result<Vec<Override>> {
        let flags = [
            ("--data", "data.source", &self.data),
            ("--batch", "batch", &self.batch),
            ("--seed", "seed", &self.seed),
            ("--steps", "steps", &self.steps),
            ("--tick", "train.tick", &self.tick),
            ("--snap", "train.snap", &self.snap),
            ("--on-collapse", "train.on_collapse", &self.on_collapse),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(option, key, value)| Some(of_option(option, key, value.as_ref()?)));
        let mirror = self.mirror.then(|| Ok(Override::new("data.mirror", true)));
        let set = self.set.iter().map(|text| assignment(text));
        flags.chain(mirror).chain(set).collect()
    }

    /// The configuration of a run that goes on.
    fn resumed(&self, run: &Path) -> Result<Config> {
        let fixed = [
            ("--preset", self.preset.is_some()),
            ("--cond", self.cond),
            ("--batch", self.batch.is_some()),
            ("--seed", self.seed.is_some()),
            ("--mirror", self.mirror),
            ("--init", self.init.is_some()),
        ];
        if let Some((flag, _)) = fixed.iter().find(|(_, given)| *given) {
            return Err(Error::usage(
                format!("{flag} cannot be changed when a run is resumed"),
                "leave it out, or leave --resume out to start a new run; --data (a new place of the same images), --set, --steps, --kimg, --tick, --snap, --on-collapse, --metrics and --adapter may change",
            ));
        }
        let file = run.join("config.toml");
        if !file.is_file() {
            return Err(Error::usage(
                format!("--resume {}: it contains no config.toml", run.display()),
                "give the folder of a run, such as runs/00000-dcgan28-fashion",
            ));
        }
        presets::read(&file)?.with(self.overrides()?)
    }

    /// The configuration with the length that `--kimg` asks for.
    fn lengthened(&self, mut config: Config) -> Result<Config> {
        let Some(kimg) = self.kimg else {
            return Ok(config);
        };
        let set = self.set.iter().map(|text| assignment(text));
        if set.flatten().any(|set| set.key() == "steps") {
            return Err(Error::usage(
                "--kimg and --set steps both give the length of the run",
                "leave one of them out",
            ));
        }
        let images = (kimg * 1000.0).round();
        if !(1.0..=1e12).contains(&images) {
            return Err(Error::usage(
                format!("--kimg {kimg} is not allowed"),
                "use a number from 0.001 to 1e9",
            ));
        }
        // Exact: whole and below 2^53, and so never more steps than `steps` may be.
        config.steps = (images as u64).div_ceil(config.batch as u64);
        Ok(config)
    }
}

/// Whether a run is one of `gpugan toy`, which keeps no checkpoints.
fn is_of_points(run: &run_folder::RunFolder) -> bool {
    presets::read(&run.config()).is_ok_and(|config| {
        let system = systems::open(&config, &Given::presumed(&config, 1));
        system.is_ok_and(|system| system.of_points())
    })
}

/// The run with the highest number in a folder of runs that can go on.
fn newest_run(outdir: &Path) -> Result<PathBuf> {
    let none = || {
        Error::usage(
            format!("no run to resume in {}", outdir.display()),
            "name its folder after --resume, or leave --resume out to start one",
        )
    };
    let runs = run_folder::RunFolder::all(outdir).map_err(|_| none())?;
    let newest = runs.into_iter().rfind(|run| !is_of_points(run));
    newest.map(|run| run.path().to_owned()).ok_or_else(none)
}
