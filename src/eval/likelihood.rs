//! What an explicit model says of the probability of images it has not seen.

use std::path::Path;

use crate::data::{Dataset, to_floats};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::metrics::{Score, mean_and_deviation};
use crate::run::viewer::{CHECKPOINT_MEND, Viewer};
use crate::store::checkpoint::Checkpoint;
use crate::systems::{Known, Likelihood, System, Weights};

/// Images that are looked at, at most.
const IMAGES: usize = 1000;

/// Images of one pass.
const PASS: usize = 64;

/// The mean log-likelihood, in nats an image, of the data's test images or, where
/// there are none, of its images, which the model may have been `trained_on`; `None` for
/// systems that know none.
///
/// # Errors
/// Errors of the data and the device.
pub(super) fn measure(
    gpu: &Gpu,
    system: &dyn System,
    weights: Weights,
    file: (&Checkpoint, &Path),
    (data, source, trained_on): (&Dataset, &str, bool),
) -> Result<Option<Score>> {
    let Some(Likelihood { view, known }) = system.likelihood() else {
        return Ok(None);
    };
    let test = match data.single().1 {
        1 => data.reading().open_test(source)?,
        _ => None,
    };
    let (set, of) = match &test {
        Some(test) => (test, "test images"),
        None if trained_on => (data, "training images, as there are no test images"),
        None => (data, "images"),
    };
    let (pixels, _) = set.pixels(set.evenly(IMAGES));
    let mut viewer = Viewer::new(gpu, system, (view, PASS), weights, file, CHECKPOINT_MEND)?;
    let outputs = viewer.look_at(&to_floats(&pixels))?;
    let nats: Vec<f64> = outputs[0].iter().map(|&x| f64::from(x)).collect();
    let (mean, deviation) = mean_and_deviation(&nats);
    let known = match known {
        Known::Exactly => "exact",
        Known::AsBound => "a lower bound",
        Known::AsEstimate => "an estimate",
    };
    let count = nats.len();
    Ok(Some(Score {
        name: "log-likelihood".to_owned(),
        value: mean.is_finite().then_some(mean),
        // Standard error of the mean.
        spread: deviation.map(|deviation| deviation / (count as f64).sqrt()),
        note: format!("{known}, nats per image, {count} {of}"),
    }))
}
