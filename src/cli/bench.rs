//! `gpugan bench`: what an adapter can do and what the kernels get out of it.

use std::path::PathBuf;

use super::AdapterArg;
use crate::config::options::{BenchOptions, BenchWhat};
use crate::config::{Config, Override, assignment};
use crate::error::{Error, Result};
use crate::systems::presets;

/// Arguments of `gpugan bench`.
#[derive(Debug, clap::Parser)]
pub struct BenchArgs {
    /// Parts of case names; or `step`, whole training steps; or `scaling`, steps over batches and
    /// image sizes [default: all kernel cases]
    what: Vec<String>,
    /// Measure all variants of the contractions of a preset and keep the fastest for all later runs
    /// on this adapter with this driver; their sums may round differently from before
    #[arg(long)]
    tune: bool,
    /// Preset or TOML file of `step`, `scaling` and `--tune` [default: dcgan28]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Images in a step [default: the preset's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch: Option<String>,
    /// Override any key of the preset; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where `scaling` draws its plot
    #[arg(long, value_name = "PNG", default_value = "scaling.png")]
    plot: PathBuf,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// List the kernel cases
    #[arg(long)]
    list: bool,
    /// Write the kernels of the cases, or of `step`'s preset, to a folder instead of measuring
    /// them: WGSL, SPIR-V, MSL and HLSL, and kernels.csv with their bindings and workgroups
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tune", "json", "save", "compare"])]
    emit: Option<PathBuf>,
    /// Write all figures to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what became slower since --save wrote this file; given twice, as with files of two
    /// adapters, show both beside each other and measure nothing
    #[arg(long, value_name = "FILE")]
    compare: Vec<PathBuf>,
}

impl BenchArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the configuration forbids and for words beside
    /// `step` or `scaling`; [`Error::Io`] where a preset's file cannot be read.
    pub fn options(self) -> Result<BenchOptions> {
        let alone = |word: &str| self.what.len() == 1 && self.what[0] == word;
        let what = if self.tune {
            if !self.what.is_empty() {
                return Err(Error::usage(
                    format!("--tune measures a preset, not '{}'", self.what.join(" ")),
                    "leave the words out, or --tune",
                ));
            }
            BenchWhat::Tune(Box::new(self.config()?))
        } else if alone("step") {
            BenchWhat::Step(Box::new(self.config()?))
        } else if alone("scaling") {
            BenchWhat::Scaling(Box::new(self.config()?), self.plot.clone())
        } else if self.preset.is_some() || self.batch.is_some() || !self.set.is_empty() {
            return Err(Error::usage(
                "--preset, --batch and --set say nothing about kernel cases",
                "leave them out, measure step or scaling, or tune",
            ));
        } else {
            BenchWhat::Kernels(self.what.clone())
        };
        if self.compare.len() > 2 {
            return Err(Error::usage(
                format!("--compare is given {} times", self.compare.len()),
                "compare two files",
            ));
        }
        Ok(BenchOptions {
            what,
            adapter: self.adapter.chosen(),
            json: self.json,
            list: self.list,
            emit: self.emit,
            save: self.save,
            compare: self.compare,
        })
    }

    fn config(&self) -> Result<Config> {
        let base = presets::load(self.preset.as_deref().unwrap_or(presets::DEFAULT))?;
        let batch = self.batch.iter().map(|batch| format!("batch={batch}"));
        let overrides = batch
            .chain(self.set.iter().cloned())
            .map(|text| assignment(&text))
            .collect::<Result<Vec<Override>>>()?;
        base.with(overrides)
    }
}
