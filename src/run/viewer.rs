//! Stored networks at work: a view of a system with the weights of a file.

use std::path::Path;

use super::blueprint::seen;
use super::capacity::Limits;
use super::finite;
use super::latent;
use super::memory::MemoryPlan;
use super::shown::{self, Asked, Ready};
use crate::error::{Error, Result};
use crate::gpu::{AdapterFacts, Executable, Gpu, Memory};
use crate::graph::{Places, Program, Role};
use crate::plan::Plan;
use crate::recording::{Slice, StepValues};
use crate::store::checkpoint::Checkpoint;
use crate::systems::{Source, System, View, Weights, average_of};

/// What to do about a checkpoint that lacks a tensor.
pub(crate) const CHECKPOINT_MEND: &str = "give a checkpoint that this version wrote";

/// A view with its weights on a device.
pub(crate) struct Viewer {
    program: Loaded,
    view: View,
    /// Records of a replay.
    count: usize,
    classes: Vec<String>,
    /// Names of its running statistics.
    buffers: Vec<String>,
}

/// A program with its memory.
struct Loaded {
    gpu: Gpu,
    memory: Memory,
    places: Places,
    executable: Executable,
}

/// A view of so many records as a program, before there is a device.
pub(crate) struct Planned {
    view: View,
    count: usize,
    classes: Vec<String>,
    program: Program,
    places: Places,
    plan: Plan,
}

impl Planned {
    /// Plans a view for at least `count` records of a pass, with these weights, or tells
    /// what of the limits it exceeds.
    ///
    /// # Errors
    /// Where sizes do not fit together.
    pub(crate) fn new(
        (facts, limits): (&AdapterFacts, &Limits),
        system: &dyn System,
        view: View,
        count: usize,
        weights: Weights,
    ) -> Result<std::result::Result<Self, String>> {
        let count = view.records(count);
        let plan = || {
            let program = seen(system, &system.networks()?, &view, weights, count)?;
            let places = Places::of(&program)?;
            let plan = Plan::new(&program, &places, &facts.kernel_facts())?;
            Ok((program, places, plan))
        };
        let (program, places, plan) = match plan() {
            Err(Error::Size { what }) => return Ok(Err(what)),
            other => other?,
        };
        let memory = MemoryPlan::new(&places, std::iter::once(&plan));
        Ok(match limits.exceeded(&memory) {
            Some(reason) => Err(reason),
            None => Ok(Self {
                view,
                count,
                classes: system.classes().to_vec(),
                program,
                places,
                plan,
            }),
        })
    }

    /// Loads everything that it needs, parameters and running statistics, from a file
    /// that was read from `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] with this mend where the file lacks a tensor; errors of the
    /// device.
    pub(crate) fn load(
        self,
        gpu: &Gpu,
        (file, path): (&Checkpoint, &Path),
        mend: &str,
    ) -> Result<Viewer> {
        let Self {
            program,
            places,
            plan,
            ..
        } = self;
        let used = |name: &str| program.graph.find_state(name).is_some();
        finite::check(file, path, used)?;
        let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
        let memory = Memory::new(gpu, &arenas, &plan.recording.temporaries)?;
        let executable = Executable::new(gpu, &memory, &plan.recording)?;
        let states = program.graph.states().iter();
        for state in states.filter(|s| matches!(s.role, Role::Parameter | Role::Buffer)) {
            match (file.tensors.get(&state.name), places.get(&state.name)) {
                (Some((shape, values)), Some((wanted, slice))) if shape[..] == wanted[..] => {
                    memory.write(slice, values)?;
                }
                _ => {
                    let (path, name) = (path.display(), &state.name);
                    return Err(Error::usage(
                        format!("{path} has no tensor {name} of {}", state.shape),
                        mend,
                    ));
                }
            }
        }
        let states = program.graph.states().iter();
        let buffers = states.filter(|state| state.role == Role::Buffer);
        Ok(Viewer {
            buffers: buffers.map(|state| state.name.clone()).collect(),
            program: Loaded {
                gpu: gpu.clone(),
                memory,
                places,
                executable,
            },
            view: self.view,
            count: self.count,
            classes: self.classes,
        })
    }
}

/// The averaged weights, where a file has any and they are not passed over.
pub(crate) fn weights(system: &dyn System, file: &Checkpoint, raw: bool) -> Result<Weights> {
    let networks = system.networks()?;
    let prefixes = networks
        .iter()
        .map(|network| format!("{}.", average_of(network.name)));
    let mut prefixes = prefixes.filter(|prefix| {
        let mut names = file.tensors.keys();
        names.any(|name| name.starts_with(prefix.as_str()))
    });
    Ok(match !raw && prefixes.next().is_some() {
        true => Weights::Averaged,
        false => Weights::Raw,
    })
}

/// The name of the network that the first view shows, as files have it.
pub(crate) fn shown_network(system: &dyn System, weights: Weights) -> Result<String> {
    let networks = system.networks()?;
    let is_raw = weights == Weights::Raw;
    let shown = networks
        .iter()
        .find(|network| is_raw || network.average > 0.0);
    Ok(shown.map_or_else(String::new, |network| match is_raw {
        true => network.name.to_owned(),
        false => network.average_name(),
    }))
}

impl Viewer {
    /// The device that it works on.
    pub(crate) fn gpu(&self) -> &Gpu {
        &self.program.gpu
    }

