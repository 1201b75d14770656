//! The equations of the module's documentation by enumeration, in f64.

use std::collections::HashMap;

use super::*;
use crate::graph::{Role, StateId};
use crate::nn::Init;
use crate::reference::{Tensor, evaluate};

const VISIBLE: usize = 6;
const HIDDEN: usize = 4;

/// A machine whose weights are far from 0, in a graph of its own.
struct Small {
    graph: Graph,
    machine: Machine,
    trained: Vec<StateId>,
    states: HashMap<StateId, Tensor>,
}

impl Small {
    fn new() -> Self {
        let rbm = Rbm {
            image: [1, 2, 3],
            batch: 3,
            model: Model {
                hidden: HIDDEN,
                ..Model::default()
            },
            optimizer: Optimizer::default(),
        };
        let mut graph = Graph::new();
        let mut net = Net::new(R, Mode::TRAIN);
        let machine = rbm.machine(&mut graph, &mut net).unwrap();
        let mut small = Self {
            trained: net.trained().map(|(_, id)| id).collect(),
            graph,
            machine,
            states: HashMap::new(),
        };
        for (parameter, id) in net.trained() {
            let drawn = Init::Uniform(1.5).draw(&parameter.shape, 3, &parameter.name);
            small.set(id, drawn.into_iter().map(f64::from).collect());
        }
        small
    }

    fn set(&mut self, id: StateId, values: Vec<f64>) {
        let shape = self.graph.state_info(id).shape.clone();
        self.states.insert(id, Tensor::new(shape, values).unwrap());
    }

    /// Rows of units.
    fn rows(&mut self, name: &str, values: Vec<f64>, width: usize) -> NodeId {
        let shape = [values.len() / width, width];
        let id = self.graph.declare(name, shape, Role::Input).unwrap();
        self.set(id, values);
        self.graph.state(id)
    }

    fn values(&self, root: NodeId) -> Vec<f64> {
        let found = evaluate(&self.graph, &[root], &self.states, 0, 0).unwrap();
        found.into_iter().next().unwrap().data
    }

    /// `-E(v, h)` of states, the bits of whole numbers.
    fn exponent(&self, v: usize, h: usize) -> f64 {
        let [weight, visible, hidden] = &self.trained[..] else {
            unreachable!("three tensors are trained");
        };
        let of = |id: &StateId| &self.states[id].data;
        let (on_v, on_h) = (bits(v, VISIBLE), bits(h, HIDDEN));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let rows = of(weight).chunks(VISIBLE).zip(&on_h);
        let both: f64 = rows.map(|(row, on)| on * dot(row, &on_v)).sum();
        dot(of(visible), &on_v) + both + dot(of(hidden), &on_h)
    }

    /// `-F(v)`.
    fn log_weight(&self, v: usize) -> f64 {
        let states = 0..1 << HIDDEN;
        states.map(|h| self.exponent(v, h).exp()).sum::<f64>().ln()
    }
}

fn bits(number: usize, count: usize) -> Vec<f64> {
    (0..count).map(|bit| (number >> bit & 1) as f64).collect()
}

fn all_states() -> Vec<f64> {
    (0..1 << VISIBLE).flat_map(|v| bits(v, VISIBLE)).collect()
}

#[track_caller]
fn close(got: f64, want: f64) {
    // Constants of graphs are f32; these here are all exact.
    assert!(
        (got - want).abs() <= 1e-12 * want.abs().max(1.0),
        "{got} is not {want}"
    );
}

#[test]
fn the_free_energy_sums_over_hidden_states() {
    let mut small = Small::new();
    let rows = small.rows("v", all_states(), VISIBLE);
    let energies = small.machine.free_energy(&mut small.graph, rows).unwrap();
    let energies = small.values(energies);
    assert_eq!(energies.len(), 1 << VISIBLE);
    for (v, &energy) in energies.iter().enumerate() {
        close(energy, -small.log_weight(v));
    }
}

#[test]
fn the_partition_function_is_the_same_summed_over_either_side() {
    let mut small = Small::new();
    let log_partition = small.machine.log_partition(&mut small.graph).unwrap();
    let states = 0..1 << VISIBLE;
    let over_visible: f64 = states.map(|v| small.log_weight(v).exp()).sum();
    close(small.values(log_partition)[0], over_visible.ln());
}

#[test]
fn the_update_is_the_gradient_of_free_energies_at_fixed_chains() {
    let mut small = Small::new();
    let data = vec![0.1, 0.9, 0.0, 0.4, 1.0, 0.7, 1.0, 0.0, 0.3, 0.2, 0.8, 0.5];
    let data = small.rows("data", data, VISIBLE);
    let chains = small.rows(
        "chains",
        [bits(11, 6), bits(38, 6), bits(5, 6)].concat(),
        VISIBLE,
    );
    let trained = small.trained.clone();
    let (graph, machine) = (&mut small.graph, &small.machine);
    let mut mean = |visible| {
        let energies = machine.free_energy(graph, visible).unwrap();
        graph.mean_all(energies).unwrap()
    };
    let (of_data, of_chains) = (mean(data), mean(chains));
    let cost = graph.sub(of_data, of_chains).unwrap();
    let targets: Vec<_> = trained.iter().map(|&id| graph.state(id)).collect();
    let gradients = graph.gradient(cost, &targets).unwrap();
    let directions = machine.directions(graph, data, chains).unwrap();
    for (gradient, direction) in gradients.into_iter().zip(directions) {
        let (want, got) = (small.values(gradient), small.values(direction));
        assert_eq!(want.len(), got.len());
        assert!(want.iter().any(|x| x.abs() > 0.05), "{want:?}");
        for (&got, &want) in got.iter().zip(&want) {
            // 1 / 3 is a constant of the graph, in f32.
            assert!((got - want).abs() < 1e-7, "{got} is not {want}");
        }
    }
}

/// The mean over pixels of what steps report is the pseudo-likelihood.
#[test]
fn pixels_given_the_others_make_up_the_pseudo_likelihood() {
    let mut small = Small::new();
    let rbm_pixels = |small: &mut Small, pixel: usize, rows: NodeId| {
        let name = format!("pixel{pixel}");
        let pixel = small.rows(&name, vec![pixel as f64], 1);
        let (graph, machine) = (&mut small.graph, &small.machine);
        let loss = machine.pseudo_likelihood(graph, (rows, pixel)).unwrap();
        small.values(loss)[0]
    };
    let state = 0b01_1010;
    let rows = small.rows("v", bits(state, VISIBLE), VISIBLE);
    let mut want = 0.0;
    let mut got = 0.0;
    for pixel in 0..VISIBLE {
        let other = small.log_weight(state ^ 1 << pixel);
        want -= small.log_weight(state) - (small.log_weight(state).exp() + other.exp()).ln();
        got += rbm_pixels(&mut small, pixel, rows) / VISIBLE as f64;
    }
    close(got, want);
}
