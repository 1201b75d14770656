//! Scores of a run's snapshots.

use super::{Observer, unseen};
use crate::config::options::TrainOptions;
use crate::data::Dataset;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::metrics::{self, Kind, Samples, Score};
use crate::run::Scorer;

/// Real images as a classifier sees them, and what is measured of samples beside
/// them.
struct Snapshots {
    observer: Observer,
    kinds: Vec<Kind>,
    real: Samples,
    unseen: Option<Vec<u8>>,
}

/// Looks at the real images with the classifier of a file, or with the one that is
/// kept for the data.
///
/// # Errors
/// As of [`Observer::open`] and [`Observer::real`].
pub fn scorer(gpu: &Gpu, data: &Dataset, options: &TrainOptions) -> Result<Box<dyn Scorer>> {
    let source = &options.config.data.source;
    let mut observer = Observer::open(gpu, data, source, options.features.as_deref())?;
    let real = observer.real(data, |_| {})?;
    Ok(Box::new(Snapshots {
        observer,
        kinds: options.metrics.clone(),
        real,
        unseen: unseen(data, source)?,
    }))
}

impl Scorer for Snapshots {
    fn score(&mut self, images: &[f32]) -> Result<(usize, Vec<Score>)> {
        let fake = self.observer.generated(images, |_| {})?;
        let features = &self.observer.classifier().about().features;
        let unseen = self.unseen.as_deref();
        let scores = metrics::measure(&self.kinds, features, &self.real, unseen, &fake);
        Ok((fake.features.count(), scores))
    }
}
