//! `gpugan compare`: several presets on the same data.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::options::CompareOptions;
use crate::config::{Config, Override, assignment};
use crate::data::from_anywhere;
use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::systems::{self, Given, presets};

/// Image size that the presets of a comparison have where none are named.
const SIZE: usize = 28;

/// Arguments of `gpugan compare`.
#[derive(Debug, clap::Parser)]
pub struct CompareArgs {
    /// Built-in data set, or path to labelled images
    #[arg(long, help_heading = group::DATA, value_name = "SOURCE")]
    data: String,
    /// Presets or TOML files, separated by commas [default: all presets of 28x28 images]
    #[arg(long, help_heading = group::MODEL, value_name = "LIST")]
    presets: Option<String>,
    /// Set any key of every preset, such as data.size=32; may be repeated
    #[arg(long, help_heading = group::MODEL, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Generator steps of each run
    #[arg(long, help_heading = group::RUN, value_name = "N", default_value = "1000")]
    steps: String,
    /// Runs of each preset, with seeds from 0 on
    #[arg(long, help_heading = group::RUN, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    seeds: u32,
    /// Folder for the runs, the table and the picture; runs in it with the same configuration are
    /// used as they are, or finished
    #[arg(long, help_heading = group::RUN, value_name = "DIR", default_value = "runs/compare")]
    outdir: PathBuf,
    /// What to measure (see `gpugan eval --help`) [default: all that can be measured]
    #[arg(long, help_heading = group::SCORES, value_name = "LIST")]
    metrics: Option<String>,
    /// Classifier, or the FID's Inception network (docs/measuring.md), whose features are used
    /// [default: the one that `gpugan classify` made for the data]
    #[arg(long, help_heading = group::SCORES, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Images to generate and score for each run
    #[arg(long, help_heading = group::SCORES, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: u32,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print only the table and errors
    #[arg(long, help_heading = group::OUTPUT)]
    quiet: bool,
}

impl CompareArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the configuration forbids, for presets that make
    /// images of different sizes, and for a metric that there is not;
    /// [`Error::Io`] where a preset's file cannot be read.
    pub fn options(self) -> Result<CompareOptions> {
        let mut overrides = vec![
            Override::new("data.source", from_anywhere(&self.data)),
            assignment(&format!("steps={}", self.steps))?,
        ];
        for text in &self.set {
            overrides.push(assignment(text)?);
        }
        let configs = self
            .named()?
            .into_iter()
            .map(|config| config.with(overrides.clone()))
            .collect::<Result<Vec<_>>>()?;
        if let Some(other) = configs.iter().find(|c| c.data.size != configs[0].data.size) {
            return Err(Error::usage(
                format!(
                    "{} makes images of size {}, but {} of size {}",
                    configs[0].preset, configs[0].data.size, other.preset, other.data.size
                ),
                "compare presets of one size, or add --set data.size=32",
            ));
        }
        if let Some(points) = configs
            .iter()
            .find(|c| !makes_images(c, &Given::presumed(c, 1)))
        {
            return Err(Error::usage(
                format!("{} does not make images from noise", points.preset),
                "leave it out; points are for `gpugan toy`, image-to-image models for `gpugan apply`",
            ));
        }
        Ok(CompareOptions {
            configs,
            seeds: u64::from(self.seeds),
            samples: self.samples as usize,
            metrics: match &self.metrics {
                Some(list) => Metric::list(list)?,
                None => Metric::ALL.to_vec(),
            },
            features: self.features,
            outdir: self.outdir,
            adapter: self.adapter.chosen(),
            quiet: self.quiet,
        })
    }

    /// The presets asked for, each once.
    fn named(&self) -> Result<Vec<Config>> {
        let Some(list) = &self.presets else {
            let all = presets::PRESETS.iter().map(|p| presets::load(p.name));
            let all = all.collect::<Result<Vec<_>>>()?;
            let fits = |config: &Config| {
                let unlabelled = Given {
                    classes: &[],
                    ..Given::presumed(config, 1)
                };
                let size = config.data.size;
                makes_images(config, &unlabelled) && size.height == SIZE && size.width == SIZE
            };
            return Ok(all.into_iter().filter(fits).collect());
        };
        let mut names: Vec<&str> = Vec::new();
        for name in list.split(',').map(str::trim) {
            if names.contains(&name) {
                return Err(Error::usage(
                    format!("--presets names {name} twice"),
                    "leave one out",
                ));
            }
            names.push(name);
        }
        names.into_iter().map(presets::load).collect()
    }
}

/// Whether samples of a preset can be scored: images of noise, not points, classes or
/// translations. Those that need labels are compared where they are named.
fn makes_images(config: &Config, given: &Given<'_>) -> bool {
    systems::open(config, given).is_ok_and(|system| {
        let views = system.views();
        let shown = views.first();
        let images =
            shown.is_some_and(|view| view.medium.image().is_some() && view.translation().is_none());
        images && !system.of_points()
    })
}
