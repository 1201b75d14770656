//! `gpugan train`: prepare everything, then loop.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::blueprint::Blueprint;
use super::checkpoint::{self, Checkpoint};
use super::progress::Progress;
use super::run_folder::{self, Log, RunFolder};
use super::scores::Scores;
use super::session::Session;
use super::stats::{self, Tick, TickSums, Writer};
use super::trace::Trace;
use super::watch::{self, Next};
use super::{capacity, figures, health_plot, loss_plot, state, stop};
use crate::config::options::{self, TrainOptions};
use crate::config::{Config, OnCollapse, OutputBias, Update};
use crate::data::{Dataset, Loader, Position, normalized};
use crate::error::{Error, Result};
use crate::gan::health::{Finding, Measures, Rules, Verdict, Verdicts};
use crate::gan::latent;
use crate::gpu::{Gpu, Selector};
use crate::models::Model;

/// Images of the grids, 8 by 8.
const GRID: usize = 64;
const GRID_COLUMNS: usize = 8;

/// Images that the mean image is taken over.
const MEAN_OVER: usize = 2000;

/// Trains as asked. Bad input ends before anything is written.
///
/// # Errors
/// Whatever stops the run; the last checkpoint stays intact.
pub fn run(options: TrainOptions) -> Result<()> {
    let mut progress = Progress::new(options.quiet);
    let config = &options.config;
    let resumed = match &options.folder {
        options::RunFolder::Resume(path) => Some(Resumed::open(path, config)?),
        options::RunFolder::New(_) => None,
    };
    let dataset = config.data.reading()?.open(&config.data.source)?;
    let dataset = Arc::new(dataset.stacked(config.data.stack)?);
    let channels = dataset.shape()[0];
    let init = match &options.init {
        Some(path) => Some((path, Checkpoint::load(path)?)),
        None => None,
    };

    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    progress.line(&format!("adapter: {}", gpu.facts))?;
    progress.line(&format!("data: {}", dataset.describe()))?;
    for line in dataset.found().iter().chain(&dataset.left_out(10)) {
        progress.line(line)?;
    }
    let mut model = Model::new(config, channels);
    let starts_over = resumed
        .as_ref()
        .is_none_or(|resumed| resumed.newest.is_none());
    if config.model.output_bias == OutputBias::Marginals && starts_over {
        model = model.with_mean_image(mean_image(&dataset, config)?);
    }
    let blueprint = Blueprint::new(config, &model, &gpu.facts.kernel_facts())?;
    progress.line(&describe(config, &blueprint))?;
    progress.line(&blueprint.memory.to_string())?;
    if options.dump_plan {
        for (name, recording) in &blueprint.recordings {
            crate::console::print(&format!("# {name}\n{recording}"))?;
        }
    }
    capacity::check(&gpu, config, &model, &blueprint.memory)?;
    if options.dry_run {
        return progress.line("dry run: everything fits, nothing was written");
    }

    let mut scores = match &options.metrics[..] {
        [] => None,
        kinds => Some(Scores::new(
            &gpu,
            &dataset,
            &config.data.source,
            kinds,
            options.features.as_deref(),
        )?),
    };
    let mut session = Session::new(&gpu, config, &model, blueprint)?;
    if let Some(count) = session.references() {
        let images: Vec<f32> = readable(&dataset, count)
            .flatten()
            .map(normalized)
            .collect();
        session.set_references(&images)?;
    }
    let mut position = Position::default();
    if let Some((path, file)) = &init {
        let written = state::initialise(&session, file, path)?;
        progress.line(&format!("{written} tensors from {}", path.display()))?;
    }
    let folder = match (&options.folder, &resumed) {
        (options::RunFolder::New(outdir), _) => {
            RunFolder::create(outdir, &config.preset, dataset.name())?
        }
        (options::RunFolder::Resume(path), _) => RunFolder::open(path)?,
    };
    run_folder::remove_stale(folder.path())?;
    if let Some(resumed) = &resumed {
        if let Some((path, file)) = &resumed.newest {
            position = state::restore(&mut session, file, path)?;
        }
        // Of a run that was killed before its first checkpoint nothing is left.
        stats::truncate_after(&folder.stats(), session.counters.step)?;
        if let Some(scores) = &mut scores {
            scores.go_on(&folder, session.counters.step)?;
        }
    }
    run_folder::replace(&folder.config(), |out| {
        std::io::Write::write_all(out, config.to_toml().as_bytes())
    })?;
    progress.log_to(Log::open(folder.log(), false)?);
    progress.line(&format!(
        "run: {} from step {}",
        folder.path().display(),
        session.counters.step
    ))?;
    if let Some(resumed) = &resumed {
        for reason in &resumed.skipped {
            progress.line(&format!("warning: {reason}"))?;
        }
    }

    let loader = Loader::new(
        Arc::clone(&dataset),
        config.batch,
        config.seed,
        position,
        config.data.mirror,
    )?;
    let [c, h, w] = model.image();
    let mut run = Run {
        channels,
        trace: Trace::new(options.trace, [config.batch, c, h, w]),
        noise: latent::of_seeds(
            config.model.latent_distribution,
            model.latent(),
            0..GRID as u64,
        ),
        tick: TickSums::default(),
        rules: Rules::new(config),
        known: Verdicts::default(),
        // Opened first: a new run has no statistics to read yet.
        stats: Writer::append(folder.stats())?,
        ticks: stats::read(&folder.stats())?,
        config: options.config,
        scores,
        dataset,
        folder,
        loader,
        progress,
        session,
    };
    let outcome = run.train();
    run.progress.end();
    // What the GPU still holds is compiled work worth keeping.
    run.session.gpu().save_pipeline_cache()?;
    outcome
}

