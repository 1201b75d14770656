//! Losses and gradients against what is known of GANs in closed form.

use gpugan::adversarial::{self, LossKind, Penalty, loss, penalty};
use gpugan::graph::{Graph, NodeId};

use super::{input, values};
use crate::dirac::ends;

fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    assert!(
        (got - want).abs() <= tolerance,
        "{what} is {got}, not {want}"
    );
}

/// Where the generator's images are surely fakes, the minimax loss teaches it
/// nothing: its gradient is `e^a` of that of the non-saturating one, a the
/// logit.
#[test]
fn the_minimax_gradient_vanishes_by_e_to_the_logit() {
    let mut graph = Graph::new();
    let logits: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 2.0).collect();
    let count = logits.len() as f64;
    let (id, a) = input(&mut graph, "a", [logits.len(), 1]);
    let mut gradients = Vec::new();
    for kind in [LossKind::Minimax, LossKind::NonSaturating] {
        let loss = loss::generator(&mut graph, kind, a.into(), None).unwrap();
        gradients.push(graph.gradient(loss, &[a]).unwrap()[0]);
    }
    let got = values(&graph, &gradients, &[(id, logits.clone())]);
    for (i, a) in logits.iter().enumerate() {
        let (minimax, other) = (got[0][i] * count, got[1][i] * count);
        let sigmoid = 1.0 / (1.0 + (-a).exp());
        close("minimax", minimax, -sigmoid, 1e-12);
        close("non-saturating", other, -1.0 / (1.0 + a.exp()), 1e-12);
        close("ratio", other / minimax * a.exp(), 1.0, 1e-9);
    }
}

/// The discriminator's loss as a function of one real and one fake logit.
struct Loss {
    graph: Graph,
    inputs: [gpugan::graph::StateId; 2],
    roots: Vec<NodeId>,
}

impl Loss {
    /// Of this label for real images; with its gradients.
    fn new(label: f64, weight: f64) -> Self {
        let mut graph = Graph::new();
        let (real_id, real) = input(&mut graph, "real", [1]);
        let (fake_id, fake) = input(&mut graph, "fake", [1]);
        let config = adversarial::Loss {
            real_label: label,
            d_weight: weight,
            ..adversarial::Loss::default()
        };
        let loss = loss::discriminator(&mut graph, &config, real, fake).unwrap();
        let mut roots = vec![loss];
        roots.extend(graph.gradient(loss, &[real, fake]).unwrap());
        Self {
            graph,
            inputs: [real_id, fake_id],
            roots,
        }
    }

    fn at(&self, real: f64, fake: f64) -> [f64; 3] {
        let inputs = [(self.inputs[0], vec![real]), (self.inputs[1], vec![fake])];
        let got = values(&self.graph, &self.roots, &inputs);
        [got[0][0], got[1][0], got[2][0]]
    }
}

#[test]
fn the_value_at_the_equilibrium_is_minus_log_4() {
    close(
        "loss",
        Loss::new(1.0, 1.0).at(0.0, 0.0)[0],
        4f64.ln(),
        1e-12,
    );
    close(
        "half",
        Loss::new(1.0, 0.5).at(0.0, 0.0)[0],
        2f64.ln(),
        1e-12,
    );
}

#[test]
fn a_smoothed_label_has_its_optimum_below_one_half() {
    let smooth = Loss::new(0.9, 1.0);
    let logit = (0.45f64 / 0.55).ln();
    let [value, real, fake] = smooth.at(logit, logit);
    close("V", -value, -1.37628, 1e-5);
    // One logit for both, as where the two densities agree; 0.9 is an f32.
    close("slope", real + fake, 0.0, 1e-7);
}

