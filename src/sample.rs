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

/// Images where no seeds are given, and of each class where there are several.
const SHOWN: u64 = 64;
const SHOWN_OF_EACH: u64 = 8;

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
    let classes = chosen(&options.classes, sampler.classes(), &path)?;
    let several = classes.len() > 1;
    let seeds = options.seeds.clone().unwrap_or_else(|| {
        let count = if several { SHOWN_OF_EACH } else { SHOWN };
        (0..count).collect()
    });
    let rows = classes.len().max(1);
    let of_each = |count: usize| classes.iter().flat_map(move |&class| vec![class; count]);
    let asked = match options.form {
        SampleForm::Walk { frames } => {
            let latents = sampler.latents(&seeds)?;
            let length = latents.len() / seeds.len().max(1);
            let ends: Vec<Vec<f32>> = latents.chunks(length).map(<[f32]>::to_vec).collect();
            let path = walk(&ends, frames);
            let count = path.len();
            let (input, z) = (sampler.first_input(), path.concat().repeat(rows));
            Asked {
                classes: of_each(count).collect(),
                ..Asked::given(input, z, count * rows)
            }
        }
        SampleForm::Grid { .. } | SampleForm::Folder => Asked {
            classes: of_each(seeds.len()).collect(),
            ..Asked::seeds(seeds.repeat(rows))
        },
    };
    let images = sampler.show(&asked)?;
    let one = c * h * w;
    let count = images.len() / one;

    match options.form {
        SampleForm::Grid { columns } => {
            let columns = columns.unwrap_or(match several {
                true => seeds.len(),
                false => (count as f64).sqrt().ceil() as usize,
            });
            figures::save_png(
                figures::grid(&images, [count, c, h, w], columns)?,
                &options.out,
            )?;
        }
        SampleForm::Folder => {
            fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
            for (index, seed) in asked.seeds.iter().enumerate() {
                let image = figures::single(&images, [count, c, h, w], index)?;
                let class = asked.classes.get(index);
                let class = class.map_or_else(String::new, |class| format!("class{class}-"));
                let name = format!("{class}seed{seed:04}.png");
                figures::save_png(image, &options.out.join(name))?;
            }
        }
        SampleForm::Walk { .. } => {
            let frames = count / rows;
            let frames = (0..frames)
                .map(|frame| {
                    let of_frame = images.chunks(one).skip(frame).step_by(frames);
                    let side_by_side: Vec<f32> = of_frame.flatten().copied().collect();
                    figures::grid(&side_by_side, [rows, c, h, w], rows)
                })
                .collect::<Result<Vec<_>>>()?;
            figures::save_gif(&frames, &options.out, FRAME_RATE)?;
        }
    }
    gpu.save_pipeline_cache();
    crate::console::print(&format!(
        "{} images of {} -> {}\n",
        count,
        path.display(),
        options.out.display()
    ))
}

/// The numbers of the classes asked for, all of them where none are; nothing where
/// the model makes images of no class.
fn chosen(asked: &[String], classes: &[String], path: &Path) -> Result<Vec<usize>> {
    if asked.is_empty() {
        return Ok((0..classes.len()).collect());
    }
    if classes.is_empty() {
        return Err(Error::usage(
            format!("{} makes images of no class", path.display()),
            "leave --class out, or train with `gpugan train --cond`",
        ));
    }
    let number = |text: &String| {
        let named = classes
            .iter()
            .position(|class| class.eq_ignore_ascii_case(text));
        let numbered = || text.parse().ok().filter(|&number| number < classes.len());
        named.or_else(numbered).ok_or_else(|| {
            let last = classes.len() - 1;
            Error::usage(
                format!("--class: there is no class {text}"),
                format!("use 0 to {last}, or {}", classes.join(", ")),
            )
        })
    };
    asked.iter().map(number).collect()
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
