//! The reference against PyTorch, against hand-computed values, and against
//! itself: every adjoint pair satisfies `<A x, y> = <x, A^T y>`.

mod adjoints;
mod evaluation;
mod golden;
mod values;

use std::collections::HashMap;

use gpugan::graph::{ConvGeometry, Graph, NodeId, Op, Role, Shape, Window};
use gpugan::random;
use gpugan::reference::{Tensor, apply, evaluate};

/// Applies one primitive.
fn run(op: Op, inputs: &[&Tensor], shape: impl Into<Shape>) -> Tensor {
    apply(&op, inputs, &shape.into(), 0, 0).unwrap()
}

/// Evaluates what `build` makes of the inputs.
fn run_graph(inputs: &[&Tensor], build: impl FnOnce(&mut Graph, &[NodeId]) -> NodeId) -> Tensor {
    let mut graph = Graph::new();
    let mut states = HashMap::new();
    let mut nodes = Vec::new();
    for (i, &input) in inputs.iter().enumerate() {
        let state = graph
            .declare(format!("input {i}"), input.shape.clone(), Role::Input)
            .unwrap();
        states.insert(state, input.clone());
        nodes.push(graph.state(state));
    }
    let root = build(&mut graph, &nodes);
    evaluate(&graph, &[root], &states, 0, 0).unwrap().remove(0)
}

/// Normal numbers; another `stream` gives others.
fn noise(shape: impl Into<Shape>, stream: u32) -> Tensor {
    let mut element = 0;
    Tensor::from_fn(shape, |_| {
        element += 1;
        random::normal(element, stream, 0, 1)
    })
}

fn tensor(shape: impl Into<Shape>, data: &[f64]) -> Tensor {
    Tensor::new(shape, data.to_vec()).unwrap()
}

/// Asserts a difference of at most `tolerance`, relative above 1.
fn assert_close(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.shape, expected.shape, "{what}");
    for (i, (a, b)) in got.data.iter().zip(&expected.data).enumerate() {
        let limit = tolerance * b.abs().max(1.0);
        assert!((a - b).abs() <= limit, "{what}: {a} for {b} at {i}");
    }
}

/// A convolution with everything in it, of `[N, 4, 7, 11]` to `[N, 6, 3, 5]`.
const GROUPED: ConvGeometry = ConvGeometry {
    input: [7, 11],
    output: [3, 5],
    kernel: [3, 2],
    stride: [2, 3],
    dilation: [2, 1],
    pad: [1, 2],
    groups: 2,
};

/// Overlapping windows that hang over the image's edge.
const POOL: Window = Window {
    input: [7, 5],
    output: [4, 3],
    kernel: [3, 2],
    stride: [2, 2],
    pad: [1, 1],
};
