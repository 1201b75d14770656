//! A trained model that makes images of images: read from a file, and on a device for
//! images of any size that its networks take.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::published;
use crate::config::Config;
use crate::data::Reading;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::run::capacity::{self, Limits};
use crate::run::shown::Asked;
use crate::run::state;
use crate::run::tiles::{self, spans};
use crate::run::viewer::{self, CHECKPOINT_MEND, Planned, Viewer};
use crate::sample;
use crate::store::checkpoint::Checkpoint;
use crate::systems::{self, AnySize, Given, System, Translation, View, Weights};

/// Channels of images where neither file nor preset says.
const COLOURED: usize = 3;

/// Sizes of images whose programs are kept.
const KEPT: usize = 4;

/// Bytes that a part of an image may take on adapters that do not tell their memory.
const UNTOLD: u64 = 2 << 30;

/// Where nothing else about an image can be changed.
const NO_MEND: &str = "make the model smaller, or use another adapter";

/// A model as a file has it.
pub struct Trained {
    /// What it was trained with.
    pub config: Config,
    path: PathBuf,
    file: Checkpoint,
    system: Arc<dyn System>,
    view: View,
    of: Translation,
    weights: Weights,
}

impl Trained {
    /// Reads a checkpoint, or the newest of a run folder, whose view of this name makes
    /// images of images; the first such view where none is named. A file that does not
    /// say what it is holds the network of that view, by the names of
    /// pytorch-CycleGAN-and-pix2pix, as `preset` has it. The weights are the averaged
    /// ones unless there are none or the `raw` ones are asked for.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that cannot be read or is of another model, for a
    /// system that makes no images of images and a direction that it does not have.
    pub fn open(
        path: &Path,
        preset: Option<&Config>,
        direction: Option<&str>,
        raw: bool,
    ) -> Result<Self> {
        let (path, mut file) = sample::load(path)?;
        let (config, system) = match (state::is_described(&file), preset) {
            (true, None) => {
                let (config, about) = state::description(&file, &path)?;
                let system = state::system_of(&config, &about)?;
                (config, system)
            }
            (true, Some(_)) => {
                return Err(Error::usage(
                    format!("{} already says what model it is", path.display()),
                    "leave --preset and --set out",
                ));
            }
            (false, Some(config)) => (config.clone(), presumed(config)?),
            (false, None) => {
                return Err(Error::usage(
                    format!("{} does not say what model it is", path.display()),
                    "give a checkpoint of a run, or say what it is with --preset (docs/apply.md)",
                ));
            }
        };
        let view = chosen(&*system, &config, direction, &path)?;
        let of = view
            .translation()
            .ok_or_else(|| Error::shape("apply", "the view does not turn images into images"))?;
        if !state::is_described(&file) {
            file = published::adopted(&config, &*system, &view, file, &path)?;
        }
        Ok(Self {
            weights: viewer::weights(&*system, &file, raw)?,
            config,
            path,
            file,
            system,
            view,
            of,
        })
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `[C, H, W]` of what it takes and gives; where it takes any size, at the size
    /// that it was trained at.
    pub fn of(&self) -> &Translation {
        &self.of
    }

    /// Which sizes it takes; none where that is only one.
    pub fn any_size(&self) -> Option<AnySize> {
        self.view.any_size
    }

    /// How many times an output is larger than its input.
    pub fn scale(&self) -> usize {
        (self.of.to[1] / self.of.from[1].max(1)).max(1)
    }

    /// How pictures were read for its training, of any layout.
    ///
    /// # Errors
    /// [`Error::Usage`] for a background that is no colour.
    pub fn reading(&self) -> Result<Reading> {
        self.config.data.reading()
    }
}

/// The system of a configuration, as far as that can be told without data.
pub(super) fn presumed(config: &Config) -> Result<Arc<dyn System>> {
    let channels = config.data.channels.unwrap_or(COLOURED);
    systems::open(config, &Given::presumed(config, channels))
}

/// The view of this name that makes images of images, or the first.
fn chosen(
    system: &dyn System,
    config: &Config,
    direction: Option<&str>,
    path: &Path,
) -> Result<View> {
    let mut views = system.views();
    views.retain(|view| view.translation().is_some());
    let names: Vec<&str> = views.iter().map(|view| view.name).collect();
    let index = match direction {
        _ if names.is_empty() => {
            return Err(Error::usage(
                format!(
                    "{} holds a model ({}) that does not turn images into images",
                    path.display(),
                    config.system()
                ),
                "give a checkpoint of one that does, such as --preset vae, or use `gpugan sample`",
            ));
        }
        None => 0,
        Some(name) => names
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| {
                Error::usage(
                    format!("{} has no direction {name}", path.display()),
                    match &names[..] {
                        [_] => "leave --direction out: there is only one".to_owned(),
                        _ => format!("use --direction {}", names.join(" or ")),
                    },
                )
            })?,
    };
    Ok(views.swap_remove(index))
}

