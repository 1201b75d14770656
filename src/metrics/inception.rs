//! The score of Salimans et al. 2016 with any classifier: sure of each image,
//! of many classes over all.

use super::{Estimate, mean_and_deviation};

/// Parts that samples are divided into.
pub const SPLITS: usize = 10;

/// `exp(mean KL(p(y|x) || p(y)))` of class probabilities `[count, classes]`:
/// from 1 to the number of classes. The mean over ten parts, `spread` their
/// standard deviation; one part where there are fewer samples than parts.
/// `None` without samples or where a probability is not finite.
pub fn score(probabilities: &[f64], classes: usize) -> Option<Estimate> {
    let count = probabilities.len() / classes.max(1);
    if count == 0 || probabilities.iter().any(|p| !p.is_finite()) {
        return None;
    }
    let splits = if count < SPLITS { 1 } else { SPLITS };
    let values: Vec<f64> = (0..splits)
        .map(|split| {
            let (start, end) = (split * count / splits, (split + 1) * count / splits);
            part(&probabilities[start * classes..end * classes], classes)
        })
        .collect();
    let (value, spread) = mean_and_deviation(&values);
    Some(Estimate { value, spread })
}

/// The rows of `[count, classes]` in an order in which each of the parts of [`score`] is
/// spread over all of them, for images that lie sorted by their class.
pub fn spread(probabilities: &[f64], classes: usize) -> Vec<f64> {
    let rows = |first: usize| {
        probabilities
            .chunks_exact(classes)
            .skip(first)
            .step_by(SPLITS)
    };
    (0..SPLITS).flat_map(rows).flatten().copied().collect()
}

fn part(probabilities: &[f64], classes: usize) -> f64 {
    let count = (probabilities.len() / classes) as f64;
    let mut mean = vec![0.0; classes];
    for row in probabilities.chunks_exact(classes) {
        for (sum, p) in mean.iter_mut().zip(row) {
            *sum += p / count;
        }
    }
    let divergence: f64 = probabilities
        .chunks_exact(classes)
        .flat_map(|row| row.iter().zip(&mean))
        // p log p is 0 at 0.
        .filter(|(p, _)| **p > 0.0)
        .map(|(p, q)| p * (p / q).ln())
        .sum();
    (divergence / count).exp()
}
