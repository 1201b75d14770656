//! The loop of a run: steps, ticks, snapshots.

use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::scores::Scores;
use super::trace::Trace;
use super::watch::{self, Course};
use crate::config::Config;
use crate::data::{Dataset, INPUT, Loaders, Records, Streams, to_floats};
use crate::error::{Error, Result};
use crate::media::figures;
use crate::media::sheet::{self, Column};
use crate::run::Next;
use crate::run::blueprint::Blueprint;
use crate::run::finite;
use crate::run::health::{Finding, Rules, Verdict, Verdicts};
use crate::run::health_plot;
use crate::run::loss_plot;
use crate::run::progress::{Progress, clock};
use crate::run::session::Session;
use crate::run::shown::Asked;
use crate::run::state::{self, About};
use crate::run::stats::{Tick, TickSums, Writer};
use crate::run::stop;
use crate::store::checkpoint;
use crate::store::events::Events;
use crate::store::replace::replace_by_copy;
use crate::store::run_folder::RunFolder;
use crate::systems::{Translation, Unit, View};

/// Images of the grids, 8 by 8; of classes 8 each, and so many classes at most.
const GRID: usize = 64;
const GRID_COLUMNS: usize = 8;
const GRID_CLASSES: usize = 32;
/// Records of the sheet of a view that takes images, and of a line of it.
const RECORDS: usize = 16;
const LINE: usize = 2;

/// A run while it trains.
pub(super) struct Run<'a> {
    pub(super) config: Config,
    pub(super) about: About,
    pub(super) session: Session,
    /// What snapshots are scored with, if they are.
    pub(super) scores: Option<Scores>,
    pub(super) data: Streams,
    pub(super) loaders: Loaders,
    pub(super) folder: RunFolder,
    pub(super) progress: Progress,
    pub(super) trace: Trace,
    /// Files that could not be read, as they are met after the log was begun.
    pub(super) met: Receiver<String>,
    pub(super) tick: TickSums,
    pub(super) ticks: Vec<Tick>,
    pub(super) stats: Writer,
    /// What TensorBoard shows of the run.
    pub(super) events: Option<Events>,
    pub(super) rules: Rules,
    /// Verdicts that the user was told of.
    pub(super) known: Verdicts,
    /// Who hears of every tick.
    pub(super) watch: &'a mut dyn FnMut(&Tick) -> Next,
    /// Whether that one has asked for the end.
    pub(super) halted: bool,
    /// Whether there is a checkpoint of before the first step.
    pub(super) keeps_start: bool,
}

