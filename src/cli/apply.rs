//! `gpugan apply`: images through a trained model.

use std::path::PathBuf;

use super::AdapterArg;
use crate::config::assignment;
use crate::config::options::ApplyOptions;
use crate::error::Result;
use crate::systems::presets;

/// Arguments of `gpugan apply`.
#[derive(Debug, clap::Parser)]
pub struct ApplyArgs {
    /// Pictures, folders or archives of them, names such as "photos/*.png", or data sets that come
    /// with the program
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<String>,
    /// Checkpoint file, or run folder, whose newest checkpoint is taken
    #[arg(long, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Folder for a PNG of each image, by its name; of one image also a file.png
    #[arg(long, value_name = "PATH", default_value = "applied")]
    out: PathBuf,
    /// Picture to write with inputs beside outputs and, where it is known, what should come out
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Folder of what should come out, by the names of inputs: prints PSNR and SSIM
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// Which way, where a model has several: a-to-b or b-to-a [default: the first]
    #[arg(long, value_name = "NAME")]
    direction: Option<String>,
    /// Seed of what the model draws, as its dropout; the same for each image
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Images that are taken at most [default: all of files, 32 of data sets that come with the
    /// program]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Compute at most so many pixels of a side at once, where the model allows it [default: as many
    /// as fit]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
    /// Preset that a file is of that does not say so itself, as published ones (docs/apply.md)
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Override a key of that preset, as model.norm=batch; may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "preset")]
    set: Vec<String>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Use the weights themselves instead of their moving average
    #[arg(long)]
    raw: bool,
    /// Print nothing but errors
    #[arg(long)]
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