/// A model on a device.
pub struct Model {
    gpu: Gpu,
    trained: Trained,
    /// Pixels of a side of a part, at most.
    tile: Option<usize>,
    /// The size of the parts that images of a size are computed in.
    parts: HashMap<[usize; 2], [usize; 2]>,
    viewers: Vec<([usize; 2], Viewer)>,
}

/// Images that a model made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Planes, row-major, in [-1, 1].
    pub values: Vec<f32>,
    /// `[C, H, W]`.
    pub shape: [usize; 3],
}

impl Model {
    /// A model that computes images as a whole where they fit, and else, where its
    /// networks allow it, in overlapping parts, whose sides have `tile` pixels at most.
    pub fn new(gpu: &Gpu, trained: Trained, tile: Option<usize>) -> Self {
        Self {
            gpu: gpu.clone(),
            trained,
            tile,
            parts: HashMap::new(),
            viewers: Vec::new(),
        }
    }

    /// The model as its file has it.
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// What it makes of an image, of planes `[C, H, W]` in [-1, 1] with the channels
    /// that it takes and the size `[height, width]`. What it draws follows from the
    /// seed.
    ///
    /// # Errors
    /// [`Error::Usage`] where the image does not fit the adapter, with the largest that
    /// does; [`Error::Shape`] for a size that it does not take; errors of the device.
    pub fn image(&mut self, planes: &[f32], size: [usize; 2], seed: u64) -> Result<Made> {
        let Translation { from, to, .. } = self.trained.of;
        if planes.len() != from[0] * size[0] * size[1] {
            return Err(Error::shape(
                "apply",
                format!(
                    "{} values are no {} planes of {size:?}",
                    planes.len(),
                    from[0]
                ),
            ));
        }
        let Some(any) = self.trained.view.any_size else {
            if size != from[1..] {
                return Err(Error::shape(
                    "apply",
                    format!("this model only takes images of {:?}", &from[1..]),
                ));
            }
            let values = self.whole(planes.to_vec(), size, seed)?;
            return Ok(Made { values, shape: to });
        };
        let scale = self.trained.scale();
        let padded = any.fitting(size);
        let continued = tiles::extended(planes, size, padded);
        let part = self.part(any, padded)?;
        let larger = |size: [usize; 2]| size.map(|side| side * scale);
        let made = if part == padded {
            self.whole(continued, padded, seed)?
        } else {
            let mut made = vec![0.0; to[0] * larger(padded).iter().product::<usize>()];
            let margin = margin(any);
            for down in spans(padded[0], part[0], margin) {
                for across in spans(padded[1], part[1], margin) {
                    let cut = tiles::cut(&continued, padded, [down.start, across.start], part);
                    let of_part = self.whole(cut, part, seed)?;
                    let spans = [&down.times(scale), &across.times(scale)];
                    tiles::put(&mut made, larger(padded), &of_part, larger(part), spans);
                }
            }
            made
        };
        let [height, width] = larger(size);
        Ok(Made {
            values: tiles::cut(&made, larger(padded), [0, 0], [height, width]),
            shape: [to[0], height, width],
        })
    }

