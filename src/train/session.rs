//! A run on the GPU: its memory, its executables and its counters. A step
//! writes a batch and latents, replays recordings, and asks for the losses.

use std::time::Duration;

use crate::config::{Config, Optimizers, Penalty, Update};
use crate::error::{Error, Result};
use crate::gan::health::{Measures, Sizes};
use crate::gan::monitor::{Monitor, PROBES, REFERENCE_IMAGES, probes_slice};
use crate::gan::{self, Layout, METRICS, Metric, augment, latent};
use crate::gpu::{Executable, Gpu, Memory, Readback};
use crate::graph::{Plan, Program, Shape};
use crate::models::Model;
use crate::ops::Contraction;
use crate::optim;
use crate::recording::{Kernel, Recording, Slice, StepValues};
use crate::sample::in_passes;

use super::memory::MemoryPlan;

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

/// A run as data: layout and recordings, made without a GPU.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Persistent tensors.
    pub layout: Layout,
    /// Recordings by name: those of [`gan::programs`], `update D`, `update G`,
    /// and what is no part of a step ([`is_step`]): `sample`, and where health is
    /// measured `health` and `health before`; `probe` where images are probed.
    pub recordings: Vec<(&'static str, Recording)>,
    /// Bytes by use.
    pub memory: MemoryPlan,
    /// Images of one sampling pass.
    pub samples: usize,
    /// The contractions of all recordings, each once.
    pub contractions: Vec<Contraction>,
}

/// Whether a recording is part of training steps.
pub fn is_step(name: &str) -> bool {
    !matches!(name, "sample" | "probe" | "health" | "health before")
}

impl Blueprint {
    /// Plans a run.
    ///
    /// # Errors
    /// Where sizes do not fit together or a tensor is too long for a binding.
    pub fn new(config: &Config, model: &Model, facts: &crate::ops::Facts) -> Result<Self> {
        Self::with_probe(config, model, facts, 0)
    }

    /// As [`Blueprint::new`], for [`Session::probe`] of `probed` images at a time
    /// and sampling passes of as many.
    ///
    /// # Errors
    /// As [`Blueprint::new`].
    pub fn with_probe(
        config: &Config,
        model: &Model,
        facts: &crate::ops::Facts,
        probed: usize,
    ) -> Result<Self> {
        // No more than a batch, so that sampling takes no more memory than
        // training; probes are of points, which are small.
        let samples = config.batch.min(64).max(probed);
        let mut layout = Layout::new(config, model)?;
        let [c, h, w] = model.image();
        layout.places.add_group(
            "sample",
            &[
                ("sample.z".to_owned(), [samples, model.latent()].into()),
                ("sample.images".to_owned(), [samples, c, h, w].into()),
            ],
        )?;
        if probed > 0 {
            layout.places.add_group(
                "probe",
                &[
                    ("probe.images".to_owned(), [probed, c, h, w].into()),
                    ("probe.scores".to_owned(), [probed, 1].into()),
                    ("probe.gradient".to_owned(), [probed, c, h, w].into()),
                ],
            )?;
        }
        let monitor = match config.train.health {
            true => Some(Monitor::new(&mut layout.places, config, model)?),
            false => None,
        };
        let plan = |program: &Program| Plan::new(program, &layout.places, facts);
        let mut plans = Vec::new();
        for (name, program) in gan::programs(config, model)? {
            plans.push((name, plan(&program)?));
        }
        let prefix = if config.train.ema_decay > 0.0 {
            "G_ema"
        } else {
            "G"
        };
        plans.push(("sample", plan(&gan::sampling(model, prefix, samples)?)?));
        if probed > 0 {
            plans.push(("probe", plan(&gan::probe(config, model, probed)?)?));
        }
        if let Some(monitor) = &monitor {
            plans.push(("health", plan(&monitor.program(config, model)?)?));
        }
        let memory = MemoryPlan::new(&layout.places, plans.iter().map(|(_, plan)| plan));
        let mut contractions: Vec<Contraction> = Vec::new();
        for contraction in plans.iter().flat_map(|(_, plan)| &plan.contractions) {
            if !contractions.iter().any(|known| known.is_like(contraction)) {
                contractions.push(*contraction);
            }
        }
        let mut recordings: Vec<_> = plans
            .into_iter()
            .map(|(name, plan)| (name, plan.recording))
            .collect();
        if let Some(monitor) = &monitor {
            recordings.push(("health before", monitor.before(&layout.places)));
        }
        let clip = config.weight_clip();
        for (name, optimizer, net, clip) in [
            ("update D", &config.optimizer.d, "D", clip),
            ("update G", &config.optimizer.g, "G", None),
        ] {
            let recording = optim::recording(optimizer, clip, &layout.places, net)?;
            recordings.push((name, recording));
        }
        Ok(Self {
            layout,
            recordings,
            memory,
            samples,
            contractions,
        })
    }
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

