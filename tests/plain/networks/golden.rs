//! Outputs and gradients of small networks, as f64 loops, against PyTorch.

use std::collections::HashMap;

use gpugan::graph::{Shape, StateId, Unary};
use gpugan::nets::ImageNorm::{Batch, Instance, None};
use gpugan::nets::{Translator, Unet};
use gpugan::nn;
use gpugan::random;
use gpugan::reference::{Tensor, evaluate};

use super::*;

/// Of an element relative to its tensor's largest; the file has 7 digits.
const TOLERANCE: f64 = 1e-6;
/// Part of a case's largest gradient that others are at least measured by: a bias in
/// front of a normalisation moves nothing but rounding.
const NOTHING: f64 = 1e-2;

fn small_translator(channels: usize, blocks: usize, norm: ImageNorm, dropout: bool) -> Build {
    translator(Translator {
        channels,
        width: 2,
        blocks,
        norm,
        dropout,
    })
}

/// The networks and layers of networks.py by name, with the shape of their input.
fn small() -> Vec<(&'static str, Build, Vec<usize>)> {
    let capped = |channels, norm, most| {
        unet(Unet {
            most,
            ..Unet::new(channels, 2, 4, norm, true)
        })
    };
    let image = |shape: [usize; 4]| shape.to_vec();
    vec![
        (
            "unet, batch",
            unet(Unet::new(3, 2, 5, Batch, true)),
            image([2, 3, 32, 32]),
        ),
        (
            "unet, instance",
            capped(1, Instance, 4),
            image([2, 2, 16, 32]),
        ),
        ("unet, none", capped(3, None, 2), image([1, 1, 16, 16])),
        (
            "translator, instance",
            small_translator(2, 2, Instance, false),
            image([2, 3, 8, 12]),
        ),
        (
            "translator, batch",
            small_translator(3, 1, Batch, true),
            image([2, 1, 12, 12]),
        ),
        ("patches of 1", patches(2, 1, None), image([2, 3, 8, 7])),
        ("patches of 2", patches(2, 2, Batch), image([2, 6, 16, 16])),
        (
            "patches of 5",
            patches(1, 5, Instance),
            image([1, 1, 128, 96]),
        ),
        ("pixels, batch", patches(3, 0, Batch), image([2, 6, 4, 5])),
        (
            "pixels, instance",
            patches(3, 0, Instance),
            image([2, 3, 4, 5]),
        ),
        ("srresnet of 4", srresnet(3, 2, 4), image([2, 3, 4, 5])),
        ("srresnet of 2", srresnet(2, 1, 2), image([2, 1, 4, 4])),
        (
            "srresnet's discriminator",
            sr_discriminator(2, 3, 5),
            image([3, 3, 9, 8]),
        ),
        ("drawer of 28", drawer(1, 28, 2), vec![3, 5]),
        ("drawer of 32", drawer(3, 32, 2), vec![2, 4]),
        ("ternary of 28", ternary(2), image([3, 1, 28, 28])),
        ("ternary of 32", ternary(2), image([2, 3, 32, 32])),
        (
            "instance norm",
            layer(|graph, _, x| nn::instance_norm(graph, x)),
            image([2, 3, 4, 5]),
        ),
        (
            "reflection",
            layer(|graph, _, x| nn::reflection_pad(graph, x, 2)),
            image([1, 2, 3, 4]),
        ),
        (
            "prelu",
            layer(|graph, net, x| net.prelu(graph, "layer", x)),
            image([2, 3, 2, 2]),
        ),
        (
            "shuffle",
            layer(|graph, _, x| nn::pixel_shuffle(graph, x, 3)),
            image([2, 18, 2, 1]),
        ),
        (
            "unshuffle",
            layer(|graph, _, x| nn::pixel_unshuffle(graph, x, 2)),
            image([2, 3, 4, 6]),
        ),
    ]
}

/// A layer and a smooth function, so that there is a second derivative.
fn layer(build: impl Fn(&mut Graph, &mut Net, NodeId) -> Result<NodeId> + 'static) -> Build {
    Box::new(move |graph, net, x| {
        let y = build(graph, net, x)?;
        Ok(graph.unary(Unary::Tanh, y))
    })
}

/// Element by element what `start` of tests/torch/second_order.py draws.
fn start(name: &str, shape: &Shape, stream: u32) -> Tensor {
    let tensor = name.rsplit('.').next().unwrap_or_default();
    let (is_weight, rank) = (tensor == "weight", shape.rank());
    let inputs = (shape.numel() / shape[0]) as f64;
    let mut element = 0;
    Tensor::from_fn(shape.clone(), |_| {
        let x = 2.0 * f64::from(random::uniform(element, stream, 1, 0)) - 1.0;
        element += 1;
        let x = match (is_weight, rank) {
            (true, 1) => 1.0 + x / 2.0,
            (true, _) => x * (3.0 / inputs).sqrt(),
            (false, _) => x,
        };
        f64::from(x as f32)
    })
}

