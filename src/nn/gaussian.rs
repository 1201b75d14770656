//! Normally distributed values.

use crate::error::Result;
use crate::graph::{Binary, Graph, NodeId, Unary};

/// `log p(x)` in nats, `[N, 1]`, of records `x [N, D]` whose elements are independent
/// and normal with these means `[N, D]` and one variance, of which `log_variance [1, 1]`
/// is the logarithm.
///
/// # Errors
/// Where the shapes do not fit.
pub fn gaussian(
    graph: &mut Graph,
    x: NodeId,
    mean: NodeId,
    log_variance: NodeId,
) -> Result<NodeId> {
    let elements = graph.shape(x)[1] as f32;
    let off = graph.sub(x, mean)?;
    let square = graph.square(off);
    let square = graph.sum(square, &[1])?;
    let negative = graph.neg(log_variance);
    let precision = graph.unary(Unary::Exp, negative);
    let square = graph.mul(square, precision)?;
    let logs = graph.scale(log_variance, elements);
    let logs = graph.add(square, logs)?;
    let constant = elements * std::f32::consts::TAU.ln();
    let logs = graph.binary_scalar(Binary::Add, logs, constant);
    Ok(graph.scale(logs, -0.5))
}
