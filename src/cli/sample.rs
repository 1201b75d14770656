//! `gpugan sample`: images from a checkpoint.

use std::path::{Path, PathBuf};

use super::{AdapterArg, group};
use crate::config::options::{Animation, SampleForm, SampleOptions, Start};
use crate::error::{Error, Result};

/// The most seeds in one call; each costs memory and a picture.
const MOST_SEEDS: u64 = 65_536;

/// Frames a second of a walk.
const FRAME_RATE: f64 = 12.0;

/// Arguments of `gpugan sample`.
#[derive(Debug, clap::Parser)]
pub struct SampleArgs {
    /// Checkpoint file, or run folder to use its newest checkpoint
    #[arg(long, help_heading = group::MODEL, value_name = "PATH")]
    checkpoint: PathBuf,
    /// Use the raw weights instead of their moving average
    #[arg(long, help_heading = group::MODEL)]
    raw: bool,
    /// Seeds and ranges of seeds, one image each [default: 0-63, or 0-7 for each of several classes]
    #[arg(long, help_heading = group::SAMPLES, value_name = "LIST")]
    seeds: Option<String>,
    /// Classes by number or name, such as 3,shirt: all seeds of each, a row for each [default: all]
    #[arg(long = "class", help_heading = group::SAMPLES, value_name = "LIST")]
    classes: Option<String>,
    /// Read latent vectors from a file that --out z.safetensors wrote, or that has a tensor z of
    /// [count, length]
    #[arg(
        long,
        help_heading = group::LATENTS,
        value_name = "FILE",
        conflicts_with_all = ["seeds", "mean"]
    )]
    z: Option<PathBuf>,
    /// Use one vector: the mean of the vectors of these seeds
    #[arg(long, help_heading = group::LATENTS, value_name = "LIST", conflicts_with = "seeds")]
    mean: Option<String>,
    /// Add the mean of the vectors of these seeds to each vector
    #[arg(long, help_heading = group::LATENTS, value_name = "LIST")]
    add: Option<String>,
    /// Subtract the mean of the vectors of these seeds from each vector
    #[arg(long, help_heading = group::LATENTS, value_name = "LIST")]
    subtract: Option<String>,
    /// Animate a walk from seed to seed along great circles and back to the first
    #[arg(long, help_heading = group::WALKS)]
    walk: bool,
    /// Frames from one seed to the next [default: 16]
    #[arg(long, help_heading = group::WALKS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    frames: Option<u32>,
    /// Frames per second, 50 at most in a GIF [default: 12]
    #[arg(long, help_heading = group::WALKS, value_name = "N")]
    fps: Option<f64>,
    #[command(flatten)]
    adapter: AdapterArg,
    /// grid.png, the image itself if there is one; folder/ for a PNG per image; walk.gif, .apng or
    /// .mp4 (needs ffmpeg); z.safetensors for latent vectors [default: samples.png, or walk.gif
    /// with --walk]
    #[arg(long, help_heading = group::OUTPUT, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Images per row of the grid [default: a row per class, or as many rows as columns]
    #[arg(long, help_heading = group::OUTPUT, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    columns: Option<u32>,
    /// Enlarge images by this factor, without smoothing [default: to 64 pixels or more in grids and
    /// walks, else 1]
    #[arg(long, help_heading = group::OUTPUT, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    scale: Option<u32>,
    /// Draw a single image as a grid of one: enlarged, with a frame, alpha on a chequerboard
    #[arg(long, help_heading = group::OUTPUT)]
    frame: bool,
}
impl SampleArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for seeds that cannot be read, and for arguments that
    /// do not go together.
    pub fn options(self) -> Result<SampleOptions> {
        let seeds = |text: &Option<String>| text.as_deref().map(parse_seeds).transpose();
        let given = seeds(&self.seeds)?;
        let default = if self.walk { "walk.gif" } else { "samples.png" };
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(default));
        let form = self.form(Destination::of(&out, self.walk)?, &out)?;
        let is_walk = matches!(form, SampleForm::Walk { .. });
        if is_walk && given.as_ref().is_some_and(|seeds| seeds.len() < 2) {
            let given = self.seeds.unwrap_or_default();
            return Err(Error::usage(
                format!("a walk needs two seeds, but --seeds is {given}"),
                "use --seeds 0-3 or more",
            ));
        }
        let start = match (seeds(&self.mean)?, self.z) {
            (Some(mean), _) => Start::Mean(mean),
            (None, Some(file)) => Start::File(file),
            (None, None) => Start::Seeds(given),
        };
        Ok(SampleOptions {
            checkpoint: self.checkpoint,
            start,
            add: seeds(&self.add)?.unwrap_or_default(),
            subtract: seeds(&self.subtract)?.unwrap_or_default(),
            classes: self.classes.as_deref().map_or_else(Vec::new, list),
            out,
            form,
            scale: self.scale,
            adapter: self.adapter.chosen(),
            raw: self.raw,
        })
    }

    /// What to write into a file of this kind; refuses what belongs to others.
    fn form(&self, kind: Destination, out: &Path) -> Result<SampleForm> {
        let belongs = |given: bool, flag: &str, to: &str, name: &str| match given {
            true => Err(Error::usage(
                format!("{flag} is for a {to}, but --out is {}", out.display()),
                format!("use --out {name}, or leave {flag} out"),
            )),
            false => Ok(()),
        };
        if !matches!(kind, Destination::Walk(_)) {
            belongs(self.walk, "--walk", "walk", "walk.gif")?;
            belongs(self.frames.is_some(), "--frames", "walk", "walk.gif")?;
            belongs(self.fps.is_some(), "--fps", "walk", "walk.gif")?;
        }
        if !matches!(kind, Destination::Png) {
            belongs(self.columns.is_some(), "--columns", "grid", "grid.png")?;
            belongs(self.frame, "--frame", "single image", "one.png")?;
        }
        let fps = self.fps.unwrap_or(FRAME_RATE);
        if !(0.1..=240.0).contains(&fps) {
            return Err(Error::usage(
                format!("--fps {fps} is not allowed"),
                "use a number from 0.1 to 240",
            ));
        }
        Ok(match kind {
            Destination::Png => SampleForm::Grid {
                columns: self.columns.map(|columns| columns as usize),
                frame: self.frame,
            },
            Destination::Folder => SampleForm::Folder,
            Destination::Latents => SampleForm::Latents,
            Destination::Walk(format) => SampleForm::Walk {
                frames: self.frames.unwrap_or(16) as usize,
                fps,
                format,
            },
        })
    }
}

