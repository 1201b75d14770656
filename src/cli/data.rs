//! `gpugan data`: what a set holds, and what a network would see of it.

use std::path::PathBuf;

use super::group;
use crate::config::{Override, assignment};
use crate::data::{Dataset, normalized};
use crate::error::{Error, Result};
use crate::media::figures;
use crate::systems::presets;

/// Images of a row of the sheet.
const COLUMNS: usize = 8;

/// Arguments of `gpugan data`.
#[derive(Debug, clap::Parser)]
pub struct DataArgs {
    /// Folder, archive or files of images (docs/data.md), or a built-in set: fashion (28x28
    /// garments), digits (8x8), emoji (pairs of two styles)
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Preset to take the image size and the other data keys from
    #[arg(long, help_heading = group::DATA, value_name = "NAME", default_value = presets::DEFAULT)]
    preset: String,
    /// Set a data key, such as data.size=64 or data.fit=pad; may be repeated
    #[arg(long = "set", help_heading = group::DATA, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Picture to write
    #[arg(long, help_heading = group::OUTPUT, value_name = "FILE", default_value = "data.png")]
    out: PathBuf,
    /// Images in the picture, spread evenly over the set
    #[arg(long, help_heading = group::OUTPUT, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: u32,
}
/// Describes the set and draws a sheet of its images as a network sees them.
///
/// # Errors
/// Those of reading the data, [`Error::Usage`] for a key that is not one of the
/// data, and [`Error::Io`] where the picture cannot be written.
pub fn run(args: &DataArgs) -> Result<()> {
    let mut changes = vec![Override::new("data.source", args.source.as_str())];
    for text in &args.set {
        if !text.trim_start().starts_with("data.") {
            return Err(Error::usage(
                format!("--set {text} is not a data key"),
                "use data.size, data.channels, data.fit, data.background, data.layout or another data key of `gpugan presets dcgan28`",
            ));
        }
        changes.push(assignment(text)?);
    }
    let config = presets::load(&args.preset)?.with(changes)?;
    let dataset = config.data.reading()?.open(&config.data.source)?;
    let dataset = dataset.stacked(config.data.stack)?;
    let (sheet, count) = sheet(&dataset, args.count as usize)?;
    figures::save_png(sheet, &args.out)?;
    let mut lines = vec![dataset.describe()];
    lines.extend(dataset.found());
    lines.extend(dataset.left_out(10));
    lines.push(format!(
        "{count} of them as a network sees them: {}",
        args.out.display()
    ));
    crate::console::print(&(lines.join("\n") + "\n"))
}

/// A grid of `count` images that can be read, with how many they are.
fn sheet(dataset: &Dataset, count: usize) -> Result<(image::RgbImage, usize)> {
    let [c, h, w] = dataset.shape();
    let (pixels, _) = dataset.pixels(dataset.evenly(count));
    dataset.check()?;
    let count = pixels.len() / (c * h * w);
    let images: Vec<f32> = pixels.into_iter().map(normalized).collect();
    let grid = figures::grid(&images, [count, c, h, w], COLUMNS)?;
    Ok((grid, count))
}
