//! The health of a training, measured on the device.

use super::Session;
use crate::error::{Error, Result};
use crate::graph::Group;
use crate::recording::StepValues;
use crate::run::health::{Measures, Sizes};
use crate::run::monitor::REFERENCES;
use crate::systems::Source;

impl Session {
    /// Real records that the health monitor compares samples with; how many it
    /// takes, `None` where no distances are measured. Fewer are repeated.
    pub fn references(&self) -> Option<usize> {
        let (shape, _) = self.blueprint.places.get(REFERENCES)?;
        Some(shape[0])
    }

    /// Sets them, `[n, ...]` of at least one record; images in [-1, 1].
    ///
    /// # Errors
    /// Where no distances are measured or the device failed.
    pub fn set_references(&self, records: &[f32]) -> Result<()> {
        let places = &self.blueprint.places;
        let (shape, _) = places
            .get(REFERENCES)
            .ok_or_else(|| Error::usage("health is not measured", "set train.health = true"))?;
        let all: Vec<f32> = records
            .iter()
            .copied()
            .cycle()
            .take(shape.numel())
            .collect();
        let ranges = self
            .blueprint
            .fields
            .iter()
            .find_map(|field| match field.source {
                Source::Pixels { range, .. } => Some(range),
                _ => None,
            });
        match ranges {
            Some(range) => self.write(REFERENCES, &range.from_unit(&all)),
            None => self.write(REFERENCES, &all),
        }
    }

    /// Keeps the weights as they are, for [`Session::measures`] after the next
    /// step. Nothing where health is not measured.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn before_measured_step(&mut self) -> Result<()> {
        match self.blueprint.monitor {
            Some(_) => self.run("health before", StepValues::default()),
            None => Ok(()),
        }
    }

    /// The health of the training after a step, waiting for it; `None` where
    /// health is not measured. Changes nothing that training reads.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn measures(&mut self) -> Result<Option<Measures>> {
        let places = &self.blueprint.places;
        let Some(monitor) = &self.blueprint.monitor else {
            return Ok(None);
        };
        let Some((slice, probes)) = monitor.slice(places) else {
            return Ok(None);
        };
        let networks = monitor.networks();
        let weights = networks.iter().flat_map(|network| {
            let group = Group::Weights((*network).to_owned());
            places.group(&group)
        });
        let sizes = Sizes {
            logits: self.system.duel().map_or(0, |duel| duel.logits),
            record: monitor.elements().unwrap_or(0),
            networks: networks.to_vec(),
            elements: weights.map(|slice| 2 * slice.len).sum(),
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
        let probes: Vec<_> = probes
            .into_iter()
            .map(|(probe, offset)| (probe, values[offset]))
            .collect();
        Ok(Some(Measures::new(&probes, &sizes)))
    }

    /// `[C, H, W]` of what the first view shows, where that are images.
    pub fn image(&self) -> Option<[usize; 3]> {
        self.blueprint.views.first()?.view.medium.image()
    }
}
