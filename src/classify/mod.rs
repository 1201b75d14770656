//! Classifiers, trained with the same engine on labelled data, and the Inception network
//! of the Fréchet Inception distance from a file. Their last hidden layer are the features
//! that samples are scored with ([`crate::metrics`]).

mod classifier;
mod stored;
mod svm;
mod training;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub use crate::run::Next;
pub use crate::store::classifier::About;
pub use classifier::{Classifier, Seen, kept_at};
pub use stored::{Kind, Stored};
pub use svm::LinearSvm;
pub use training::{Recipe, Update, train};

use crate::config::options::ClassifyOptions;
use crate::console::counted;
use crate::data::{Dataset, to_floats};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::run::progress::{Progress, clock};
use crate::run::stop;
use crate::store::run_folder::Log;

/// Of data without test images, every tenth of a class is kept for the test.
const HELD_OUT: usize = 10;

/// Images that are turned at most.
const TURNED: usize = 10_000;

/// Lines printed in the whole training.
const LINES: u64 = 20;

/// Trains a classifier as asked, tests it and stores it.
///
/// # Errors
/// [`Error::Usage`] for data without labels or with one class; whatever stops
/// the training.
pub fn run(options: &ClassifyOptions) -> Result<()> {
    let start = Instant::now();
    let mut progress = Progress::new(options.quiet);
    let (train_set, test_set, tested_on) = sets(options)?;
    let classes = train_set.class_names().len();
    let out = match &options.out {
        Some(path) => path.clone(),
        None => kept_at(&options.reading.open(&options.data)?)?,
    };
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    let recipe = Recipe {
        lr: options.lr,
        seed: options.seed,
        mirror: options.mirror,
        features: options.features,
        ..Recipe::of_epochs(options.epochs, train_set.len(), options.batch)
    };
    let network = recipe.network(train_set.shape(), classes);
    stop::finishing(&progress, "this step");
    progress.line(&format!("adapter: {}", gpu.facts))?;
    progress.line(&format!("data: {}", train_set.describe()))?;
    let tested = counted(test_set.len(), "images");
    progress.line(&format!("test: {tested}, {tested_on}"))?;
    progress.line(&format!(
        "classifier: {} features, {classes} classes; {} steps of {} images",
        network.features, recipe.steps, recipe.batch
    ))?;
    let train_set = Arc::new(train_set);
    progress.start(&gpu, 0, recipe.steps);
    let mut log = Vec::new();
    let mut means = Means::default();
    let every = (recipe.steps / LINES).max(1);
    let trained = train(&gpu, &train_set, &recipe, |update| {
        means.add(update);
        let [loss, accuracy] = means.now();
        progress.advance(format!(
            "loss {loss:.4}  accuracy {:.2} %",
            100.0 * accuracy
        ));
        if update.step.is_multiple_of(every) || update.step == recipe.steps {
            let line = format!(
                "step {}/{}  loss {loss:.4}  accuracy {:.2} %  after {}  left {}",
                update.step,
                recipe.steps,
                100.0 * accuracy,
                clock(start.elapsed().as_secs_f64()),
                clock(progress.left().unwrap_or(0.0))
            );
            progress.line(&line)?;
            log.push(line);
            means = Means::default();
        }
        Ok(if stop::asked() {
            Next::Stop
        } else {
            Next::GoOn
        })
    })?;
    progress.end();
    gpu.save_pipeline_cache();
    let Some(tensors) = trained else {
        return Err(Error::Stopped {
            what: format!("stopped before step {}: nothing was written", recipe.steps),
        });
    };
    let mut about = About {
        features: match options.rotations {
            true => format!("{}-rotations", train_set.name()),
            false => format!("{}-classifier", train_set.name()),
        },
        data: options.data.clone(),
        classes: train_set.class_names().to_vec(),
        accuracy: 0.0,
        tested_on: format!("{tested}, {tested_on}"),
        network,
    };
    // Measured with the network as it will be loaded.
    let file = training::described(tensors, &about);
    let (pixels, labels) = test_set.pixels(0..test_set.len());
    about.accuracy = Classifier::new(&gpu, &file, &out)?.accuracy(&to_floats(&pixels), &labels)?;
    training::keep(&training::described(file, &about), &out)?;
    log.push(format!(
        "test accuracy {:.2} % ({}), {:.0} s",
        100.0 * about.accuracy,
        about.tested_on,
        start.elapsed().as_secs_f64()
    ));
    write_log(&out, &log)?;
    progress.line(&log[log.len() - 1])?;
    progress.line(&format!("features {} -> {}", about.features, out.display()))
}

/// Training and test images, with what the latter are.
fn sets(options: &ClassifyOptions) -> Result<(Dataset, Dataset, &'static str)> {
    let data = options.reading.open(&options.data)?;
    let reading = options.reading.clone().channels(Some(data.shape()[0]));
    let classes = data.class_names().len();
    if !options.rotations && (classes < 2 || data.label(0).is_none()) {
        return Err(Error::usage(
            format!(
                "--data {} has {classes} classes, but a classifier needs at least 2",
                options.data
            ),
            "give IDX files with labels, a folder with a folder for each class, or --rotations, which needs no labels",
        ));
    }
    let given = match &options.test {
        Some(test) => Some((reading.open(test)?, "given as --test")),
        None => reading
            .open_test(&options.data)?
            .map(|test| (test, "the data's own test images")),
    };
    let (data, test, what) = match given {
        Some((test, what)) => (data, test, what),
        None => {
            let (data, test) = data.hold_out(HELD_OUT);
            (data, test, "every tenth of a class, held out")
        }
    };
    if options.rotations {
        return Ok((data.turned(TURNED)?, test.turned(TURNED)?, what));
    }
    if test.class_names() != data.class_names() || test.label(0).is_none() {
        return Err(Error::usage(
            format!(
                "the test images have {} classes, but --data {} has {}",
                test.class_names().len(),
                options.data,
                data.class_names().len()
            ),
            "give test images with the same classes",
        ));
    }
    Ok((data, test, what))
}

/// Means of loss and accuracy over some updates.
#[derive(Default)]
struct Means {
    count: f64,
    sums: [f64; 2],
}

impl Means {
    fn add(&mut self, update: Update) {
        self.count += 1.0;
        self.sums[0] += update.loss;
        self.sums[1] += update.accuracy;
    }

    fn now(&self) -> [f64; 2] {
        self.sums.map(|sum| sum / self.count.max(1.0))
    }
}

/// The lines of a training, beside its file with the ending `.log`.
fn write_log(out: &Path, lines: &[String]) -> Result<()> {
    let path: PathBuf = out.with_extension("log");
    // One training, one log.
    std::fs::write(&path, "").map_err(Error::io("write", &path))?;
    let mut log = Log::open(&path)?;
    lines.iter().try_for_each(|line| log.line(line))
}
