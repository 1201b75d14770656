//! The Fréchet distance of two sets of features, each taken as a Gaussian
//! (Dowson and Landau 1982; Heusel et al. 2017 for images).

use super::Rows;
use super::eigen::{add, factor, values};
use super::parallel::each;

/// Vectors that are added to the covariance while a row of it is at hand.
const TOGETHER: usize = 16;

/// Mean and covariance of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// How many vectors they are of.
    pub count: usize,
    /// Mean of each feature, `[width]`.
    pub mean: Vec<f64>,
    /// Unbiased, `[width, width]`.
    pub covariance: Vec<f64>,
}

impl Moments {
    /// Of at least two vectors; `None` of fewer, and where one is not finite.
    pub fn of(rows: &Rows) -> Option<Self> {
        let (count, n) = (rows.count(), rows.width);
        if count < 2 {
            return None;
        }
        let mut mean = vec![0.0; n];
        for row in rows.values.chunks_exact(n) {
            for (sum, &x) in mean.iter_mut().zip(row) {
                *sum += f64::from(x);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= count as f64);
        let mut covariance = vec![0.0; n * n];
        for rows in rows.values.chunks(TOGETHER * n) {
            let places = rows.iter().zip(mean.iter().cycle());
            let centred: Vec<f64> = places.map(|(&x, m)| f64::from(x) - m).collect();
            for i in 0..n {
                let sums = &mut covariance[i * n..=i * n + i];
                for row in centred.chunks_exact(n) {
                    add(sums, row[i], row);
                }
            }
        }
        for i in 0..n {
            for j in 0..=i {
                let value = covariance[i * n + j] / (count - 1) as f64;
                covariance[i * n + j] = value;
                covariance[j * n + i] = value;
            }
        }
        let finite = mean.iter().chain(&covariance).all(|x| x.is_finite());
        finite.then_some(Self {
            count,
            mean,
            covariance,
        })
    }
}

/// `|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))` of moments of one width.
///
/// The trace of the root is the sum of the roots of the eigenvalues of `F S2 F^T`, where
/// `F^T F = S1`, which is symmetric, so no complex number occurs. Regularisation:
/// eigenvalues that rounding has made negative count as 0; nothing is added to the
/// covariances, which may be singular.
///
/// # Panics
/// If the widths differ.
pub fn distance(a: &Moments, b: &Moments) -> f64 {
    let n = a.mean.len();
    assert_eq!(n, b.mean.len(), "features of one width");
    let factor = factor(&a.covariance, n);
    let transposed: Vec<f64> = (0..n * n).map(|at| factor[at % n * n + at / n]).collect();
    let product = multiply(&multiply(&factor, &b.covariance, n), &transposed, n);
    let between: f64 = values(product, n).into_iter().map(f64::sqrt).sum();
    let means = a.mean.iter().zip(&b.mean);
    let shift: f64 = means.map(|(x, y)| (x - y).powi(2)).sum();
    let trace = |moments: &Moments| -> f64 { (0..n).map(|i| moments.covariance[i * n + i]).sum() };
    // Below 0 by rounding only.
    (shift + trace(a) + trace(b) - 2.0 * between).max(0.0)
}

fn multiply(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let rows = each(n, |i| {
        let mut row = vec![0.0; n];
        for (&factor, of_b) in a[i * n..][..n].iter().zip(b.chunks_exact(n)) {
            add(&mut row, factor, of_b);
        }
        row
    });
    rows.concat()
}
