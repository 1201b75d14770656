//! How far two tensors of one shape are apart.

use crate::error::Result;
use crate::graph::{Graph, NodeId, Unary};

/// Mean absolute difference of all elements, a scalar (`nn.L1Loss`).
///
/// # Errors
/// Where the shapes differ.
pub fn mean_absolute(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let difference = graph.sub(a, b)?;
    let size = graph.unary(Unary::Abs, difference);
    graph.mean_all(size)
}

/// Mean squared difference of all elements, a scalar (`nn.MSELoss`).
///
/// # Errors
/// Where the shapes differ.
pub fn mean_square(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let difference = graph.sub(a, b)?;
    let squares = graph.square(difference);
    graph.mean_all(squares)
}
