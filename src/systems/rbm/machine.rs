//! Energies, Gibbs steps and likelihoods as nodes of a graph.

use crate::error::Result;
use crate::graph::{Binary, Distribution, Graph, NodeId, Unary};

/// The weights in a graph. Units are rows: `[N, visible]` and `[N, hidden]`.
pub(super) struct Machine {
    /// `[hidden, visible]`.
    pub(super) weight: NodeId,
    /// `[visible]`.
    pub(super) bias_visible: NodeId,
    /// `[hidden]`.
    pub(super) bias_hidden: NodeId,
}

/// Where a chain is after a Gibbs step.
pub(super) struct Chain {
    /// Log-odds of the visible units, `[N, visible]`.
    pub(super) logits: NodeId,
    /// Drawn from them.
    pub(super) visible: NodeId,
    /// Drawn given these, `[N, hidden]`.
    pub(super) hidden: NodeId,
}

impl Machine {
    /// Log-odds of the hidden units given the visible ones.
    pub(super) fn to_hidden(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let sums = graph.matmul(visible, self.weight, false, true)?;
        graph.add(sums, self.bias_hidden)
    }

    /// Log-odds of the visible units given the hidden ones.
    pub(super) fn to_visible(&self, graph: &mut Graph, hidden: NodeId) -> Result<NodeId> {
        let sums = graph.matmul(hidden, self.weight, false, false)?;
        graph.add(sums, self.bias_visible)
    }

    /// `F(v)` in nats, `[N, 1]`, of visible units from 0 to 1.
    pub(super) fn free_energy(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let logits = self.to_hidden(graph, visible)?;
        let hidden = graph.unary(Unary::Softplus, logits);
        let hidden = graph.sum(hidden, &[1])?;
        let biased = graph.mul(visible, self.bias_visible)?;
        let biased = graph.sum(biased, &[1])?;
        let sum = graph.add(biased, hidden)?;
        Ok(graph.neg(sum))
    }

    /// Hidden units given the visible ones.
    pub(super) fn draw_hidden(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let logits = self.to_hidden(graph, visible)?;
        draw(graph, logits)
    }

    /// `steps` Gibbs steps, at least one.
    pub(super) fn gibbs(&self, graph: &mut Graph, hidden: NodeId, steps: usize) -> Result<Chain> {
        let mut chain = self.gibbs_step(graph, hidden)?;
        for _ in 1..steps {
            chain = self.gibbs_step(graph, chain.hidden)?;
        }
        Ok(chain)
    }

    fn gibbs_step(&self, graph: &mut Graph, hidden: NodeId) -> Result<Chain> {
        let logits = self.to_visible(graph, hidden)?;
        let visible = draw(graph, logits)?;
        Ok(Chain {
            logits,
            visible,
            hidden: self.draw_hidden(graph, visible)?,
        })
    }

    /// The gradients of minus the mean free energy of a batch, in the order of the
    /// tensors: means of the units and of their products, hidden units as their
    /// probabilities.
    fn statistics(&self, graph: &mut Graph, visible: NodeId) -> Result<[NodeId; 3]> {
        let count = graph.shape(visible)[0] as f32;
        let hidden = self.to_hidden(graph, visible)?;
        let hidden = graph.unary(Unary::Sigmoid, hidden);
        let products = graph.matmul(hidden, visible, true, false)?;
        let products = graph.scale(products, 1.0 / count);
        let mut mean = |units: NodeId| {
            let length = graph.shape(units)[1];
            let mean = graph.mean(units, &[0])?;
            graph.reshape(mean, [length])
        };
        Ok([products, mean(visible)?, mean(hidden)?])
    }

    /// The gradients of the mean free energy of data less that of the ends of chains,
    /// through which no gradient flows.
    pub(super) fn directions(
        &self,
        graph: &mut Graph,
        data: NodeId,
        ends: NodeId,
    ) -> Result<[NodeId; 3]> {
        let of_data = self.statistics(graph, data)?;
        let [weight, visible, hidden] = self.statistics(graph, ends)?;
        Ok([
            graph.sub(weight, of_data[0])?,
            graph.sub(visible, of_data[1])?,
            graph.sub(hidden, of_data[2])?,
        ])
    }