#[test]
fn the_optimal_discriminators_of_gaussians_have_their_values() {
    // Mean and deviation of the data and of the model; V(D*) = 2 JSD - log 4.
    for (p, q, jsd, v) in [
        ((0.0, 1.0), (1.0, 1.0), 0.11142, -1.16345),
        ((0.0, 1.0), (2.0, 1.0), 0.33683, -0.71263),
        ((0.0, 1.0), (0.0, 2.0), 0.09273, -1.20083),
        ((4.0, 0.5), (0.0, 1.0), 0.68187, -0.02255),
    ] {
        let loss = Loss::new(1.0, 1.0);
        let log_density = |(mean, deviation): (f64, f64), x: f64| {
            let z = (x - mean) / deviation;
            -0.5 * z * z - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
        };
        let step = 0.02;
        let mut value = 0.0;
        for i in -600..=600 {
            let x = f64::from(i) * step;
            let logit = log_density(p, x) - log_density(q, x);
            // A far fake logit leaves the loss on the real one, and vice versa.
            let [on_real, ..] = loss.at(logit, -1e4);
            let [on_fake, ..] = loss.at(1e4, logit);
            let (p, q) = (log_density(p, x).exp(), log_density(q, x).exp());
            value -= step * (p * on_real + q * on_fake);
        }
        close("V", value, v, 1e-5);
        close("JSD", (value + 4f64.ln()) / 2.0, jsd, 1e-5);
    }
}

/// The Dirac-GAN of [`ends`]: distance from the equilibrium at 0 after 500 steps
/// of size 0.1 from (1, 1); theta moves first where they alternate.
fn dirac(config: &adversarial::Loss, alternating: bool) -> f64 {
    let mut graph = Graph::new();
    let (theta_id, theta) = input(&mut graph, "theta", [1; 4]);
    let (psi_id, psi) = input(&mut graph, "psi", [1; 4]);
    let zero = graph.constant(0.0, [1; 4]);
    let logit = |graph: &mut Graph, x| {
        let product = graph.mul(psi, x).unwrap();
        graph.neg(product)
    };
    let (real, fake) = (logit(&mut graph, zero), logit(&mut graph, theta));
    let mut loss_d = loss::discriminator(&mut graph, config, real, fake).unwrap();
    let slope = penalty::penalty(&mut graph, config.penalty, zero, theta, |graph, x| {
        Ok(logit(graph, x))
    });
    let slope = graph.scale(slope.unwrap(), config.penalty_weight as f32);
    loss_d = graph.add(loss_d, slope).unwrap();
    let loss_g = loss::generator(&mut graph, config.kind, fake.into(), None).unwrap();
    let of_d = graph.gradient(loss_d, &[psi]).unwrap()[0];
    let of_g = graph.gradient(loss_g, &[theta]).unwrap()[0];
    let clip = match config.weight_clip {
        0.0 => f64::INFINITY,
        clip => clip,
    };
    let (mut t, mut p) = (1.0, 1.0);
    for _ in 0..500 {
        let at = |t, p| [(theta_id, vec![t]), (psi_id, vec![p])];
        let moved = t - 0.1 * values(&graph, &[of_g], &at(t, p))[0][0];
        let seen = if alternating { moved } else { t };
        p -= 0.1 * values(&graph, &[of_d], &at(seen, p))[0][0];
        p = f64::clamp(p, -clip, clip);
        t = moved;
    }
    t.hypot(p)
}

#[test]
fn the_dirac_gan_ends_where_the_theory_says() {
    for (config, simultaneous, alternating) in &ends() {
        // The table has 4 decimals, or 2 digits.
        let room = |expected: f64| {
            if expected < 1e-6 {
                0.01 * expected
            } else {
                5e-5
            }
        };
        close(
            "simultaneous",
            dirac(config, false),
            *simultaneous,
            room(*simultaneous),
        );
        close(
            "alternating",
            dirac(config, true),
            *alternating,
            room(*alternating),
        );
    }
    let weaker = adversarial::Loss {
        kind: LossKind::NonSaturating,
        penalty: Penalty::R1,
        penalty_weight: 0.3,
        ..adversarial::Loss::default()
    };
    close("weaker penalty", dirac(&weaker, false), 8.6e-4, 1e-5);
}
