//! Statistics and normalisation per channel, axis 1 of `[N, C, ...]`.

use super::{Tensor, for_each_position};

/// `[2, C]`: means, then biased variances.
pub(super) fn channel_stats(x: &Tensor) -> Tensor {
    let channels = x.shape[1];
    let mut elements = vec![Vec::new(); channels];
    for_each_position(&x.shape, |p| elements[p[1]].push(x.at(p)));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut stats = Tensor::full([2, channels], 0.0);
    for (channel, values) in elements.iter().enumerate() {
        let centre = mean(values);
        let squares: Vec<f64> = values.iter().map(|x| (x - centre).powi(2)).collect();
        *stats.at_mut(&[0, channel]) = centre;
        *stats.at_mut(&[1, channel]) = mean(&squares);
    }
    stats
}

/// `[2, C]`: sums of g, then sums of `g (x - mean)`.
pub(super) fn channel_dot(g: &Tensor, x: &Tensor, stats: &Tensor) -> Tensor {
    let mut dots = Tensor::full([2, x.shape[1]], 0.0);
    for_each_position(&x.shape, |p| {
        *dots.at_mut(&[0, p[1]]) += g.at(p);
        *dots.at_mut(&[1, p[1]]) += g.at(p) * (x.at(p) - stats.at(&[0, p[1]]));
    });
    dots
}

pub(super) fn batch_norm(x: &Tensor, gain: &Tensor, offset: &Tensor, eps: f64) -> Tensor {
    let stats = channel_stats(x);
    Tensor::from_fn(x.shape.clone(), |p| {
        let (mean, variance) = (stats.at(&[0, p[1]]), stats.at(&[1, p[1]]));
        (x.at(p) - mean) / (variance + eps).sqrt() * gain.at(&p[1..2]) + offset.at(&p[1..2])
    })
}
