//! `gpugan train`: the loop around a [`Session`], its statistics, figures, scores
//! and checkpoints; here, everything that comes before the first step.

mod resume;
mod scores;
mod trace;
mod training;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use self::resume::Resumed;
use self::scores::Scores;
use self::trace::Trace;
use self::training::{Run, readable};
use crate::config::options::{self, TrainOptions};
use crate::config::{Config, OnCollapse};
use crate::data::{Dataset, Loaders, Position, Streams, normalized};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::run::Next;
use crate::run::blueprint::Blueprint;
use crate::run::capacity;
use crate::run::health::{Rules, Verdicts};
use crate::run::progress::Progress;
use crate::run::session::Session;
use crate::run::state::{self, About};
use crate::run::stats::{self, Tick, TickSums, Writer};
use crate::run::stop;
use crate::sample;
use crate::store::checkpoint::Checkpoint;
use crate::store::events::Events;
use crate::store::lock::Lock;
use crate::store::replace::{remove_stale, replace};
use crate::store::run_folder::{Log, RunFolder};
use crate::systems::{self, Fresh, Given, System, View};

/// Files that cannot be read, and tensors that do not fit, that are named on the screen, at
/// most.
const SAID: usize = 10;

/// Images that the mean image is taken over.
const MEAN_OVER: usize = 2000;

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its folder; none of a dry run.
    pub folder: Option<RunFolder>,
    /// Steps that it has taken, those of before a resume included.
    pub step: u64,
    /// The last tick.
    pub last: Option<Tick>,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Trains as asked; `watch` hears of every tick and may end the run as Ctrl-C does, with a
/// checkpoint. Bad input ends before anything is written.
///
/// # Errors
/// Whatever stops the run; the last checkpoint stays intact.
pub fn run(options: TrainOptions, mut watch: impl FnMut(&Tick) -> Next) -> Result<Summary> {
    let mut progress = Progress::new(options.quiet);
    stop::listen(&progress);
    let config = &options.config;
    let mut resumed = match &options.folder {
        options::RunFolder::Resume(path) => Some(Resumed::open(path, config, options.dry_run)?),
        options::RunFolder::New(_) => None,
    };
    let data = open_data(config)?;
    if let Some(resumed) = &resumed {
        resumed.check_data(&data, &config.data.source)?;
    }
    let init = match &options.init {
        Some(path) => Some(sample::load(path)?),
        None => None,
    };

    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    if let Some(resumed) = &mut resumed {
        resumed.compare_adapter(&gpu.facts);
    }
    progress.line(&format!("adapter: {}", gpu.facts))?;
    progress.line(&format!("data: {}", data.describe()))?;
    for line in data.found().iter().chain(&data.left_out(SAID)) {
        progress.line(line)?;
    }
    let stage = resumed.as_ref().map_or(0, Resumed::stage);
    let kept = resumed.as_ref().and_then(Resumed::kept);
    let kept = kept.map(str::to_owned);
    let (mut planned, mut blueprint) = plan(&gpu, config, &data, stage, kept.as_deref())?;
    if let Some(resumed) = &mut resumed {
        resumed.compare_arithmetic(&blueprint.arithmetic()?);
    }
    show_plan(&mut progress, &options, &blueprint)?;
    let mut end = planned.stage().end;
    for later in stage + 1.. {
        if end.is_none_or(|end| end >= config.steps) {
            break;
        }
        let (system, blueprint) = plan(&gpu, config, &data, later, None)?;
        progress.line(&format!("stage {}:", later + 1))?;
        show_plan(&mut progress, &options, &blueprint)?;
        end = system.stage().end;
    }
    if options.dry_run {
        scores::check(data.images(), &options)?;
        if !options.quiet {
            crate::console::print(&format!("\n{}\n", config.to_toml()))?;
        }
        progress.line("dry run: everything fits; nothing was written")?;
        return Ok(Summary {
            folder: None,
            step: resumed.as_ref().map_or(0, Resumed::step),
            last: None,
            checkpoint: None,
        });
    }
    if kept.is_none() {
        planned = system(config, &data, stage, None)?;
        blueprint.networks = planned.networks()?;
    }

    let newest = resumed.as_ref().and_then(|resumed| resumed.newest.as_ref());
    let newest = newest.map(|(_, file)| file);
    let scores = scores::asked(&gpu, data.images(), &options, newest)?;
    let session = progress.compiling(&gpu, || Session::new(&gpu, config, planned, blueprint))?;
    let mut prepared = Prepared {
        options,
        data,
        session,
        scores,
        progress,
    };
    references(&prepared.session, &prepared.data)?;
    prepared.initialise(init)?;
    let (folder, positions, _lock) = prepared.folder(resumed.as_mut())?;
    let mut run = prepared.run(folder, &positions, stage, &mut watch)?;
    let outcome = run.train();
    if let Err(error @ Error::Unhealthy { .. }) = &outcome {
        replace(&run.folder.ended(), |out| writeln!(out, "{error}"))?;
    }
    run.progress.end();
    // What the GPU still holds is compiled work worth keeping.
    run.session.gpu().save_pipeline_cache();
    outcome?;
    let newest = run.folder.checkpoints()?.pop();
    Ok(Summary {
        step: run.session.counters.step,
        last: run.ticks.pop(),
        checkpoint: newest.map(|(_, path)| path),
        folder: Some(run.folder),
    })
}

