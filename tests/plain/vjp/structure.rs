//! What gradients build, and what they leave out.

use gpugan::adversarial::loss;
use gpugan::error::Error;
use gpugan::graph::{ConvGeometry, Graph, NodeId, Op, Scalar, Unary};

use super::{input, values};

/// How many nodes of a kind are in the graph.
fn count(graph: &Graph, kind: fn(&Op) -> bool) -> usize {
    graph.nodes().iter().filter(|node| kind(&node.op)).count()
}

fn is_weight_grad(op: &Op) -> bool {
    matches!(op, Op::ConvWeightGrad(_))
}

fn is_transposed(op: &Op) -> bool {
    matches!(op, Op::ConvTranspose2d(_))
}

/// Halves an image and doubles it again.
fn geometry(size: usize) -> ConvGeometry {
    ConvGeometry::forward([size; 2], [4; 2], [2; 2], [1; 2], [[1; 2]; 2], 1).unwrap()
}

/// Two convolutions from `[2, 3, 8, 8]` to logits, with their weights.
fn discriminator(graph: &mut Graph, image: NodeId, weights: [NodeId; 2]) -> NodeId {
    let h = graph.conv2d(image, weights[0], geometry(8)).unwrap();
    let h = graph.unary(Unary::LeakyRelu(Scalar(0.2)), h);
    let h = graph.conv2d(h, weights[1], geometry(4)).unwrap();
    graph.sum(h, &[1, 2, 3]).unwrap()
}

fn discriminator_weights(graph: &mut Graph) -> [NodeId; 2] {
    let (_, first) = input(graph, "D.0", [4, 3, 4, 4]);
    let (_, second) = input(graph, "D.1", [5, 4, 4, 4]);
    [first, second]
}

#[test]
fn a_step_on_real_images_builds_no_gradient_of_the_images() {
    let mut graph = Graph::new();
    let weights = discriminator_weights(&mut graph);
    let (_, real) = input(&mut graph, "real", [2, 3, 8, 8]);
    let logits = discriminator(&mut graph, real, weights);
    let loss = loss::bce(&mut graph, logits, 1.0).unwrap();
    graph.gradient(loss, &weights).unwrap();
    assert_eq!(count(&graph, is_weight_grad), 2);
    // Back through the second layer only.
    assert_eq!(count(&graph, is_transposed), 1);
}

#[test]
fn a_generator_step_builds_no_gradient_of_the_discriminators_weights() {
    let mut graph = Graph::new();
    let (_, latent) = input(&mut graph, "z", [2, 6, 4, 4]);
    let (_, weight) = input(&mut graph, "G.0", [6, 3, 4, 4]);
    let fake = graph.conv_transpose2d(latent, weight, geometry(8)).unwrap();
    let weights = discriminator_weights(&mut graph);
    let logits = discriminator(&mut graph, fake, weights);
    let loss = loss::bce(&mut graph, logits, 1.0).unwrap();
    let gradient = graph.gradient(loss, &[weight]).unwrap()[0];
    assert_eq!(graph.shape(gradient), graph.shape(weight));
    assert_eq!(count(&graph, is_weight_grad), 1);
    // The generator itself, and back through both layers of D.
    assert_eq!(count(&graph, is_transposed), 3);
    // The latents' gradient would be a convolution of G's weights.
    assert_eq!(count(&graph, |op| matches!(op, Op::Conv2d(_))), 2);
}

#[test]
fn what_the_root_does_not_depend_on_has_gradient_zero() {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [3]);
    let (_, unused) = input(&mut graph, "unused", [2, 5]);
    let square = graph.square(x);
    let root = graph.sum_all(square).unwrap();
    let before = graph.nodes().len();
    let gradients = graph.gradient(root, &[unused, x]).unwrap();
    assert_eq!(graph.shape(gradients[0])[..], [2, 5]);
    assert_eq!(graph.node(gradients[0]).op, Op::Constant(Scalar(0.0)));
    let got = values(&graph, &[gradients[1]], &[(x_id, vec![1.0, -2.0, 3.0])]);
    assert_eq!(got[0], [2.0, -4.0, 6.0]);
    assert!(graph.nodes().len() > before);
}

