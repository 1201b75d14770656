//! Latent vectors: drawn on the host with the generator's Rust twin, so that a
//! seed means the same image on every adapter.

use crate::config::Latent;
use crate::random;

/// The stream of a system's first latent field, the next ones being below; the
/// graph's own streams count from 0.
const STREAM: u32 = u32::MAX;

/// `count` numbers for draw number `draw` of a run and the latent field number
/// `field`, from 0. Draw 0 is left to [`of_seed`].
pub fn batch(distribution: Latent, field: u32, count: usize, draw: u32, seed: u64) -> Vec<f32> {
    draw_numbers(distribution, field, count, draw, seed)
}

/// The latent vector `[length]` that a sample seed stands for, of the latent field
/// number `field`, from 0.
pub fn of_seed(distribution: Latent, field: u32, length: usize, seed: u64) -> Vec<f32> {
    draw_numbers(distribution, field, length, 0, seed)
}

fn draw_numbers(distribution: Latent, field: u32, count: usize, draw: u32, seed: u64) -> Vec<f32> {
    let (seed, stream) = (fold(seed), STREAM - field);
    (0..count as u32)
        .map(|element| match distribution {
            Latent::Normal => random::normal(element, stream, draw, seed) as f32,
            // Unit variance: U[-sqrt(3), sqrt(3)].
            Latent::Uniform => {
                (2.0 * random::uniform(element, stream, draw, seed) - 1.0) * 3.0_f32.sqrt()
            }
        })
        .collect()
}

/// A run's seed as the GPU's generator takes it.
pub fn fold(seed: u64) -> u32 {
    (seed ^ (seed >> 32)) as u32
}

/// Those of several seeds in a row, `[count, length]`.
pub fn of_seeds(
    distribution: Latent,
    field: u32,
    length: usize,
    seeds: impl IntoIterator<Item = u64>,
) -> Vec<f32> {
    let seeds = seeds.into_iter();
    seeds
        .flat_map(|seed| of_seed(distribution, field, length, seed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_have_unit_variance_and_differ_by_draw_and_seed() {
        for distribution in [Latent::Normal, Latent::Uniform] {
            let z = batch(distribution, 0, 20_000, 5, 9);
            let variance = z.iter().map(|x| f64::from(x * x)).sum::<f64>() / z.len() as f64;
            assert!(
                (variance - 1.0).abs() < 0.05,
                "{distribution:?}: {variance}"
            );
            assert_ne!(z, batch(distribution, 0, 20_000, 6, 9));
            assert_ne!(z, batch(distribution, 0, 20_000, 5, 10));
        }
        assert!(
            batch(Latent::Uniform, 0, 100, 1, 0)
                .iter()
                .all(|x| x.abs() <= 3.0_f32.sqrt())
        );
        assert_eq!(
            of_seed(Latent::Normal, 0, 4, 3),
            of_seed(Latent::Normal, 0, 8, 3)[..4]
        );
    }
}
