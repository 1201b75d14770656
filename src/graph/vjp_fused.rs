//! Gradient rules of the fused primitives.

use super::{Binary, Graph, NodeId, PadMode, Unary};
use crate::error::Result;

impl Graph {
    /// Gradients of batch normalisation in two passes over the data
    /// (Ioffe and Szegedy 2015, section 3): with
    /// `s = sum g` and `d = sum g (x - mean)` per channel and `M` elements each,
    /// `dx = gain r (g - s / M - (x - mean) (d / M) / (var + eps))`,
    /// `r = 1 / sqrt(var + eps)`. Quotients are divided, not multiplied by rounded
    /// reciprocals: the three terms nearly cancel.
    pub(super) fn batch_norm_rule(
        &mut self,
        x: NodeId,
        gain: NodeId,
        offset: NodeId,
        eps: f32,
        g: NodeId,
        wanted: &[bool],
    ) -> Result<Vec<(NodeId, NodeId)>> {
        let stats = self.channel_stats(x)?;
        let sums = self.channel_dot(g, x, stats)?;
        let mean = self.channel_row(stats, 0, x)?;
        let variance = self.channel_row(stats, 1, x)?;
        let shifted = self.binary_scalar(Binary::Add, variance, eps);
        let inverse = self.unary(Unary::Rsqrt, shifted);
        let sum = self.channel_row(sums, 0, x)?;
        let dot = self.channel_row(sums, 1, x)?;
        let mut out = Vec::new();
        if wanted[0] {
            let per_channel = (self.shape(x).numel() / self.shape(gain).numel()) as f32;
            let gain = self.per_channel(gain, x)?;
            let factor = self.mul(gain, inverse)?;
            let mean_g = self.binary_scalar(Binary::Div, sum, per_channel);
            let mean_dot = self.binary_scalar(Binary::Div, dot, per_channel);
            let slope = self.div(mean_dot, shifted)?;
            let centred = self.sub(x, mean)?;
            let along = self.mul(centred, slope)?;
            let rest = self.sub(g, mean_g)?;
            let rest = self.sub(rest, along)?;
            out.push((x, self.mul(rest, factor)?));
        }
        if wanted[1] {
            let dgain = self.mul(dot, inverse)?;
            let shape = self.shape(gain).clone();
            out.push((gain, self.reshape(dgain, shape)?));
        }
        if wanted[2] {
            let shape = self.shape(offset).clone();
            out.push((offset, self.reshape(sum, shape)?));
        }
        Ok(out)
    }

    /// Gradient of the mean and variance `stats` of `x` per channel of M
    /// elements: `(g0 + 2 (x - mean) g1) / M`.
    pub(super) fn channel_stats_rule(
        &mut self,
        x: NodeId,
        stats: NodeId,
        g: NodeId,
    ) -> Result<NodeId> {
        let per_channel = (self.shape(x).numel() / self.shape(stats)[1]) as f32;
        let [to_mean, to_variance] = self.channel_rows(g, x)?;
        let [mean, _] = self.channel_rows(stats, x)?;
        let centred = self.sub(x, mean)?;
        let slope = self.scale(to_variance, 2.0);
        let slope = self.binary_scalar(Binary::Div, slope, per_channel);
        let along = self.mul(centred, slope)?;
        let to_mean = self.binary_scalar(Binary::Div, to_mean, per_channel);
        self.add(along, to_mean)
    }

    /// Gradients of the `sums` of u and of u (x - mean) per channel, with
    /// respect to u, x and the statistics.
    pub(super) fn channel_dot_rule(
        &mut self,
        [u, x, stats]: [NodeId; 3],
        sums: NodeId,
        g: NodeId,
        wanted: &[bool],
    ) -> Result<Vec<(NodeId, NodeId)>> {
        let [to_sum, to_dot] = self.channel_rows(g, x)?;
        let mut out = Vec::new();
        if wanted[0] {
            let [mean, _] = self.channel_rows(stats, x)?;
            let centred = self.sub(x, mean)?;
            let along = self.mul(centred, to_dot)?;
            out.push((u, self.add(along, to_sum)?));
        }
        if wanted[1] {
            out.push((x, self.mul(u, to_dot)?));
        }
        if wanted[2] {
            // The mean is taken from every x; the variance is not used.
            let row = [1, self.shape(sums)[1]];
            let sum = self.slice(sums, &[0, 0], row)?;
            let to_dot = self.slice(g, &[1, 0], row)?;
            let product = self.mul(sum, to_dot)?;
            let to_mean = self.neg(product);
            let rows = self.pad(to_mean, &[0, 0], &[1, 0], PadMode::Zero)?;
            out.push((stats, rows));
        }
        Ok(out)
    }
}
