//! `gpugan data`: what a set holds, and what a network would see of it.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::group;
use crate::config::{Override, assignment};
use crate::data::{Sides, Streams, is_embedded};
use crate::error::{Error, Result};
use crate::media::figures;
use crate::media::sheet::{self, Column, Shelves};
use crate::store::place::place;
use crate::systems::presets;

/// Images of a row of the sheet, or pairs.
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
    /// Images in the picture, of each side if there are two, spread evenly over the set
    #[arg(long, help_heading = group::OUTPUT, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: u32,
}
/// Describes the set and draws a sheet of its images as a network sees them.
///
/// # Errors
/// Those of reading the data, [`Error::Usage`] for a key that is not one of the
/// data and for a picture that would lie in it, and [`Error::Io`] where it cannot be
/// written.
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
    lies_outside(&args.source, &args.out)?;
    let data = presets::load(&args.preset)?.with(changes)?.data;
    let streams = Streams::open(&data.reading()?, &data.source, data.stack)?;
    let (sheet, shown) = sheet(&streams, args.count as usize)?;
    figures::save_png(sheet, &args.out)?;
    let mut lines = vec![streams.describe()];
    lines.extend(streams.found());
    lines.extend(streams.left_out(10));
    let out = args.out.display();
    lines.push(format!("{shown} as a network sees them: {out}"));
    crate::console::print(&(lines.join("\n") + "\n"))
}

/// That a picture does not become one of the set, which the next training would learn.
fn lies_outside(source: &str, out: &Path) -> Result<()> {
    if is_embedded(source) || !place(out).starts_with(place(Path::new(source))) {
        return Ok(());
    }
    Err(Error::usage(
        format!("--out {} lies in the data {source}", out.display()),
        "give another place with --out",
    ))
}

/// A grid of `count` images of each side that can be read, beside their inputs where they
/// have some, with what it shows.
fn sheet(streams: &Streams, count: usize) -> Result<(RgbImage, String)> {
    let mut grids = Shelves::default();
    let mut counts = Vec::new();
    for set in streams.sets() {
        let records = set.spread(count);
        set.check()?;
        if records.count == 0 {
            return Err(Error::usage(
                format!("no image in {} can be read", set.name()),
                "give other data",
            ));
        }
        let inputs = set.input_shape().map(|shape| Column {
            values: &records.inputs,
            shape,
        });
        let images = Column {
            values: &records.images,
            shape: set.shape(),
        };
        let columns: Vec<Column<'_>> = inputs.into_iter().chain([images]).collect();
        grids.add(sheet::sheet(&columns, COLUMNS)?);
        counts.push(records.count);
    }
    let shown = match (&counts[..], streams.sides()) {
        ([images, inputs], _) => format!("{images} images and {inputs} inputs"),
        (_, Sides::Paired(_)) => format!("{} of them, inputs beside images,", counts[0]),
        _ => format!("{} of them", counts[0]),
    };
    Ok((grids.picture(), shown))
}
