//! Normalisation of activations: over the batch, over groups of channels, or over
//! pixels.

use super::{Init, Net, Statistics, image};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Role, Unary};

/// Added to the variance in batch normalisation (PyTorch's default).
pub const BATCH_NORM_EPS: f32 = 1e-5;

/// Share of the new batch in running statistics (PyTorch's `momentum`).
pub const BATCH_NORM_MOMENTUM: f32 = 0.1;

impl Net {
    /// Batch normalisation over all axes but 1, with PyTorch's running
    /// statistics: biased variance to normalise, unbiased to keep. Every call
    /// in a graph moves the running statistics on from the last.
    pub fn batch_norm(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        gain: Init,
    ) -> Result<NodeId> {
        let channels = graph.shape(x).get(1).copied().unwrap_or(0);
        let gain = self.parameter(graph, format!("{layer}.weight"), [channels], gain)?;
        let offset = self.parameter(
            graph,
            format!("{layer}.bias"),
            [channels],
            Init::Constant(0.0),
        )?;
        self.normalised(graph, layer, x, [gain, offset], BATCH_NORM_EPS)
    }

    /// [`Net::batch_norm`] without gain and offset, as `nn.BatchNorm2d(C, eps,
    /// affine=False)`.
    pub fn batch_norm_plain(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let channels = graph.shape(x).get(1).copied().unwrap_or(0);
        let affine = [1.0, 0.0].map(|number| graph.constant(number, [channels]));
        self.normalised(graph, layer, x, affine, eps)
    }

    /// With statistics of the batch, which the running ones follow, or with those.
    fn normalised(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        [gain, offset]: [NodeId; 2],
        eps: f32,
    ) -> Result<NodeId> {
        let shape = graph.shape(x).clone();
        let channels = shape.get(1).copied().unwrap_or(0);
        let [mean, variance] =
            [("running_mean", 0.0), ("running_var", 1.0)].map(|(tensor, start)| {
                self.tensor(
                    graph,
                    format!("{layer}.{tensor}"),
                    [channels].into(),
                    Init::Constant(start),
                    Role::Buffer,
                )
            });
        let (mean, variance) = (mean?, variance?);
        if self.mode.statistics == Statistics::Running {
            let rows = [mean, variance].map(|id| {
                let node = graph.state(id);
                graph.reshape(node, [1, channels])
            });
            let [mean, variance] = rows;
            let stats = graph.concat(&[mean?, variance?], 0)?;
            return graph.batch_norm_apply(x, stats, gain, offset, eps);
        }
        let stats = graph.channel_stats(x)?;
        let count = (shape.numel() / channels.max(1)) as f32;
        // One element has no unbiased variance; PyTorch refuses such a batch,
        // we keep the biased one.
        let unbiased = if count > 1.0 {
            count / (count - 1.0)
        } else {
            1.0
        };
        for (row, id, factor) in [(0, mean, 1.0), (1, variance, unbiased)] {
            let seen = graph.slice(stats, &[row, 0], [1, channels])?;
            let seen = graph.reshape(seen, [channels])?;
            let seen = graph.scale(seen, BATCH_NORM_MOMENTUM * factor);
            let old = self.latest(graph, id);
            let kept = graph.scale(old, 1.0 - BATCH_NORM_MOMENTUM);
            let new = graph.add(kept, seen)?;
            self.keep(id, new);
        }
        graph.batch_norm(x, gain, offset, eps)
    }

    /// Normalisation over each of `groups` groups of channels of each image of
    /// `x [N, C, H, W]`, with a gain and an offset a channel, as
    /// `nn.GroupNorm(groups, C)` (Wu and He 2018). One group is layer
    /// normalisation, `C` groups are instance normalisation.
    ///
    /// # Errors
    /// Where `groups` does not divide the channels.
    pub fn group_norm(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        groups: usize,
        gain: Init,
    ) -> Result<NodeId> {
        let shape = graph.shape(x).clone();
        let [channels, ..] = image(graph, "GroupNorm", x)?;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::shape(
                "GroupNorm",
                format!("{channels} channels do not divide into {groups} groups"),
            ));
        }
        let gain = self.parameter(graph, format!("{layer}.weight"), [channels], gain)?;
        let zero = Init::Constant(0.0);
        let offset = self.parameter(graph, format!("{layer}.bias"), [channels], zero)?;
        let rows = graph.reshape(x, [shape[0], groups, shape.numel() / shape[0] / groups])?;
        let mean = graph.mean(rows, &[2])?;
        let centred = graph.sub(rows, mean)?;
        let squares = graph.square(centred);
        let variance = graph.mean(squares, &[2])?;
        let variance = graph.binary_scalar(Binary::Add, variance, BATCH_NORM_EPS);
        let scale = graph.unary(Unary::Rsqrt, variance);
        let rows = graph.mul(centred, scale)?;
        let y = graph.reshape(rows, shape)?;
        let gain = graph.per_channel(gain, y)?;
        let y = graph.mul(y, gain)?;
        let offset = graph.per_channel(offset, y)?;
        graph.add(y, offset)
    }
}

/// Normalisation over the pixels of each channel of each image of `x [N, C, H, W]`,
/// without gain, offset or running statistics, as `nn.InstanceNorm2d(C)` (Ulyanov et
/// al. 2016, 1607.08022). A channel of one pixel, which PyTorch refuses, becomes 0.
///
/// # Errors
/// Where `x` is not `[N, C, H, W]`.
pub fn instance_norm(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let [channels, h, w] = image(graph, "InstanceNorm2d", x)?;
    let channels = shape[0] * channels;
    // The channels of one image are those of a batch of one, whose normalisation takes
    // two passes over the data both ways.
    let one = graph.reshape(x, [1, channels, h, w])?;
    let [gain, offset] = [1.0, 0.0].map(|number| graph.constant(number, [channels]));
    let y = graph.batch_norm(one, gain, offset, BATCH_NORM_EPS)?;
    graph.reshape(y, shape)
}
