//! `gpugan toy`: a GAN on a line or a plane, to be watched.

use std::path::PathBuf;

use super::AdapterArg;
use crate::config::options::ToyOptions;
use crate::config::{Override, assignment, of_option};
use crate::error::{Error, Result};
use crate::systems::{self, Given, presets};

/// Arguments of `gpugan toy`.
#[derive(Debug, clap::Parser)]
pub struct ToyArgs {
    /// gaussian, gaussians (both on a line), ring8, grid25, swissroll, moons, or a picture whose
    /// darkness is the density
    #[arg(long, value_name = "NAME", default_value = "ring8")]
    data: String,
    /// Folder of runs; a run gets a new numbered folder in it
    #[arg(long, value_name = "DIR", default_value = "runs")]
    outdir: PathBuf,
    /// Preset or TOML file to start from
    #[arg(long, value_name = "NAME", default_value = "toy")]
    preset: String,
    /// Generator steps [default: the preset's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// Seed of every random choice [default: the preset's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Override any key, as loss.kind=minimax; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Frames of the animation
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(2..=200))]
    frames: u64,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// A point of a plane as an image.
const POINT: [usize; 3] = [2, 1, 1];

impl ToyArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for what the configuration forbids and for networks that
    /// take images; [`Error::Io`] where a preset's file cannot be read.
    pub fn options(self) -> Result<ToyOptions> {
        let base = presets::load(&self.preset)?;
        let options = [
            ("--steps", "steps", &self.steps),
            ("--seed", "seed", &self.seed),
        ];
        let options = options.into_iter();
        let options = options
            .filter_map(|(option, key, value)| Some(of_option(option, key, value.as_ref()?)));
        let overrides = options
            .chain(self.set.iter().map(|text| assignment(text)))
            .collect::<Result<Vec<Override>>>()?;
        let config = base.with(overrides)?;
        if !systems::open(&config, &Given::images(POINT))?.takes(POINT) {
            return Err(Error::usage(
                format!("{} takes images, not points", config.preset),
                "use --preset toy, or --set model.architecture=dense",
            ));
        }
        Ok(ToyOptions {
            config,
            data: self.data,
            outdir: self.outdir,
            frames: self.frames,
            adapter: self.adapter.chosen(),
            quiet: self.quiet,
        })
    }
}
