//! Black and white pixels.

use crate::error::Result;
use crate::graph::{Graph, NodeId, Unary};

/// `log p(x)` in nats, `[N, 1]`, of records `x [N, D]` of zeros and ones that are
/// independent of each other with these logits `[N, D]`: the sum of
/// `x l - log(1 + e^l)`, which never overflows. It is minus the binary cross-entropy,
/// which numbers between 0 and 1 have too.
///
/// # Errors
/// Where the shapes do not fit.
pub fn bernoulli(graph: &mut Graph, x: NodeId, logits: NodeId) -> Result<NodeId> {
    let chosen = graph.mul(x, logits)?;
    let normaliser = graph.unary(Unary::Softplus, logits);
    let logs = graph.sub(chosen, normaliser)?;
    graph.sum(logs, &[1])
}
