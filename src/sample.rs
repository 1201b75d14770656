//! `gpugan sample`: images of a trained generator.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::options::{SampleForm, SampleOptions};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::media::figures;
use crate::run::shown::Asked;
use crate::run::state;
use crate::run::viewer::{self, CHECKPOINT_MEND, Viewer};
use crate::store::checkpoint::{Checkpoint, newest_readable};

/// Images of one pass.
const PASS: usize = 64;

/// Frames a second of a walk.
const FRAME_RATE: f64 = 12.0;

/// Makes images as asked.
///
/// # Errors
/// [`Error::Usage`] for a file that is no checkpoint of this program; errors of
/// the device and of writing.
pub fn run(options: &SampleOptions) -> Result<()> {
    let (path, checkpoint) = load(&options.checkpoint)?;
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    let mut sampler = open(&gpu, (&checkpoint, &path), options.raw)?;
    let [c, h, w] = sampler.image().ok_or_else(|| {
        Error::usage(
            format!("{} makes no images", path.display()),
            "give a checkpoint of a generator of images",
        )
    })?;
    let seeds = Asked::seeds(options.seeds.iter().copied());
    let images = match options.form {
        SampleForm::Walk { frames } => {
            let latents = sampler.latents(&options.seeds)?;
            let length = latents.len() / options.seeds.len().max(1);
            let ends: Vec<Vec<f32>> = latents.chunks(length).map(<[f32]>::to_vec).collect();
            let z = walk(&ends, frames).concat();
            let outputs = sampler.look_at(&z)?;
            sampler.to_unit(outputs)
        }
        SampleForm::Grid { .. } | SampleForm::Folder => sampler.show(&seeds)?,
    };
    let count = images.len() / (c * h * w);

    let one = c * h * w;
    match options.form {
        SampleForm::Grid { columns } => {
            figures::save_png(
                figures::grid(&images, [count, c, h, w], columns)?,
                &options.out,
            )?;
        }
        SampleForm::Folder => {
            fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
            for (index, seed) in options.seeds.iter().enumerate() {
                let image = figures::single(&images, [count, c, h, w], index)?;
                figures::save_png(image, &options.out.join(format!("seed{seed:04}.png")))?;
            }
        }
        SampleForm::Walk { .. } => {
            let frames = images
                .chunks(one)
                .map(|image| figures::grid(image, [1, c, h, w], 1))
                .collect::<Result<Vec<_>>>()?;
            figures::save_gif(&frames, &options.out, FRAME_RATE)?;
        }
    }
    gpu.save_pipeline_cache()?;
    crate::console::print(&format!(
        "{} images of {} -> {}\n",
        count,
        path.display(),
        options.out.display()
    ))
}

/// A checkpoint file, or the newest readable one of a run folder.
pub(crate) fn load(path: &Path) -> Result<(PathBuf, Checkpoint)> {
    if !path.is_dir() {
        return Ok((path.to_owned(), Checkpoint::load(path)?));
    }
    newest_readable(path, |_| {}).ok_or_else(|| {
        Error::usage(
            format!("no readable checkpoint in {}", path.display()),
            "give a checkpoint-*.safetensors or a run folder",
        )
    })
}

/// What a checkpoint's system shows first, with averaged weights unless there are
/// none or the `raw` ones are asked for.
pub(crate) fn open(
    gpu: &Gpu,
    (checkpoint, path): (&Checkpoint, &Path),
    raw: bool,
) -> Result<Viewer> {
    let (config, about) = state::description(checkpoint, path)?;
    let system = state::system_of(&config, &about)?;
    let views = system.views();
    let view = views.first().ok_or_else(|| {
        Error::usage(
            format!("{} has nothing to show", path.display()),
            "give a checkpoint of a generator",
        )
    })?;
    let averaged = viewer::averaged(&*system, checkpoint, raw)?;
    let view = (view.name, PASS);
    Viewer::new(
        gpu,
        &*system,
        view,
        averaged,
        (checkpoint, path),
        CHECKPOINT_MEND,
    )
}

/// Latents from each of `ends` to the next and back to the first, `frames`
/// from one to the next, on great circles: straight lines would pass through
/// vectors far shorter than the generator has seen (White 2016, section 2).
fn walk(ends: &[Vec<f32>], frames: usize) -> Vec<Vec<f32>> {
    let mut path = Vec::with_capacity(ends.len() * frames);
    for (index, from) in ends.iter().enumerate() {
        let to = &ends[(index + 1) % ends.len()];
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        let dot: f32 = from.iter().zip(to).map(|(a, b)| a * b).sum();
        let angle = (dot / (length(from) * length(to))).clamp(-1.0, 1.0).acos();
        for frame in 0..frames {
            let t = frame as f32 / frames as f32;
            let (a, b) = if angle.sin() < 1e-4 {
                (1.0 - t, t)
            } else {
                (
                    ((1.0 - t) * angle).sin() / angle.sin(),
                    (t * angle).sin() / angle.sin(),
                )
            };
            path.push(from.iter().zip(to).map(|(x, y)| a * x + b * y).collect());
        }
    }
    path
}
