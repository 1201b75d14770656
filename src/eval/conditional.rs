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
    let unseen = data.reading().open_test(source)?;
    let unseen = unseen.filter(|set| set.label(0).is_some());
    let (real, test, seen) = match unseen {
        Some(test) => (None, test, "test"),
        None => {
            let (real, test) = data.hold_out(10);
            (Some(real), test, "training")
        }
    };
    let real = real.as_ref().unwrap_or(data);
    let known = fake.count().min(KNOWN);
    // As many as there are samples, of all classes: they may lie class by class.
    let real = real.pixels(real.evenly(known));
    let test = test.pixels(test.evenly(TESTED));
    let rows = |pixels: &[u8]| Rows {
        values: to_floats(pixels),
        width: c * h * w,
    };
    let samples = (rows(&fake.pixels[..known * c * h * w]), &labels[..known]);
    let reals = (rows(&real.0), &real.1[..]);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of five levels of grey, a class each, sorted by class as folders are.
    #[test]
    fn real_images_that_stand_for_classes_are_of_all_of_them() {
        let names: Vec<String> = (0..5).map(|class| class.to_string()).collect();
        let labels: Vec<u32> = (0..100).map(|image| image / 20).collect();
        let pixels: Vec<u8> = labels
            .iter()
            .flat_map(|&class| [50 * class as u8; 4])
            .collect();
        let shape = [1, 2, 2];
        let data = Dataset::of_pixels("grey", shape, &pixels, labels, names.clone());
        let data = data.expect("it fits together");
        let made = super::labels(20, 5);
        let fake = Samples {
            shape,
            stack: 1,
            pixels: made
                .iter()
                .flat_map(|&class| [50 * class as u8; 4])
                .collect(),
            features: Rows {
                values: Vec::new(),
                width: 1,
            },
            probabilities: Vec::new(),
            classes: Vec::new(),
        };
        let scores = measure((&fake, &made), &names, None, (&data, "grey"));
        let scores = scores.expect("measured");
        let value = |name: &str| scores.iter().find(|score| score.name == name)?.value;
        assert_eq!(value("nearest-neighbour"), Some(1.0));
        assert_eq!(value("nearest-neighbour-real"), Some(1.0));
    }
}
