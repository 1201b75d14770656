//! What a session knows of its health, and what a rollback changes in it.

use super::Session;
use crate::config::Optimizers;
use crate::error::{Error, Result};
use crate::gan::health::{Measures, Sizes};
use crate::gan::monitor::{PROBES, REFERENCE_IMAGES, probes_slice};
use crate::recording::StepValues;

impl Session {
    /// Real images in [-1, 1] that the health monitor compares samples with;
    /// how many it takes, `None` where health is not measured. Fewer are
    /// repeated.
    pub fn references(&self) -> Option<usize> {
        let (shape, _) = self.blueprint.layout.places.get(REFERENCE_IMAGES)?;
        Some(shape[0])
    }

    /// Sets them, `[n, C, H, W]` of at least one image.
    ///
    /// # Errors
    /// Where health is not measured or the device failed.
    pub fn set_references(&self, images: &[f32]) -> Result<()> {
        let (shape, _) = self
            .blueprint
            .layout
            .places
            .get(REFERENCE_IMAGES)
            .ok_or_else(|| Error::usage("health is not measured", "set train.health = true"))?;
        let all: Vec<f32> = images.iter().copied().cycle().take(shape.numel()).collect();
        self.write_images(REFERENCE_IMAGES, &all)
    }

    /// Keeps the weights as they are, for [`Session::measures`] after the next
    /// step. Nothing where health is not measured.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn before_measured_step(&mut self) -> Result<()> {
        if self.config.train.health {
            self.run("health before", StepValues::default())?;
        }
        Ok(())
    }

    /// The health of the training after a step, waiting for it; `None` where
    /// health is not measured. Changes nothing that training reads.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn measures(&mut self) -> Result<Option<Measures>> {
        let places = &self.blueprint.layout.places;
        let Some((slice, offsets)) = probes_slice(places) else {
            return Ok(None);
        };
        let elements = ["G", "D"]
            .iter()
            .flat_map(|net| places.group(net))
            .map(|slice| 2 * slice.len)
            .sum();
        let sizes = Sizes {
            logits: self.config.batch / self.config.loss.pack,
            pixels: self.model.image().iter().product(),
            elements,
        };
        // The random numbers of the last step again, so that none is spent.
        let counter = self.counters.draws;
        self.run(
            "health",
            StepValues {
                counter,
                ..StepValues::default()
            },
        )?;
        let values = self.memory.read(slice)?;
        let mut probes = [0.0; PROBES.len()];
        for (probe, offset) in probes.iter_mut().zip(offsets) {
            *probe = values[offset];
        }
        Ok(Some(Measures::new(&probes, sizes)))
    }

    /// How the weights move.
    pub fn optimizers(&self) -> &Optimizers {
        &self.config.optimizer
    }

    /// Multiplies the learning rates of G and D from here on.
    pub fn scale_learning_rates(&mut self, [g, d]: [f64; 2]) {
        let optimizers = &mut self.config.optimizer;
        for (optimizer, factor) in [(&mut optimizers.g, g), (&mut optimizers.d, d)] {
            optimizer.lr *= factor;
            optimizer.lr_min *= factor;
        }
    }
}
