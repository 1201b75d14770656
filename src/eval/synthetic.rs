//! Generated images as training data: do classifiers that learn from them know
//! real images (GAN-train), and do classifiers of real images know them
//! (GAN-test; Shmelkov et al. 2018)?

use std::sync::Arc;

use crate::classify::{About, Classifier, Next, Recipe, train};
use crate::data::{Dataset, to_floats};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::metrics::{Samples, Score};
use crate::random;
use crate::run::progress::Progress;
use crate::run::stop;

/// Seeds of each row.
const SEEDS: u64 = 5;

/// Updates and batch of every classifier, so that all rows cost the same.
const STEPS: u64 = 200;
const BATCH: usize = 64;

/// Training images of a row at most, and test images.
const IMAGES: usize = 10_000;

/// Labelled real images of a class where they are few.
const FEW: usize = 5;

/// Standard deviation, in 8-bit steps, of the noise on copies of real images.
const NOISE: f64 = 25.0;

/// Images with labels.
struct Labelled {
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

/// Refuses what there are no accuracies of, before anything is measured.
///
/// # Errors
/// [`Error::Usage`] for data without labels or with other classes than the
/// classifier's, and for stacks, whose classes it does not know.
pub(super) fn check(data: &Dataset, source: &str, about: &About) -> Result<()> {
    super::refuse_stacks(data, "--synthetic")?;
    if data.label(0).is_some() && data.class_names() == about.classes {
        return Ok(());
    }
    Err(Error::usage(
        format!(
            "--synthetic needs labels of {}'s classes in --data {source}",
            about.features
        ),
        "give the data that the classifier was trained on",
    ))
}

/// Accuracies, in shares of 1 with their deviation over seeds.
///
/// Labels of generated images are the classes that they were made of, or, where they
/// were made of none, those of the stored classifier, which has seen the labels of all
/// real ones.
///
/// # Errors
/// Errors of the data and the device.
pub(super) fn measure(
    gpu: &Gpu,
    data: Dataset,
    source: &str,
    about: &About,
    (fake, labels): (&Samples, Option<&[u32]>),
    progress: &mut Progress,
) -> Result<Vec<Score>> {
    let (data, test) = match data.reading().open_test(source)? {
        Some(test) if test.label(0).is_some() => (data, test),
        _ => data.hold_out(10),
    };
    let labelled = |set: &Dataset, count: usize| {
        let (pixels, labels) = set.pixels(set.evenly(count));
        Labelled { pixels, labels }
    };
    let test = labelled(&test, IMAGES);
    let generated = of_samples(fake, about.classes.len(), labels);
    let real = labelled(&data, IMAGES.min(generated.labels.len()));
    let few = few(&data, about.classes.len());
    let noisy = noisy(&few, data.shape(), generated.labels.len());

    let trainer = Trainer {
        gpu,
        about,
        shape: data.shape(),
    };
    stop::finishing(progress, "this step");
    progress.start(gpu, 0, 5 * SEEDS);
    let mut rows: [Vec<f64>; 6] = Default::default();
    for seed in 0..SEEDS {
        let sets = [
            (&real, None),
            (&generated, None),
            (&few, None),
            (&few, Some(&generated)),
            (&few, Some(&noisy)),
        ];
        for (row, (first, second)) in sets.into_iter().enumerate() {
            let Some(mut classifier) = trainer.train(first, second, seed)? else {
                progress.end();
                progress.line("stopped: no --synthetic scores")?;
                return Ok(Vec::new());
            };
            rows[row].push(classifier.accuracy(&to_floats(&test.pixels), &test.labels)?);
            if row == 0 {
                let pixels = to_floats(&generated.pixels);
                rows[5].push(classifier.accuracy(&pixels, &generated.labels)?);
            }
            progress.advance("classifiers on generated images".into());
        }
    }
    progress.end();
    let n = generated.labels.len();
    let names = [
        (
            "real-train",
            format!("{} real images, tested on real ones", real.labels.len()),
        ),
        (
            "gan-train",
            format!("{n} generated images, tested on real ones"),
        ),
        (
            "few-real",
            format!("{FEW} real images per class, tested on real ones"),
        ),
        ("few-real+generated", format!("with {n} generated images")),
        ("few-real+noise", format!("with {n} noisy copies of them")),
        (
            "gan-test",
            "real images, tested on generated ones".to_owned(),
        ),
    ];
    Ok(names
        .into_iter()
        .zip(rows)
        .map(|((name, note), values)| {
            let (mean, deviation) = crate::metrics::mean_and_deviation(&values);
            Score {
                name: name.to_owned(),
                value: Some(mean),
                spread: deviation,
                note: format!("{note}, {SEEDS} seeds"),
            }
        })
        .collect())
}

/// Samples with their classes, or those that the stored classifier gives them.
fn of_samples(fake: &Samples, classes: usize, known: Option<&[u32]>) -> Labelled {
    let size: usize = fake.shape.iter().product();
    let count = fake.features.count().min(IMAGES);
    let rows = fake.probabilities.chunks_exact(classes).take(count);
    let seen = rows.map(|row| {
        let best = (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        best.unwrap_or(0) as u32
    });
    Labelled {
        pixels: fake.pixels[..count * size].to_vec(),
        labels: known.map_or_else(|| seen.collect(), |known| known[..count].to_vec()),
    }
}

/// The first images of each class.
fn few(data: &Dataset, classes: usize) -> Labelled {
    let mut seen = vec![0; classes];
    let items = (0..data.len()).filter(|&item| {
        let class = data.label(item).unwrap_or(0) as usize;
        seen[class] += 1;
        seen[class] <= FEW
    });
    let (pixels, labels) = data.pixels(items.collect::<Vec<_>>().into_iter());
    Labelled { pixels, labels }
}

/// `count` copies with noise.
fn noisy(of: &Labelled, shape: [usize; 3], count: usize) -> Labelled {
    let size: usize = shape.iter().product();
    let originals = of.labels.len();
    let mut noisy = Labelled {
        pixels: Vec::with_capacity(count * size),
        labels: Vec::with_capacity(count),
    };
    for copy in 0..count {
        let image = &of.pixels[copy % originals * size..][..size];
        for (place, &byte) in image.iter().enumerate() {
            let noise = random::normal(place as u32, 0, copy as u32, 0);
            noisy
                .pixels
                .push((f64::from(byte) + NOISE * noise).round() as u8);
        }
        noisy.labels.push(of.labels[copy % originals]);
    }
    noisy
}

struct Trainer<'a> {
    gpu: &'a Gpu,
    about: &'a About,
    shape: [usize; 3],
}

impl Trainer<'_> {
    /// A classifier of one set, or of two together; `None` where the user
    /// stopped it.
    fn train(
        &self,
        first: &Labelled,
        second: Option<&Labelled>,
        seed: u64,
    ) -> Result<Option<Classifier>> {
        let mut pixels = first.pixels.clone();
        let mut labels = first.labels.clone();
        if let Some(second) = second {
            pixels.extend(&second.pixels);
            labels.extend(&second.labels);
        }
        let classes = self.about.classes.clone();
        let set = Dataset::of_pixels("training", self.shape, &pixels, labels, classes)?;
        let recipe = Recipe {
            steps: STEPS,
            seed,
            ..Recipe::of_epochs(1.0, BATCH, BATCH)
        };
        let network = recipe.network(self.shape, self.about.classes.len());
        let trained = train(self.gpu, &Arc::new(set), &recipe, |_| {
            Ok(if stop::asked() {
                Next::Stop
            } else {
                Next::GoOn
            })
        })?;
        let Some(mut file) = trained else {
            return Ok(None);
        };
        let about = About {
            network,
            ..self.about.clone()
        };
        file.metadata = about.metadata().into();
        Classifier::new(self.gpu, &file, "training".as_ref()).map(Some)
    }
}