impl Run<'_> {
    /// Takes steps until the run is at its end or is stopped.
    ///
    /// # Errors
    /// Whatever stops the run; the last checkpoint stays intact.
    pub(super) fn train(&mut self) -> Result<()> {
        let steps = self.config.steps;
        let first = self.session.counters.step;
        if first == 0 {
            if self.keeps_start {
                self.save_checkpoint()?;
            }
            self.save_reals()?;
            self.save_fakes()?;
        }
        self.trace.before(&self.session)?;
        stop::finishing(&self.progress, "this step");
        self.progress.start(self.session.gpu(), first, steps);
        let begin = Instant::now();
        let mut tick = Began::now(&self.session);
        while self.session.counters.step < steps {
            if self.stage_is_over() {
                self.next_stage()?;
                tick = Began::now(&self.session);
            }
            let step_began = Began::now(&self.session);
            let every = self.config.train.tick;
            let next = self.session.counters.step + 1;
            let last = next == steps || Some(next) == self.session.system().stage().end;
            let measured = next.is_multiple_of(every) || last;
            if measured {
                self.session.before_measured_step()?;
            }
            self.step()?;
            let step = self.session.counters.step;
            for (step, reports) in self.session.arrived()? {
                self.tick.add(step, reports);
            }
            let images = step_began.images(&self.session, self.config.batch);
            let reports = self.session.reports();
            self.progress.step(reports, images, &self.tick.latest);
            let asked = stop::asked();
            if measured || last || asked || self.tick.broken.is_some() {
                let findings = self.end_tick(&tick, measured)?;
                let course = self.respond(findings)?;
                tick = Began::now(&self.session);
                if course == Course::RolledBack {
                    continue;
                }
            }
            let stopped = asked || self.halted;
            let end = last || stopped;
            if step.is_multiple_of(every * self.config.train.snap) || end {
                self.snapshot()?;
                if self.stage_is_over() {
                    self.keep_stage()?;
                }
                // Saving is no part of the next tick's steps.
                tick = Began::now(&self.session);
            }
            self.trace
                .finish(&self.session, &self.config, &self.folder, end)?;
            if stopped && step < steps {
                let again = format!("gpugan train --resume {}", self.folder.path().display());
                return self
                    .progress
                    .line(&format!("stopped at step {step}; continue with `{again}`"));
            }
        }
        self.finished(begin.elapsed().as_secs_f64())
    }

    /// Says where the run ends, and what is there.
    fn finished(&mut self, seconds: f64) -> Result<()> {
        let step = self.session.counters.step;
        let last = self.ticks.last();
        let losses = self.session.reports().iter();
        let losses = losses.filter(|report| report.unit == Unit::Loss);
        let value = |name: &str| last.map_or(f64::NAN, |tick| tick.report(name));
        let losses: Vec<String> = losses
            .map(|report| format!("{} {:.3}", report.label, value(report.name)))
            .collect();
        let folder = self.folder.path();
        self.progress.line(&format!(
            "done: {} after {}; {}; newest: {}, {}",
            folder.display(),
            clock(seconds),
            losses.join(", "),
            file_name(&self.folder.fakes(step)),
            file_name(&self.folder.checkpoint(step)),
        ))
    }

    fn step(&mut self) -> Result<()> {
        let passed = self.session.step(&mut self.loaders)?;
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
                "warning: {} more files cannot be read, such as {first}; log.txt names all of them",
                others.len() + 1
            )),
        }
    }

    /// Writes the statistics of the steps since the last tick, and says what
    /// they are found to be. `measured` is whether the last step's health can be.
    fn end_tick(&mut self, began: &Began, measured: bool) -> Result<Vec<Finding>> {
        let seconds = began.seconds();
        let speed = began.images(&self.session, self.config.batch) / seconds;
        self.name_unreadable()?;
        for (step, reports) in self.session.finish()? {
            self.tick.add(step, reports);
        }
        let sums = std::mem::take(&mut self.tick);
        let reports = self.session.reports().to_vec();
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
        if let Some(events) = &mut self.events {
            events.scalars(tick.step, &tick)?;
        }
        self.progress
            .tick(&tick, &reports, self.config.steps, speed)?;
        self.halted |= (self.watch)(&tick) == Next::Stop;
        self.ticks.push(tick);
        Ok(findings)
    }

    /// Writes samples, the plots and a checkpoint.
    pub(super) fn snapshot(&mut self) -> Result<()> {
        self.save_fakes()?;
        let reports = self.session.reports().to_vec();
        loss_plot::save(&self.ticks, &reports, &self.folder.losses())?;
        if self.ticks.iter().any(|tick| tick.health.is_some()) {
            health_plot::save(&self.ticks, &self.folder.health())?;
        }
        self.save_checkpoint()?;
        self.score()
    }

    /// Whether the next step is one of the stage after this.
    fn stage_is_over(&self) -> bool {
        let end = self.session.system().stage().end;
        end.is_some_and(|end| self.session.counters.step >= end)
    }

    /// Keeps what a stage ends with; the checkpoints of later steps replace its own.
    fn keep_stage(&self) -> Result<()> {
        let from = self.folder.checkpoint(self.session.counters.step);
        let to = self.folder.stage(self.about.stage + 1);
        replace_by_copy(&to, &from)
    }

    /// Goes on with the networks and passes of the next stage.
    fn next_stage(&mut self) -> Result<()> {
        // A run that was killed behind its snapshot has not kept it yet.
        if !self.folder.stage(self.about.stage + 1).exists() {
            self.keep_stage()?;
        }
        let mut next = self.session_of(self.about.stage + 1, None)?;
        state::carry_over(&self.session, &mut next)?;
        self.enter(next, self.about.stage + 1);
        let step = self.session.counters.step;
        let number = self.about.stage + 1;
        self.progress
            .line(&format!("stage {number} begins after step {step}"))?;
        self.references()
    }

    /// A session of a stage, with weights that are drawn anew or for those of a
    /// checkpoint, which keeps this.
    pub(super) fn session_of(&mut self, stage: usize, kept: Option<&str>) -> Result<Session> {
        let (config, gpu) = (&self.config, self.session.gpu());
        let system = super::system(config, &self.data, stage, kept)?;
        let blueprint = Blueprint::new(config, &*system, &gpu.facts.kernel_facts())?;
        self.progress
            .compiling(gpu, || Session::new(gpu, config, system, blueprint))
    }

    /// Takes a session of a stage for the one of before.
    pub(super) fn enter(&mut self, session: Session, stage: usize) {
        self.session = session;
        self.about.stage = stage;
        self.about.kept = self.session.system().kept();
        self.rules = super::rules(self.session.system(), self.config.steps);
        self.known = Verdicts::default();
    }

    /// What the health monitor compares samples with.
    pub(super) fn references(&self) -> Result<()> {
        super::references(&self.session, &self.data)
    }

    fn save_checkpoint(&self) -> Result<()> {
        let mut file = state::save(
            &self.session,
            &self.config,
            &self.about,
            &self.loaders.positions(),
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

    /// A picture of what each view for figures shows, where that are images.
    fn save_fakes(&mut self) -> Result<()> {
        let step = self.session.counters.step;
        for (index, view) in self.session.figures().into_iter().enumerate() {
            let Some([c, h, w]) = view.medium.image() else {
                continue;
            };
            let picture = match view.translation() {
                Some(of) => self.sheet(&view, &of)?,
                None => {
                    let asked = self.grid();
                    let images = self.session.show_through(&view, &asked)?;
                    figures::grid(&images, [asked.seeds.len(), c, h, w], GRID_COLUMNS)?
                }
            };
            let (path, name) = match index {
                0 => (self.folder.fakes(step), "fakes".to_owned()),
                _ => (
                    self.folder.fakes_through(step, view.name),
                    format!("fakes/{}", view.name),
                ),
            };
            let size = picture.dimensions();
            figures::save_png(picture, &path)?;
            if let Some(events) = &mut self.events {
                let png = std::fs::read(&path).map_err(Error::io("read", &path))?;
                events.image(step, &name, size, &png)?;
            }
        }
        Ok(())
    }

    /// What a view makes of the same images of the data at every snapshot: input,
    /// output and, of pairs, the image that belongs to the input.
    fn sheet(&mut self, view: &View, of: &Translation) -> Result<image::RgbImage> {
        let Translation {
            input,
            stream,
            column,
            from,
            to,
        } = *of;
        let Records {
            count,
            images,
            inputs,
        } = self.data.records(stream, RECORDS)?;
        let paired = column == INPUT;
        let given = if paired { &inputs } else { &images };
        let asked = Asked::given(input, given.clone(), count);
        let made = self.session.show_through(view, &asked)?;
        let mut columns = vec![
            Column {
                values: given,
                shape: from,
            },
            Column {
                values: &made,
                shape: to,
            },
        ];
        if paired {
            columns.push(Column {
                values: &images,
                shape: self.data.images().shape(),
            });
        }
        sheet::sheet(&columns, LINE)
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
        let images = self.data.images();
        let [c, h, w] = images.shape();
        let images: Vec<f32> = readable(images, GRID)
            .flat_map(|image| to_floats(&image))
            .collect();
        let count = images.len() / (c * h * w);
        let grid = figures::grid(&images, [count, c, h, w], GRID_COLUMNS)?;
        figures::save_png(grid, &self.folder.reals())
    }
}

/// When something began, and at which batch.
struct Began {
    time: Instant,
    batches: u64,
}

impl Began {
    fn now(session: &Session) -> Self {
        Self {
            time: Instant::now(),
            batches: session.counters.batches,
        }
    }

    fn seconds(&self) -> f64 {
        self.time.elapsed().as_secs_f64()
    }

    /// Images of the data's first stream since then, as `kimg` counts them.
    fn images(&self, session: &Session, batch: usize) -> f64 {
        (session.counters.batches - self.batches) as f64 * batch as f64
    }
}

/// The last part of a path.
fn file_name(path: &std::path::Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The first `count` images that can be read, evenly spread over the set, as
/// bytes.
pub(super) fn readable(dataset: &Dataset, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let items = dataset.steps(count);
    items
        .filter_map(|item| dataset.decode(item).ok())
        .take(count)
}
