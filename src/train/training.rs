//! The loop of a run: steps, ticks, snapshots.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::scores::Scores;
use super::trace::Trace;
use super::watch::{self, Course};
use crate::config::{Config, OnCollapse};
use crate::data::{Dataset, Loader, normalized};
use crate::error::Result;
use crate::media::figures;
use crate::run::finite;
use crate::run::health::{Finding, Rules, Verdict, Verdicts};
use crate::run::health_plot;
use crate::run::loss_plot;
use crate::run::progress::Progress;
use crate::run::session::Session;
use crate::run::shown::Asked;
use crate::run::state::{self, About};
use crate::run::stats::{Tick, TickSums, Writer};
use crate::run::stop;
use crate::store::checkpoint;
use crate::store::run_folder::RunFolder;
use crate::systems::Unit;

/// Images of the grids, 8 by 8; of classes 8 each, and so many classes at most.
const GRID: usize = 64;
const GRID_COLUMNS: usize = 8;
const GRID_CLASSES: usize = 32;

/// A run while it trains.
pub(super) struct Run {
    pub(super) config: Config,
    pub(super) about: About,
    pub(super) session: Session,
    /// What snapshots are scored with, if they are.
    pub(super) scores: Option<Scores>,
    pub(super) dataset: Arc<Dataset>,
    pub(super) loader: Loader,
    pub(super) folder: RunFolder,
    pub(super) progress: Progress,
    pub(super) trace: Trace,
    /// Files that could not be read, as they are met after the log was begun.
    pub(super) met: Receiver<String>,
    pub(super) tick: TickSums,
    pub(super) ticks: Vec<Tick>,
    pub(super) stats: Writer,
    pub(super) rules: Rules,
    /// Verdicts that the user was told of.
    pub(super) known: Verdicts,
}

impl Run {
    /// Takes steps until the run is at its end or is stopped.
    ///
    /// # Errors
    /// Whatever stops the run; the last checkpoint stays intact.
    pub(super) fn train(&mut self) -> Result<()> {
        stop::listen();
        let steps = self.config.steps;
        let first = self.session.counters.step;
        if first == 0 {
            self.save_reals()?;
            self.save_fakes()?;
        }
        self.trace.before(&self.session)?;
        self.progress.start(first, steps);
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
            for (step, reports) in self.session.arrived()? {
                self.tick.add(step, reports);
            }
            self.progress.step(
                self.session.reports(),
                self.config.batch,
                start.elapsed().as_secs_f64(),
                &self.tick.latest,
            );
            let stopped = stop::asked();
            let end = step == steps || stopped;
            if measured || end || self.tick.broken.is_some() {
                let findings = self.end_tick(tick_start.elapsed().as_secs_f64(), measured)?;
                let course = self.respond(findings)?;
                tick_start = Instant::now();
                if course == Course::RolledBack {
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

    fn step(&mut self) -> Result<()> {
        let passed = self.session.step(&mut self.loader)?;
        self.trace.passes(&self.session, &passed, self.config.batch);
        self.trace.reports(&self.session)
    }

    /// Writes into the log which files could not be read since the last tick, and
    /// how many on the screen.
    fn name_unreadable(&mut self) -> Result<()> {
        let met: Vec<String> = self.met.try_iter().collect();
        for line in &met {
            self.progress.note(&format!("left out: {line}"))?;
        }
        match &met[..] {
            [] => Ok(()),
            [first, others @ ..] => self.progress.line(&format!(
                "warning: {} more files cannot be read, as {first}; log.txt names all",
                others.len() + 1
            )),
        }
    }

    /// Writes the statistics of the steps since the last tick, and says what
    /// they are found to be. `measured` is whether the last step's health can be.
    fn end_tick(&mut self, seconds: f64, measured: bool) -> Result<Vec<Finding>> {
        self.name_unreadable()?;
        for (step, reports) in self.session.finish()? {
            self.tick.add(step, reports);
        }
        let sums = std::mem::take(&mut self.tick);
        let reports = self.session.system().reports();
        if let Some((step, values)) = &sums.broken {
            let values = reports.iter().zip(values);
            let losses: Vec<String> = values
                .filter(|(report, value)| report.unit == Unit::Loss || !value.is_finite())
                .map(|(report, value)| format!("{} is {value}", report.label))
                .collect();
            return Ok(vec![Finding {
                verdict: Verdict::NonFinite,
                evidence: format!("at step {step} {}", losses.join(" and ")),
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
        tick.health = measures.map(|mut measures| {
            for (report, deviation) in reports.iter().zip(sums.deviations()) {
                if report.unit == Unit::Loss {
                    // `loss_d` oscillates as `oscillation_d`.
                    let of = report.name.strip_prefix("loss_").unwrap_or(report.name);
                    measures
                        .parts
                        .insert(format!("oscillation_{of}"), deviation);
                }
            }
            measures
        });
        let findings = watch::judge(&self.rules, self.session.system(), &self.ticks, &mut tick);
        self.stats.write(&tick)?;
        self.progress
            .tick(&tick, &reports, self.config.steps, self.config.batch)?;
        self.ticks.push(tick);
        Ok(findings)
    }

    /// Writes samples, the plots and a checkpoint.
    pub(super) fn snapshot(&mut self) -> Result<()> {
        self.save_fakes()?;
        let reports = self.session.system().reports();
        loss_plot::save(&self.ticks, &reports, &self.folder.losses())?;
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
            &self.about,
            self.loader.position(),
        )?;
        if let Some((name, value)) = file.not_finite(finite::required(&self.session)) {
            return Err(self.unhealthy(
                &[Finding {
                    verdict: Verdict::NonFinite,
                    evidence: format!("tensor {name} holds {value}"),
                }],
                "",
            )?);
        }
        if let Some(scores) = &self.scores {
            file.metadata.extend(scores.asked_for());
        }
        if self.config.train.health {
            let health = watch::describe(&self.rules, self.session.system(), &self.ticks);
            file.metadata.insert(checkpoint::HEALTH.to_owned(), health);
        }
        file.save(&self.folder.checkpoint(self.session.counters.step))?;
        checkpoint::prune(self.folder.path(), self.config.train.keep)?;
        Ok(())
    }

    /// A grid of what the first view shows, where that are images.
    fn save_fakes(&mut self) -> Result<()> {
        let Some([c, h, w]) = self.session.image() else {
            return Ok(());
        };
        let asked = self.grid();
        let images = self.session.show(&asked)?;
        let grid = figures::grid(&images, [asked.seeds.len(), c, h, w], GRID_COLUMNS)?;
        figures::save_png(grid, &self.folder.fakes(self.session.counters.step))
    }

    /// The records of the grid: the seeds from 0 on, or a row a class of the same
    /// seeds.
    fn grid(&self) -> Asked {
        let classes = self.session.system().classes().len().min(GRID_CLASSES);
        if classes == 0 {
            return Asked::seeds(0..GRID as u64);
        }
        let places = 0..classes * GRID_COLUMNS;
        Asked {
            classes: places.clone().map(|i| i / GRID_COLUMNS).collect(),
            ..Asked::seeds(places.map(|i| (i % GRID_COLUMNS) as u64))
        }
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
pub(super) fn readable(dataset: &Dataset, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let step = (dataset.len() / count).max(1);
    (0..dataset.len())
        .step_by(step)
        .filter_map(|item| dataset.decode(item).ok())
        .take(count)
}
