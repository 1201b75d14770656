//! Random tensors, drawn by the Rust twin of the shaders' generator.

use super::Tensor;
use crate::graph::{Distribution, Shape};
use crate::random::{normal, uniform};

/// A tensor of the distribution, as `Op::Random` draws it.
pub(super) fn tensor(
    distribution: Distribution,
    shape: &Shape,
    stream: u32,
    counter: u32,
    seed: u32,
) -> Tensor {
    let mut element = 0;
    Tensor::from_fn(shape.clone(), |_| {
        let place = element;
        element += 1;
        match distribution {
            Distribution::Uniform => f64::from(uniform(place, stream, counter, seed)),
            Distribution::Normal => normal(place, stream, counter, seed),
            Distribution::Bernoulli(p) if uniform(place, stream, counter, seed) < p.0 => 1.0,
            Distribution::Bernoulli(_) => 0.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_count_elements_row_major() {
        let draw = |distribution| tensor(distribution, &Shape::from([2, 3]), 4, 5, 6).data;
        let expected: Vec<f32> = (0..6).map(|i| uniform(i, 4, 5, 6)).collect();
        let uniforms = draw(Distribution::Uniform);
        assert!(
            uniforms.iter().eq(expected
                .iter()
                .map(|&x| f64::from(x))
                .collect::<Vec<_>>()
                .iter())
        );
        let normals = draw(Distribution::Normal);
        assert!((0..6).all(|i| normals[i as usize] == normal(i, 4, 5, 6)));
        let p = expected[2];
        let coins = draw(Distribution::Bernoulli(crate::graph::Scalar(p)));
        let below: Vec<f64> = expected
            .iter()
            .map(|&x| f64::from(u8::from(x < p)))
            .collect();
        assert_eq!(coins, below);
        // The comparison is strict: the number p itself is no hit.
        assert_eq!(coins[2], 0.0);
    }
}
