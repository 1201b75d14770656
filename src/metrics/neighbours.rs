//! Fidelity and coverage by nearest neighbours: precision and recall
//! (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

use super::Rows;
use super::parallel::{each, in_ranges};

/// Neighbours of precision and recall.
pub const K_PRECISION: usize = 3;

/// Neighbours of density and coverage.
pub const K_DENSITY: usize = 5;

/// Shares of samples; all but density are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Generated vectors within the ball of some real one.
    pub precision: f64,
    /// Real vectors within the ball of some generated one.
    pub recall: f64,
    /// Real balls that a generated vector lies in, over the k expected.
    pub density: f64,
    /// Real vectors with a generated one in their ball.
    pub coverage: f64,
}

/// Compares two sets. The ball of a vector reaches to its k-th neighbour in its
/// own set. `None` where a set has no more than [`K_DENSITY`] vectors.
///
/// # Panics
/// If the widths differ.
pub fn compare(real: &Rows, fake: &Rows) -> Option<Shares> {
    assert_eq!(real.width, fake.width, "features of one width");
    let (reals, fakes) = (real.count(), fake.count());
    if reals.min(fakes) <= K_DENSITY {
        return None;
    }
    let (real_balls, fake_balls) = (radii(real), radii(fake));
    let parts = in_ranges(fakes, |range| {
        let mut part = Part {
            precise: 0,
            inside: 0,
            recalled: vec![false; reals],
            covered: vec![false; reals],
        };
        for j in range {
            let mut hit = false;
            for (i, &(close, wide)) in real_balls.iter().enumerate() {
                let distance = squared_distance(real.row(i), fake.row(j));
                hit |= distance <= close;
                part.inside += usize::from(distance <= wide);
                part.covered[i] |= distance <= wide;
                part.recalled[i] |= distance <= fake_balls[j].0;
            }
            part.precise += usize::from(hit);
        }
        part
    });
    let sum = |of: fn(&Part) -> usize| parts.iter().map(of).sum::<usize>() as f64;
    let share = |of: fn(&Part) -> &Vec<bool>| {
        let hit = (0..reals).filter(|&i| parts.iter().any(|part| of(part)[i]));
        hit.count() as f64 / reals as f64
    };
    Some(Shares {
        precision: sum(|part| part.precise) / fakes as f64,
        recall: share(|part| &part.recalled),
        density: sum(|part| part.inside) / (K_DENSITY * fakes) as f64,
        coverage: share(|part| &part.covered),
    })
}

/// The index of the nearest of `known` to each vector, the first of equals.
///
/// # Panics
/// If the widths differ, or nothing is known.
pub fn nearest(known: &Rows, rows: &Rows) -> Vec<usize> {
    assert_eq!(known.width, rows.width, "vectors of one width");
    each(rows.count(), |i| {
        let distance = |&j: &usize| squared_distance(known.row(j), rows.row(i));
        let distances = (0..known.count()).map(|j| (j, distance(&j)));
        let nearest = distances.min_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.expect("something is known").0
    })
}

/// What a range of generated vectors is found to hit.
struct Part {
    /// Generated vectors within a real ball of precision.
    precise: usize,
    /// Pairs of a generated vector and a real ball of density around it.
    inside: usize,
    /// Real vectors within a generated ball.
    recalled: Vec<bool>,
    /// Real vectors with a generated one in their ball.
    covered: Vec<bool>,
}

/// Squared distances of each vector to its third and fifth neighbour.
fn radii(rows: &Rows) -> Vec<(f32, f32)> {
    each(rows.count(), |i| {
        let mut nearest = [f32::INFINITY; K_DENSITY];
        for j in (0..rows.count()).filter(|&j| j != i) {
            let distance = squared_distance(rows.row(i), rows.row(j));
            if distance < nearest[K_DENSITY - 1] {
                let place = nearest.partition_point(|&known| known <= distance);
                nearest[place..].rotate_right(1);
                nearest[place] = distance;
            }
        }
        (nearest[K_PRECISION - 1], nearest[K_DENSITY - 1])
    })
}

/// Of the differences, since a difference of squares would lose the digits of
/// close vectors.
fn squared_distance(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks::<8>();
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..8 {
            let difference = x[lane] - y[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| (x - y) * (x - y));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}
