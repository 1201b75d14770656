//! A run on the GPU: its memory, its executables and its counters. A step
//! writes a batch and latents, replays recordings, and asks for the losses.

mod health;
mod timing;

use crate::config::{Config, Penalty, Update};
use crate::error::{Error, Result};
use crate::gan::{Layout, METRICS, Metric, augment, latent};
use crate::gpu::{Executable, Gpu, Memory, Readback};
use crate::graph::Shape;
use crate::models::Model;
use crate::optim;
use crate::recording::{Slice, StepValues};

use super::blueprint::Blueprint;
use super::memory::MemoryPlan;
use super::stats::{Tick, TickSums};

/// What a run has done; saved in checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Generator steps.
    pub step: u64,
    /// Updates of the discriminator.
    pub d_updates: u64,
    /// Updates of the generator.
    pub g_updates: u64,
    /// Replays that drew random numbers or latents.
    pub draws: u32,
    /// Returns to a healthy checkpoint.
    #[serde(default)]
    pub rollbacks: u32,
}

/// A run on a device.
pub struct Session {
    gpu: Gpu,
    memory: Memory,
    blueprint: Blueprint,
    config: Config,
    model: Model,
    executables: Vec<(&'static str, Executable)>,
    readback: Readback,
    /// What the run has done.
    pub counters: Counters,
}

/// The batch and latents of one update, for traces.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// Latents `[batch, latent]`.
    pub z: Vec<f32>,
    /// The random counter of the replay.
    pub draw: u32,
    /// What the update knew.
    pub update: StepValues,
}

impl Session {
    /// Compiles a blueprint on a device and draws the initial weights.
    ///
    /// # Errors
    /// Where memory runs out or a kernel does not compile.
    pub fn new(gpu: &Gpu, config: &Config, model: &Model, blueprint: Blueprint) -> Result<Self> {
        let arenas: Vec<usize> = blueprint
            .layout
            .places
            .arenas()
            .iter()
            .map(|arena| arena.len)
            .collect();
        let memory = Memory::new(gpu, &arenas, &blueprint.memory.temporaries)?;
        let mut executables = Vec::with_capacity(blueprint.recordings.len());
        for (name, recording) in &blueprint.recordings {
            executables.push((*name, Executable::new(gpu, &memory, recording)?));
        }
        let readback = Readback::new(gpu, metrics_slice(&blueprint.layout)?.len)?;
        let session = Self {
            gpu: gpu.clone(),
            memory,
            config: config.clone(),
            model: model.clone(),
            blueprint,
            executables,
            readback,
            counters: Counters::default(),
        };
        for parameter in session.blueprint.layout.parameters.iter().flatten() {
            let mut values = parameter
                .init
                .draw(&parameter.shape, config.seed, &parameter.name);
            if let (true, Some(clip)) = (parameter.is_of("D"), config.weight_clip()) {
                for value in &mut values {
                    *value = value.clamp(-clip as f32, clip as f32);
                }
            }
            session.write(&parameter.name, &values)?;
            let average = parameter.name.replacen("G.", "G_ema.", 1);
            if average != parameter.name && session.blueprint.layout.places.get(&average).is_some()
            {
                session.write(&average, &values)?;
            }
        }
        if config.loss.adapts_augment() {
            for name in augment::STATE {
                session.write(name, &[0.0])?;
            }
        }
        Ok(session)
    }

    /// Figures of the run's memory.
    pub fn memory_plan(&self) -> &MemoryPlan {
        &self.blueprint.memory
    }

