//! `gpugan bench`: what an adapter can do and what the kernels get out of it.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::options::{BenchOptions, BenchWhat};
use crate::config::{Config, Override, assignment};
use crate::error::{Error, Result};
use crate::systems::presets;

/// Arguments of `gpugan bench`.
#[derive(Debug, clap::Parser)]
pub struct BenchArgs {
    /// Parts of kernel case names; or `step`, whole training steps; or `scaling`, steps of several
    /// batch and image sizes [default: all kernel cases]
    what: Vec<String>,
    /// Preset or TOML file for `step`, `scaling` and `--tune` [default: dcgan28]
    #[arg(long, help_heading = group::MODEL, value_name = "NAME")]
    preset: Option<String>,
    /// Images per step [default: the preset's]
    #[arg(long, help_heading = group::MODEL, value_name = "N", allow_negative_numbers = true)]
    batch: Option<String>,
    /// Set any key of the preset; may be repeated
    #[arg(long, help_heading = group::MODEL, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Measure all kernel variants for a preset and keep the fastest for later runs on this adapter
    /// and driver, whose sums may then round differently
    #[arg(long, help_heading = group::MACHINE)]
    tune: bool,
    /// Print one JSON object per line
    #[arg(long, help_heading = group::OUTPUT)]
    json: bool,
    /// Write all results to a file
    #[arg(long, help_heading = group::OUTPUT, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what changed since --save wrote this file; given twice, compare two files, such as those
    /// of two adapters, without measuring
    #[arg(long, help_heading = group::OUTPUT, value_name = "FILE")]
    compare: Vec<PathBuf>,
    /// File for the plot of `scaling`
    #[arg(long, help_heading = group::OUTPUT, value_name = "PNG", default_value = "scaling.png")]
    plot: PathBuf,
    /// List the kernel cases, then exit
    #[arg(long, help_heading = group::DEBUGGING)]
    list: bool,
    /// Write kernels to a folder instead of measuring them: WGSL, SPIR-V, MSL and HLSL, and
    /// kernels.csv with their bindings and workgroups
    #[arg(
        long,
        help_heading = group::DEBUGGING,
        value_name = "DIR",
        conflicts_with_all = ["tune", "json", "save", "compare"]
    )]
    emit: Option<PathBuf>,
}
impl BenchArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the configuration forbids, for words beside
    /// `step` or `scaling` and for options that exclude each other; [`Error::Io`]
    /// where a preset's file cannot be read.
    pub fn options(self) -> Result<BenchOptions> {
        self.check_comparison()?;
        let alone = |word: &str| self.what.len() == 1 && self.what[0] == word;
        let what = if self.tune {
            if !self.what.is_empty() {
                return Err(Error::usage(
                    format!("--tune measures a preset, not '{}'", self.what.join(" ")),
                    "leave out the words, or --tune",
                ));
            }
            if self.save.is_some() || !self.compare.is_empty() {
                return Err(Error::usage(
                    "--save and --compare do not apply to --tune, which has no rows",
                    "leave them out; --tune keeps the fastest variants itself",
                ));
            }
            BenchWhat::Tune(Box::new(self.config()?))
        } else if alone("step") {
            BenchWhat::Step(Box::new(self.config()?))
        } else if alone("scaling") {
            BenchWhat::Scaling(Box::new(self.config()?), self.plot.clone())
        } else if self.preset.is_some() || self.batch.is_some() || !self.set.is_empty() {
            return Err(Error::usage(
                "--preset, --batch and --set do not apply to kernel cases",
                "leave them out, or use step, scaling or --tune",
            ));
        } else {
            BenchWhat::Kernels(self.what.clone())
        };
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

    /// Refuses what would be ignored beside `--compare`, or mixed with its table.
    fn check_comparison(&self) -> Result<()> {
        let files = self.compare.len();
        if files > 2 {
            return Err(Error::usage(
                format!("--compare is given {files} times"),
                "give two files at most",
            ));
        }
        if files > 0 && self.json {
            return Err(Error::usage(
                "--compare prints a table and --json none",
                "leave out one of them; --save FILE writes the rows as JSON",
            ));
        }
        let measures = self.save.is_some() || !self.what.is_empty() || self.tune;
        if files == 2 && measures {
            return Err(Error::usage(
                "--compare given twice measures nothing, so case names, --save and --tune \
                 do not apply",
                "leave them out, or give one file",
            ));
        }
        Ok(())
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
