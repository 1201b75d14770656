//! Scores of samples against real images: plain functions of features, class
//! probabilities and pixels, in f64 where sums are long. Nothing here touches a
//! GPU.
//!
//! A score of features is only comparable with scores of the same features, so
//! whoever prints one names them ([`Score::name`]). A score that has too few
//! samples is absent, never NaN.

pub mod bayes;
mod eigen;
pub mod frechet;
pub mod inception;
pub mod kernel;
mod measure;
pub mod memory;
pub mod modes;
pub mod neighbours;
mod parallel;
pub mod quality;
pub mod ssim;
pub mod wasserstein;

pub use measure::{Features, Metric, Samples, Score, measure};

/// Feature vectors, row-major `[count, width]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Elements, row-major `[count, width]`.
    pub values: Vec<f32>,
    /// Length of a vector, at least 1.
    pub width: usize,
}

/// A value with what is known of its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate itself.
    pub value: f64,
    /// Its standard error or deviation, as the function says; `None` where one
    /// part only was there.
    pub spread: Option<f64>,
}

impl Rows {
    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// One vector.
    ///
    /// # Panics
    /// If `index` is not below [`Rows::count`].
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// At most `count` of the vectors, evenly spread.
    #[must_use]
    pub fn evenly(&self, count: usize) -> Self {
        let all = self.count();
        let count = count.min(all);
        let rows = (0..count).flat_map(|index| self.row(index * all / count));
        Self {
            values: rows.copied().collect(),
            width: self.width,
        }
    }
}

/// Mean and, of more than one value, the unbiased standard deviation.
pub fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    (mean, deviation)
}
