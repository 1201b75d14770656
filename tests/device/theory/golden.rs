//! Golden values of single operations, losses and updates.

use gpugan::adversarial::{Loss, LossKind, loss, penalty};
use gpugan::config::{Optimizer, OptimizerKind};
use gpugan::gpu::{Executable, Memory};
use gpugan::graph::{ConvGeometry, Graph, Group, NodeId, Places, Program, Role, Shape};
use gpugan::optim;
use gpugan::plan::Plan;

use super::{arenas, close, compute, gpu};
use crate::dirac::ends;

/// What `build` computes from inputs of these shapes and values.
fn run(
    inputs: &[(Shape, Vec<f32>)],
    build: impl FnOnce(&mut Graph, &[NodeId]) -> Vec<NodeId>,
) -> Vec<Vec<f32>> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let mut nodes = Vec::new();
    for (index, (shape, _)) in inputs.iter().enumerate() {
        let id = graph.declare(format!("x{index}"), shape.clone(), Role::Input);
        nodes.push(graph.state(id.unwrap()));
    }
    for (index, node) in build(graph, &nodes).into_iter().enumerate() {
        let (name, shape) = (format!("y{index}"), program.graph.shape(node).clone());
        let id = program.graph.declare(name, shape, Role::Output).unwrap();
        program.assign(id, node).unwrap();
    }
    let values = compute(&program, |name, _| {
        inputs[name[1..].parse::<usize>().unwrap()].1.clone()
    });
    // By name, which is by number below ten.
    values.into_values().collect()
}

#[test]
fn a_transposed_convolution_turns_its_kernel() {
    let x = (1..=9).map(|i| i as f32).collect();
    let kernel = vec![1.0, 0.0, -1.0, 2.0, 0.0, -2.0, 1.0, 0.0, -1.0];
    let inputs = [([1, 1, 3, 3].into(), x), ([1, 1, 3, 3].into(), kernel)];
    let got = run(&inputs, |graph, x| {
        let geometry =
            ConvGeometry::transposed([3; 2], [3; 2], [2; 2], [1; 2], [[1; 2]; 2], [0; 2], 1)
                .unwrap();
        vec![graph.conv_transpose2d(x[0], x[1], geometry).unwrap()]
    });
    assert_eq!(got[0], [0.0, 2.0, 0.0, 2.0, 0.0].repeat(5));
}

#[test]
fn generator_gradients_keep_their_digits_where_they_are_small() {
    let logits: Vec<f32> = (-20..=20).map(|i| i as f32 / 2.0).collect();
    let count = logits.len() as f64;
    let got = run(&[([41, 1].into(), logits.clone())], |graph, x| {
        [LossKind::Minimax, LossKind::NonSaturating]
            .map(|kind| {
                let loss = loss::generator(graph, kind, x[0].into(), None).unwrap();
                graph.gradient(loss, x).unwrap()[0]
            })
            .to_vec()
    });
    for (i, &a) in logits.iter().enumerate() {
        let a = f64::from(a);
        close(
            "minimax",
            got[0][i],
            -1.0 / (1.0 + (-a).exp()) / count,
            1e-4,
        );
        close(
            "non-saturating",
            got[1][i],
            -1.0 / (1.0 + a.exp()) / count,
            1e-4,
        );
        close("ratio", got[1][i] / got[0][i], (-a).exp(), 1e-4);
    }
}

