//! `gpugan eval`: scores of a checkpoint's samples.

use std::path::PathBuf;

use super::AdapterArg;
use crate::config::options::EvalOptions;
use crate::error::Result;
use crate::metrics::Metric;

/// Arguments of `gpugan eval`.
#[derive(Debug, clap::Parser)]
pub struct EvalArgs {
    /// Checkpoint file, or run folder, whose newest checkpoint is taken
    #[arg(long, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Real images to compare with [default: those of the training]
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// Classifier whose features are compared [default: the one that `gpugan classify` made for the
    /// data]
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Images to generate, of the seeds from 0 on
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: u32,
    /// What to measure: frechet, kernel, prdc, inception, modes, swd, ms-ssim, memorisation
    /// [default: all]
    #[arg(long, value_name = "LIST")]
    metrics: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Train classifiers on generated images and test them on real ones, and the other way round
    #[arg(long)]
    synthetic: bool,
    /// Train linear classifiers with 10 labels a class on the discriminator's features and on raw
    /// pixels
    #[arg(long)]
    representation: bool,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Sample the weights themselves instead of their moving average
    #[arg(long)]
    raw: bool,
    /// Print nothing but the report and errors
    #[arg(long)]
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
            data: self.data,
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
