//! MADE and the fully visible belief network.

use gpugan::random::uniform;
use gpugan::reference::Tensor;

use super::{Tiny, all_images};

const LAYERS: &[&str] = &["model.hidden=[12, 9]", "model.order=random"];

/// One with one hidden layer, one with two and a random order, one with none, and one
/// with none and a random order.
fn models() -> [Tiny; 4] {
    [
        Tiny::new(
            "made",
            &["model.hidden=[16]", "model.order=natural"],
            [2, 5],
            4.0,
        ),
        Tiny::new("made", LAYERS, [2, 5], 4.0),
        Tiny::new("fvbn", &[], [2, 5], 4.0),
        Tiny::new("fvbn", &["model.order=random"], [2, 5], 4.0),
    ]
}

/// Ones in the place of all masks.
fn without_masks(mut model: Tiny) -> Tiny {
    for (name, tensor) in &mut model.weights {
        if name.ends_with(".mask") {
            *tensor = Tensor::full(tensor.shape.clone(), 1.0);
        }
    }
    model
}

/// The probabilities of all images.
fn probabilities(model: &Tiny) -> Vec<f64> {
    let images = all_images(model.pixels());
    let view = ("likelihood", 1 << model.pixels());
    let [logs] = model.look(view, ["log_likelihood"], &[("images", images)]);
    logs.into_iter().map(f64::exp).collect()
}

fn noise(model: &Tiny, count: usize) -> Vec<f64> {
    let half_width = f64::from(3.0_f32.sqrt());
    (0..(count * model.pixels()) as u32)
        .map(|i| (2.0 * f64::from(uniform(i, 1, 2, 3)) - 1.0) * half_width)
        .collect()
}

/// What the replays of `sample` lead to.
fn sample(model: &Tiny, noise: &[f64], replays: usize) -> Vec<f64> {
    let count = noise.len() / model.pixels();
    let build = model.view("sample", count);
    let node = build.result("images").unwrap();
    let mut images = vec![0.0; noise.len()];
    for _ in 0..replays {
        let inputs = [("noise", noise.to_vec()), ("images", images)];
        images = model
            .evaluate(&build.graph, &[node], &inputs)
            .remove(0)
            .data;
    }
    images
}

/// `[D, D]`: how the probability of each pixel (row) changes with each pixel (column).
fn jacobian(model: &Tiny, image: &[f64]) -> Vec<f64> {
    let pixels = model.pixels();
    let mut build = model.view("sample", pixels);
    let images = build.field("images").unwrap();
    let probabilities = build.result("probabilities").unwrap();
    let graph = &mut build.graph;
    // Record `n` is asked for the gradient of pixel `n`.
    let flat = graph.reshape(probabilities, [pixels, pixels]).unwrap();
    let [row, column] = [0, 1].map(|axis| graph.iota([pixels, pixels], axis).unwrap());
    let equal = gpugan::graph::Binary::Equal;
    let identity = graph.binary(equal, row, column).unwrap();
    let gradient = graph.vector_jacobian(&[(flat, identity)], &[images]);
    let nodes = gradient.unwrap();
    let inputs = [
        ("noise", vec![0.0; pixels * pixels]),
        ("images", image.repeat(pixels)),
    ];
    model.evaluate(graph, &nodes, &inputs).remove(0).data
}

/// The pixels in an order in which each depends on earlier ones alone, if there is one.
fn order(jacobian: &[f64], pixels: usize) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < pixels {
        let depends = |row: usize, column: usize| jacobian[row * pixels + column] != 0.0;
        let next = (0..pixels).find(|&row| {
            let free = (0..pixels).all(|column| !depends(row, column) || order.contains(&column));
            free && !order.contains(&row)
        })?;
        order.push(next);
    }
    Some(order)
}

#[test]
fn probabilities_of_all_images_sum_to_one() {
    for model in models() {
        let all = probabilities(&model);
        let sum: f64 = all.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        // Not because they are all the same.
        let most = all.iter().copied().fold(0.0, f64::max);
        assert!(most > 4.0 / all.len() as f64, "{most}");
    }
}

#[test]
fn without_masks_they_do_not() {
    for model in models() {
        let sum: f64 = probabilities(&without_masks(model)).iter().sum();
        assert!((sum - 1.0).abs() > 0.05, "{sum}");
    }
}

