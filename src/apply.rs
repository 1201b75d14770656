//! `gpugan apply`: what a trained model makes of images.

use std::path::Path;

use crate::config::options::ApplyOptions;
use crate::data::{Dataset, normalized};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::media::figures;
use crate::run::state;
use crate::run::viewer::{self, CHECKPOINT_MEND, Viewer};
use crate::sample;
use crate::systems::{System, View};

/// Images of one pass.
const PASS: usize = 64;

/// Pairs in a row of the sheet.
const COLUMNS: usize = 8;

/// Applies a model as asked: writes a sheet with a row of inputs above each row of
/// outputs, or a folder of outputs.
///
/// # Errors
/// [`Error::Usage`] for a checkpoint of a system that takes no images and for images
/// that cannot be read; errors of the device and of writing.
pub fn run(options: &ApplyOptions) -> Result<()> {
    let (path, checkpoint) = sample::load(&options.checkpoint)?;
    let (config, about) = state::description(&checkpoint, &path)?;
    let system = state::system_of(&config, &about)?;
    let view = of_images(&*system).ok_or_else(|| {
        Error::usage(
            format!(
                "{} is of a system ({}) that makes no images of images",
                path.display(),
                config.system()
            ),
            "give a checkpoint of one that does, as of --preset vae, or use `gpugan sample`",
        )
    })?;
    let size = config.data.size;
    let data = Dataset::open(
        &options.input,
        size.height,
        size.width,
        Some(about.channels),
    )?;
    let items = 0..data.len().min(options.count);
    let decoded = items.filter_map(|item| data.decode(item).ok());
    let inputs: Vec<f32> = decoded.flatten().map(normalized).collect();
    let shape = [about.channels, size.height, size.width];
    let count = inputs.len() / shape.iter().product::<usize>();
    if count == 0 {
        return Err(Error::usage(
            format!("no image of {} can be read", options.input),
            "give a folder of pictures, IDX files or the name of a data set",
        ));
    }
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    let averaged = viewer::averaged(&*system, &checkpoint, options.raw)?;
    let file = (&checkpoint, path.as_path());
    let view = (view.name, PASS);
    let mut viewer = Viewer::new(&gpu, &*system, view, averaged, file, CHECKPOINT_MEND)?;
    let outputs = viewer.look_at(&inputs)?;
    let outputs = viewer.to_unit(outputs)?;
    let made = viewer.image().unwrap_or(shape);
    if options
        .out
        .extension()
        .is_some_and(|ending| ending == "png")
    {
        sheet((&inputs, shape), (&outputs, made), &options.out)?;
    } else {
        folder(&outputs, made, &options.out)?;
    }
    gpu.save_pipeline_cache();
    crate::console::print(&format!(
        "{count} images of {} through {} -> {}\n",
        options.input,
        path.display(),
        options.out.display()
    ))
}

/// The first view that makes images of images.
fn of_images(system: &dyn System) -> Option<View> {
    let mut views = system.views().into_iter();
    views.find(|view| view.translation().is_some())
}

/// Rows of inputs, each above the row of what became of them.
fn sheet(
    (inputs, shape): (&[f32], [usize; 3]),
    (outputs, made): (&[f32], [usize; 3]),
    path: &Path,
) -> Result<()> {
    if shape != made {
        return Err(Error::usage(
            format!("inputs of {shape:?} and outputs of {made:?} share no sheet"),
            "give a folder with --out, as --out outputs/",
        ));
    }
    let one: usize = shape.iter().product();
    let mut images = Vec::with_capacity(2 * inputs.len());
    for (above, below) in inputs
        .chunks(COLUMNS * one)
        .zip(outputs.chunks(COLUMNS * one))
    {
        for row in [above, below] {
            images.extend_from_slice(row);
            // A short last row is filled with black.
            images.resize(images.len().next_multiple_of(COLUMNS * one), -1.0);
        }
    }
    let [c, h, w] = shape;
    let grid = figures::grid(&images, [images.len() / one, c, h, w], COLUMNS)?;
    figures::save_png(grid, path)
}

/// A PNG for each output, numbered.
fn folder(outputs: &[f32], [c, h, w]: [usize; 3], path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
    let count = outputs.len() / (c * h * w);
    for index in 0..count {
        let image = figures::single(outputs, [count, c, h, w], index)?;
        figures::save_png(image, &path.join(format!("{index:05}.png")))?;
    }
    Ok(())
}