/// A run that goes on.
struct Resumed {
    newest: Option<(std::path::PathBuf, Checkpoint)>,
    skipped: Vec<String>,
}

impl Resumed {
    /// Finds the newest checkpoint that can be read. A run without any starts
    /// over.
    fn open(path: &Path, config: &Config) -> Result<Self> {
        let mut skipped = Vec::new();
        let newest = checkpoint::newest_readable(path, |e| skipped.push(e.to_string()));
        if newest.is_none() && !skipped.is_empty() {
            return Err(Error::usage(
                format!(
                    "no checkpoint of {} can be read: {}",
                    path.display(),
                    skipped.join("; ")
                ),
                "start a new run, or copy an intact checkpoint there",
            ));
        }
        if let Some((path, file)) = &newest {
            let done: u64 = file
                .metadata
                .get("step")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            if done >= config.steps {
                return Err(Error::usage(
                    format!(
                        "{} is at step {done} already and the run ends at {}",
                        path.display(),
                        config.steps
                    ),
                    format!("give --steps above {done}"),
                ));
            }
        }
        Ok(Self { newest, skipped })
    }
}

pub(super) struct Run {
    pub(super) config: Config,
    channels: usize,
    pub(super) session: Session,
    /// What snapshots are scored with, if they are.
    pub(super) scores: Option<Scores>,
    pub(super) dataset: Arc<Dataset>,
    pub(super) loader: Loader,
    pub(super) folder: RunFolder,
    pub(super) progress: Progress,
    trace: Trace,
    /// Latents of the grid of samples.
    noise: Vec<f32>,
    pub(super) tick: TickSums,
    pub(super) ticks: Vec<Tick>,
    pub(super) stats: Writer,
    pub(super) rules: Rules,
    /// Verdicts that the user was told of.
    pub(super) known: Verdicts,
}

impl Run {
    fn train(&mut self) -> Result<()> {
        stop::listen();
        let steps = self.config.steps;
        let first = self.session.counters.step;
        if first == 0 {
            self.save_reals()?;
            self.save_fakes()?;
        }
        self.trace.before(&self.session)?;
        self.progress.start(first, steps);
        while self.session.counters.d_updates < self.config.train.d_pretrain {
            let batch = self.loader.next_batch()?;
            let drawn = self.session.discriminator_step(&batch.images)?;
            self.trace.update("D", &batch.images, &drawn);
        }
        if first == 0 && self.config.train.on_collapse == OnCollapse::Rollback {
            self.save_checkpoint()?;
        }
        let mut tick_start = Instant::now();
        while self.session.counters.step < steps {
            let start = Instant::now();
            let tick = self.config.train.tick;
            let next = self.session.counters.step + 1;
            let measured = next.is_multiple_of(tick) || next == steps;
            if measured {
                self.session.before_measured_step()?;
            }
            self.step()?;
            let step = self.session.counters.step;
            for (step, metrics) in self.session.arrived()? {
                self.tick.add(step, metrics);
            }
            self.progress.step(
                self.config.batch,
                start.elapsed().as_secs_f64(),
                self.tick.latest,
            );
            let stopped = stop::asked();
            let end = step == steps || stopped;
            if measured || end || self.tick.broken.is_some() {
                let findings = self.end_tick(tick_start.elapsed().as_secs_f64(), measured)?;
                let next = self.respond(findings)?;
                tick_start = Instant::now();
                if next == Next::RolledBack {
                    continue;
                }
            }
            if step.is_multiple_of(tick * self.config.train.snap) || end {
                self.snapshot()?;
                // Saving is no part of the next tick's steps.
                tick_start = Instant::now();
            }
            self.trace
                .finish(&self.session, &self.config, &self.folder, end)?;
            if stopped {
                let again = format!("gpugan train --resume {}", self.folder.path().display());
                return self
                    .progress
                    .line(&format!("stopped at step {step}; go on with `{again}`"));
            }
        }
        self.progress
            .line(&format!("done: {}", self.folder.path().display()))
    }

    /// One generator step with its discriminator steps.
    fn step(&mut self) -> Result<()> {
        match self.config.train.update {
            Update::Alternating => {
                let step = self.session.counters.step;
                for _ in 0..self.config.train.d_steps_at(step) {
                    let batch = self.loader.next_batch()?;
                    let drawn = self.session.discriminator_step(&batch.images)?;
                    self.trace.update("D", &batch.images, &drawn);
                }
                let [_, drawn] = self.session.generator_step(None)?;
                self.trace.update("G", &[], &drawn);
            }
            Update::Simultaneous => {
                let batch = self.loader.next_batch()?;
                let [with_d, drawn] = self.session.generator_step(Some(&batch.images))?;
                self.trace.update("D", &batch.images, &with_d);
                self.trace.update("G", &[], &drawn);
            }
        }
        self.trace.metrics(&mut self.session)
    }