#[test]
fn gradients_stop_where_they_are_told_to() {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [2]);
    let square = graph.square(x);
    let stopped = graph.stop_gradient(square);
    let product = graph.mul(stopped, x).unwrap();
    let root = graph.sum_all(product).unwrap();
    let gradients = graph.gradient(root, &[x, square]).unwrap();
    let got = values(&graph, &gradients, &[(x_id, vec![3.0, -2.0])]);
    // d/dx of c x with c = x^2 held fixed.
    assert_eq!(got[0], [9.0, 4.0]);
    assert_eq!(got[1], [0.0, 0.0]);
}

#[test]
fn a_target_that_is_used_several_times_accumulates() {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [2]);
    let square = graph.square(x);
    let cube = graph.mul(square, x).unwrap();
    let tripled = graph.scale(x, 3.0);
    let sum = graph.add(cube, tripled).unwrap();
    let sum = graph.add(sum, square).unwrap();
    let root = graph.sum_all(sum).unwrap();
    // A target in the middle counts its own users only.
    let gradients = graph.gradient(root, &[x, square]).unwrap();
    let got = values(&graph, &gradients, &[(x_id, vec![2.0, -1.0])]);
    assert_eq!(got[0], [12.0 + 3.0 + 4.0, 3.0 + 3.0 - 2.0]);
    assert_eq!(got[1], [3.0, 0.0]);
}

#[test]
fn the_root_itself_has_gradient_one() {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [1, 1]);
    let gradient = graph.gradient(x, &[x]).unwrap()[0];
    assert_eq!(values(&graph, &[gradient], &[(x_id, vec![5.0])])[0], [1.0]);
}

#[test]
fn a_root_of_many_elements_is_refused() {
    let mut graph = Graph::new();
    let (_, x) = input(&mut graph, "x", [3]);
    let error = graph.gradient(x, &[x]).unwrap_err();
    assert!(error.to_string().contains("[3]"), "{error}");
}

#[test]
fn a_missing_rule_names_the_operation() {
    let error = Error::MissingGradient {
        op: Op::ArgMax(vec![0]).name(),
    };
    assert!(error.to_string().contains("ArgMax"), "{error}");
}

/// The fused statistics and their spelled-out form, as a function whose
/// gradient and second gradient are taken.
fn statistics(decomposed: bool) -> Vec<Vec<f64>> {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [3, 2, 5]);
    let (g_id, g) = input(&mut graph, "g", [3, 2, 5]);
    let spell = |graph: &mut Graph, node| match decomposed {
        true => graph.decompose(node).unwrap().unwrap(),
        false => node,
    };
    let stats = graph.channel_stats(x).unwrap();
    let stats = spell(&mut graph, stats);
    let dot = graph.channel_dot(g, x, stats).unwrap();
    let dot = spell(&mut graph, dot);
    let tanh = graph.unary(Unary::Tanh, dot);
    let product = graph.mul(tanh, stats).unwrap();
    let root = graph.sum_all(product).unwrap();
    let first = graph.gradient(root, &[x, g]).unwrap();
    let squares = graph.square(first[0]);
    let along = graph.mul(squares, first[1]).unwrap();
    let root = graph.sum_all(along).unwrap();
    let second = graph.gradient(root, &[x, g]).unwrap();
    let wave = |scale: f64| (0..30).map(|i| (f64::from(i) * scale).sin()).collect();
    let roots = [first, second].concat();
    values(&graph, &roots, &[(x_id, wave(1.7)), (g_id, wave(0.6))])
}

