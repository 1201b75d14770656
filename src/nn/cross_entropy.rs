//! What a classifier minimises, and how often it is right.

use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};

/// Mean over the batch of `-log softmax(logits)[label]`, of logits `[N, K]` and
/// labels `[N, 1]`, which are whole numbers below K. The largest logit of each
/// row is taken off first, so that nothing overflows.
///
/// # Errors
/// Where the shapes do not fit.
pub fn cross_entropy(graph: &mut Graph, logits: NodeId, labels: NodeId) -> Result<NodeId> {
    let [batch, classes] = sizes(graph, logits, labels)?;
    // A shift that the result does not depend on needs no gradient.
    let largest = graph.max(logits, &[1])?;
    let largest = graph.stop_gradient(largest);
    let shifted = graph.sub(logits, largest)?;
    let exponentials = graph.unary(Unary::Exp, shifted);
    let sum = graph.sum(exponentials, &[1])?;
    let log_sum = graph.unary(Unary::Log, sum);
    let numbers = graph.iota([batch, classes], 1)?;
    let one_hot = graph.binary(Binary::Equal, numbers, labels)?;
    let chosen = graph.mul(one_hot, shifted)?;
    let chosen = graph.sum(chosen, &[1])?;
    let losses = graph.sub(log_sum, chosen)?;
    graph.mean_all(losses)
}

/// Share of the rows of `logits [N, K]` whose first largest element is at the
/// label, `[N, 1]`; a scalar from 0 to 1 without gradient.
///
/// # Errors
/// Where the shapes do not fit.
pub fn accuracy(graph: &mut Graph, logits: NodeId, labels: NodeId) -> Result<NodeId> {
    sizes(graph, logits, labels)?;
    let chosen = graph.argmax(logits, &[1])?;
    let hits = graph.binary(Binary::Equal, chosen, labels)?;
    graph.mean_all(hits)
}

/// Batch and number of classes.
fn sizes(graph: &Graph, logits: NodeId, labels: NodeId) -> Result<[usize; 2]> {
    match (&graph.shape(logits)[..], &graph.shape(labels)[..]) {
        (&[batch, classes], &[rows, 1]) if batch == rows => Ok([batch, classes]),
        (logits, labels) => Err(Error::shape(
            "cross_entropy",
            format!("logits {logits:?} with labels {labels:?} are not [N, K] and [N, 1]"),
        )),
    }
}
