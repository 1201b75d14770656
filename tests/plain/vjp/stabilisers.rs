//! Stabilisers that are more than a loss: what compares a batch, and how often
//! images are augmented.

use gpugan::adversarial::augment::{self, STATE};
use gpugan::adversarial::{Augment, Loss, LossKind};
use gpugan::graph::{Graph, Shape};
use gpugan::nn::{Init, Mode, Net};

use super::{input, values};
use crate::preset::{changed, system};

/// Numbers between -1 and 1 without a pattern.
fn scattered(count: usize) -> Vec<f64> {
    (0..count)
        .map(|i| (12.9898 * (i + 1) as f64).sin())
        .collect()
}

/// Salimans et al. 2016, section 3.2, as loops; and its second derivative, which
/// R1 needs, against differences of the first.
/// Beside `exp(0) = 1` of an image itself, `exp(-40)` would be rounded away.
#[test]
fn distant_images_are_near_by_what_they_are() {
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [2, 1]);
    let mut net = Net::new("D", Mode::TRAIN);
    let start = Init::Constant(0.0);
    let near = net
        .minibatch_discrimination(&mut graph, "minibatch", x, [1, 1], start)
        .unwrap();
    let weight = graph.find_state("D.minibatch.weight").unwrap();
    let inputs = [(x_id, vec![-20.0, 20.0]), (weight, vec![1.0])];
    let found = &values(&graph, &[near], &inputs)[0];
    let expected = (-40.0_f64).exp();
    for near in found {
        assert!((near / expected - 1.0).abs() < 1e-12, "{near:e}");
    }
}

#[test]
fn minibatch_discrimination_is_that_of_its_formula() {
    const N: usize = 5;
    const F: usize = 3;
    const B: usize = 2;
    const C: usize = 4;
    let mut graph = Graph::new();
    let (x_id, x) = input(&mut graph, "x", [N, F]);
    let mut net = Net::new("D", Mode::TRAIN);
    let start = Init::Constant(0.0);
    let near = net
        .minibatch_discrimination(&mut graph, "minibatch", x, [B, C], start)
        .unwrap();
    let squares = graph.square(near);
    let sum = graph.sum_all(squares).unwrap();
    let slope = graph.gradient(sum, &[x]).unwrap()[0];
    let squares = graph.square(slope);
    let r1 = graph.sum_all(squares).unwrap();
    let t_id = graph.find_state("D.minibatch.weight").unwrap();
    let t_node = graph.state(t_id);
    let second = graph.gradient(r1, &[t_node]).unwrap()[0];

    let (images, t) = (scattered(N * F), scattered(B * C * F));
    let at = |t: &[f64]| {
        let inputs = [(x_id, images.clone()), (t_id, t.to_vec())];
        values(&graph, &[near, r1, second], &inputs)
    };
    let got = at(&t);
    let project = |image: usize, row: usize| -> f64 {
        (0..F).map(|f| images[image * F + f] * t[row * F + f]).sum()
    };
    for i in 0..N {
        for b in 0..B {
            let others = (0..N).filter(|&j| j != i).map(|j| {
                let distance: f64 = (b * C..(b + 1) * C)
                    .map(|row| (project(i, row) - project(j, row)).abs())
                    .sum();
                (-distance).exp()
            });
            let want: f64 = others.sum();
            let got = got[0][i * B + b];
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }
    for element in 0..t.len() {
        let moved = |way: f64| {
            let mut t = t.clone();
            t[element] += way;
            at(&t)[1][0]
        };
        let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let got = got[2][element];
        assert!(
            (got - want).abs() < 1e-6 * want.abs().max(1.0),
            "{got} {want}"
        );
    }
}

/// A quarter of the images, within four standard deviations of 400 draws, and
/// the others untouched; an adaptive one starts with none.
#[test]
fn as_many_images_are_augmented_as_the_probability_says() {
    const N: usize = 400;
    let changed = |loss: &Loss| {
        let mut graph = Graph::new();
        let (id, x) = input(&mut graph, "x", [N, 1, 2, 2]);
        let adaptive = loss.adapts_augment().then(|| {
            let (id, node) = input(&mut graph, augment::PROBABILITY, Shape::scalar());
            assert_eq!(graph.find_state(augment::PROBABILITY), Some(id));
            node
        });
        let p = augment::probability(&mut graph, loss, adaptive);
        let y = augment::augment(&mut graph, loss.augment, p, x).unwrap();
        let images = scattered(4 * N);
        let mut inputs = vec![(id, images.clone())];
        if let Some(id) = graph.find_state(augment::PROBABILITY) {
            inputs.push((id, vec![0.0]));
        }
        let y = values(&graph, &[y], &inputs).remove(0);
        let pairs = y.chunks(4).zip(images.chunks(4));
        pairs.filter(|(y, x)| y != x).count() as f64
    };
    let mut loss = Loss {
        augment: Augment::Color,
        ..Loss::default()
    };
    assert_eq!(changed(&loss), N as f64);
    loss.augment_p = 0.25;
    let deviation = (N as f64 * 0.25 * 0.75).sqrt();
    let count = changed(&loss);
    assert!((count - 100.0).abs() < 4.0 * deviation, "{count}");
    loss.augment_target = 0.6;
    assert_eq!(changed(&loss), 0.0);
}

/// Two updates with a mean sign of 1 move the probability up, two with -1 down,
/// never below 0 nor above `augment_p`.
#[test]
fn the_probability_follows_the_sign_of_the_discriminator() {
    let loss = Loss {
        kind: LossKind::LeastSquares,
        augment: Augment::Color,
        augment_p: 0.25,
        augment_target: 0.5,
        augment_every: 2,
        augment_images: 40,
        ..Loss::default()
    };
    let mut graph = Graph::new();
    let (id, logits) = input(&mut graph, "logits", [2, 1]);
    // They are what a game that adapts remembers, each a scalar.
    let adaptive = ["loss.augment=color", "loss.augment_target=0.5"];
    let memory = system(&changed("dcgan28", &adaptive), 1).memory();
    assert_eq!(memory.iter().map(|m| m.name).collect::<Vec<_>>(), STATE);
    assert!(memory.iter().all(|m| m.shape == Shape::scalar()));
    let old = STATE.map(|name| input(&mut graph, name, Shape::scalar()));
    let (ids, old) = (old.map(|(id, _)| id), old.map(|(_, node)| node));
    let nodes = augment::adapt(&mut graph, &loss, 2, old, logits).unwrap();
    for node in nodes {
        assert_eq!(*graph.shape(node), Shape::scalar());
    }
    let mut state = vec![vec![0.0]; 3];
    let mut p = Vec::new();
    // The boundary of least squares is one half: 0.4 is a no.
    let (yes, no) = ([0.6, 2.0], [0.4, -1.0]);
    for logits in [no, yes, yes, yes, yes, yes, yes, yes, no, no, no] {
        let mut inputs = vec![(id, logits.to_vec())];
        inputs.extend(ids.iter().copied().zip(state));
        state = values(&graph, &nodes, &inputs);
        p.push(state[0][0]);
    }
    // Steps of 2 updates of 2 of 40 images. The first pair means 0, below.
    let want = [0.0, 0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.25, 0.25, 0.15, 0.15];
    for (got, want) in p.iter().zip(want) {
        assert!((got - want).abs() < 1e-7, "{p:?}");
    }
    assert_eq!(state[1..], [vec![-1.0], vec![1.0]]);
}
