//! What a run needs of the GPU's memory, on paper.

use std::fmt;

use crate::graph::{Group, Places};
use crate::plan::Plan;

/// Bytes by use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Weights and running statistics of all networks.
    pub parameters: u64,
    /// Gradients of all weights.
    pub gradients: u64,
    /// Moments of the optimisers.
    pub moments: u64,
    /// Moving averages of weights and running statistics.
    pub average: u64,
    /// Batches, reports, views, what a run remembers and what measuring keeps.
    pub inputs: u64,
    /// Activations and everything else that lives within a step.
    pub activations: u64,
    /// Largest sum of activations alive at once: no plan can do with less.
    pub live: u64,
    /// Sizes of the shared temporaries in elements.
    pub temporaries: Vec<usize>,
    /// The longest single buffer.
    pub longest: u64,
}

impl MemoryPlan {
    /// Adds up a run whose programs have these plans; they share temporaries.
    pub fn new<'a>(places: &Places, plans: impl Iterator<Item = &'a Plan>) -> Self {
        let mut temporaries: Vec<usize> = Vec::new();
        let mut live = 0;
        for plan in plans {
            live = live.max(plan.live_bytes);
            let sizes = &plan.recording.temporaries;
            temporaries.resize(temporaries.len().max(sizes.len()), 0);
            for (all, &size) in temporaries.iter_mut().zip(sizes) {
                *all = size.max(*all);
            }
        }
        let mut sums = [0; 5];
        for arena in places.arenas() {
            let use_of = match arena.group {
                Group::Weights(_) | Group::Buffers(_) => 0,
                Group::Gradient(_) => 1,
                Group::Moment(..) => 2,
                Group::Average(_) | Group::AverageBuffers(_) => 3,
                Group::Memory
                | Group::Field
                | Group::Report
                | Group::View(_)
                | Group::Probe
                | Group::Scratch(_)
                | Group::Role(_) => 4,
            };
            sums[use_of] += bytes(arena.len);
        }
        let [parameters, gradients, moments, average, inputs] = sums;
        Self {
            parameters,
            gradients,
            moments,
            average,
            inputs,
            activations: temporaries.iter().map(|&len| bytes(len)).sum(),
            live,
            longest: temporaries
                .iter()
                .copied()
                .chain(places.arenas().iter().map(|arena| arena.len))
                .max()
                .map_or(0, bytes),
            temporaries,
        }
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.parameters
            + self.gradients
            + self.moments
            + self.average
            + self.inputs
            + self.activations
    }
}

impl fmt::Display for MemoryPlan {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("parameters", self.parameters),
            ("gradients", self.gradients),
            ("moments", self.moments),
            ("average", self.average),
            ("inputs", self.inputs),
            ("activations", self.activations),
        ];
        write!(f, "memory:")?;
        for (name, size) in parts {
            write!(f, " {name} {},", mebibytes(size))?;
        }
        write!(f, " peak {} MiB", mebibytes(self.total()))
    }
}

/// MiB with one digit.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn bytes(elements: usize) -> u64 {
    elements as u64 * 4
}
