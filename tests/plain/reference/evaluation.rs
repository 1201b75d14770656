//! Whole graphs: fused primitives against their decompositions, leaves, and
//! what `evaluate` refuses.

use std::collections::HashMap;

use gpugan::graph::{Binary, Distribution, Graph, NodeId, Op, Role, Scalar, Shape};
use gpugan::random;
use gpugan::reference::{Tensor, apply, evaluate};

use super::{assert_close, noise, run_graph, tensor};

/// Asserts that a fused primitive agrees with its decomposition.
fn assert_decomposes(
    inputs: &[&Tensor],
    tolerance: f64,
    build: impl Fn(&mut Graph, &[NodeId]) -> NodeId,
) {
    let mut name = String::new();
    let fused = run_graph(inputs, &build);
    let decomposed = run_graph(inputs, |graph, nodes| {
        let node = build(graph, nodes);
        name = graph.node(node).op.name();
        let root = graph.decompose(node).unwrap().unwrap();
        assert_ne!(graph.node(root).op.name(), name);
        root
    });
    let what = format!("{name} of {:?}", inputs[0].shape);
    assert_close(&what, &decomposed, &fused, tolerance);
}

/// The same for the three of them, on `x` of this shape.
fn assert_fused_decompose(shape: &[usize], stats_tolerance: f64) {
    let channels = shape[1];
    let (x, g) = (noise(shape, 1), noise(shape, 2));
    let (gain, offset) = (noise([channels], 3), noise([channels], 4));
    let stats = noise([2, channels], 5);
    assert_decomposes(&[&x], stats_tolerance, |graph, n| {
        graph.channel_stats(n[0]).unwrap()
    });
    assert_decomposes(&[&x, &g, &stats], 1e-12, |graph, n| {
        graph.channel_dot(n[1], n[0], n[2]).unwrap()
    });
    assert_decomposes(&[&x, &gain, &offset], 1e-12, |graph, n| {
        graph.batch_norm(n[0], n[1], n[2], 1e-5).unwrap()
    });
}

#[test]
fn fused_primitives_equal_their_decompositions() {
    for shape in [&[4, 3, 2, 4][..], &[1, 5, 8, 8], &[16, 7], &[2, 3, 4, 1, 2]] {
        assert_fused_decompose(shape, 1e-12);
    }
    // `Graph::mean` multiplies by 1 / count in f32, which is exact for powers
    // of two alone: elsewhere mean and variance carry its relative rounding of
    // 2^-24, and the variance that of the mean besides.
    for shape in [&[3, 5, 7, 2][..], &[1, 2, 11, 13], &[5, 3]] {
        assert_fused_decompose(shape, 2f64.powi(-23));
    }
}

#[test]
fn leaves_have_their_values() {
    let mut graph = Graph::new();
    let third = graph.constant(1.0 / 3.0, [2]);
    let rows = graph.iota([2, 3], 0).unwrap();
    let columns = graph.iota([2, 3], 1).unwrap();
    let values = evaluate(&graph, &[columns, third, rows], &HashMap::new(), 0, 0).unwrap();
    assert_eq!(values[0], tensor([2, 3], &[0., 1., 2., 0., 1., 2.]));
    // The number the GPU holds, not the nearest f64.
    assert_eq!(values[1], Tensor::full([2], f64::from(1.0f32 / 3.0)));
    assert_eq!(values[2], tensor([2, 3], &[0., 0., 0., 1., 1., 1.]));
}

#[test]
fn random_leaves_follow_stream_counter_and_seed() {
    let mut graph = Graph::new();
    let coin = Distribution::Bernoulli(Scalar(0.25));
    let leaves = [
        graph.random(Distribution::Uniform, [3, 5]),
        graph.random(Distribution::Uniform, [3, 5]),
        graph.random(Distribution::Normal, [7]),
        graph.random(coin, [4096]),
    ];
    let draw = |seed, counter| evaluate(&graph, &leaves, &HashMap::new(), seed, counter).unwrap();
    let values = draw(8, 9);
    assert_eq!(
        values[0].at(&[2, 1]),
        f64::from(random::uniform(11, 0, 9, 8))
    );
    assert_eq!(
        values[1].at(&[2, 1]),
        f64::from(random::uniform(11, 1, 9, 8))
    );
    assert_eq!(values[2].at(&[6]), random::normal(6, 2, 9, 8));
    assert_eq!(values, draw(8, 9));
    for other in [draw(8, 10), draw(9, 9)] {
        (0..4).for_each(|i| assert_ne!(values[i], other[i]));
    }
    let heads: f64 = values[3].data.iter().sum();
    // 1024 expected, deviation sqrt(4096 * 3/16) = 27.7.
    assert!((heads - 1024.0).abs() < 4.5 * 27.7, "{heads} heads");
}

#[test]
fn only_needed_nodes_are_evaluated_and_missing_states_are_named() {
    let mut graph = Graph::new();
    let given = graph.declare("given", [2], Role::Input).unwrap();
    let absent = graph.declare("absent", [2], Role::Input).unwrap();
    let (x, hole) = (graph.state(given), graph.state(absent));
    let sum = graph.add(x, hole).unwrap();
    let square = graph.square(x);
    let mut states = HashMap::from([(given, tensor([2], &[3., 4.]))]);

    let values = evaluate(&graph, &[square, x, square], &states, 0, 0).unwrap();
    assert_eq!(values[0].data, [9., 16.]);
    assert_eq!(values[1].data, [3., 4.]);
    assert_eq!(values[0], values[2]);

    let error = evaluate(&graph, &[sum], &states, 0, 0).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
    states.insert(absent, tensor([1], &[1.]));
    let error = evaluate(&graph, &[sum], &states, 0, 0).unwrap_err();
    assert!(error.to_string().contains("absent is [2]"), "{error}");
}

#[test]
fn indices_outside_their_axis_are_refused() {
    let x = tensor([3], &[5., 6., 7.]);
    let gather = |index: f64| {
        let index = tensor([1], &[index]);
        apply(&Op::Gather(0), &[&x, &index], &Shape::from([1]), 0, 0)
    };
    assert_eq!(gather(2.0).unwrap().data, [7.]);
    for index in [3.0, -1.0, 0.5, f64::NAN] {
        let error = gather(index).unwrap_err().to_string();
        assert!(error.starts_with("Gather: index"), "{error}");
    }
}

#[test]
fn a_wrong_number_of_inputs_is_an_error() {
    let x = tensor([1], &[1.]);
    let error = apply(&Op::Binary(Binary::Add), &[&x], &x.shape, 0, 0).unwrap_err();
    assert!(error.to_string().contains("Add"), "{error}");
}
