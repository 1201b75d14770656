//! `gpugan eval`: samples of a checkpoint against real images.

mod conditional;
mod likelihood;
mod observer;
mod report;
mod representation;
mod synthetic;

use std::path::Path;
use std::time::Instant;

pub use observer::{Observer, unseen};
pub use report::{OtherWeights, Report};
pub use representation::Representation;

use crate::classify::Kind;
use crate::config::options::EvalOptions;
use crate::data::{Dataset, from_anywhere};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::metrics::{Metric, Samples};
use crate::run::progress::Progress;
use crate::run::shown::Asked;
use crate::run::standing;
use crate::run::state;
use crate::run::viewer::{self, Viewer};
use crate::sample;
use crate::store::checkpoint::Checkpoint;
use crate::systems::Weights;

/// Scores a checkpoint as asked and prints the report.
///
/// # Errors
/// As of [`evaluate`].
pub fn run(options: &EvalOptions) -> Result<()> {
    let report = evaluate(options)?;
    crate::console::print(&if options.json {
        report.json()?
    } else {
        report.table()
    })
}

/// Scores a checkpoint as asked and writes the report as `eval.json` beside it.
///
/// # Errors
/// [`crate::Error::Usage`] for a file that is no checkpoint and where there is no
/// classifier; errors of the device and of writing.
pub fn evaluate(options: &EvalOptions) -> Result<Report> {
    let start = Instant::now();
    let mut progress = Progress::new(options.quiet);
    let (path, checkpoint) = sample::load(&options.checkpoint)?;
    let (config, about) = state::description(&checkpoint, &path)?;
    let source = options.data.as_ref().unwrap_or(&config.data.source);
    let trained_on = from_anywhere(source) == from_anywhere(&config.data.source);
    let system = state::system_of(&config, &about)?;
    let c = about.channels;
    let stack = config.data.stack;
    let reading = config.data.reading()?.channels(Some(c / stack));
    let data = reading.open(source)?.stacked(stack)?;
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    progress.line(&format!("adapter: {}", gpu.facts))?;
    let features = options.features.as_deref();
    let mut metrics = options.metrics.clone();
    if !trained_on {
        // What was learned by heart are images of the training.
        metrics.retain(|metric| *metric != Metric::Memorisation);
    }
    if metrics.is_empty() {
        return Err(Error::usage(
            format!(
                "memorisation is of the images of the training, and --data {source} are others"
            ),
            "leave --data out, or ask for other --metrics",
        ));
    }
    let mut observer = Observer::open(&gpu, &data, source, features, &metrics)?;
    let about = observer.about().cloned();
    if options.synthetic {
        match observer.kind() {
            Some(Kind::Own(about)) => synthetic::check(&data, source, about)?,
            Some(kind @ Kind::Inception) => {
                return Err(Error::usage(
                    format!(
                        "--synthetic needs a classifier of the data, and the features are {}",
                        kind.features().name()
                    ),
                    "leave it out, or give a file that `gpugan classify` wrote with --features",
                ));
            }
            None => return Err(Observer::no_classifier(&data, source)),
        }
    }
    if let Some(metrics) = observer.left_out() {
        progress.line(&format!("not measured: {metrics}"))?;
    }
    if metrics.len() < options.metrics.len() {
        progress.line(&format!(
            "not measured: memorisation, as the images of {source} are not those of the training"
        ))?;
    }
    let mut representation = if options.representation {
        representation::check(&data, source)?;
        let of = Representation::new(&gpu, &*system, &checkpoint, &path)?;
        Some(of)
    } else {
        None
    };
    progress.line(&format!("data: {}", data.describe()))?;

    progress.start(&gpu, 0, observer.reals(&data) as u64);
    let real = observer.real(&data, |count| {
        progress.advance_by(count, "real images".into())
    })?;
    progress.end();
    progress.line(&format!(
        "real images: {} seen after {:.0} s",
        real.count(),
        start.elapsed().as_secs_f64()
    ))?;

    let weights = viewer::weights(&*system, &checkpoint, options.raw)?;
    let standing = match weights {
        Weights::Averaged => standing::estimated(&gpu, &*system, (&checkpoint, &path))?,
        Weights::Raw | Weights::Followed => None,
    };
    let mut seen = |file: &Checkpoint, weights| {
        progress.start(&gpu, 0, 2 * options.samples as u64);
        let mut sampler = sample::with(&gpu, &*system, (file, &path), weights)?;
        let images = generate(&mut sampler, options.samples, &mut progress)?;
        let seen = observer.generated(&images, |count| {
            progress.advance_by(count, "samples seen".into());
        });
        progress.end();
        seen
    };
    let fake = seen(&checkpoint, weights)?;
    let mut others = Vec::new();
    if let Some(file) = &standing {
        let name = viewer::shown_network(&*system, weights)?;
        let raw = viewer::shown_network(&*system, Weights::Raw)?;
        others.push((format!("{name}, standing"), seen(file, weights)?));
        others.push((raw, seen(&checkpoint, Weights::Raw)?));
    }
    progress.line(&format!(
        "samples: {} made and seen after {:.0} s",
        fake.count(),
        start.elapsed().as_secs_f64()
    ))?;

    let unseen = unseen(&data, source)?;
    let measured = |fake: &Samples| observer.measure(&real, unseen.as_deref(), fake);
    let mut scores = measured(&fake);
    let file = (&checkpoint, path.as_path());
    scores.extend(likelihood::measure(
        &gpu,
        &*system,
        weights,
        file,
        (&data, source, trained_on),
    )?);
    if let Some(of) = &mut representation {
        let rows = representation::measure(of, &data, source, &mut progress)?;
        scores.extend(rows);
    }
    let others = others.into_iter().map(|(weights, fake)| OtherWeights {
        weights,
        scores: measured(&fake),
    });
    let others = others.collect();
    let labels = match system.classes() {
        [] => None,
        names => {
            let labels = conditional::labels(options.samples, names.len());
            let samples = (&fake, &labels[..]);
            let of_classes = conditional::measure(samples, names, about.as_ref(), (&data, source))?;
            scores.extend(of_classes);
            let told = about.as_ref().is_some_and(|about| about.classes == names);
            told.then_some(labels)
        }
    };
    if let Some(about) = about.as_ref().filter(|_| options.synthetic) {
        scores.extend(synthetic::measure(
            &gpu,
            data,
            source,
            about,
            (&fake, labels.as_deref()),
            &mut progress,
        )?);
    }
    gpu.save_pipeline_cache();
    let report = Report {
        checkpoint: path.display().to_string(),
        step: checkpoint
            .metadata
            .get("step")
            .and_then(|step| step.parse().ok()),
        data: match stack {
            1 => source.clone(),
            _ => format!("{source}, stacks of {stack}"),
        },
        real: real.count(),
        samples: options.samples,
        weights: viewer::shown_network(&*system, weights)?,
        features: observer
            .kind()
            .map(|kind| kind.features().name().to_owned()),
        classifier_accuracy: about.map(|about| about.accuracy),
        scores,
        others,
        seconds: start.elapsed().as_secs_f64(),
    };
    let out = path.parent().unwrap_or(Path::new(".")).join("eval.json");
    report.save(&out)?;
    progress.line(&format!("{:.0} s -> {}", report.seconds, out.display()))?;
    Ok(report)
}

/// Images of the seeds from 0 on, some at a time, so that the progress is seen.
fn generate(sampler: &mut Viewer, count: usize, progress: &mut Progress) -> Result<Vec<f32>> {
    let mut images = Vec::new();
    for from in (0..count).step_by(observer::CHUNK) {
        let seeds = from..count.min(from + observer::CHUNK);
        let made = seeds.len();
        let seeds = seeds.map(|seed| seed as u64);
        images.extend(sampler.show(&Asked::seeds(seeds))?);
        progress.advance_by(made, "samples".into());
    }
    Ok(images)
}

/// Refuses what is trained on labels where the images are stacks, whose classes are
/// too many for that.
fn refuse_stacks(data: &Dataset, flag: &str) -> Result<()> {
    match data.single() {
        (_, 1) => Ok(()),
        (_, stack) => Err(Error::usage(
            format!("{flag} learns the classes of single images, and data.stack = {stack}"),
            "leave it out, or train on data.stack = 1",
        )),
    }
}
