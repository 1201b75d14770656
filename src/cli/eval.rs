//! `gpugan eval`: scores of a checkpoint's samples.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::options::EvalOptions;
use crate::data::from_anywhere;
use crate::error::Result;
use crate::metrics::Metric;

/// Arguments of `gpugan eval`.
#[derive(Debug, clap::Parser)]
pub struct EvalArgs {
    /// Real images to compare with [default: the training data]
    #[arg(long, help_heading = group::DATA, value_name = "SOURCE")]
    data: Option<String>,
    /// Checkpoint file, or run folder to use its newest checkpoint
    #[arg(long, help_heading = group::MODEL, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Use the raw weights instead of their moving average
    #[arg(long, help_heading = group::MODEL)]
    raw: bool,
    /// What to measure: frechet, kernel, prdc, inception, modes, swd, ms-ssim, memorisation
    /// [default: all that can be measured]
    #[arg(long, help_heading = group::SCORES, value_name = "LIST")]
    metrics: Option<String>,
    /// Classifier, or the FID's Inception network (docs/measuring.md), whose features are used
    /// [default: the one that `gpugan classify` made for the data]
    #[arg(long, help_heading = group::SCORES, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Images to generate, with seeds from 0 on
    #[arg(long, help_heading = group::SCORES, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: u32,
    /// Train classifiers on generated images and test them on real ones, and vice versa
    #[arg(long, help_heading = group::SCORES)]
    synthetic: bool,
    /// Train linear classifiers on the discriminator's features and on raw pixels, with 10 labels
    /// per class
    #[arg(long, help_heading = group::SCORES)]
    representation: bool,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print the report as JSON
    #[arg(long, help_heading = group::OUTPUT)]
    json: bool,
    /// Print only the report and errors
    #[arg(long, help_heading = group::OUTPUT)]
    quiet: bool,
}
impl EvalArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a metric that there is not.
    pub fn options(self) -> Result<EvalOptions> {
        Ok(EvalOptions {
            checkpoint: self.checkpoint,
            data: self.data.as_deref().map(from_anywhere),
            features: self.features,
            samples: self.samples as usize,
            metrics: match &self.metrics {
                Some(list) => Metric::list(list)?,
                None => Metric::ALL.to_vec(),
            },
            json: self.json,
            synthetic: self.synthetic,
            representation: self.representation,
            adapter: self.adapter.chosen(),
            raw: self.raw,
            // Standard output is the report's alone.
            quiet: self.quiet || self.json,
        })
    }
}