    /// The output for an input of a size that the networks take.
    fn whole(&mut self, planes: Vec<f32>, size: [usize; 2], seed: u64) -> Result<Vec<f32>> {
        let input = self.trained.of.input;
        let asked = Asked {
            seeds: vec![seed],
            given: vec![(input, planes)],
            classes: Vec::new(),
        };
        self.viewer(size)?.show(&asked)
    }

    fn viewer(&mut self, size: [usize; 2]) -> Result<&mut Viewer> {
        let known = self.viewers.iter().position(|(known, _)| *known == size);
        let index = match known {
            Some(index) => index,
            None => {
                if self.viewers.len() == KEPT {
                    self.viewers.remove(0);
                }
                let mut planned = self.planned(&Limits::of(&self.gpu.facts), size)?;
                if planned.is_err() {
                    // What others take may be what is missing.
                    self.viewers.clear();
                    planned = self.planned(&Limits::of(&self.gpu.facts), size)?;
                }
                let planned = planned.map_err(|reason| self.too_large(size, &reason, NO_MEND))?;
                let Trained { file, path, .. } = &self.trained;
                let viewer = planned.load(&self.gpu, (file, path), CHECKPOINT_MEND)?;
                self.viewers.push((size, viewer));
                self.viewers.len() - 1
            }
        };
        Ok(&mut self.viewers[index].1)
    }

    /// The program for images of a size, or what of the limits it exceeds.
    fn planned(&self, limits: &Limits, size: [usize; 2]) -> Result<Result<Planned, String>> {
        let Trained {
            system,
            view,
            weights,
            ..
        } = &self.trained;
        let view = view.at(size).unwrap_or_else(|| view.clone());
        Planned::new((&self.gpu.facts, limits), &**system, view, 1, *weights)
    }

    fn too_large(&self, [height, width]: [usize; 2], reason: &str, mend: &str) -> Error {
        let name = &self.gpu.facts.name;
        Error::usage(
            format!("{width}x{height} pixels do not fit {name}: {reason}"),
            mend,
        )
    }

    /// The size of the parts that an image is computed in: its own where that fits.
    fn part(&mut self, any: AnySize, size: [usize; 2]) -> Result<[usize; 2]> {
        if let Some(part) = self.parts.get(&size) {
            return Ok(*part);
        }
        let mut limits = Limits::of(&self.gpu.facts);
        let mut part = size;
        if any.reach.is_some() {
            limits.total.get_or_insert(UNTOLD);
            let least = (2 * margin(any) + any.multiple).max(any.least);
            let most = self.tile.unwrap_or(usize::MAX).max(least);
            let most = most - most % any.multiple;
            part = size.map(|side| side.min(most));
            while let Err(reason) = self.planned(&limits, part)? {
                let longer = usize::from(part[1] > part[0]);
                let half = (part[longer] / 2).next_multiple_of(any.multiple).max(least);
                if half >= part[longer] {
                    return Err(self.too_large(part, &reason, NO_MEND));
                }
                part[longer] = half;
            }
        } else if let Err(reason) = self.planned(&limits, size)? {
            const STEPS: usize = 64;
            let at = |step: usize| any.fitting(size.map(|side| side * step / STEPS));
            let fits = |step| Ok(self.planned(&limits, at(step))?.is_ok());
            let mend = match capacity::largest(STEPS, fits) {
                (0, _) => NO_MEND.to_owned(),
                (step, _) => {
                    let [height, width] = at(step);
                    format!(
                        "this model cannot take images in parts: make it {width}x{height} or smaller"
                    )
                }
            };
            return Err(self.too_large(size, &reason, &mend));
        }
        self.parts.insert(size, part);
        Ok(part)
    }
}

/// What a part has more at each of its ends than is kept of it.
fn margin(any: AnySize) -> usize {
    any.reach.unwrap_or(0).next_multiple_of(any.multiple)
}
