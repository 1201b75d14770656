//! The discriminator's features against raw pixels, for a linear classifier with
//! few labels (Radford et al. 2015, section 5.1).

use std::path::Path;

use crate::classify::LinearSvm;
use crate::data::{Dataset, to_floats};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::metrics::{Rows, Score, mean_and_deviation};
use crate::random;
use crate::run::progress::Progress;
use crate::run::viewer::{CHECKPOINT_MEND, Viewer};
use crate::store::checkpoint::Checkpoint;
use crate::systems::{System, Weights};

/// Labelled images of a class.
const LABELLED: usize = 10;

/// Draws of these.
const DRAWS: u32 = 5;

/// Test images at most.
const TESTED: usize = 2_000;

/// What an error weighs against the length of the weights: LIBLINEAR's default.
const C: f64 = 1.0;

/// The view that gives them.
const VIEW: &str = "representation";

/// Images of one pass where the discriminator takes any number.
const PASS: usize = 64;

/// Refuses data that there are no accuracies on, before anything is measured.
///
/// # Errors
/// [`Error::Usage`] for data without labels, of one class, with too few images of
/// a class, and for stacks, whose classes are too many.
pub(super) fn check(data: &Dataset, source: &str) -> Result<()> {
    super::refuse_stacks(data, "--representation")?;
    let classes = data.class_names();
    if data.label(0).is_none() || classes.len() < 2 {
        return Err(Error::usage(
            format!(
                "--representation needs labels of two classes or more; --data {source} has none"
            ),
            "give IDX files with labels, or a folder of pictures for each class",
        ));
    }
    let mut counts = vec![0; classes.len()];
    for label in (0..data.len()).filter_map(|item| data.label(item)) {
        counts[label as usize] += 1;
    }
    // One more, as some may be kept for the test.
    match counts.iter().position(|&count| count <= LABELLED) {
        None => Ok(()),
        Some(class) => Err(Error::usage(
            format!(
                "--representation needs more than {LABELLED} images per class; {} of --data {source} has {}",
                classes[class], counts[class]
            ),
            "add images or leave the class out",
        )),
    }
}

/// A trained discriminator's hidden layers as features.
pub struct Representation {
    discriminator: Viewer,
}

impl Representation {
    /// That of a checkpoint read from `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the checkpoint is of another model; errors of the
    /// device.
    pub fn new(
        gpu: &Gpu,
        system: &dyn System,
        checkpoint: &Checkpoint,
        path: &Path,
    ) -> Result<Self> {
        if !system.views().iter().any(|view| view.name == VIEW) {
            return Err(Error::usage(
                "--representation needs a discriminator, and this system has none",
                "leave it out",
            ));
        }
        let file = (checkpoint, path);
        let discriminator = Viewer::new(
            gpu,
            system,
            (VIEW, PASS),
            Weights::Raw,
            file,
            CHECKPOINT_MEND,
        )?;
        Ok(Self { discriminator })
    }

    /// Features of images `[count, C, H, W]` in [-1, 1], layer by layer from the
    /// image on.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn look(&mut self, images: &[f32]) -> Result<Rows> {
        let layers = self.discriminator.look_at(images)?;
        let widths = self.discriminator.widths();
        let width = widths.iter().sum();
        let count = layers.first().map_or(0, Vec::len) / widths.first().copied().unwrap_or(1);
        let mut values = Vec::with_capacity(count * width);
        for image in 0..count {
            for (layer, &width) in layers.iter().zip(&widths) {
                values.extend(&layer[image * width..][..width]);
            }
        }
        Ok(Rows { values, width })
    }
}