    /// Names and shapes of the tensors that make up the run's state, by name:
    /// weights, running statistics, averages, moments and the strength of an
    /// adaptive augmentation.
    pub fn state(&self) -> Vec<(String, Shape)> {
        let kept = |name: &str| {
            ["G.", "D.", "G_ema.", "moment1.", "moment2.", "augment."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let places = &self.blueprint.layout.places;
        places
            .iter()
            .filter(|(name, ..)| kept(name))
            .map(|(name, shape, _)| (name.to_owned(), shape.clone()))
            .collect()
    }

    fn slice(&self, name: &str) -> Result<Slice> {
        let places = &self.blueprint.layout.places;
        places.get(name).map(|(_, slice)| slice).ok_or_else(|| {
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

    fn run(&mut self, name: &str, values: StepValues) -> Result<()> {
        let values = StepValues {
            seed: latent::fold(self.config.seed),
            ..values
        };
        match self
            .executables
            .iter_mut()
            .find(|(known, _)| *known == name)
        {
            Some((_, executable)) => executable.run(&self.gpu, &values),
            None => unreachable!("the blueprint has a recording named {name}"),
        }
    }

    /// Draws latents for the next replay and writes them.
    fn draw(&mut self) -> Result<Drawn> {
        // Wrapping after 2^32 replays would repeat random numbers, decades on.
        self.counters.draws = self.counters.draws.wrapping_add(1).max(1);
        let draw = self.counters.draws;
        let model = &self.config.model;
        let z = latent::batch(
            model.latent_distribution,
            self.config.batch,
            model.latent,
            draw,
            self.config.seed,
        );
        self.write("z", &z)?;
        if self.config.loss.instance_noise > 0.0 {
            let std = self.config.loss.noise(self.counters.step) as f32;
            self.write("noise", &[std])?;
        }
        Ok(Drawn {
            z,
            draw,
            update: StepValues::default(),
        })
    }

    /// Writes real images `[batch, C, H, W]` in [-1, 1], in the range of the
    /// generator's output.
    fn write_real(&self, images: &[f32]) -> Result<()> {
        self.write_images("real", images)
    }

    /// Writes images in [-1, 1] in the range of the generator's output.
    fn write_images(&self, name: &str, images: &[f32]) -> Result<()> {
        let scaled = self.config.model.output.from_unit(images);
        self.write(name, &scaled)
    }

    /// One discriminator update on real images in [-1, 1].
    ///
    /// # Errors
    /// Where the device failed.
    pub fn discriminator_step(&mut self, real: &[f32]) -> Result<Drawn> {
        let mut drawn = self.draw()?;
        self.write_real(real)?;
        let every = self.config.loss.penalty_every;
        let rarely = self.config.loss.penalty != Penalty::None && every > 1;
        let penalised = rarely && self.counters.d_updates.is_multiple_of(every);
        self.run(
            if penalised { "d penalty" } else { "d" },
            StepValues {
                counter: drawn.draw,
                ..StepValues::default()
            },
        )?;
        drawn.update = self.update_discriminator()?;
        Ok(drawn)
    }

    fn update_discriminator(&mut self) -> Result<StepValues> {
        self.counters.d_updates += 1;
        let update = optim::schedule(&self.config.optimizer.d, self.counters.d_updates);
        self.run("update D", update)?;
        Ok(update)
    }

    /// One generator update; `real` is for simultaneous updates, which are one
    /// of both networks.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn generator_step(&mut self, real: Option<&[f32]>) -> Result<[Drawn; 2]> {
        let mut drawn = self.draw()?;
        let counter = StepValues {
            counter: drawn.draw,
            ..StepValues::default()
        };
        let mut with_d = drawn.clone();
        match (self.config.train.update, real) {
            (Update::Simultaneous, Some(real)) => {
                self.write_real(real)?;
                self.run("both", counter)?;
                with_d.update = self.update_discriminator()?;
            }
            _ => self.run("g", counter)?,
        }
        self.counters.g_updates += 1;
        let t = self.counters.g_updates;
        drawn.update = StepValues {
            ema_decay: optim::ema_decay(self.config.train.ema_decay, t),
            ..optim::schedule(&self.config.optimizer.g, t)
        };
        self.run("update G", drawn.update)?;
        self.counters.step += 1;
        self.readback.request(
            &self.memory,
            metrics_slice(&self.blueprint.layout)?,
            self.counters.step,
        )?;
        Ok([with_d, drawn])
    }

    /// Metrics that have arrived, by step, without waiting.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn arrived(&mut self) -> Result<Vec<(u64, [f32; 4])>> {
        let arrived = self.readback.ready()?;
        Ok(self.metrics(arrived))
    }

    /// All metrics asked for, waiting for the last.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn finish(&mut self) -> Result<Vec<(u64, [f32; 4])>> {
        let arrived = self.readback.finish()?;
        Ok(self.metrics(arrived))
    }

    /// The metrics of the step just taken, waiting for them.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn latest_metrics(&self) -> Result<[f32; 4]> {
        let mut metrics = [0.0; 4];
        for (value, metric) in metrics.iter_mut().zip(METRICS) {
            *value = self.read(metric.name())?[0];
        }
        Ok(metrics)
    }

    /// The probability of the augmentation, where it adapts; waits for it.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn augment_p(&self) -> Result<Option<f64>> {
        if !self.config.loss.adapts_augment() {
            return Ok(None);
        }
        let p = self.read(augment::PROBABILITY)?;
        Ok(p.first().map(|&p| f64::from(p)))
    }