/// Parameters that start at `x` and are updated with the gradients that
/// `slope` gives, after each of `steps` updates.
fn descend(config: &Optimizer, x: &[f32], steps: u64, slope: fn(f32) -> f32) -> Vec<Vec<f32>> {
    let tensor = |name: &str| vec![(format!("{name}.x"), Shape::from([x.len()]))];
    let mut places = Places::default();
    let of_g = || "G".to_owned();
    for (name, group) in [
        ("G", Group::Weights(of_g())),
        ("G.gradient", Group::Gradient(of_g())),
        ("G.moment1", Group::Moment(of_g(), 1)),
        ("G.moment2", Group::Moment(of_g(), 2)),
    ] {
        places.add_group(group, &tensor(name)).unwrap();
    }
    let gpu = gpu();
    let memory = Memory::new(gpu, &arenas(&places), &[]).unwrap();
    let recording = optim::recording(config, None, &places, "G").unwrap();
    let mut executable = Executable::new(gpu, &memory, &recording).unwrap();
    let place = |name: &str| places.get(name).unwrap().1;
    memory.write(place("G.x"), x).unwrap();
    let mut history = vec![x.to_vec()];
    for t in 1..=steps {
        let gradient: Vec<f32> = history.last().unwrap().iter().map(|&x| slope(x)).collect();
        memory.write(place("G.gradient.x"), &gradient).unwrap();
        executable.run(gpu, &optim::schedule(config, t)).unwrap();
        history.push(memory.read(place("G.x")).unwrap());
    }
    history
}

/// Both ends of the range of gradients, where eps matters and where not.
const GRADIENTS: [f32; 6] = [3.0, -0.5, 1e-3, -1e-6, 1e-8, -2e-9];

#[test]
fn the_first_steps_of_adam_and_rmsprop_are_pytorchs() {
    let lr = 1e-3;
    // The gradient is the parameter, so that the steps are what they lose.
    for (kind, eps) in [(OptimizerKind::Adam, 1e-8), (OptimizerKind::Rmsprop, 1e-8)] {
        let config = Optimizer {
            kind,
            lr,
            eps,
            ..Optimizer::default()
        };
        let history = descend(&config, &GRADIENTS, 1, |x| x);
        for (&g, &x) in GRADIENTS.iter().zip(&history[1]) {
            let g = f64::from(g);
            // RMSprop starts from the square's 1 % alone, so a tenth.
            let step = match kind {
                OptimizerKind::Adam => lr * g / (g.abs() + eps),
                _ => lr * g / (0.1 * g.abs() + eps),
            };
            // Where the step is small against x, x has the fewer digits.
            let room = 1e-4 * step.abs() + 1e-7 * g.abs();
            let moved = g - f64::from(x);
            assert!(
                (moved - step).abs() <= room,
                "{kind:?} {g}: {moved}, not {step}"
            );
        }
    }
}

#[test]
fn five_steps_down_a_parabola_follow_the_recurrences() {
    let starts = [1.0, -0.3, 5.0, 0.01, -2.0];
    for kind in [
        OptimizerKind::Adam,
        OptimizerKind::Rmsprop,
        OptimizerKind::Sgd,
    ] {
        let config = Optimizer {
            kind,
            lr: 0.05,
            momentum: 0.9,
            ..Optimizer::default()
        };
        let history = descend(&config, &starts, 5, |x| 2.0 * x);
        for (i, &start) in starts.iter().enumerate() {
            let (mut x, mut m, mut v) = (f64::from(start), 0.0, 0.0);
            for t in 1..=5 {
                let g = 2.0 * x;
                x -= config.lr
                    * match kind {
                        OptimizerKind::Adam => {
                            m = config.beta1 * m + (1.0 - config.beta1) * g;
                            v = config.beta2 * v + (1.0 - config.beta2) * g * g;
                            let mean = m / (1.0 - config.beta1.powi(t));
                            let square: f64 = v / (1.0 - config.beta2.powi(t));
                            mean / (square.sqrt() + config.eps)
                        }
                        OptimizerKind::Rmsprop => {
                            v = config.alpha * v + (1.0 - config.alpha) * g * g;
                            g / (v.sqrt() + config.eps)
                        }
                        OptimizerKind::Sgd => {
                            m = config.momentum * m + g;
                            m
                        }
                    };
                let got = f64::from(history[t as usize][i]);
                let room = 1e-5 * f64::from(start).abs().max(config.lr);
                assert!((got - x).abs() < room, "{kind:?} step {t}: {got}, not {x}");
            }
        }
    }
}

