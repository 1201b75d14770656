//! One training of a comparison: done, found again, and measured.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bench;
use crate::config::options::{self, CompareOptions, EvalOptions, TrainOptions};
use crate::config::{Config, Override};
use crate::error::{Error, Result};
use crate::eval::{self, Observer};
use crate::gpu::Gpu;
use crate::media::figures;
use crate::metrics::Score;
use crate::plot;
use crate::run::Next;
use crate::run::health::{VERDICTS, Verdict};
use crate::run::shown::Asked;
use crate::run::{stats, stop};
use crate::sample;
use crate::store::checkpoint;
use crate::store::run_folder::RunFolder;
use crate::systems::presets;
use crate::train;

/// Samples of each preset in the picture.
const SHOWN: usize = 16;

/// What all trainings of one preset came to.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The preset that all runs of this column have.
    pub preset: String,
    /// Channels of the data's images.
    pub channels: usize,
    /// Real images in an update of D.
    pub batch: usize,
    /// Generator steps of each training, as asked for.
    pub steps: u64,
    /// Seconds of one update of D and one of G, measured on their own after the
    /// trainings.
    pub sec_per_update: f64,
    /// One for each seed.
    pub runs: Vec<Outcome>,
}

impl Entry {
    /// A preset of which nothing is trained yet, but could be, and measured as asked.
    ///
    /// # Errors
    /// [`Error::Usage`] where the data cannot be read; as of [`Observer::check`].
    pub fn new(config: &Config, options: &CompareOptions) -> Result<Self> {
        let data = &config.data;
        let set = data.reading()?.open(&data.source)?;
        let set = set.stacked(data.stack)?;
        let features = options.features.as_deref();
        Observer::check(&set, &data.source, features, &options.metrics)?;
        Ok(Self {
            preset: config.preset.clone(),
            channels: set.single().0.shape()[0],
            batch: config.batch,
            steps: config.steps,
            sec_per_update: 0.0,
            runs: Vec::new(),
        })
    }
}

/// What one training came to.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Of every random choice.
    pub seed: u64,
    /// Where it lies.
    pub folder: PathBuf,
    /// Thousands of real images that D has seen.
    pub kimg: f64,
    /// Wall-clock seconds of a generator step with the updates of D that belong
    /// to it, median over the ticks.
    pub sec_per_step: f64,
    /// Ticks, after each of which the health was judged.
    pub ticks: usize,
    /// Each verdict that was given, with the number of its ticks.
    pub verdicts: Vec<(Verdict, usize)>,
    /// Why it ended before its last step, if it did.
    pub ended: Option<String>,
    /// Of its last checkpoint; none where it left none.
    pub scores: Vec<Score>,
}