#[test]
fn no_pixel_depends_on_itself_or_a_later_one() {
    for model in models() {
        let pixels = model.pixels();
        let image: Vec<f64> = (0..pixels).map(|i| f64::from(i % 3 == 0)).collect();
        assert!(order(&jacobian(&model, &image), pixels).is_some());
        let unmasked = jacobian(&without_masks(model), &image);
        assert!(order(&unmasked, pixels).is_none());
    }
}

#[test]
fn a_natural_order_is_row_by_row() {
    let [made, _, fvbn, _] = models();
    for (model, everything) in [(made, false), (fvbn, true)] {
        let pixels = model.pixels();
        let jacobian = jacobian(&model, &vec![1.0; pixels]);
        for (row, gradient) in jacobian.chunks(pixels).enumerate() {
            assert!(gradient[row..].iter().all(|x| *x == 0.0), "{gradient:?}");
            // Nothing is between a belief network's pixels and those before them.
            assert!(!everything || gradient[..row].iter().all(|x| *x != 0.0));
        }
    }
}

#[test]
fn a_random_order_follows_from_the_seed() {
    let of = |seed: &str| {
        let changes = ["model.order=random", seed];
        let model = Tiny::new("fvbn", &changes, [2, 5], 4.0);
        order(&jacobian(&model, &[0.0; 10]), 10).unwrap()
    };
    let natural: Vec<usize> = (0..10).collect();
    assert_eq!(of("seed=1"), of("seed=1"));
    assert_ne!(of("seed=1"), of("seed=2"));
    assert_ne!(of("seed=1"), natural);
}

#[test]
fn replays_give_what_drawing_one_pixel_after_another_gives() {
    let [made, deep, fvbn, _] = models();
    for model in [made, deep, fvbn] {
        let (pixels, count) = (model.pixels(), 20);
        let noise = noise(&model, count);
        let drawn = sample(&model, &noise, pixels);
        let order = order(&jacobian(&model, &vec![1.0; pixels]), pixels).unwrap();
        let mut expected = vec![0.0; count * pixels];
        for pixel in order {
            let inputs = [("noise", noise.clone()), ("images", expected.clone())];
            let [all] = model.look(("sample", count), ["images"], &inputs);
            for record in 0..count {
                let place = record * pixels + pixel;
                expected[place] = all[place];
            }
        }
        assert_eq!(drawn, expected);
        // Once everything is right it stays.
        assert_eq!(drawn, sample(&model, &noise, pixels + 1));
        assert_ne!(drawn, sample(&model, &noise, 1));
    }
}

#[test]
fn samples_are_as_frequent_as_probable() {
    let model = Tiny::new("made", LAYERS, [2, 3], 4.0);
    let (pixels, count) = (model.pixels(), 4000);
    let samples = sample(&model, &noise(&model, count), pixels);
    let mut found = vec![0.0; 1 << pixels];
    for image in samples.chunks(pixels) {
        let bits = image.iter().enumerate();
        let number: usize = bits.map(|(p, x)| (*x as usize) << p).sum();
        found[number] += 1.0;
    }
    let expected = probabilities(&model).into_iter().map(|p| p * count as f64);
    // Those of which there should be few are one cell.
    let (mut statistic, mut cells, mut few) = (0.0, 0, [0.0; 2]);
    for (found, expected) in found.into_iter().zip(expected) {
        if expected < 5.0 {
            few = [few[0] + found, few[1] + expected];
            continue;
        }
        statistic += (found - expected) * (found - expected) / expected;
        cells += 1;
    }
    statistic += (few[0] - few[1]).powi(2) / few[1].max(1e-9);
    // Its mean is its degrees of freedom, its variance twice that.
    let freedom = f64::from(cells);
    assert!(cells > 20, "{cells}");
    let limit = freedom + 4.0 * (2.0 * freedom).sqrt();
    assert!(statistic < limit, "{statistic}, not below {limit}");
}

#[test]
fn the_loss_is_the_mean_of_the_negative_log_likelihood() {
    for model in models() {
        let pixels = model.pixels();
        let images: Vec<f64> = all_images(pixels)[..7 * pixels].to_vec();
        let [logs] = model.look(
            ("likelihood", 7),
            ["log_likelihood"],
            &[("images", images.clone())],
        );
        let build = model.step(7);
        let loss = build.result("loss").unwrap();
        let loss = model.evaluate(&build.graph, &[loss], &[("images", images)]);
        let mean = -logs.iter().sum::<f64>() / 7.0;
        assert!((loss[0].data[0] - mean).abs() < 1e-12);
    }
}