    /// Nanoseconds of each dispatch of one discriminator and one generator
    /// update, as [`Executable::profile`] measures them.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn profile(&mut self) -> Result<Vec<(Kernel, u64)>> {
        let mut times = Vec::new();
        for ((name, executable), (_, recording)) in
            self.executables.iter_mut().zip(&self.blueprint.recordings)
        {
            if !is_step(name) {
                continue;
            }
            let measured = executable.profile(&self.gpu, &StepValues::default())?;
            let kernels = recording
                .dispatches()
                .map(|dispatch| dispatch.kernel.clone());
            times.extend(kernels.zip(measured.into_iter().map(|(_, time)| time)));
        }
        Ok(times)
    }

    /// Time to record and submit one discriminator and one generator update, as
    /// [`Executable::host_time`] measures it.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn host_time(&mut self) -> Result<Duration> {
        let steps = self
            .executables
            .iter_mut()
            .filter(|(name, _)| is_step(name));
        steps
            .map(|(_, executable)| executable.host_time(&self.gpu))
            .sum()
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
        let (low, high) = self.config.model.output.range();
        if (low, high) == (-1.0, 1.0) {
            return self.write(name, images);
        }
        let scaled: Vec<f32> = images
            .iter()
            .map(|x| low + (high - low) * (x + 1.0) / 2.0)
            .collect();
        self.write(name, &scaled)
    }

    /// Real images in [-1, 1] that the health monitor compares samples with;
    /// how many it takes, `None` where health is not measured. Fewer are
    /// repeated.
    pub fn references(&self) -> Option<usize> {
        let (shape, _) = self.blueprint.layout.places.get(REFERENCE_IMAGES)?;
        Some(shape[0])
    }

    /// Sets them, `[n, C, H, W]` of at least one image.
    ///
    /// # Errors
    /// Where health is not measured or the device failed.
    pub fn set_references(&self, images: &[f32]) -> Result<()> {
        let (shape, _) = self
            .blueprint
            .layout
            .places
            .get(REFERENCE_IMAGES)
            .ok_or_else(|| Error::usage("health is not measured", "set train.health = true"))?;
        let all: Vec<f32> = images.iter().copied().cycle().take(shape.numel()).collect();
        self.write_images(REFERENCE_IMAGES, &all)
    }

    /// Keeps the weights as they are, for [`Session::measures`] after the next
    /// step. Nothing where health is not measured.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn before_measured_step(&mut self) -> Result<()> {
        if self.config.train.health {
            self.run("health before", StepValues::default())?;
        }
        Ok(())
    }

    /// The health of the training after a step, waiting for it; `None` where
    /// health is not measured. Changes nothing that training reads.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn measures(&mut self) -> Result<Option<Measures>> {
        let places = &self.blueprint.layout.places;
        let Some((slice, offsets)) = probes_slice(places) else {
            return Ok(None);
        };
        let elements = ["G", "D"]
            .iter()
            .flat_map(|net| places.group(net))
            .map(|slice| 2 * slice.len)
            .sum();
        let sizes = Sizes {
            logits: self.config.batch / self.config.loss.pack,
            pixels: self.model.image().iter().product(),
            elements,
        };
        // The random numbers of the last step again, so that none is spent.
        let counter = self.counters.draws;
        self.run(
            "health",
            StepValues {
                counter,
                ..StepValues::default()
            },
        )?;
        let values = self.memory.read(slice)?;
        let mut probes = [0.0; PROBES.len()];
        for (probe, offset) in probes.iter_mut().zip(offsets) {
            *probe = values[offset];
        }
        Ok(Some(Measures::new(&probes, sizes)))
    }

    /// How the weights move.
    pub fn optimizers(&self) -> &Optimizers {
        &self.config.optimizer
    }

    /// Multiplies the learning rates of G and D from here on.
    pub fn scale_learning_rates(&mut self, [g, d]: [f64; 2]) {
        let optimizers = &mut self.config.optimizer;
        for (optimizer, factor) in [(&mut optimizers.g, g), (&mut optimizers.d, d)] {
            optimizer.lr *= factor;
            optimizer.lr_min *= factor;
        }
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
        let range = self.config.model.output.range();
        in_passes(z, latent, pass, range, |z| {
            self.write("sample.z", z)?;
            self.run("sample", StepValues::default())?;
            self.read("sample.images")
        })
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