    /// Mean over a batch of `-log p(pixel | other pixels)`, times the number of
    /// pixels, of images with pixels 0 and 1: an estimate of minus the logarithm of
    /// the pseudo-likelihood (Besag 1975), in nats.
    pub(super) fn pseudo_likelihood(
        &self,
        graph: &mut Graph,
        (images, pixel): (NodeId, NodeId),
    ) -> Result<NodeId> {
        let visible = graph.shape(images)[1];
        let pixel = graph.reshape(pixel, [1, 1])?;
        let numbers = graph.iota([1, visible], 1)?;
        let chosen = graph.binary(Binary::Equal, numbers, pixel)?;
        let one = graph.constant(1.0, [1, 1]);
        let inverse = graph.sub(one, images)?;
        let flipped = graph.select(chosen, inverse, images)?;
        let as_is = self.free_energy(graph, images)?;
        let flipped = self.free_energy(graph, flipped)?;
        let less = graph.sub(as_is, flipped)?;
        let losses = graph.unary(Unary::Softplus, less);
        let mean = graph.mean_all(losses)?;
        Ok(graph.scale(mean, visible as f32))
    }

    /// `log Z` in nats, `[1, 1]`, summed over all states of the hidden units.
    pub(super) fn log_partition(&self, graph: &mut Graph) -> Result<NodeId> {
        let hidden = graph.shape(self.bias_hidden)[0];
        let numbers = graph.iota([1 << hidden, 1], 0)?;
        let mut bits = Vec::with_capacity(hidden);
        let mut left = numbers;
        for _ in 0..hidden {
            let half = graph.scale(left, 0.5);
            let half = graph.unary(Unary::Floor, half);
            let even = graph.scale(half, 2.0);
            bits.push(graph.sub(left, even)?);
            left = half;
        }
        let states = graph.concat(&bits, 1)?;
        let logits = self.to_visible(graph, states)?;
        let visible = graph.unary(Unary::Softplus, logits);
        let visible = graph.sum(visible, &[1])?;
        let biased = graph.mul(states, self.bias_hidden)?;
        let biased = graph.sum(biased, &[1])?;
        let logs = graph.add(visible, biased)?;
        // The largest is taken off first, so that nothing overflows.
        let largest = graph.max(logs, &[0])?;
        let shifted = graph.sub(logs, largest)?;
        let parts = graph.unary(Unary::Exp, shifted);
        let sum = graph.sum(parts, &[0])?;
        let log = graph.unary(Unary::Log, sum);
        graph.add(log, largest)
    }
}

/// Units that are 1 with the probability of their log-odds, else 0.
fn draw(graph: &mut Graph, logits: NodeId) -> Result<NodeId> {
    let probabilities = graph.unary(Unary::Sigmoid, logits);
    let numbers = graph.random(Distribution::Uniform, graph.shape(logits).clone());
    graph.binary(Binary::Greater, probabilities, numbers)
}

/// `count` rows of units `[N, length]`, each with the same probability.
pub(super) fn draw_row(graph: &mut Graph, rows: NodeId, count: usize) -> Result<NodeId> {
    let number = graph.shape(rows)[0];
    let uniform = graph.random(Distribution::Uniform, [count, 1]);
    let chosen = graph.scale(uniform, number as f32);
    let chosen = graph.unary(Unary::Floor, chosen);
    let numbers = graph.iota([count, number], 1)?;
    let one_hot = graph.binary(Binary::Equal, numbers, chosen)?;
    graph.matmul(one_hot, rows, false, false)
}

/// Mean over a batch of the cross-entropy of pixels from 0 to 1 and log-odds, summed
/// over the pixels, in nats.
pub(super) fn cross_entropy(graph: &mut Graph, images: NodeId, logits: NodeId) -> Result<NodeId> {
    let count = graph.shape(images)[0] as f32;
    let all = graph.unary(Unary::Softplus, logits);
    let right = graph.mul(images, logits)?;
    let losses = graph.sub(all, right)?;
    let sum = graph.sum_all(losses)?;
    Ok(graph.scale(sum, 1.0 / count))
}
