//! `gpugan sample`: images from a checkpoint.

use std::path::{Path, PathBuf};

use super::AdapterArg;
use crate::config::options::{SampleForm, SampleOptions};
use crate::error::{Error, Result};

/// The most seeds in one call; each costs memory and a picture.
const MOST_SEEDS: u64 = 65_536;

/// Arguments of `gpugan sample`.
#[derive(Debug, clap::Parser)]
pub struct SampleArgs {
    /// Checkpoint file, or run folder, whose newest checkpoint is taken
    #[arg(long, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Seeds and ranges of seeds, one image each [default: 0-63, or 0-7 of each of several classes]
    #[arg(long, value_name = "LIST")]
    seeds: Option<String>,
    /// Classes by number or name, as 3,shirt, of a model that makes images of classes; all seeds of
    /// each, a row of the grid for each [default: all]
    #[arg(long = "class", value_name = "LIST")]
    classes: Option<String>,
    /// grid.png, folder/ for one PNG a seed, or walk.gif [default: samples.png, or walk.gif with --walk]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Go from seed to seed, and back to the first, in an animated GIF
    #[arg(long)]
    walk: bool,
    /// Frames from one seed to the next in a walk [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    frames: Option<u32>,
    /// Images in a row of the grid [default: those of a class, or the square root of their number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    columns: Option<u32>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Sample the weights themselves instead of their moving average
    #[arg(long)]
    raw: bool,
}

impl SampleArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for seeds that cannot be read, and for arguments that
    /// do not go together.
    pub fn options(self) -> Result<SampleOptions> {
        let seeds = self.seeds.as_deref().map(parse_seeds).transpose()?;
        let out = self
            .out
            .unwrap_or_else(|| PathBuf::from(if self.walk { "walk.gif" } else { "samples.png" }));
        let form = match Kind::of(&out)? {
            Kind::Gif => SampleForm::Walk {
                frames: self.frames.unwrap_or(16) as usize,
            },
            _ if self.walk => {
                return Err(Error::usage(
                    format!("--walk makes a GIF, but --out is {}", out.display()),
                    "use --out walk.gif, or leave --walk out",
                ));
            }
            Kind::Png => SampleForm::Grid {
                columns: self.columns.map(|columns| columns as usize),
            },
            Kind::Folder => SampleForm::Folder,
        };
        let is_walk = matches!(form, SampleForm::Walk { .. });
        if is_walk && seeds.as_ref().is_some_and(|seeds| seeds.len() < 2) {
            let given = self.seeds.unwrap_or_default();
            return Err(Error::usage(
                format!("a walk needs two seeds, but --seeds is {given}"),
                "use --seeds 0-3 or more",
            ));
        }
        if self.frames.is_some() && !is_walk {
            return Err(Error::usage(
                format!("--frames is for a walk, but --out is {}", out.display()),
                "use --out walk.gif, or leave --frames out",
            ));
        }
        if self.columns.is_some() && !matches!(form, SampleForm::Grid { .. }) {
            return Err(Error::usage(
                format!("--columns is for a grid, but --out is {}", out.display()),
                "use --out grid.png, or leave --columns out",
            ));
        }
        Ok(SampleOptions {
            checkpoint: self.checkpoint,
            seeds,
            classes: self.classes.as_deref().map_or_else(Vec::new, list),
            out,
            form,
            adapter: self.adapter.chosen(),
            raw: self.raw,
        })
    }
}

/// The parts of a list with commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// What the name of an output says it is.
enum Kind {
    Png,
    Gif,
    Folder,
}

impl Kind {
    fn of(out: &Path) -> Result<Self> {
        let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        match out.extension().map(|e| e.to_ascii_lowercase()) {
            _ if is_folder => Ok(Self::Folder),
            None => Ok(Self::Folder),
            Some(e) if e == "png" => Ok(Self::Png),
            Some(e) if e == "gif" => Ok(Self::Gif),
            Some(_) => Err(Error::usage(
                format!("--out {} is neither PNG, GIF nor a folder", out.display()),
                "use a name that ends in .png, .gif or /",
            )),
        }
    }
}

/// Reads a list as `0-63,70`, both ends of a range included.
///
/// # Errors
/// [`Error::Usage`] for what is no number, a range that goes down, and more
/// than 65,536 seeds.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>> {
    let mut seeds = Vec::new();
    for part in text.split(',').map(str::trim) {
        let unreadable = |what: &str| {
            Error::usage(
                format!("--seeds {text}: {part:?} {what}"),
                "use numbers and rising ranges, as 0-63,70",
            )
        };
        let number = |digits: &str| {
            digits
                .trim()
                .parse::<u64>()
                .map_err(|_| unreadable("is not a seed"))
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(unreadable("goes down"));
        }
        if last - first >= MOST_SEEDS - seeds.len() as u64 {
            return Err(Error::usage(
                format!("--seeds {text} has more than {MOST_SEEDS} seeds"),
                "sample them in several calls",
            ));
        }
        seeds.extend(first..=last);
    }
    Ok(seeds)
}
