//! The Inception network of the Fréchet Inception distance against PyTorch
//! (tests/torch/inception.py made the fixture).

use std::collections::HashMap;

use gpugan::error::Result;
use gpugan::graph::{Graph, Role};
use gpugan::nets::Inception;
use gpugan::nn::{Mode, Net};
use gpugan::reference::{Tensor, evaluate};

use crate::inception_file::{shapes, uniform, weights};
use crate::near::assert_elements;

/// What that script computes.
#[derive(serde::Deserialize)]
struct Golden {
    tensors: usize,
    elements: usize,
    /// Evenly spaced features of an image of [`SMALL`] that is not resized.
    small: Vec<f64>,
}

/// `[C, H, W]`.
const SMALL: [usize; 3] = [3, 75, 107];

fn golden() -> Golden {
    let path = "tests/torch/fixtures/inception.json";
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The names and shapes that weights have follow from the network, in the order of which
/// PyTorch's draws its own.
#[test]
fn inception_has_the_published_number_of_weights() {
    let golden = golden();
    let shapes = shapes();
    let elements: usize = shapes
        .values()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    assert_eq!((shapes.len(), elements), (golden.tensors, golden.elements));
}

/// On a small image, normalisation folded in f64; tests/device/inception.rs is the whole.
#[test]
fn inceptions_features_are_pytorchs() {
    let file = weights();
    let mut graph = Graph::new();
    let mut net = Net::new("net", Mode::EVAL);
    let [c, h, w] = SMALL;
    let x = graph.declare("x", [1, c, h, w], Role::Input).unwrap();
    let node = graph.state(x);
    let features = Inception.features(&mut graph, &mut net, node).unwrap();
    let tensor = |shape: &[usize], data| Tensor::new(shape.to_vec(), data).unwrap();
    let of = |name: &str| {
        let (_, values) = &file.tensors[name];
        values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>()
    };
    let image = uniform(SMALL.iter().product(), 1);
    let image = image.into_iter().map(f64::from).collect();
    let mut states = HashMap::from([(x, tensor(&[1, c, h, w], image))]);
    for (parameter, id) in net.trained() {
        let name = parameter.name.trim_start_matches("net.");
        let (layer, kind) = name.split_once(".conv.").unwrap();
        let norm = |part: &str| of(&format!("{layer}.bn.{part}"));
        let deviation = norm("running_var")
            .into_iter()
            .map(|v| (v + Inception::EPS).sqrt());
        let gains = norm("weight").into_iter().zip(deviation);
        let factors: Vec<f64> = gains.map(|(gain, deviation)| gain / deviation).collect();
        let values = if kind == "weight" {
            let weight = of(name);
            let each = weight.len() / factors.len();
            let weight = weight.iter().enumerate();
            weight.map(|(at, x)| x * factors[at / each]).collect()
        } else {
            let mean = norm("running_mean").into_iter().zip(&factors);
            let offset = norm("bias").into_iter().zip(mean);
            offset
                .map(|(offset, (mean, factor))| offset - mean * factor)
                .collect()
        };
        states.insert(id, tensor(&parameter.shape, values));
    }
    let found = evaluate(&graph, &[features], &states, 0, 0).unwrap();
    assert_elements("features", &found[0].data, &golden().small, 1e-6);
}

/// Grey images are equal colours, and nothing else is a colour.
#[test]
fn inception_takes_grey_images_and_colours() {
    let built = |channels| -> Result<[Vec<usize>; 2]> {
        let mut graph = Graph::new();
        let images = graph.constant(0.0, [2, channels, 8, 9]);
        let seen = Inception.build(&mut graph, &mut Net::new("net", Mode::EVAL), images)?;
        Ok([seen.features, seen.logits].map(|x| graph.shape(x).to_vec()))
    };
    for channels in [1, 3] {
        assert_eq!(built(channels).unwrap(), [[2, 2048], [2, 1008]]);
    }
    let error = built(4).unwrap_err().to_string();
    assert!(
        error.contains("[2, 4, 8, 9] is not [N, 3, H, W]"),
        "{error}"
    );
}
