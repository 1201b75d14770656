//! `gpugan toy`: a GAN on a line or a plane, to be watched.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::options::ToyOptions;
use crate::config::{Override, assignment, of_option};
use crate::error::{Error, Result};
use crate::systems::{self, Given, presets};

/// Arguments of `gpugan toy`.
#[derive(Debug, clap::Parser)]
pub struct ToyArgs {
    /// gaussian or gaussians (on a line), ring8, grid25, swissroll, moons (on a plane), or a picture
    /// whose darkness is the density
    #[arg(long, help_heading = group::DATA, value_name = "NAME", default_value = "ring8")]
    data: String,
    /// Preset or TOML file to start from
    #[arg(long, help_heading = group::MODEL, value_name = "NAME", default_value = "toy")]
    preset: String,
    /// Set any key, such as loss.kind=minimax; may be repeated
    #[arg(long, help_heading = group::MODEL, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder for runs; each run gets a new numbered folder in it
    #[arg(long, help_heading = group::RUN, value_name = "DIR", default_value = "runs")]
    outdir: PathBuf,
    /// Generator steps [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "N", allow_negative_numbers = true)]
    steps: Option<String>,
    /// Seed of all random numbers [default: the preset's]
    #[arg(long, help_heading = group::RUN, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Frames of the animation
    #[arg(long, help_heading = group::OUTPUT, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(2..=200))]
    frames: u64,
    /// Print only errors
    #[arg(long, help_heading = group::OUTPUT)]
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
