//! `gpugan sample`: images of a trained generator.

mod latents;

use std::fs;
use std::path::{Path, PathBuf};

use image::DynamicImage;

use crate::config::options::{SampleForm, SampleOptions, Start};
use crate::console::counted;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::media::{animation, figures};
use crate::run::progress::Progress;
use crate::run::shown::Asked;
use crate::run::state;
use crate::run::viewer::{self, CHECKPOINT_MEND, Viewer};
use crate::store::checkpoint::{Checkpoint, newest_readable};
use crate::systems::{System, Weights};

/// Images of one pass.
const PASS: usize = 64;

/// Images where no seeds are given, and of each class where there are several.
const SHOWN: u64 = 64;
const SHOWN_OF_EACH: u64 = 8;

/// Makes images as asked.
///
/// # Errors
/// [`Error::Usage`] for a file that is no checkpoint of this program; errors of
/// the device and of writing.
pub fn run(options: &SampleOptions) -> Result<()> {
    if let SampleForm::Walk { format, .. } = options.form {
        animation::check(format)?;
    }
    let (path, checkpoint) = load(&options.checkpoint)?;
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    let mut sampler =
        Progress::new(false).waiting(&gpu, || open(&gpu, (&checkpoint, &path), options.raw))?;
    let image = sampler.image().ok_or_else(|| {
        Error::usage(
            format!("{} does not make images", path.display()),
            "give a checkpoint of a generator of images",
        )
    })?;
    let classes = chosen(&options.classes, sampler.classes(), &path)?;
    let (asked, names) = match asked(options, &sampler, &classes)? {
        Wanted::Images(asked, names) => (asked, names),
        Wanted::Latents(latents) => {
            latents::write(&latents, sampler.first_input(), &options.out)?;
            return say(latents.len(), "latent vectors", &path, &options.out);
        }
    };
    let images = sampler.show(&asked)?;
    let made = Made {
        rows: classes.len().max(1),
        images,
        image,
        asked,
        names,
    };
    made.write(options)?;
    gpu.save_pipeline_cache();
    say(made.count(), "images", &path, &options.out)
}

fn say(count: usize, what: &str, from: &Path, out: &Path) -> Result<()> {
    let (from, out) = (from.display(), out.display());
    crate::console::print(&format!("{} of {from} -> {out}\n", counted(count, what)))
}

/// What the options ask for.
enum Wanted {
    /// Records, and the name of each of a class in a folder.
    Images(Asked, Vec<String>),
    Latents(Vec<Vec<f32>>),
}

/// What to make of these classes.
fn asked(options: &SampleOptions, sampler: &Viewer, classes: &[usize]) -> Result<Wanted> {
    let seeds = match &options.start {
        Start::Seeds(Some(seeds)) => seeds.clone(),
        Start::Seeds(None) if classes.len() > 1 => (0..SHOWN_OF_EACH).collect(),
        Start::Seeds(None) => (0..SHOWN).collect(),
        Start::Mean(_) | Start::File(_) => Vec::new(),
    };
    let is_of_seeds = !seeds.is_empty();
    let changed = !is_of_seeds || !options.add.is_empty() || !options.subtract.is_empty();
    let rows = classes.len().max(1);
    let of_each = |count: usize| classes.iter().flat_map(move |&class| vec![class; count]);
    let all = |latents: &[Vec<f32>]| {
        let z = latents.concat().repeat(rows);
        Asked {
            classes: of_each(latents.len()).collect(),
            ..Asked::given(sampler.first_input(), z, latents.len() * rows)
        }
    };
    let names = |count: usize| match is_of_seeds {
        true => seeds.iter().map(|seed| format!("seed{seed:04}")).collect(),
        false => (0..count)
            .map(|index| format!("latent{index:04}"))
            .collect(),
    };
    Ok(match options.form {
        SampleForm::Latents => Wanted::Latents(latents::asked(options, sampler, &seeds)?),
        SampleForm::Walk { frames, .. } => {
            let ends = latents::asked(options, sampler, &seeds)?;
            if ends.len() < 2 {
                return Err(Error::usage(
                    "a walk needs two latent vectors, but one is given",
                    "use --seeds 0-3 or more",
                ));
            }
            Wanted::Images(all(&latents::walk(&ends, frames)), Vec::new())
        }
        SampleForm::Grid { .. } | SampleForm::Folder if changed => {
            let latents = latents::asked(options, sampler, &seeds)?;
            let mut asked = all(&latents);
            if is_of_seeds {
                // What else is drawn follows from them as before.
                asked.seeds = seeds.repeat(rows);
            }
            Wanted::Images(asked, names(latents.len()))
        }
        SampleForm::Grid { .. } | SampleForm::Folder => {
            let asked = Asked {
                classes: of_each(seeds.len()).collect(),
                ..Asked::seeds(seeds.repeat(rows))
            };
            Wanted::Images(asked, names(seeds.len()))
        }
    })
}