    /// Writes the statistics of the steps since the last tick, and says what
    /// they are found to be. `measured` is whether the last step's health can be.
    fn end_tick(&mut self, seconds: f64, measured: bool) -> Result<Vec<Finding>> {
        for (step, metrics) in self.session.finish()? {
            self.tick.add(step, metrics);
        }
        let sums = std::mem::take(&mut self.tick);
        if let Some((step, [loss_d, loss_g, ..])) = sums.broken {
            return Ok(vec![Finding {
                verdict: Verdict::NonFinite,
                evidence: format!("at step {step} loss D is {loss_d} and loss G {loss_g}"),
            }]);
        }
        if sums.count == 0 {
            return Ok(Vec::new());
        }
        let measures = if measured {
            self.session.measures()?
        } else {
            None
        };
        let mut tick = self.session.tick(&sums, seconds)?;
        let [oscillation_d, oscillation_g, ..] = sums.deviations();
        tick.health = measures.map(|measures| Measures {
            oscillation_d,
            oscillation_g,
            ..measures
        });
        let findings = watch::judge(&self.rules, &self.ticks, &mut tick);
        self.stats.write(&tick)?;
        self.ticks.push(tick);
        self.progress
            .tick(&tick, self.config.steps, self.config.batch)?;
        Ok(findings)
    }

    /// Writes samples, the plots and a checkpoint.
    pub(super) fn snapshot(&mut self) -> Result<()> {
        self.save_fakes()?;
        loss_plot::save_losses(&self.ticks, &self.folder.losses())?;
        if self.ticks.iter().any(|tick| tick.health.is_some()) {
            health_plot::save(&self.ticks, &self.folder.health())?;
        }
        self.save_checkpoint()?;
        self.score()
    }

    fn save_checkpoint(&self) -> Result<()> {
        let mut file = state::save(
            &self.session,
            &self.config,
            self.channels,
            self.loader.position(),
        )?;
        if self.config.train.health {
            let health = watch::describe(&self.rules, &self.ticks);
            file.metadata.insert(checkpoint::HEALTH.to_owned(), health);
        }
        file.save(&self.folder.checkpoint(self.session.counters.step))?;
        checkpoint::prune(self.folder.path(), self.config.train.keep)?;
        Ok(())
    }

    fn save_fakes(&mut self) -> Result<()> {
        let images = self.session.sample(&self.noise)?;
        let [c, h, w] = self.dataset.shape();
        let grid = figures::grid(&images, [GRID, c, h, w], GRID_COLUMNS)?;
        figures::save_png(grid, &self.folder.fakes(self.session.counters.step))
    }

    fn save_reals(&self) -> Result<()> {
        let [c, h, w] = self.dataset.shape();
        let images: Vec<f32> = readable(&self.dataset, GRID)
            .flatten()
            .map(normalized)
            .collect();
        let count = images.len() / (c * h * w);
        let grid = figures::grid(&images, [count, c, h, w], GRID_COLUMNS)?;
        figures::save_png(grid, &self.folder.reals())
    }
}

/// The first `count` images that can be read, evenly spread over the set, as
/// bytes.
fn readable(dataset: &Dataset, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let step = (dataset.len() / count).max(1);
    (0..dataset.len())
        .step_by(step)
        .filter_map(|item| dataset.decode(item).ok())
        .take(count)
}

/// Mean over real images, in the range of the generator's output.
fn mean_image(dataset: &Dataset, config: &Config) -> Result<Vec<f32>> {
    let (low, high) = config.model.output.range();
    let mut sums = vec![0.0_f64; dataset.shape().iter().product()];
    let mut count = 0;
    for image in readable(dataset, MEAN_OVER) {
        for (sum, &byte) in sums.iter_mut().zip(&image) {
            *sum += f64::from(byte) / 255.0;
        }
        count += 1;
    }
    if count == 0 {
        return Err(Error::usage(
            "no image can be read",
            "check the files named above",
        ));
    }
    Ok(sums
        .into_iter()
        .map(|sum| low + (high - low) * (sum / f64::from(count)) as f32)
        .collect())
}

fn describe(config: &Config, blueprint: &Blueprint) -> String {
    let count = |index: usize| -> usize {
        let tensors = blueprint.layout.parameters[index].iter();
        tensors
            .filter(|p| p.role == crate::graph::Role::Parameter)
            .map(|p| p.shape.numel())
            .sum()
    };
    let dispatches: Vec<String> = blueprint
        .recordings
        .iter()
        .map(|(name, recording)| format!("{name} {}", recording.dispatches().count()))
        .collect();
    format!(
        "model: {} G {} D {} parameters, batch {}; dispatches: {}",
        config.preset,
        count(0),
        count(1),
        config.batch,
        dispatches.join(", ")
    )
}
