//! `gpugan toy`: GANs on a line or a plane, where everything can be seen.

pub mod density;
mod distribution;
mod line;
pub mod picture;
mod plane;
pub mod score;
pub mod watch;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use image::RgbImage;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use distribution::{Distribution, NAMES};

use crate::adversarial::Augment;
use crate::config::options::{Animation, ToyOptions};
use crate::config::{Config, Output, Override};
use crate::data::{Columns, Feed, IMAGE};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::media::{animation, figures};
use crate::plot::{self, shrink};
use crate::run::blueprint::Blueprint;
use crate::run::progress::Progress;
use crate::run::session::Session;
use crate::run::stats::{TickSums, Writer};
use crate::run::stop;
use crate::store::lock::Lock;
use crate::store::replace::replace;
use crate::store::run_folder::{Log, RunFolder};
use crate::systems::{self, Duel, Given, Medium, Report, System, Unit};
use picture::Scene;
use watch::{PASS, Record, Watcher};

/// Points of each kind that are drawn.
const DRAWN: usize = 700;

/// Of the animation.
const FRAME_RATE: f64 = 6.0;
/// Pictures are shrunk by this for the animation.
const ANIMATED: u32 = 3;
/// Times that the animation's last frame is repeated.
const PAUSE: usize = 12;

/// Trains as asked and draws it. Bad input ends before anything is written.
///
/// # Errors
/// [`Error::Usage`] for data that there are not and settings that points have no
/// use for; errors of the device and of writing.
pub fn run(options: &ToyOptions) -> Result<()> {
    let start = Instant::now();
    let data = Distribution::open(&options.data)?;
    let name = Path::new(&options.data).file_stem();
    let name = name.unwrap_or_default().to_string_lossy();
    let config = options.config.with([
        Override::new("data.source", options.data.as_str()),
        // The pictures show it.
        Override::new("train.health", false),
    ])?;
    let mut progress = Progress::new(options.quiet);
    stop::listen(&progress);
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    progress.line(&format!("adapter: {}", gpu.facts))?;
    let system = systems::open(&config, &Given::images([data.dimensions(), 1, 1]))?;
    let duel = check(&config, &*system)?;
    let facts = gpu.facts.kernel_facts();
    let blueprint = Blueprint::with_views(&config, &*system, &facts, &["probe"], PASS)?;
    let traits = system.traits();
    let watcher = Watcher::new(&*system, config.seed, &data)?;
    let session = progress.compiling(&gpu, || Session::new(&gpu, &config, system, blueprint))?;

    let folder = RunFolder::create(&options.outdir, &config.preset, &name)?;
    let _lock = Lock::take(&folder)?;
    replace(&folder.config(), |out| {
        out.write_all(config.to_toml().as_bytes())
    })?;
    progress.log_to(Log::open(folder.log())?)?;
    progress.line(&format!("run: {}", folder.path().display()))?;
    let mut run = Game {
        name: name.into_owned(),
        watcher,
        points: Points {
            data: data.clone(),
            batch: config.batch,
            rng: StdRng::seed_from_u64(config.seed),
        },
        duel,
        traits,
        stats: Writer::append(folder.stats())?,
        records: Vec::new(),
        data,
        config,
        session,
        progress,
    };
    run.train(options.frames, &folder)?;
    run.session.gpu().save_pipeline_cache();
    let step = run.session.counters.step;
    let ended = match step < run.config.steps {
        true => format!("stopped at step {step}"),
        false => "done".to_owned(),
    };
    run.progress.line(&format!(
        "{ended} after {:.0} s: {}",
        start.elapsed().as_secs_f64(),
        folder.path().display()
    ))
}

/// The players; refuses settings that points have no use for.
fn check(config: &Config, system: &dyn System) -> Result<Duel> {
    let duel = system.duel().ok_or_else(|| {
        Error::usage(
            format!("{} is not a game of two players", config.preset),
            "use --preset toy",
        )
    })?;
    let views = system.views();
    if let Some(Medium::Images { range, .. }) = views.first().map(|view| view.medium)
        && range != Output::Linear
    {
        return Err(Error::usage(
            format!(
                "model.output = {} keeps points within 1, but toy data reach 1.6",
                range.word()
            ),
            "use --set model.output=linear",
        ));
    }
    if config.data.stack > 1 {
        return Err(Error::usage(
            "data.stack turns images into channels, but points have none",
            "use --set data.stack=1",
        ));
    }
    if duel.loss.augment != Augment::None {
        return Err(Error::usage(
            "loss.augment changes images, not points",
            "use --set loss.augment=none",
        ));
    }
    Ok(duel)
}