    /// Loads everything that a view keeps, parameters and running statistics, from
    /// a file that was read from `path`, for at least `count` records of a pass.
    ///
    /// # Errors
    /// [`Error::Usage`] with this mend where the file lacks a tensor;
    /// [`Error::Shape`] where there is no such view; errors of the device.
    pub(crate) fn new(
        gpu: &Gpu,
        system: &dyn System,
        (view, count): (&str, usize),
        weights: Weights,
        (file, path): (&Checkpoint, &Path),
        mend: &str,
    ) -> Result<Self> {
        let mut views = system.views().into_iter();
        let view = views
            .find(|known| known.name == view)
            .ok_or_else(|| Error::shape("view", format!("there is no view {view}")))?;
        let (facts, limits) = (&gpu.facts, Limits::of(&gpu.facts));
        let mut count = view.records(count);
        loop {
            let of = (facts, &limits);
            let reason = match Planned::new(of, system, view.clone(), count, weights)? {
                Ok(planned) => return planned.load(gpu, (file, path), mend),
                Err(reason) => reason,
            };
            // Fewer at a time take longer and give the same.
            let fewer = view.records(count / 2);
            if fewer >= count {
                return Err(Error::usage(
                    format!("{} does not fit {}: {reason}", path.display(), facts.name),
                    "use another adapter",
                ));
            }
            count = fewer;
        }
    }

    /// `[C, H, W]` of its first output, where that are images.
    pub(crate) fn image(&self) -> Option<[usize; 3]> {
        self.view.medium.image()
    }

    /// Names of the classes that it makes records of.
    pub(crate) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The name of its first input.
    pub(crate) fn first_input(&self) -> &'static str {
        self.view.inputs[0].name
    }

    /// Elements of a record of each output.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let width = |output: &String| {
            let place = self.program.places.get(&self.view.output_tensor(output));
            place.map_or(0, |(_, slice)| slice.len / self.count)
        };
        self.view.outputs.iter().map(width).collect()
    }

    /// What its running statistics are now, by name.
    ///
    /// # Errors
    /// Errors of the device.
    pub(super) fn buffers(&self) -> Result<Vec<(String, Vec<f32>)>> {
        let names = self.buffers.iter();
        names
            .map(|name| Ok((name.clone(), self.program.get(name)?)))
            .collect()
    }

    /// The seeds' vectors of the first input, row-major.
    ///
    /// # Errors
    /// [`Error::Usage`] where the view takes none.
    pub(crate) fn latents(&self, seeds: &[u64]) -> Result<Vec<f32>> {
        let input = &self.view.inputs[0];
        let Source::Latent(distribution) = input.source else {
            return Err(Error::usage(
                "this model does not make images from noise",
                "give a checkpoint of a generator",
            ));
        };
        let length = input.record.iter().product();
        let seeds = seeds.iter().copied();
        Ok(latent::of_seeds(distribution, 0, length, seeds))
    }

    /// What the first output is; images in [-1, 1].
    ///
    /// # Errors
    /// As of [`Viewer::look`] and [`Viewer::to_unit`].
    pub(crate) fn show(&mut self, asked: &Asked) -> Result<Vec<f32>> {
        let outputs = self.look(asked)?;
        self.to_unit(outputs)
    }

    /// The first of some outputs; images in [-1, 1].
    ///
    /// # Errors
    /// [`Error::Usage`] where pixels are not finite, as weights can make that are.
    pub(crate) fn to_unit(&self, mut outputs: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        let values = self.view.medium.to_unit(outputs.swap_remove(0));
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) if self.image().is_some() => Err(Error::usage(
                format!("this model makes a pixel of {value}, so its training has diverged"),
                "use an older checkpoint",
            )),
            _ => Ok(values),
        }
    }

    /// The outputs, row-major.
    ///
    /// # Errors
    /// [`Error::Usage`] where an input is neither given nor follows from a seed;
    /// errors of the device.
    pub(crate) fn look(&mut self, asked: &Asked) -> Result<Vec<Vec<f32>>> {
        let view = (&self.view, self.count);
        shown::look(&mut self.program, view, asked, self.classes.len())
    }

    /// The outputs for records of the first input; images in [-1, 1].
    ///
    /// # Errors
    /// As of [`Viewer::look`].
    pub(crate) fn look_at(&mut self, records: &[f32]) -> Result<Vec<Vec<f32>>> {
        let input = &self.view.inputs[0];
        let count = records.len() / input.record.iter().product::<usize>().max(1);
        let asked = Asked::given(input.name, records.to_vec(), count);
        self.look(&asked)
    }
}

impl Ready for Loaded {
    fn put(&self, name: &str, values: &[f32]) -> Result<()> {
        self.memory.write(self.slice(name)?, values)
    }

    fn get(&self, name: &str) -> Result<Vec<f32>> {
        self.memory.read(self.slice(name)?)
    }

    fn replay(&mut self, values: StepValues) -> Result<()> {
        self.executable.run(&self.gpu, &values)
    }
}

impl Loaded {
    fn slice(&self, name: &str) -> Result<Slice> {
        let place = self.places.get(name);
        let place = place.map(|(_, slice)| slice);
        place.ok_or_else(|| Error::shape("look", format!("there is no tensor {name}")))
    }
}