    fn metrics(&self, arrived: Vec<(u64, Vec<f32>)>) -> Vec<(u64, [f32; 4])> {
        let places = METRICS.map(|metric: Metric| {
            self.blueprint
                .layout
                .places
                .get(metric.name())
                .map_or(0, |(_, slice)| slice.offset)
        });
        arrived
            .into_iter()
            .map(|(step, values)| (step, places.map(|offset| values[offset])))
            .collect()
    }

    /// Images `[count, C, H, W]` in [-1, 1] of latents `[count, latent]`, from
    /// the averaged weights where there are any.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn sample(&mut self, z: &[f32]) -> Result<Vec<f32>> {
        let (latent, pass) = (self.model.latent(), self.blueprint.samples);
        let mut images = Vec::new();
        for part in z.chunks(pass * latent) {
            // A short last part is filled up; what is too much is dropped.
            let mut padded = part.to_vec();
            padded.resize(pass * latent, 0.0);
            self.write("sample.z", &padded)?;
            self.run("sample", StepValues::default())?;
            let made = self.read("sample.images")?;
            images.extend(&made[..made.len() / pass * (part.len() / latent)]);
        }
        Ok(self.config.model.output.to_unit(&images))
    }

    /// The discriminator's scores `[count]` of images `[count, C, H, W]`, and
    /// their gradients, `count` being what [`Blueprint::with_probe`] was told.
    ///
    /// # Errors
    /// Where there is no probe, the count differs or the device failed.
    pub fn probe(&mut self, images: &[f32]) -> Result<[Vec<f32>; 2]> {
        self.write("probe.images", images)?;
        self.run("probe", StepValues::default())?;
        Ok([self.read("probe.scores")?, self.read("probe.gradient")?])
    }

    /// The means of the steps of a tick, which took `seconds` together, without
    /// their health; NaN where there was no step.
    ///
    /// # Errors
    /// Where the device failed.
    pub(crate) fn tick(&self, sums: &TickSums, seconds: f64) -> Result<Tick> {
        let count = sums.count as f64;
        let [loss_d, loss_g, d_real, d_fake] = sums.sums.map(|sum| sum / count);
        Ok(Tick {
            step: self.counters.step,
            kimg: self.counters.d_updates as f64 * self.config.batch as f64 / 1000.0,
            loss_d,
            loss_g,
            d_real,
            d_fake,
            sec_per_step: seconds / count,
            memory_bytes: self.memory_plan().total(),
            augment_p: self.augment_p()?,
            health: None,
        })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }
}

/// All metrics in one slice.
fn metrics_slice(layout: &Layout) -> Result<Slice> {
    match layout.places.group("metrics")[..] {
        [slice] => Ok(slice),
        _ => Err(Error::shape(
            "metrics",
            "the layout has one arena of metrics",
        )),
    }
}