/// The data of a configuration.
///
/// # Errors
/// Where they cannot be read.
fn open_data(config: &Config) -> Result<Streams> {
    let data = &config.data;
    Streams::open(&data.reading()?, &data.source, data.stack)
}

/// The system of a configuration for its data, in a stage of the run, with weights
/// that are drawn anew or those of a checkpoint, which keeps this.
fn system(
    config: &Config,
    data: &Streams,
    stage: usize,
    kept: Option<&str>,
) -> Result<Arc<dyn System>> {
    opened(config, data, stage, kept, &|| mean_image(data.images()))
}

/// As [`system`] with this mean image.
fn opened(
    config: &Config,
    data: &Streams,
    stage: usize,
    kept: Option<&str>,
    mean_image: &dyn Fn() -> Result<Vec<f32>>,
) -> Result<Arc<dyn System>> {
    let images = data.images();
    systems::open(
        config,
        &Given {
            image: images.shape(),
            sides: data.sides(),
            classes: images.class_names(),
            stage,
            kept: kept.unwrap_or_default(),
            fresh: kept.is_none().then_some(Fresh { mean_image }),
        },
    )
}

/// A stage of a run as data, if the adapter can hold it. Sizes do not depend on the mean
/// image, which takes reading to know.
fn plan(
    gpu: &Gpu,
    config: &Config,
    data: &Streams,
    stage: usize,
    kept: Option<&str>,
) -> Result<(Arc<dyn System>, Blueprint)> {
    let pixels = data.images().shape().iter().product();
    capacity::plan(&gpu.facts, config, |config| {
        opened(config, data, stage, kept, &|| Ok(vec![0.0; pixels]))
    })
}

fn show_plan(progress: &mut Progress, options: &TrainOptions, blueprint: &Blueprint) -> Result<()> {
    progress.line(&describe(&options.config, blueprint))?;
    if options.verbose {
        progress.line(&dispatches(blueprint))?;
    }
    progress.line(&blueprint.memory.to_string())?;
    if options.dump_plan {
        for known in &blueprint.recordings {
            crate::console::print(&format!("# {}\n{}", known.name, known.recording))?;
        }
    }
    Ok(())
}

/// What a system makes of the health of its training, from its stage on.
fn rules(system: &dyn System, steps: u64) -> Rules {
    let stage = system.stage();
    let translates = system.views().first().and_then(View::translation).is_some();
    Rules::new(system.duel(), stage.first..stage.end.unwrap_or(steps)).translating(translates)
}

/// Gives the health monitor what it compares samples with.
fn references(session: &Session, data: &Streams) -> Result<()> {
    let Some(count) = session.references() else {
        return Ok(());
    };
    let images = readable(data.images(), count).flatten().map(normalized);
    session.set_references(&images.collect::<Vec<f32>>())
}

/// Everything that a run needs before it has a folder.
struct Prepared {
    options: TrainOptions,
    data: Streams,
    session: Session,
    scores: Option<Scores>,
    progress: Progress,
}

impl Prepared {
    /// Takes the initial weights of a file.
    fn initialise(&mut self, init: Option<(PathBuf, Checkpoint)>) -> Result<()> {
        let Some((path, file)) = init else {
            return Ok(());
        };
        let taken = state::initialise(&self.session, &file, &path)?;
        let from = path.display();
        self.progress
            .line(&format!("init: took {} tensors from {from}", taken.count))?;
        for left in taken.left.iter().take(SAID) {
            self.progress.line(&format!("init: {left}"))?;
        }
        if let Some(more) = taken.left.get(SAID..).filter(|more| !more.is_empty()) {
            let line = format!("init: {} more do not fit; log.txt names them", more.len());
            self.progress.line(&line)?;
            for left in more {
                self.progress.note(&format!("init: {left}"))?;
            }
        }
        Ok(())
    }

