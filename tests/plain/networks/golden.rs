//! Outputs and gradients of small networks, as f64 loops, against PyTorch.

use std::collections::HashMap;

use gpugan::graph::Window;
use gpugan::nn::{self, Init, Inits, Mode, Resampling, Square};
use gpugan::reference::{Tensor, evaluate};

use super::{Digest, fixture};
use crate::small::{Build, Built, built, layer, pose, small, start};

/// Of an element relative to its tensor's largest; the file has 7 digits.
const TOLERANCE: f64 = 1e-6;
/// Part of a case's largest gradient that others are at least measured by: a bias in
/// front of a normalisation moves nothing but rounding.
const NOTHING: f64 = 1e-2;

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
        let posed = pose(&build, shape, case.second.is_some());
        let mut wanted = case.gradients;
        wanted.extend(case.second.map(|second| ("second".to_owned(), second)));
        let least = wanted.values().map(|digest| digest.largest);
        let least = NOTHING * least.fold(0.0, f64::max);
        wanted.insert("output".to_owned(), case.output);
        let roots: Vec<_> = posed.roots.iter().map(|&(_, node)| node).collect();
        let values = evaluate(&posed.graph, &roots, &posed.states, 0, 0).unwrap();
        for ((target, _), value) in posed.roots.iter().zip(&values) {
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

/// A convolution of 3x3 taps that halves or doubles an image beside it, in one and apart:
/// outputs, gradients of image and weight, and a gradient of these.
#[test]
fn convolutions_that_halve_or_double_are_what_they_stand_for() {
    let inits = || Inits::zero_bias(Init::Constant(0.0));
    let same = Square {
        kernel: 3,
        stride: 1,
        pad: 1,
    };
    let resampled = |resampling| {
        layer(move |graph, net, x| net.conv_resampled(graph, "layer", x, 3, resampling, inits()))
    };
    let pairs: [(Build, Build); 2] = [
        (
            resampled(Resampling::Halving),
            layer(move |graph, net, x| {
                let y = net.conv(graph, "layer", x, 3, same, inits())?;
                graph.avg_pool(y, Window::tiles([4, 6], [2, 2]))
            }),
        ),
        (
            resampled(Resampling::Doubling),
            layer(move |graph, net, x| {
                let large = graph.upsample_nearest(x, [2, 2])?;
                net.conv(graph, "layer", large, 3, same, inits())
            }),
        ),
    ];
    for (one, apart) in pairs {
        let [one, apart] = [one, apart].map(|build| {
            let posed = pose(&build, [2, 5, 4, 6].into(), true);
            let roots: Vec<_> = posed.roots.iter().map(|&(_, node)| node).collect();
            let values = evaluate(&posed.graph, &roots, &posed.states, 0, 0).unwrap();
            let names = posed.roots.into_iter().map(|(name, _)| name);
            names.zip(values).collect::<Vec<_>>()
        });
        assert!(one.iter().any(|(name, _)| name == "second"));
        for ((name, found), (other, wanted)) in one.iter().zip(&apart) {
            assert_eq!((name, &found.shape), (other, &wanted.shape));
            let largest = wanted.data.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!(largest > 0.0, "{name}");
            for (a, b) in found.data.iter().zip(&wanted.data) {
                assert!((a - b).abs() <= 1e-12 * largest, "{name}: {a} and {b}");
            }
        }
    }
    let odd = resampled(Resampling::Halving);
    let refused = built(&odd, [2, 5, 4, 5], Mode::TRAIN).err().unwrap();
    assert!(refused.to_string().contains("4x5"), "{refused}");
}
