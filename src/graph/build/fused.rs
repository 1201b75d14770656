//! Fused primitives and what they stand for.

use super::super::{Binary, Graph, NodeId, Op, Scalar, Unary};
use crate::error::{Error, Result};

impl Graph {
    /// Mean and biased variance per channel (axis 1), `[2, C]`.
    pub fn channel_stats(&mut self, x: NodeId) -> Result<NodeId> {
        let channels = self.channels("ChannelStats", x)?;
        self.checked(Op::ChannelStats, &[x], [2, channels])
    }

    /// `[sum of g, sum of g (x - mean)]` per channel, `[2, C]`.
    pub fn channel_dot(&mut self, g: NodeId, x: NodeId, stats: NodeId) -> Result<NodeId> {
        let channels = self.channels("ChannelDot", x)?;
        if self.shape(g) != self.shape(x) || self.shape(stats)[..] != [2, channels] {
            return Err(Error::shape(
                "ChannelDot",
                format!(
                    "{} and {} with statistics {}",
                    self.shape(g),
                    self.shape(x),
                    self.shape(stats)
                ),
            ));
        }
        self.checked(Op::ChannelDot, &[g, x, stats], [2, channels])
    }

    /// Batch normalisation with this batch's statistics over all axes but
    /// axis 1 (Ioffe and Szegedy 2015, algorithm 1).
    pub fn batch_norm(
        &mut self,
        x: NodeId,
        gain: NodeId,
        offset: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let channels = self.channels("BatchNorm", x)?;
        if self.shape(gain)[..] != [channels] || self.shape(offset)[..] != [channels] {
            return Err(Error::shape(
                "BatchNorm",
                format!(
                    "{channels} channels with gain {} and offset {}",
                    self.shape(gain),
                    self.shape(offset)
                ),
            ));
        }
        let shape = self.shape(x).clone();
        self.checked(
            Op::BatchNorm { eps: Scalar(eps) },
            &[x, gain, offset],
            shape,
        )
    }

    /// Builds what a fused node stands for out of primitives; `None` for
    /// primitives themselves.
    pub fn decompose(&mut self, id: NodeId) -> Result<Option<NodeId>> {
        let node = self.node(id).clone();
        let result = match (&node.op, &node.inputs[..]) {
            (Op::ChannelStats, &[x]) => {
                let axes = self.all_but_channel(x);
                let mean = self.mean(x, &axes)?;
                let centred = self.sub(x, mean)?;
                let squares = self.square(centred);
                let variance = self.mean(squares, &axes)?;
                self.stack_channels(mean, variance)?
            }
            (Op::ChannelDot, &[g, x, stats]) => {
                let axes = self.all_but_channel(x);
                let mean = self.channel_row(stats, 0, x)?;
                let centred = self.sub(x, mean)?;
                let product = self.mul(g, centred)?;
                let sum = self.sum(g, &axes)?;
                let dot = self.sum(product, &axes)?;
                self.stack_channels(sum, dot)?
            }
            (Op::BatchNorm { eps }, &[x, gain, offset]) => {
                let stats = self.channel_stats(x)?;
                self.batch_norm_apply(x, stats, gain, offset, eps.0)?
            }
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    /// `(x - mean) / sqrt(variance + eps) * gain + offset` with given
    /// statistics `[2, C]`: batch normalisation in evaluation.
    pub fn batch_norm_apply(
        &mut self,
        x: NodeId,
        stats: NodeId,
        gain: NodeId,
        offset: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let mean = self.channel_row(stats, 0, x)?;
        let variance = self.channel_row(stats, 1, x)?;
        let shifted = self.binary_scalar(Binary::Add, variance, eps);
        let inverse = self.unary(Unary::Rsqrt, shifted);
        let gain = self.per_channel(gain, x)?;
        let offset = self.per_channel(offset, x)?;
        let factor = self.mul(inverse, gain)?;
        let centred = self.sub(x, mean)?;
        let scaled = self.mul(centred, factor)?;
        self.add(scaled, offset)
    }

    /// Row `row` of `[2, C]` statistics, shaped to stretch over `like`.
    pub(crate) fn channel_row(
        &mut self,
        stats: NodeId,
        row: usize,
        like: NodeId,
    ) -> Result<NodeId> {
        let channels = self.shape(stats)[1];
        let row = self.slice(stats, &[row, 0], [1, channels])?;
        self.per_channel(row, like)
    }

    /// Both rows.
    pub(crate) fn channel_rows(&mut self, stats: NodeId, like: NodeId) -> Result<[NodeId; 2]> {
        Ok([
            self.channel_row(stats, 0, like)?,
            self.channel_row(stats, 1, like)?,
        ])
    }

    /// `[C]` shaped to stretch over `like`, whose axis 1 is C.
    pub fn per_channel(&mut self, x: NodeId, like: NodeId) -> Result<NodeId> {
        let mut shape = vec![1; self.shape(like).rank()];
        shape[1] = self.shape(x).numel();
        self.reshape(x, shape)
    }

    pub(crate) fn all_but_channel(&self, x: NodeId) -> Vec<usize> {
        (0..self.shape(x).rank())
            .filter(|&axis| axis != 1)
            .collect()
    }

    fn stack_channels(&mut self, first: NodeId, second: NodeId) -> Result<NodeId> {
        let channels = self.shape(first).numel();
        let first = self.reshape(first, [1, channels])?;
        let second = self.reshape(second, [1, channels])?;
        self.concat(&[first, second], 0)
    }
}
