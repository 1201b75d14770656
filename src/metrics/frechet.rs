//! The Fréchet distance of two sets of features, each taken as a Gaussian
//! (Dowson and Landau 1982; Heusel et al. 2017 for images).

use super::Rows;
use super::eigen::symmetric;

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
        let mut centred = vec![0.0; n];
        for row in rows.values.chunks_exact(n) {
            for ((c, &x), m) in centred.iter_mut().zip(row).zip(&mean) {
                *c = f64::from(x) - m;
            }
            for i in 0..n {
                let factor = centred[i];
                for (sum, c) in covariance[i * n..=i * n + i].iter_mut().zip(&centred) {
                    *sum += factor * c;
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
/// The trace of the root is the sum of the roots of the eigenvalues of
/// `S1^(1/2) S2 S1^(1/2)`, which is symmetric, so no complex number occurs.
/// Regularisation: eigenvalues that rounding has made negative count as 0;
/// nothing is added to the covariances, which may be singular.
///
/// # Panics
/// If the widths differ.
pub fn distance(a: &Moments, b: &Moments) -> f64 {
    let n = a.mean.len();
    assert_eq!(n, b.mean.len(), "features of one width");
    let root = root(&a.covariance, n);
    let product = multiply(&multiply(&root, &b.covariance, n), &root, n);
    let between: f64 = symmetric(product, n)
        .values
        .into_iter()
        .map(|value| value.max(0.0).sqrt())
        .sum();
    let means = a.mean.iter().zip(&b.mean);
    let shift: f64 = means.map(|(x, y)| (x - y).powi(2)).sum();
    let trace = |moments: &Moments| -> f64 { (0..n).map(|i| moments.covariance[i * n + i]).sum() };
    // Below 0 by rounding only.
    (shift + trace(a) + trace(b) - 2.0 * between).max(0.0)
}

/// The positive root of a symmetric matrix.
fn root(a: &[f64], n: usize) -> Vec<f64> {
    let eigen = symmetric(a.to_vec(), n);
    let mut root = vec![0.0; n * n];
    for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(n)) {
        let length = value.max(0.0).sqrt();
        for (row, x) in root.chunks_exact_mut(n).zip(vector) {
            for (sum, y) in row.iter_mut().zip(vector) {
                *sum += length * x * y;
            }
        }
    }
    root
}

fn multiply(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    for (row, of_a) in product.chunks_exact_mut(n).zip(a.chunks_exact(n)) {
        for (factor, of_b) in of_a.iter().zip(b.chunks_exact(n)) {
            for (sum, x) in row.iter_mut().zip(of_b) {
                *sum += factor * x;
            }
        }
    }
    product
}