/// The Dirac-GAN of [`ends`], with gradients and updates in f32: distance
/// from the equilibrium after 500 steps from (1, 1).
fn dirac(config: &Loss, alternating: bool) -> f32 {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let one = |name: &str| vec![(name.to_owned(), Shape::from([1; 4]))];
    let [theta, psi] = ["G.theta", "D.psi"].map(|name| {
        let id = graph.declare(name, [1; 4], Role::Parameter).unwrap();
        graph.state(id)
    });
    let zero = graph.constant(0.0, [1; 4]);
    let logit = |graph: &mut Graph, x| {
        let product = graph.mul(psi, x).unwrap();
        graph.neg(product)
    };
    let (real, fake) = (logit(graph, zero), logit(graph, theta));
    let loss_d = loss::discriminator(graph, config, real, fake).unwrap();
    let slope = penalty::penalty(graph, config.penalty, zero, theta, |graph, x| {
        Ok(logit(graph, x))
    });
    let slope = graph.scale(slope.unwrap(), config.penalty_weight as f32);
    let loss_d = graph.add(loss_d, slope).unwrap();
    let loss_g = loss::generator(graph, config.kind, fake.into(), None).unwrap();
    let of_g = graph.gradient(loss_g, &[theta]).unwrap()[0];
    let of_d = graph.gradient(loss_d, &[psi]).unwrap()[0];
    for (name, node) in [("gradient.theta", of_g), ("gradient.psi", of_d)] {
        let id = program.graph.declare(name, [1; 4], Role::Output).unwrap();
        program.assign(id, node).unwrap();
    }
    let mut places = Places::default();
    for (network, name) in [("G", "theta"), ("D", "psi")] {
        let of = || network.to_owned();
        for (kind, group) in [
            (network, Group::Weights(of())),
            ("gradient", Group::Gradient(of())),
            ("moment1", Group::Moment(of(), 1)),
        ] {
            let tensors = one(&format!("{kind}.{name}"));
            places.add_group(group, &tensors).unwrap();
        }
    }
    let descent = Optimizer {
        kind: OptimizerKind::Sgd,
        lr: 0.1,
        ..Optimizer::default()
    };
    let gpu = gpu();
    let plan = Plan::new(&program, &places, &gpu.facts.kernel_facts()).unwrap();
    let memory = Memory::poisoned(gpu, &arenas(&places), &plan.recording.temporaries).unwrap();
    let mut gradients = Executable::new(gpu, &memory, &plan.recording).unwrap();
    let clip = (config.weight_clip > 0.0).then_some(config.weight_clip);
    let [mut update_g, mut update_d] = [("G", None), ("D", clip)].map(|(net, clip)| {
        let update = optim::recording(&descent, clip, &places, net).unwrap();
        Executable::new(gpu, &memory, &update).unwrap()
    });
    let place = |name: &str| places.get(name).unwrap().1;
    for (name, start) in [
        ("G.theta", 1.0),
        ("D.psi", 1.0),
        ("moment1.theta", 0.0),
        ("moment1.psi", 0.0),
    ] {
        memory.write(place(name), &[start]).unwrap();
    }
    for t in 1..=500 {
        let step = optim::schedule(&descent, t);
        gradients.run(gpu, &step).unwrap();
        update_g.run(gpu, &step).unwrap();
        if alternating {
            gradients.run(gpu, &step).unwrap();
        }
        update_d.run(gpu, &step).unwrap();
    }
    let [theta, psi] = ["G.theta", "D.psi"].map(|name| memory.read(place(name)).unwrap()[0]);
    theta.hypot(psi)
}

#[test]
fn the_dirac_gan_ends_where_the_theory_says() {
    // Of the minimax, the non-saturating, the penalised and the clipped game.
    let room = [1e-4, 2e-4, 1e-2, 1e-4];
    for ((config, simultaneous, alternating), relative) in ends().iter().zip(room) {
        close(
            "simultaneous",
            dirac(config, false),
            *simultaneous,
            relative,
        );
        close("alternating", dirac(config, true), *alternating, relative);
    }
}
