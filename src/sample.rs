//! `gpugan sample`: images of a trained generator.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::options::{SampleForm, SampleOptions};
use crate::config::{Config, Output};
use crate::error::{Error, Result};
use crate::gan::{self, latent};
use crate::gpu::{Gpu, Selector};
use crate::models::Model;
use crate::train::checkpoint::{Checkpoint, newest_readable};
use crate::train::stored::{CHECKPOINT_MEND, Stored};
use crate::train::{figures, state};

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
    let (config, channels) = state::description(&checkpoint, &path)?;
    let prefix = prefix(&checkpoint, options.raw);
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    let model = Model::new(&config, channels);
    let [c, h, w] = model.image();

    let ends: Vec<Vec<f32>> = options
        .seeds
        .iter()
        .map(|&seed| latent::of_seed(config.model.latent_distribution, model.latent(), seed))
        .collect();
    let z = match options.form {
        SampleForm::Walk { frames } => walk(&ends, frames),
        SampleForm::Grid { .. } | SampleForm::Folder => ends,
    };
    let mut sampler = Sampler::new(&gpu, &config, &model, prefix, &checkpoint, &path)?;
    let images = sampler.sample(&z.concat())?;

    let one = c * h * w;
    match options.form {
        SampleForm::Grid { columns } => {
            figures::save_png(
                figures::grid(&images, [z.len(), c, h, w], columns)?,
                &options.out,
            )?;
        }
        SampleForm::Folder => {
            fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
            for (index, seed) in options.seeds.iter().enumerate() {
                let image = figures::single(&images, [z.len(), c, h, w], index)?;
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
        z.len(),
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

/// The generator to sample: the averaged one, unless there is none or the `raw`
/// one is asked for.
pub(crate) fn prefix(checkpoint: &Checkpoint, raw: bool) -> &'static str {
    let mut names = checkpoint.tensors.keys();
    if !raw && names.any(|name| name.starts_with("G_ema.")) {
        "G_ema"
    } else {
        "G"
    }
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

/// A generator in evaluation, ready to run.
pub(crate) struct Sampler {
    generator: Stored,
    output: Output,
}

impl Sampler {
    /// Loads the weights named `<prefix>.` of a checkpoint.
    pub(crate) fn new(
        gpu: &Gpu,
        config: &Config,
        model: &Model,
        prefix: &str,
        checkpoint: &Checkpoint,
        path: &Path,
    ) -> Result<Self> {
        let program = gan::sampling(model, prefix, PASS)?;
        Ok(Self {
            generator: Stored::new(gpu, &program, checkpoint, path, CHECKPOINT_MEND)?,
            output: config.model.output,
        })
    }

    /// Images in [-1, 1], row-major, of latents `[count, latent]`.
    pub(crate) fn sample(&mut self, z: &[f32]) -> Result<Vec<f32>> {
        let [images] = self.generator.run(("sample.z", z), ["sample.images"])?;
        Ok(self.output.to_unit(&images))
    }
}