    /// The run's folder as it is before the next step, where the streams go on, and
    /// the lock on the folder.
    fn folder(
        &mut self,
        mut resumed: Option<&mut Resumed>,
    ) -> Result<(RunFolder, Vec<Position>, Option<Lock>)> {
        let config = &self.options.config;
        let folder = match &self.options.folder {
            options::RunFolder::New(outdir) => {
                RunFolder::create(outdir, &config.preset, self.data.images().name())?
            }
            options::RunFolder::Resume(path) => RunFolder::open(path)?,
        };
        let lock = match &mut resumed {
            Some(resumed) => resumed.lock(),
            None => Some(Lock::take(&folder)?),
        };
        remove_stale(folder.path())?;
        self.progress.log_to(Log::open(folder.log())?)?;
        // It goes on.
        match std::fs::remove_file(folder.ended()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", folder.ended())(e));
            }
            _ => {}
        }
        let mut positions = Vec::new();
        if let Some(resumed) = &resumed {
            let step = resumed.step();
            if let Some(scores) = &mut self.scores {
                scores.go_on(&folder, step)?;
                let (session, progress) = (&mut self.session, &mut self.progress);
                scores.make_up(&folder, (step, resumed.stage()), session, progress)?;
            }
            if let Some((path, file)) = &resumed.newest {
                positions = state::restore(&mut self.session, file, path)?;
            }
            // Of a run that was killed before its first checkpoint nothing is left.
            stats::truncate_after(&folder.stats(), step)?;
        }
        replace(&folder.config(), |out| {
            out.write_all(config.to_toml().as_bytes())
        })?;
        self.progress.line(&format!(
            "run: {} from step {}",
            folder.path().display(),
            self.session.counters.step
        ))?;
        // All by name in the log; the screen has shown the first.
        for line in self.data.left_out(usize::MAX) {
            self.progress.note(&line)?;
        }
        for note in resumed.iter().flat_map(|resumed| &resumed.notes) {
            self.progress.line(note)?;
        }
        Ok((folder, positions, lock))
    }

    /// The run itself.
    fn run<'a>(
        self,
        folder: RunFolder,
        positions: &[Position],
        stage: usize,
        watch: &'a mut dyn FnMut(&Tick) -> Next,
    ) -> Result<Run<'a>> {
        let Self {
            options,
            data,
            session,
            scores,
            progress,
        } = self;
        let config = options.config;
        // Something to roll back to, and what a resumed run could not know otherwise.
        let keeps_start = config.train.on_collapse == OnCollapse::Rollback
            || options.init.is_some()
            || scores.is_some();
        let (sender, met) = std::sync::mpsc::channel();
        data.on_report(move |report| {
            // A run that has ended hears of nothing more.
            let _ = sender.send(report.to_string());
        });
        // What was met before any batch is read is in the log already.
        met.try_iter().for_each(drop);
        let loaders = Loaders::new(
            &data,
            config.batch,
            config.seed,
            positions,
            config.data.mirror,
        )?;
        let images = data.images();
        Ok(Run {
            met,
            about: About {
                channels: images.shape()[0],
                sides: data.sides(),
                classes: images.class_names().to_vec(),
                stage,
                data: Some(state::identity(&data)),
                kept: session.system().kept(),
            },
            trace: Trace::new(options.trace),
            tick: TickSums::default(),
            rules: rules(session.system(), config.steps),
            known: Verdicts::default(),
            watch,
            halted: false,
            keeps_start,
            // Opened first: a new run has no statistics to read yet.
            stats: Writer::append(folder.stats())?,
            events: match config.train.events {
                true => Some(Events::create(folder.path(), session.counters.step)?),
                false => None,
            },
            ticks: stats::read(&folder.stats())?,
            config,
            scores,
            data,
            folder,
            loaders,
            progress,
            session,
        })
    }
}

/// Mean over real images, pixels in [0, 1].
fn mean_image(dataset: &Dataset) -> Result<Vec<f32>> {
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
    let means = sums.into_iter().map(|sum| (sum / f64::from(count)) as f32);
    Ok(means.collect())
}

fn describe(config: &Config, blueprint: &Blueprint) -> String {
    let networks = blueprint.networks.iter();
    let networks: Vec<String> = networks
        .map(|network| format!("{} {}", network.name, network.count()))
        .collect();
    format!(
        "model: {} {} parameters, batch {}",
        config.preset,
        networks.join(" "),
        config.batch,
    )
}

/// How many kernels the recordings of a run dispatch.
fn dispatches(blueprint: &Blueprint) -> String {
    let recordings = blueprint.recordings.iter();
    let counts = recordings.map(|known| {
        let count = known.recording.dispatches().count();
        format!("{} {count}", known.name)
    });
    format!("dispatches: {}", counts.collect::<Vec<_>>().join(", "))
}
