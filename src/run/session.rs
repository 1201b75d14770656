//! A run on the GPU: its memory, its executables and its counters. A step draws
//! what its passes take, replays their recordings and the updates that follow, and
//! asks for the reports.

mod looked;
mod measured;
mod timing;

use std::sync::Arc;

use crate::config::Config;
use crate::data::{Columns, Feed};
use crate::error::{Error, Result};
use crate::gpu::{Executable, Gpu, Memory, Readback};
use crate::graph::{Group, Shape};
use crate::optim;
use crate::recording::{Recording, Slice, StepValues};
use crate::systems::{Counters, Field, Network, Report, Source, System};

use super::blueprint::{Blueprint, PassPlan, update_of};
use super::latent;
use super::memory::MemoryPlan;
use super::stats::{Tick, TickSums};

/// A run on a device.
pub struct Session {
    gpu: Gpu,
    memory: Memory,
    blueprint: Blueprint,
    system: Arc<dyn System>,
    /// Seed of every random choice.
    seed: u64,
    batch: usize,
    /// Of the blueprint's recordings, in their order.
    executables: Vec<Executable>,
    readback: Readback,
    reports: Vec<Report>,
    arithmetic: String,
    /// What the run has done.
    pub counters: Counters,
}

/// What a pass saw, for traces.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// What was drawn for it, `[batch, ...]` each; images in [-1, 1].
    pub fields: Vec<(&'static str, Vec<f32>)>,
    /// The random counter of the replay.
    pub draw: u32,
    /// The networks that were updated, and what each update knew.
    pub updates: Vec<(&'static str, StepValues)>,
}

impl Session {
    /// Compiles a blueprint on a device and draws the initial weights.
    ///
    /// # Errors
    /// Where memory runs out or a kernel does not compile.
    pub fn new(
        gpu: &Gpu,
        config: &Config,
        system: Arc<dyn System>,
        blueprint: Blueprint,
    ) -> Result<Self> {
        let arenas = blueprint.places.arenas().iter();
        let arenas: Vec<usize> = arenas.map(|arena| arena.len).collect();
        let memory = Memory::new(gpu, &arenas, &blueprint.memory.temporaries)?;
        let recordings = blueprint.recordings.iter();
        let recordings: Vec<&Recording> = recordings.map(|known| &known.recording).collect();
        let executables = Executable::all(gpu, &memory, &recordings)?;
        let readback = Readback::new(gpu, reports_slice(&blueprint)?.len)?;
        let session = Self {
            gpu: gpu.clone(),
            memory,
            seed: config.seed,
            batch: config.batch,
            reports: system.reports(),
            system,
            arithmetic: blueprint.arithmetic()?,
            blueprint,
            executables,
            readback,
            counters: Counters::default(),
        };
        session.start()?;
        Ok(session)
    }

    /// Draws all that is state.
    fn start(&self) -> Result<()> {
        for network in &self.blueprint.networks {
            for tensor in &network.tensors {
                let mut values = tensor.init.draw(&tensor.shape, self.seed, &tensor.name);
                let clip = network.moves.as_ref().and_then(|moves| moves.clip);
                if let (true, Some(clip)) = (tensor.is_trained(), clip) {
                    for value in &mut values {
                        *value = value.clamp(-clip as f32, clip as f32);
                    }
                }
                self.write(&tensor.name, &values)?;
                if network.average > 0.0 {
                    self.write(&network.averaged(&tensor.name), &values)?;
                }
            }
        }
        for tensor in self.system.memory() {
            let values = tensor.init.draw(&tensor.shape, self.seed, tensor.name);
            self.write(tensor.name, &values)?;
        }
        Ok(())
    }

    /// Figures of the run's memory.
    pub fn memory_plan(&self) -> &MemoryPlan {
        &self.blueprint.memory
    }

    /// What is trained.
    pub fn system(&self) -> &dyn System {
        &*self.system
    }

    /// Its reports, in the order of their values.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// [`Blueprint::arithmetic`] of what it runs.
    pub(super) fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// Its networks, with their optimisers as they are now.
    pub fn networks(&self) -> &[Network] {
        &self.blueprint.networks
    }

    /// Names and shapes of the tensors that make up the run's state, by name.
    pub fn state(&self) -> Vec<(String, Shape)> {
        self.tensors(Group::is_state)
    }

    /// Names and shapes of the tensors of these groups, by name.
    pub(super) fn tensors(&self, belongs: impl Fn(&Group) -> bool) -> Vec<(String, Shape)> {
        let places = &self.blueprint.places;
        places
            .iter()
            .filter(|(name, ..)| places.group_of(name).is_some_and(&belongs))
            .map(|(name, shape, _)| (name.to_owned(), shape.clone()))
            .collect()
    }

    fn slice(&self, name: &str) -> Result<Slice> {
        let place = self.blueprint.places.get(name);
        place.map(|(_, slice)| slice).ok_or_else(|| {
            Error::usage(
                format!("this model has no tensor {name}"),
                "use a file of the same model",
            )
        })
    }

    /// Replaces a tensor's elements.
    ///
    /// # Errors
    /// Where there is no such tensor, its length differs or the device failed.
    pub fn write(&self, name: &str, values: &[f32]) -> Result<()> {
        self.memory.write(self.slice(name)?, values)
    }

    /// A tensor's elements.
    ///
    /// # Errors
    /// Where there is no such tensor or the device failed.
    pub fn read(&self, name: &str) -> Result<Vec<f32>> {
        self.memory.read(self.slice(name)?)
    }

    /// Replays a recording with the run's seed.
    fn run(&mut self, name: &str, values: StepValues) -> Result<()> {
        let seed = latent::fold(self.seed);
        self.replay(name, StepValues { seed, ..values })
    }

    fn replay(&mut self, name: &str, values: StepValues) -> Result<()> {
        let recordings = &self.blueprint.recordings;
        match recordings.iter().position(|known| known.name == name) {
            Some(index) => self.executables[index].run(&self.gpu, &values),
            None => Err(Error::shape("run", format!("there is no recording {name}"))),
        }
    }

    /// The next step: the passes that the system's schedule names, with batches
    /// from `feed`. Returns what each saw.
    ///
    /// # Errors
    /// Where the data cannot be read or the device failed.
    pub fn step(&mut self, feed: &mut dyn Feed) -> Result<Vec<Passed>> {
        let mut passed = Vec::new();
        for pass in self.system.schedule(&self.counters) {
            passed.push(self.pass(pass, feed)?);
        }
        self.end_step()?;
        Ok(passed)
    }

    /// One pass of a step, with the updates that follow it.
    ///
    /// # Errors
    /// As of [`Session::step`].
    pub fn pass(&mut self, name: &str, feed: &mut dyn Feed) -> Result<Passed> {
        let passes = &self.blueprint.passes;
        let found = passes.iter().find(|known| known.pass.name == name);
        let PassPlan { pass, updates } = found
            .cloned()
            .ok_or_else(|| Error::shape("pass", format!("this system has no pass {name}")))?;
        if !pass.draws_again {
            // Wrapping after 2^32 replays would repeat random numbers, decades on.
            self.counters.draws = self.counters.draws.wrapping_add(1).max(1);
        }
        let draw = self.counters.draws;
        let fields = self.draw(&pass.takes, draw, feed)?;
        self.run(
            pass.name,
            StepValues {
                counter: draw,
                ..StepValues::default()
            },
        )?;
        let mut known = Vec::with_capacity(updates.len());
        for network in updates {
            known.push((network, self.update(network)?));
        }
        Ok(Passed {
            fields,
            draw,
            updates: known,
        })
    }

    /// Draws these fields anew and writes them.
    fn draw(
        &mut self,
        takes: &[&str],
        draw: u32,
        feed: &mut dyn Feed,
    ) -> Result<Vec<(&'static str, Vec<f32>)>> {
        let mut batches: Vec<(usize, Columns)> = Vec::new();
        let mut drawn = Vec::new();
        let mut latents = 0;
        for Field {
            name,
            record,
            source,
        } in self.blueprint.fields.clone()
        {
            let number = latents;
            latents += u32::from(matches!(source, Source::Latent(_)));
            if !takes.contains(&name) {
                continue;
            }
            let values = match source {
                Source::Latent(distribution) => {
                    let count = self.batch * record.iter().product::<usize>();
                    latent::batch(distribution, number, count, draw, self.seed)
                }
                Source::Scalar => {
                    let value = self.system.scalar(name, &self.counters);
                    self.write(name, &[value])?;
                    continue;
                }
                // Only views take zeros.
                Source::Zero => continue,
                Source::Pixels { stream, column, .. } | Source::Column { stream, column } => {
                    self.column(&mut batches, stream, column, feed)?
                }
            };
            match source {
                Source::Pixels { range, .. } => self.write(name, &range.from_unit(&values))?,
                _ => self.write(name, &values)?,
            }
            drawn.push((name, values));
        }
        Ok(drawn)
    }

    /// A column of a stream's batch, which is taken once for each pass.
    fn column(
        &mut self,
        batches: &mut Vec<(usize, Columns)>,
        stream: usize,
        column: &str,
        feed: &mut dyn Feed,
    ) -> Result<Vec<f32>> {
        if !batches.iter().any(|(known, _)| *known == stream) {
            batches.push((stream, feed.next_columns(stream)?));
            self.counters.batches += u64::from(stream == 0);
        }
        let columns = batches.iter_mut().filter(|(known, _)| *known == stream);
        let mut columns = columns.flat_map(|(_, columns)| columns);
        match columns.find(|(name, _)| *name == column) {
            Some((_, values)) => Ok(std::mem::take(values)),
            None => Err(Error::shape(
                "batch",
                format!("the data have no column {column}"),
            )),
        }
    }

    /// The update that follows a network's gradients; returns what it knew.
    fn update(&mut self, network: &'static str) -> Result<StepValues> {
        let t = self.counters.update(network);
        let of = crate::systems::find(&self.blueprint.networks, network)?;
        let frozen = || Error::shape("update", format!("the network {network} is frozen"));
        let moves = of.moves.as_ref().ok_or_else(frozen)?;
        let values = StepValues {
            ema_decay: optim::ema_decay(of.average, t),
            ..optim::schedule(&moves.optimizer, t)
        };
        self.run(&update_of(network), values)?;
        Ok(values)
    }

    /// Counts a step whose passes were run one by one, and asks for its reports.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn end_step(&mut self) -> Result<()> {
        self.counters.step += 1;
        let slice = reports_slice(&self.blueprint)?;
        self.readback
            .request(&self.memory, slice, self.counters.step)
    }

    /// Reports that have arrived, by step, without waiting; in the order of
    /// [`System::reports`].
    ///
    /// # Errors
    /// Where the device failed.
    pub fn arrived(&mut self) -> Result<Vec<(u64, Vec<f32>)>> {
        let arrived = self.readback.ready()?;
        Ok(self.in_order(arrived))
    }

    /// All reports asked for, waiting for the last.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn finish(&mut self) -> Result<Vec<(u64, Vec<f32>)>> {
        let arrived = self.readback.finish()?;
        Ok(self.in_order(arrived))
    }

    /// The reports as they are on the device, waiting for them.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn latest_reports(&self) -> Result<Vec<f32>> {
        let values = self.memory.read(reports_slice(&self.blueprint)?)?;
        let offsets = self.offsets();
        Ok(offsets.into_iter().map(|offset| values[offset]).collect())
    }

    fn in_order(&self, arrived: Vec<(u64, Vec<f32>)>) -> Vec<(u64, Vec<f32>)> {
        let offsets = self.offsets();
        let pick = |values: Vec<f32>| offsets.iter().map(|&offset| values[offset]).collect();
        let arrived = arrived.into_iter();
        arrived.map(|(step, values)| (step, pick(values))).collect()
    }

    /// Where each report lies in their slice.
    fn offsets(&self) -> Vec<usize> {
        let places = &self.blueprint.places;
        let of = |report: &Report| {
            let place = places.get(report.name);
            place.map_or(0, |(_, slice)| slice.offset)
        };
        self.reports.iter().map(of).collect()
    }

    /// The means of the steps of a tick, which took `seconds` together, without
    /// their health; NaN where there was no step.
    ///
    /// # Errors
    /// Where the device failed.
    pub(crate) fn tick(&self, sums: &TickSums, seconds: f64) -> Result<Tick> {
        let means = sums.means().into_iter().chain(std::iter::repeat(f64::NAN));
        let names = self.reports.iter().map(|report| report.name.to_owned());
        let mut reports: std::collections::BTreeMap<_, _> = names.zip(means).collect();
        for (tensor, name) in self.system.shown() {
            let value = self.read(tensor)?;
            reports.insert(name.to_owned(), f64::from(value[0]));
        }
        let images = self.counters.batches as f64 * self.batch as f64;
        Ok(Tick {
            step: self.counters.step,
            kimg: images / 1000.0,
            sec_per_step: seconds / sums.count as f64,
            memory_bytes: self.memory_plan().total(),
            rollbacks: self.counters.rollbacks,
            health: None,
            reports,
        })
    }

    /// Multiplies a network's learning rate, and its floor, from here on.
    pub fn scale_learning_rate(&mut self, network: &str, factor: f64) {
        let networks = self.blueprint.networks.iter_mut();
        let named = networks.filter(|known| known.name == network);
        for moves in named.filter_map(|network| network.moves.as_mut()) {
            moves.optimizer.lr *= factor;
            moves.optimizer.lr_min *= factor;
        }
    }

    /// The device that the run is on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }
}

/// All reports in one slice.
fn reports_slice(blueprint: &Blueprint) -> Result<Slice> {
    match blueprint.places.group(&Group::Report)[..] {
        [slice] => Ok(slice),
        _ => Err(Error::shape(
            "reports",
            "the layout has one arena of reports",
        )),
    }
}
