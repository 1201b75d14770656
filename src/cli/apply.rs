//! `gpugan apply`: images through a trained model.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::assignment;
use crate::config::options::ApplyOptions;
use crate::error::Result;
use crate::systems::presets;

/// Arguments of `gpugan apply`.
#[derive(Debug, clap::Parser)]
pub struct ApplyArgs {
    /// Pictures, folders or archives of them, patterns such as "photos/*.png", or built-in data sets
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<String>,
    /// Use at most this many images [default: all files, or 32 of a built-in set]
    #[arg(long, help_heading = group::DATA, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Folder of expected images, named like the inputs: prints PSNR and SSIM
    #[arg(long, help_heading = group::DATA, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// Checkpoint file, or run folder to use its newest checkpoint
    #[arg(long, help_heading = group::MODEL, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Use the raw weights instead of their moving average
    #[arg(long, help_heading = group::MODEL)]
    raw: bool,
    /// Direction of a model that has two: a-to-b or b-to-a [default: the first]
    #[arg(long, help_heading = group::MODEL, value_name = "NAME")]
    direction: Option<String>,
    /// Seed of the model's random numbers, such as its dropout; the same for each image
    #[arg(long, help_heading = group::MODEL, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Preset of a file that does not say what model it is, such as a published one (docs/apply.md)
    #[arg(long, help_heading = group::MODEL, value_name = "NAME")]
    preset: Option<String>,
    /// Set a key of that preset, such as model.norm=batch; may be repeated
    #[arg(long, help_heading = group::MODEL, value_name = "KEY=VALUE", requires = "preset")]
    set: Vec<String>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Largest side to compute at once, if the model allows it [default: as large as fits]
    #[arg(long, help_heading = group::MACHINE, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
    /// Folder for a PNG of each image; for a single image also a file.png
    #[arg(long, help_heading = group::OUTPUT, value_name = "PATH", default_value = "applied")]
    out: PathBuf,
    /// Write a sheet of inputs beside outputs and, if known, expected images
    #[arg(long, help_heading = group::OUTPUT, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Print only errors
    #[arg(long, help_heading = group::OUTPUT)]
    quiet: bool,
}
impl ApplyArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for what the preset's configuration forbids.
    pub fn options(self) -> Result<ApplyOptions> {
        let preset = match &self.preset {
            Some(name) => {
                let changes = self.set.iter().map(|text| assignment(text));
                let changes = changes.collect::<Result<Vec<_>>>()?;
                Some(presets::load(name)?.with(changes)?)
            }
            None => None,
        };
        Ok(ApplyOptions {
            checkpoint: self.checkpoint,
            preset,
            inputs: self.inputs,
            out: self.out,
            compare: self.compare,
            truth: self.truth,
            direction: self.direction,
            seed: self.seed,
            count: self.count.map(|count| count as usize),
            tile: self.tile.map(|tile| tile as usize),
            adapter: self.adapter.chosen(),
            raw: self.raw,
            quiet: self.quiet,
        })
    }
}