/// Images that were made: a row of each class.
struct Made {
    rows: usize,
    images: Vec<f32>,
    /// `[C, H, W]` of one.
    image: [usize; 3],
    asked: Asked,
    /// Of a row.
    names: Vec<String>,
}

impl Made {
    fn count(&self) -> usize {
        self.images.len() / self.image.iter().product::<usize>()
    }

    /// An image of its own.
    fn single(&self, index: usize, scale: Option<u32>) -> Result<DynamicImage> {
        let [c, h, w] = self.image;
        let image = figures::single(&self.images, [self.count(), c, h, w], index)?;
        figures::enlarged(image, scale.unwrap_or(1))
    }

    fn write(&self, options: &SampleOptions) -> Result<()> {
        let (out, scale) = (&options.out, options.scale);
        let ([c, h, w], count) = (self.image, self.count());
        match options.form {
            SampleForm::Grid { frame: false, .. } if count == 1 => {
                figures::save_png(self.single(0, scale)?, out)
            }
            SampleForm::Grid { columns, .. } => {
                let columns = columns.unwrap_or(match self.rows {
                    1 => (count as f64).sqrt().ceil() as usize,
                    rows => count / rows,
                });
                let grid = figures::grid_of(&self.images, [count, c, h, w], columns, scale)?;
                figures::save_png(grid, out)
            }
            SampleForm::Folder => {
                fs::create_dir_all(out).map_err(Error::io("create", out))?;
                let names = self.names.iter().cycle();
                for (index, name) in names.take(count).enumerate() {
                    let class = self.asked.classes.get(index);
                    let class = class.map_or_else(String::new, |class| format!("class{class}-"));
                    let path = out.join(format!("{class}{name}.png"));
                    figures::save_png(self.single(index, scale)?, &path)?;
                }
                Ok(())
            }
            SampleForm::Walk { fps, format, .. } => {
                let (rows, frames) = (self.rows, count / self.rows);
                let frame = |frame| {
                    let images = self.images.chunks(c * h * w).skip(frame).step_by(frames);
                    let side_by_side: Vec<f32> = images.flatten().copied().collect();
                    figures::grid_of(&side_by_side, [rows, c, h, w], rows, scale)
                };
                let frames = (0..frames).map(frame).collect::<Result<Vec<_>>>()?;
                animation::save(&frames, out, format, fps)
            }
            // They are no images.
            SampleForm::Latents => Ok(()),
        }
    }
}

/// The numbers of the classes asked for, all of them where none are; nothing where
/// the model makes images of no class.
fn chosen(asked: &[String], classes: &[String], path: &Path) -> Result<Vec<usize>> {
    if asked.is_empty() {
        return Ok((0..classes.len()).collect());
    }
    if classes.is_empty() {
        return Err(Error::usage(
            format!("{} does not make images of classes", path.display()),
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
pub(crate) fn open(gpu: &Gpu, file: (&Checkpoint, &Path), raw: bool) -> Result<Viewer> {
    let (config, about) = state::description(file.0, file.1)?;
    let system = state::system_of(&config, &about)?;
    let weights = viewer::weights(&*system, file.0, raw)?;
    with(gpu, &*system, file, weights)
}

/// What a checkpoint's system shows first, with these weights.
pub(crate) fn with(
    gpu: &Gpu,
    system: &dyn System,
    (checkpoint, path): (&Checkpoint, &Path),
    weights: Weights,
) -> Result<Viewer> {
    let views = system.views();
    let view = views.first().ok_or_else(|| {
        Error::usage(
            format!("{} has nothing to show", path.display()),
            "give a checkpoint of a generator",
        )
    })?;
    let view = (view.name, PASS);
    let from = (checkpoint, path);
    Viewer::new(gpu, system, view, weights, from, CHECKPOINT_MEND)
}
