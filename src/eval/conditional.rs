//! Is what a conditional generator makes of the class that it was asked for?

use crate::classify::About;
use crate::data::{Dataset, to_floats};
use crate::error::Result;
use crate::metrics::{Rows, Samples, Score, neighbours};

/// Samples that real images are compared with at most, and real images.
const KNOWN: usize = 10_000;
const TESTED: usize = 1000;

/// The classes of the samples of the seeds from 0 on, one after the other.
pub(super) fn labels(samples: usize, classes: usize) -> Vec<u32> {
    (0..samples)
        .map(|sample| (sample % classes) as u32)
        .collect()
}

/// Scores of samples of these classes, from 0 to 1, better above:
///
/// - `class-agreement`: share of samples that the classifier, if there is one, takes for
///   what was asked;
/// - `nearest-neighbour`: share of real images whose nearest sample, by Euclidean
///   distance of pixels, is of their class: the samples of each class stand for
///   p(x given y) (Radford et al. 2015, appendix); beside it the same of as many real
///   images.
///
/// `names` are the generator's classes. Where those of the classifier or of the data
/// are others, or the images are stacks, the scores that would need them are absent.
///
/// # Errors
/// As of [`Dataset::open_test`].
pub(super) fn measure(
    (fake, labels): (&Samples, &[u32]),
    names: &[String],
    about: Option<&About>,
    (data, source): (&Dataset, &str),
) -> Result<Vec<Score>> {
    let chance = format!("{:.3} by chance", 1.0 / names.len() as f64);
    let of_class = |about: &About| Score {
        name: format!("class-agreement({})", about.features),
        value: (about.classes == names).then(|| agreement(fake, labels, names.len())),
        spread: None,
        note: match about.classes == names {
            true => format!("of samples have the class asked for, {chance}"),
            false => "the classifier has other classes".to_owned(),
        },
    };
    let mut scores: Vec<Score> = about.map(of_class).into_iter().collect();
    if data.class_names() != names || data.single().1 > 1 {
        return Ok(scores);
    }
    let [c, h, w] = data.shape();
    let unseen = Dataset::open_test(source, h, w, Some(c))?.filter(|set| set.label(0).is_some());
    let (real, test, seen) = match unseen {
        Some(test) => (None, test, "test"),
        None => {
            let (real, test) = data.hold_out(10);
            (Some(real), test, "training")
        }
    };
    let real = real.as_ref().unwrap_or(data);
    let real = real.pixels(real.evenly(KNOWN));
    let test = test.pixels(test.evenly(TESTED));
    let rows = |pixels: &[u8]| Rows {
        values: to_floats(pixels),
        width: c * h * w,
    };
    let known = fake.count().min(KNOWN);
    let samples = (rows(&fake.pixels[..known * c * h * w]), &labels[..known]);
    let few = real.1.len().min(known);
    let reals = (rows(&real.0[..few * c * h * w]), &real.1[..few]);
    let test = (rows(&test.0), &test.1[..]);
    let count = test.1.len();
    for (name, of, known) in [
        ("nearest-neighbour", "samples", samples),
        ("nearest-neighbour-real", "real images", reals),
    ] {
        scores.push(Score {
            name: name.to_owned(),
            value: (count > 0 && !known.1.is_empty()).then(|| told(&known, &test)),
            spread: None,
            note: format!(
                "{count} {seen} images by the nearest of {} {of}; {chance}",
                known.1.len()
            ),
        });
    }
    Ok(scores)
}

/// Share of samples whose most probable class is their label.
fn agreement(fake: &Samples, labels: &[u32], classes: usize) -> f64 {
    let rows = fake.probabilities.chunks_exact(classes);
    let said = rows.map(|row| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])));
    let right = said.zip(labels);
    let right = right.filter(|(said, label)| *said == Some(**label as usize));
    right.count() as f64 / labels.len().max(1) as f64
}

/// Share of rows with the label of the nearest known one.
fn told((known, labels): &(Rows, &[u32]), (rows, truth): &(Rows, &[u32])) -> f64 {
    let nearest = neighbours::nearest(known, rows);
    let right = nearest.iter().zip(*truth);
    let right = right.filter(|(index, truth)| labels[**index] == **truth);
    right.count() as f64 / truth.len() as f64
}