/// The worst error, relative to the tensor's largest or to `least`.
fn error(found: &Tensor, wanted: &Digest, least: f64) -> f64 {
    assert_eq!(found.shape.to_vec(), wanted.shape);
    let scale = wanted.largest.max(least);
    let largest = found.data.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let mut worst = (largest - wanted.largest).abs() / scale;
    for (index, wanted_element) in wanted.elements.iter().enumerate() {
        let element = found.data[index * found.data.len() / wanted.elements.len()];
        worst = worst.max((element - wanted_element).abs() / scale);
    }
    assert!(found.data.iter().all(|x| x.is_finite()));
    worst
}

#[test]
fn outputs_and_gradients_are_pytorchs() {
    let mut cases = fixture().cases;
    let mut wrong = String::new();
    for (name, build, shape) in small() {
        let case = cases.remove(name).unwrap();
        let built = built(
            &build,
            shape,
            Mode {
                dropout: false,
                ..Mode::TRAIN
            },
        );
        let Built {
            mut graph,
            net,
            x,
            y,
        } = built.unwrap();
        let mut trained: Vec<(String, StateId)> = net
            .trained()
            .map(|(p, id)| (p.name["net.".len()..].to_owned(), id))
            .collect();
        trained.sort();
        let v = graph
            .declare("v", graph.shape(y).clone(), Role::Input)
            .unwrap();
        let x_id = graph.find_state("x").unwrap();
        let mut inputs = vec![("x".to_owned(), x_id)];
        inputs.extend(trained);
        let mut targets = inputs.clone();
        inputs.push(("v".to_owned(), v));
        let states: HashMap<StateId, Tensor> = inputs
            .iter()
            .zip(0..)
            .map(|((name, id), stream)| {
                let shape = &graph.state_info(*id).shape;
                (*id, start(name, shape, stream))
            })
            .collect();
        let v = graph.state(v);
        let product = graph.mul(y, v).unwrap();
        let sum = graph.sum_all(product).unwrap();
        let nodes: Vec<NodeId> = targets.iter().map(|&(_, id)| graph.state(id)).collect();
        let mut roots = graph.gradient(sum, &nodes).unwrap();
        let squares = graph.square(roots[0]);
        let squares = graph.sum_all(squares).unwrap();
        let mut wanted = case.gradients;
        if let Some(second) = case.second {
            roots.push(graph.gradient(squares, &[x]).unwrap()[0]);
            targets.push(("second".to_owned(), x_id));
            wanted.insert("second".to_owned(), second);
        }
        roots.push(y);
        targets.push(("output".to_owned(), x_id));
        let least = wanted.values().map(|digest| digest.largest);
        let least = NOTHING * least.fold(0.0, f64::max);
        wanted.insert("output".to_owned(), case.output);
        let values = evaluate(&graph, &roots, &states, 0, 0).unwrap();
        for ((target, _), value) in targets.iter().zip(&values) {
            let digest = wanted.remove(target);
            let digest = digest.unwrap_or_else(|| panic!("{name} has no {target}"));
            let error = error(value, &digest, least);
            if error > TOLERANCE {
                wrong += &format!("\n{name}: {target} is {error:.1e} off");
            }
        }
        assert!(wanted.is_empty(), "{name}: {:?}", wanted.keys());
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.is_empty(), "{:?}", cases.keys());
}

/// A channel of one pixel has no deviation.
#[test]
fn instance_norm_of_a_pixel_is_zero() {
    let build = layer(|graph, _, x| nn::instance_norm(graph, x));
    let Built { graph, y, .. } = built(&build, [2, 3, 1, 1], Mode::TRAIN).unwrap();
    let x = graph.find_state("x").unwrap();
    let pixels = start("x", &graph.state_info(x).shape, 0);
    let states = HashMap::from([(x, pixels)]);
    let found = evaluate(&graph, &[y], &states, 0, 0).unwrap();
    assert_eq!(found[0].data, [0.0; 6]);
}

#[test]
fn shuffled_pixels_go_back_to_their_places() {
    let build: Build = Box::new(|graph, _, x| {
        let apart = nn::pixel_unshuffle(graph, x, 3)?;
        nn::pixel_shuffle(graph, apart, 3)
    });
    let Built { graph, y, .. } = built(&build, [2, 2, 6, 3], Mode::TRAIN).unwrap();
    let x = graph.find_state("x").unwrap();
    let pixels = start("x", &graph.state_info(x).shape, 0);
    let states = HashMap::from([(x, pixels.clone())]);
    let found = evaluate(&graph, &[y], &states, 0, 0).unwrap();
    assert_eq!(found[0], pixels);
}