/// The parts of a list with commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// What the name of an output says it is.
enum Destination {
    Png,
    Folder,
    Latents,
    Walk(Animation),
}

impl Destination {
    /// Where a walk is asked for, a PNG is an animated one.
    fn of(out: &Path, walk: bool) -> Result<Self> {
        let is_folder = out.is_dir() || out.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        let extension = out.extension().map(|e| e.to_ascii_lowercase());
        Ok(match extension.as_ref().and_then(|e| e.to_str()) {
            _ if is_folder => Self::Folder,
            None if extension.is_none() => Self::Folder,
            Some("png") if walk => Self::Walk(Animation::Apng),
            Some("png") => Self::Png,
            Some("gif") => Self::Walk(Animation::Gif),
            Some("apng") => Self::Walk(Animation::Apng),
            Some("mp4") => Self::Walk(Animation::Mp4),
            Some("safetensors") => Self::Latents,
            _ => {
                return Err(Error::usage(
                    format!("--out {} is not a known kind of file", out.display()),
                    "use a name that ends in .png, .gif, .apng, .mp4, .safetensors or /",
                ));
            }
        })
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
                "use numbers and rising ranges, such as 0-63,70",
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
                "sample them in several runs",
            ));
        }
        seeds.extend(first..=last);
    }
    Ok(seeds)
}
