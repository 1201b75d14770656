//! Standing statistics (Brock et al. 2018, arXiv 1809.11096, appendix C.2): what batch
//! normalisation knows of averaged weights, estimated anew on images that these make.
//! The average of running statistics is that of weights which no longer are.

use std::path::Path;

use super::shown::Asked;
use super::viewer::{CHECKPOINT_MEND, Viewer};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::store::checkpoint::Checkpoint;
use crate::systems::{Source, System, Weights};

/// Batches that are made. A running statistic keeps nine tenths of itself at each, so
/// that of what it was before 3e-5 is left.
const BATCHES: usize = 100;

/// Images of a batch.
const BATCH: usize = 64;

/// The seed of the first image, far from those that are looked at.
const FIRST_SEED: u64 = 1 << 40;

/// A file with standing statistics in place of the averaged ones, for its first view.
/// None where that makes nothing of noise alone, or nothing in it keeps statistics.
///
/// # Errors
/// As of [`Viewer::new`].
pub(crate) fn estimated(
    gpu: &Gpu,
    system: &dyn System,
    (file, path): (&Checkpoint, &Path),
) -> Result<Option<Checkpoint>> {
    let views = system.views();
    let Some(view) = views.first() else {
        return Ok(None);
    };
    let is_of_noise = |source| {
        matches!(
            source,
            Source::Latent(_) | Source::Column { .. } | Source::Zero
        )
    };
    let of_noise = view.inputs.iter().all(|field| is_of_noise(field.source));
    if view.draws || view.repeat > 1 || !of_noise {
        return Ok(None);
    }
    let of = (view.name, BATCH);
    let from = (file, path);
    let mut viewer = Viewer::new(gpu, system, of, Weights::Followed, from, CHECKPOINT_MEND)?;
    if viewer.buffers()?.is_empty() {
        return Ok(None);
    }
    let count = (BATCHES * BATCH) as u64;
    viewer.look(&Asked::seeds(FIRST_SEED..FIRST_SEED + count))?;
    let mut file = file.clone();
    for (name, values) in viewer.buffers()? {
        if let Some((_, kept)) = file.tensors.get_mut(&name) {
            *kept = values;
        }
    }
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Override};
    use crate::data::Position;
    use crate::gpu::Selector;
    use crate::run::blueprint::Blueprint;
    use crate::run::session::Session;
    use crate::run::state::{About, save};
    use crate::systems::{self, Given, presets};

    fn saved(gpu: &Gpu, config: &Config, system: &std::sync::Arc<dyn System>) -> Checkpoint {
        let blueprint = Blueprint::new(config, &**system, &gpu.facts.kernel_facts()).unwrap();
        let session = Session::new(gpu, config, system.clone(), blueprint).unwrap();
        let about = About {
            channels: 1,
            ..About::default()
        };
        save(&session, config, &about, &[Position::default()]).unwrap()
    }

    /// The first layer is linear in normal latents, so its mean is 0 and its variance a
    /// sum of squares, whatever the statistics were before.
    #[test]
    fn they_are_those_of_the_averaged_weights() {
        let gpu = Gpu::open(&Selector::default()).unwrap_or_else(|error| panic!("{error}"));
        let changes = [("batch", 4), ("model.width", 4), ("model.latent", 8)];
        let changes = changes.map(|(key, value)| Override::new(key, value));
        let config = presets::load("dcgan28").unwrap().with(changes).unwrap();
        let system = systems::open(&config, &Given::images([1, 28, 28])).unwrap();
        let mut file = saved(&gpu, &config, &system);
        for (name, (_, values)) in &mut file.tensors {
            if name.contains("running") {
                values.fill(7.0);
            }
            // Were these taken, the variances would be four times as large.
            if name.starts_with("G.") && name.ends_with("weight") {
                values.iter_mut().for_each(|value| *value *= 2.0);
            }
        }
        let found = estimated(&gpu, &*system, (&file, "checkpoint".as_ref()));
        let found = found.unwrap().expect("it normalises by statistics");
        let of = |name: &str| &found.tensors[name].1;
        let weight = of("G_ema.main.0.weight");
        let (means, variances) = (
            of("G_ema.main.2.running_mean"),
            of("G_ema.main.2.running_var"),
        );
        let channels = means.len();
        let rows = weight.chunks(weight.len() / channels);
        for ((mean, variance), rows) in means.iter().zip(variances).zip(rows) {
            let squares: f32 = rows.iter().map(|weight| weight * weight).sum();
            let expected = squares / (rows.len() / 8) as f32;
            assert!(
                (variance / expected - 1.0).abs() < 0.1,
                "{variance} against {expected}"
            );
            assert!(mean.abs() < 0.1 * expected.sqrt(), "{mean}");
        }
        for (name, (_, values)) in &found.tensors {
            if !name.starts_with("G_ema.") || !name.contains("running") {
                assert_eq!(values, &file.tensors[name].1, "{name}");
            }
        }
    }
}
