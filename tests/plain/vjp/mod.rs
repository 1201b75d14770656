//! Gradients as graph nodes, without a GPU: against finite differences of the
//! f64 reference, for what they build, and against the theory of GANs.

mod differences;
mod stabilisers;
mod structure;
mod theory;

use std::collections::HashMap;

use gpugan::graph::{Graph, NodeId, Role, Shape, StateId};
use gpugan::reference::{Tensor, evaluate};

/// Declares an input.
fn input(graph: &mut Graph, name: &str, shape: impl Into<Shape>) -> (StateId, NodeId) {
    let id = graph.declare(name, shape, Role::Input).unwrap();
    (id, graph.state(id))
}

/// The values of `roots`, with these values of the inputs.
fn values(graph: &Graph, roots: &[NodeId], inputs: &[(StateId, Vec<f64>)]) -> Vec<Vec<f64>> {
    let states: HashMap<StateId, Tensor> = inputs
        .iter()
        .map(|(id, data)| {
            let shape = graph.state_info(*id).shape.clone();
            (*id, Tensor::new(shape, data.clone()).unwrap())
        })
        .collect();
    evaluate(graph, roots, &states, 0, 0)
        .unwrap()
        .into_iter()
        .map(|tensor| tensor.data)
        .collect()
}
