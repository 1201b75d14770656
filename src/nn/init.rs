//! How parameters start.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::graph::Shape;

/// Distribution of a parameter's initial elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// The same number everywhere.
    Constant(f32),
    /// Uniform in `[-range, range]`.
    Uniform(f32),
    /// Normally distributed.
    Normal {
        /// Mean of the elements.
        mean: f32,
        /// Standard deviation of the elements.
        std: f32,
    },
    /// These elements, row-major.
    Values(Vec<f32>),
}

impl Init {
    /// The elements of a tensor, fixed by the run's seed and the tensor's name.
    pub fn draw(&self, shape: &Shape, seed: u64, name: &str) -> Vec<f32> {
        // FNV-1a: any stable hash keeps tensors independent of each other's
        // presence.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = StdRng::seed_from_u64(seed ^ hash);
        let mut uniform = move || rng.random::<f64>();
        (0..shape.numel())
            .map(|index| match *self {
                Self::Constant(number) => number,
                Self::Values(ref values) => values[index],
                Self::Uniform(range) => (f64::from(range) * (2.0 * uniform() - 1.0)) as f32,
                Self::Normal { mean, std } => {
                    // Box and Muller 1958; 1 - u lies in (0, 1].
                    let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
                    let normal = radius * (std::f64::consts::TAU * uniform()).cos();
                    (f64::from(mean) + f64::from(std) * normal) as f32
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_moments_and_depend_on_name_and_seed() {
        let shape = Shape::from([100, 100]);
        let init = Init::Normal {
            mean: 1.0,
            std: 0.02,
        };
        let drawn = init.draw(&shape, 7, "G.main.0.weight");
        let mean = drawn.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e4;
        let variance = drawn
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / 1e4;
        assert!(
            (mean - 1.0).abs() < 1e-3 && (variance.sqrt() - 0.02).abs() < 1e-3,
            "{mean} {variance}"
        );
        assert_eq!(drawn, init.draw(&shape, 7, "G.main.0.weight"));
        assert_ne!(drawn, init.draw(&shape, 7, "G.main.1.weight"));
        assert_ne!(drawn, init.draw(&shape, 8, "G.main.0.weight"));
        let uniform = Init::Uniform(0.05).draw(&shape, 0, "w");
        assert!(uniform.iter().all(|x| x.abs() <= 0.05) && uniform.iter().any(|x| x.abs() > 0.049));
    }
}