/// Batches of points.
struct Points {
    data: Distribution,
    batch: usize,
    rng: StdRng,
}

impl Feed for Points {
    fn next_columns(&mut self, _: usize) -> Result<Columns> {
        Ok(vec![(IMAGE, self.data.batch(self.batch, &mut self.rng))])
    }
}

struct Game {
    name: String,
    config: Config,
    data: Distribution,
    session: Session,
    watcher: Watcher,
    points: Points,
    duel: Duel,
    /// What distinguishes the game.
    traits: Vec<String>,
    records: Vec<Record>,
    stats: Writer,
    progress: Progress,
}

impl Game {
    fn train(&mut self, frames: u64, folder: &RunFolder) -> Result<()> {
        let steps = self.config.steps;
        stop::finishing(&self.progress, "this step and its picture");
        self.progress.start(self.session.gpu(), 0, steps);
        let mut sums = TickSums::default();
        let reports = self.session.system().reports();
        let mut pictures = vec![shrink(&self.look(&sums, 0.0)?, ANIMATED)];
        let mut since = Instant::now();
        for frame in 1..frames {
            let until = steps * frame / (frames - 1);
            while self.session.counters.step < until && !stop::asked() {
                self.session.step(&mut self.points)?;
                for (step, metrics) in self.session.arrived()? {
                    sums.add(step, metrics);
                }
                let images = self.config.batch as f64;
                self.progress.step(&reports, images, &sums.latest);
            }
            for (step, metrics) in self.session.finish()? {
                sums.add(step, metrics);
            }
            let seconds = since.elapsed().as_secs_f64();
            let picture = self.look(&std::mem::take(&mut sums), seconds)?;
            pictures.push(shrink(&picture, ANIMATED));
            if frame + 1 == frames || stop::asked() {
                let path = folder.path().join("toy.png");
                figures::save_png(shrink(&picture, plot::SCALE), &path)?;
                break;
            }
            // Looking is no part of the next steps.
            since = Instant::now();
        }
        self.progress.end();
        // The last moment stays for a while.
        let last = pictures.last().cloned();
        pictures.extend(last.into_iter().cycle().take(PAUSE));
        let path = folder.path().join("toy.gif");
        animation::save(&pictures, &path, Animation::Gif, FRAME_RATE)
    }

    /// Records and draws the moment.
    fn look(&mut self, sums: &TickSums, seconds: f64) -> Result<RgbImage> {
        if let Some((step, reports)) = &sums.broken {
            return Err(Error::gpu(
                format!("training diverged: at step {step} the losses are {reports:?}"),
                "lower the learning rates (--set optimizer.d.lr=...)",
            ));
        }
        let tick = self.session.tick(sums, seconds)?;
        let reports = self.session.system().reports();
        let (record, view) = self.watcher.look(&mut self.session, tick)?;
        self.stats.write(&record)?;
        self.progress.line(&words(&record, &reports))?;
        self.records.push(record);
        picture::draw(&Scene {
            config: &self.config,
            loss: &self.duel.loss,
            loss_d: self.duel.losses[1],
            traits: &self.traits,
            data: &self.name,
            modes: self.data.modes(),
            watcher: &self.watcher,
            records: &self.records,
            view: &view,
        })
    }
}

/// A record for the log.
fn words(record: &Record, reports: &[Report]) -> String {
    let tick = &record.tick;
    let mut text = format!("step {}", tick.step);
    if tick.sec_per_step.is_finite() {
        text += &format!("  {:.2} ms/step", 1e3 * tick.sec_per_step);
    }
    let losses = reports.iter().filter(|report| report.unit == Unit::Loss);
    let losses = losses.map(|report| (report.label, tick.report(report.name)));
    // Before the first step there are none.
    for (label, loss) in losses.filter(|(_, loss)| loss.is_finite()) {
        text += &format!("  {label} {loss:.3}");
    }
    text += &format!("  JSD {:.3}", record.jsd);
    if let Some(score) = record.score {
        text += &format!(
            "  modes {}  high quality {:.1} %  reverse KL {:.3}",
            score.modes,
            100.0 * score.quality,
            score.reverse_kl
        );
    }
    text
}