/// Trains and measures one run; where it lies in the folder already, it is only
/// measured, and where it is not at its end, it goes on.
///
/// # Errors
/// Whatever stops a training, but for one that diverges or is ended for its
/// health.
pub(super) fn of(options: &CompareOptions, config: Config) -> Result<Outcome> {
    let found = find(&options.outdir, &config);
    let newest = RunFolder::newest(&options.outdir);
    let opened = found.as_ref().map(RunFolder::open).transpose()?;
    let reason = opened.and_then(|folder| std::fs::read_to_string(folder.ended()).ok());
    let done = found.as_deref().is_some_and(|folder| {
        checkpoint::list(folder).is_ok_and(|all| all.iter().any(|(step, _)| *step >= config.steps))
    });
    let seed = config.seed;
    let mut trained = Ok(());
    // One that was ended for its health is taken as it is.
    if !done && reason.is_none() {
        let (folder, config) = match &found {
            Some(folder) => (
                options::RunFolder::Resume(folder.clone()),
                // With the rates that a rollback has changed.
                presets::read(&folder.join("config.toml"))?,
            ),
            None => (options::RunFolder::New(options.outdir.clone()), config),
        };
        let asked = TrainOptions {
            folder,
            adapter: options.adapter.clone(),
            quiet: options.quiet,
            ..TrainOptions::new(config)
        };
        trained = train::run(asked, |_| Next::GoOn).map(drop);
    }
    let folder = match found {
        Some(folder) => Some(RunFolder::open(folder)?),
        // None where the training ended before it had one.
        None => RunFolder::newest(&options.outdir).filter(|made| Some(made) != newest.as_ref()),
    };
    let (folder, ended) = match (folder, trained) {
        (Some(folder), Ok(())) => (folder, reason.map(|text| text.trim_end().to_owned())),
        (Some(folder), Err(e @ (Error::Unhealthy { .. } | Error::Gpu { .. }))) => {
            (folder, Some(e.to_string()))
        }
        (_, Err(e)) => return Err(e),
        (None, Ok(())) => unreachable!("a training that ends well has a folder"),
    };
    let ticks = stats::read(&folder.stats())?;
    let scores = if stop::asked() || checkpoint::newest_readable(folder.path(), |_| {}).is_none() {
        Vec::new()
    } else {
        let report = eval::evaluate(&EvalOptions {
            checkpoint: folder.path().to_owned(),
            data: None,
            features: options.features.clone(),
            samples: options.samples,
            metrics: options.metrics.clone(),
            json: false,
            synthetic: false,
            representation: false,
            adapter: options.adapter.clone(),
            raw: false,
            quiet: options.quiet,
        })?;
        report.scores
    };
    let mut seconds: Vec<f64> = ticks.iter().map(|tick| tick.sec_per_step).collect();
    seconds.sort_by(f64::total_cmp);
    let given = |verdict: Verdict| {
        let health = ticks.iter().filter_map(|tick| tick.health.as_ref());
        health.filter(|h| h.verdicts.contains(verdict)).count()
    };
    Ok(Outcome {
        seed,
        kimg: ticks.last().map_or(0.0, |tick| tick.kimg),
        sec_per_step: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        ticks: ticks.len(),
        verdicts: VERDICTS
            .into_iter()
            .map(|verdict| (verdict, given(verdict)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        ended,
        scores,
        folder: folder.path().to_owned(),
    })
}

/// The run of a folder with this configuration.
fn find(outdir: &Path, config: &Config) -> Option<PathBuf> {
    let entries = std::fs::read_dir(outdir).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|folder| {
            // A rollback changes rates; what was asked for is kept beside.
            let files = ["asked.toml", "config.toml"].map(|name| folder.join(name));
            let file = files.into_iter().find(|file| file.is_file());
            file.is_some_and(|file| presets::read(&file).is_ok_and(|known| known == *config))
        })
}

/// Seconds of one update of both networks on images of so many channels.
///
/// # Errors
/// Where the device failed.
pub(super) fn time(gpu: &Gpu, config: &Config, channels: usize) -> Result<f64> {
    // A number of channels is small.
    let config = config.with([Override::new("data.channels", channels as i64)])?;
    Ok(bench::measure_step(gpu, &config)?.times.median())
}

/// A row of samples of each preset's first run with its name, in the order of the table; black
/// where it left no checkpoint.
///
/// # Errors
/// Errors of the device and of writing.
pub(super) fn picture(gpu: &Gpu, entries: &[Entry], out: &Path) -> Result<()> {
    let rows = entries
        .iter()
        .filter_map(|entry| entry.runs.first())
        .map(|run| samples(gpu, &run.folder))
        .collect::<Result<Vec<_>>>()?;
    let Some((_, [c, h, w])) = rows.iter().flatten().next() else {
        return Ok(());
    };
    let one = c * h * w;
    let images: Vec<f32> = rows
        .iter()
        .flat_map(|row| match row {
            Some((images, _)) => images.clone(),
            None => vec![-1.0; SHOWN * one],
        })
        .collect();
    let shape = [images.len() / one, *c, *h, *w];
    let names: Vec<&str> = entries
        .iter()
        .filter(|entry| !entry.runs.is_empty())
        .map(|entry| entry.preset.as_str())
        .collect();
    let grid = figures::grid(&images, shape, SHOWN)?;
    figures::save_png(plot::named_rows(&grid, &names)?, out)
}

/// The first samples of a run and the shape of one, if it left a checkpoint.
fn samples(gpu: &Gpu, folder: &Path) -> Result<Option<(Vec<f32>, [usize; 3])>> {
    let Some((path, file)) = checkpoint::newest_readable(folder, |_| {}) else {
        return Ok(None);
    };
    let mut sampler = sample::open(gpu, (&file, &path), false)?;
    let images = sampler.show(&Asked::seeds(0..SHOWN as u64))?;
    Ok(sampler.image().map(|shape| (images, shape)))
}