/// Accuracies of the machine on features and on pixels, in shares of 1 with their
/// deviation over the draws.
///
/// # Errors
/// Errors of the data and the device.
pub(super) fn measure(
    representation: &mut Representation,
    data: &Dataset,
    source: &str,
    progress: &mut Progress,
) -> Result<Vec<Score>> {
    let [c, h, w] = data.shape();
    let (held, test);
    let train = match data.reading().open_test(source)? {
        Some(given) if given.label(0).is_some() => {
            test = given;
            data
        }
        _ => {
            (held, test) = data.hold_out(10);
            &held
        }
    };
    progress.start(representation.discriminator.gpu(), 0, u64::from(DRAWS) + 1);
    let mut see = |(pixels, labels): (Vec<u8>, Vec<u32>)| -> Result<[Labelled; 2]> {
        let images = to_floats(&pixels);
        let features = representation.look(&images)?;
        let pixels = Rows {
            values: images,
            width: c * h * w,
        };
        Ok([features, pixels].map(|rows| Labelled {
            rows,
            labels: labels.clone(),
        }))
    };
    let test = see(test.pixels(test.evenly(TESTED)))?;
    progress.advance("features".into());
    let mut drawn = Vec::new();
    for number in 0..DRAWS {
        drawn.push(see(train.pixels(draw(train, number).into_iter()))?);
        progress.advance("features".into());
    }
    let widths = representation.discriminator.widths();
    let layers = [&widths[..], &[c * h * w]];
    let classes = data.class_names().len();
    let names = ["svm-discriminator", "svm-pixels"];
    let mut scores = Vec::new();
    for (space, name) in names.into_iter().enumerate() {
        let of = |few: &[Labelled; 2]| accuracy(&few[space], &test[space], layers[space], classes);
        let accuracies: Vec<f64> = drawn.iter().map(of).collect();
        let (mean, spread) = mean_and_deviation(&accuracies);
        scores.push(Score {
            name: name.to_owned(),
            value: Some(mean),
            spread,
            note: format!(
                "{} features, {LABELLED} labels per class, {} test images, {DRAWS} draws",
                test[space].rows.width,
                test[space].labels.len()
            ),
        });
    }
    progress.end();
    Ok(scores)
}

/// Features with a label each.
struct Labelled {
    rows: Rows,
    labels: Vec<u32>,
}

/// So many items of each class, others in each draw.
fn draw(data: &Dataset, number: u32) -> Vec<usize> {
    let mut items: Vec<usize> = (0..data.len()).collect();
    items.sort_by_cached_key(|&item| random::bits(item as u32, 0, number, 0));
    let mut seen = vec![0; data.class_names().len()];
    items.retain(|&item| {
        let class = data.label(item).unwrap_or(0) as usize;
        seen[class] += 1;
        seen[class] <= LABELLED
    });
    items
}

/// Share of the test rows that a machine of a few rows tells right. Features are
/// brought around 0, and those of each layer to one mean squared length by one
/// number, all as the few rows say: the scale of a layer before a normalisation
/// is arbitrary, and [`C`] means the same for all rows of length 1.
fn accuracy(few: &Labelled, test: &Labelled, layers: &[usize], classes: usize) -> f64 {
    let width = few.rows.width;
    let count = few.rows.count() as f64;
    let rows = || few.rows.values.chunks_exact(width);
    let mut mean = vec![0.0; width];
    for row in rows() {
        for (mean, &x) in mean.iter_mut().zip(row) {
            *mean += f64::from(x) / count;
        }
    }
    let mut squares = vec![0.0; width];
    for row in rows() {
        for ((square, &x), mean) in squares.iter_mut().zip(row).zip(&mean) {
            *square += (f64::from(x) - mean).powi(2) / count;
        }
    }
    let mut scales = Vec::with_capacity(width);
    for &layer in layers {
        let length: f64 = squares[scales.len()..][..layer].iter().sum();
        // A layer that is the same for all rows stays 0.
        let share = if length > 0.0 {
            (layers.len() as f64 * length).sqrt().recip()
        } else {
            0.0
        };
        scales.extend(std::iter::repeat_n(share, layer));
    }
    let scaled = |row: &[f32]| -> Vec<f64> {
        let places = row.iter().zip(&mean).zip(&scales);
        places
            .map(|((&x, mean), scale)| (f64::from(x) - mean) * scale)
            .collect()
    };
    let machine = LinearSvm::train(
        &rows().map(scaled).collect::<Vec<_>>(),
        &few.labels,
        classes,
        C,
    );
    let tested = test.rows.values.chunks_exact(width).zip(&test.labels);
    let right = tested.filter(|(row, label)| machine.class(&scaled(row)) == **label as usize);
    right.count() as f64 / test.labels.len().max(1) as f64
}
