//! Random tensors (`shaders/random.wgsl`).

use super::scalar::literal;
use super::{Launch, workgroups_of};
use crate::graph::Distribution;
use crate::recording::Kernel;

const WORKGROUP: u32 = 64;

/// `count` fresh numbers a step, in row-major order. Bindings: 0 the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Random {
    /// What is drawn.
    pub distribution: Distribution,
    /// Which of the run's random tensors this is.
    pub stream: u32,
    /// Number of elements.
    pub count: usize,
}

impl Random {
    /// The specialised kernel with its workgroups.
    pub fn launch(&self) -> Launch {
        let (name, variant, snippets) = match self.distribution {
            Distribution::Uniform => ("UNIFORM", "uniform", Vec::new()),
            Distribution::Normal => ("NORMAL", "normal", Vec::new()),
            Distribution::Bernoulli(p) => (
                "BERNOULLI",
                "bernoulli",
                vec![("probability", literal(p.0))],
            ),
        };
        let workgroups = workgroups_of(self.count, WORKGROUP);
        Launch {
            kernel: Kernel {
                file: "random.wgsl",
                variant,
                constants: vec![
                    ("WORKGROUP", WORKGROUP),
                    ("GRID_X", workgroups[0]),
                    ("COUNT", self.count as u32),
                    ("STREAM", self.stream),
                    (name, 1),
                ],
                snippets,
                reads_step: true,
            },
            workgroups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Scalar;
    use crate::ops::validate::validate;

    #[test]
    fn every_distribution_makes_a_valid_shader() {
        for distribution in [
            Distribution::Uniform,
            Distribution::Normal,
            Distribution::Bernoulli(Scalar(0.5)),
        ] {
            let random = Random {
                distribution,
                stream: 3,
                count: 1001,
            };
            validate(&random.launch());
        }
    }
}