#[test]
fn fused_operations_differentiate_like_their_decompositions() {
    for (fused, spelled) in statistics(false).iter().zip(statistics(true)) {
        assert!(fused.iter().any(|value| value.abs() > 1e-3));
        for (a, b) in fused.iter().zip(spelled) {
            assert!((a - b).abs() < 1e-9, "{a} and {b}");
        }
    }
}

/// Both operands of the dot are `x`, with other statistics between them in the
/// list of inputs.
#[test]
fn an_input_that_stands_twice_in_a_fused_node_counts_twice() {
    let mut graph = Graph::new();
    let (x_state, x) = input(&mut graph, "x", [2, 3]);
    let (y_state, y) = input(&mut graph, "y", [2, 3]);
    let inputs = [
        (x_state, vec![1.0, -2.0, 0.5, 3.0, 0.25, -1.5]),
        (y_state, vec![0.5, 4.0, -1.0, 2.0, 1.5, 0.75]),
    ];
    // `[sum of g, sum of g (x - stats row 0)]` of (g, x, stats).
    for [g, data, stats] in [[x, y, x], [x, x, y], [y, x, x], [x, x, x]] {
        let fused = graph.channel_dot(g, data, stats).unwrap();
        let plain = graph.decompose(fused).unwrap().unwrap();
        let [fused, plain] = [fused, plain].map(|node| graph.sum_all(node).unwrap());
        let found = graph.gradient(fused, &[x, y]).unwrap();
        let expected = graph.gradient(plain, &[x, y]).unwrap();
        assert_eq!(
            values(&graph, &found, &inputs),
            values(&graph, &expected, &inputs),
            "ChannelDot of {:?}",
            [g, data, stats]
        );
    }
}

/// The gradient of batch normalisation times statistics takes the dot of the
/// statistics with themselves.
#[test]
fn batch_norm_times_its_statistics_has_the_second_gradient_of_its_decomposition() {
    let mut graph = Graph::new();
    let (x_state, x) = input(&mut graph, "x", [2, 3]);
    let (direction_state, direction) = input(&mut graph, "direction", [2, 3]);
    let gain = graph.constant(1.5, [3]);
    let offset = graph.constant(-0.5, [3]);
    let stats = graph.channel_stats(x).unwrap();
    let plain_stats = graph.decompose(stats).unwrap().unwrap();
    let fused = graph.batch_norm(x, gain, offset, 1e-5).unwrap();
    let plain = graph
        .batch_norm_apply(x, plain_stats, gain, offset, 1e-5)
        .unwrap();
    let [fused, plain] = [(fused, stats), (plain, plain_stats)].map(|(y, stats)| {
        let product = graph.mul(y, stats).unwrap();
        let sum = graph.sum_all(product).unwrap();
        let first = graph.gradient(sum, &[x]).unwrap()[0];
        graph.vector_jacobian(&[(first, direction)], &[x]).unwrap()[0]
    });
    let inputs = [
        (x_state, vec![1.0, -2.0, 0.5, 3.0, 0.25, -1.5]),
        (direction_state, vec![0.5, 4.0, -1.0, 2.0, 1.5, 0.75]),
    ];
    let both = values(&graph, &[fused, plain], &inputs);
    for (fused, plain) in both[0].iter().zip(&both[1]) {
        assert!((fused - plain).abs() < 1e-9, "{both:?}");
    }
}

/// A mean of one element is the element, and a reshape of a reshape skips the
/// one between: what statistics stand for does not always pass through their
/// operand.
#[test]
fn statistics_of_single_elements_have_gradients() {
    let mut graph = Graph::new();
    let (state, x) = input(&mut graph, "x", [3]);
    let image = graph.reshape(x, [1, 3, 1]).unwrap();
    let stats = graph.channel_stats(image).unwrap();
    let sum = graph.sum_all(stats).unwrap();
    let gradient = graph.gradient(sum, &[x]).unwrap();
    let found = values(&graph, &gradient, &[(state, vec![1.0, -2.0, 0.5])]);
    assert_eq!(found, [[1.0; 3]], "means are the elements, variances zero");
}
