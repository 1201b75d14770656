//! Programs drawn from a seed: a graph over all primitives with its first and
//! second gradients, several assignments, and an arrangement of its memory.

use gpugan::graph::{Binary, Graph, Group, NodeId, Places, Program, Role, Shape, StateId};
use gpugan::random;

use super::grow::Growth;

/// Random choices that a seed fixes.
pub(crate) struct Dice {
    seed: u32,
    drawn: u32,
}

impl Dice {
    pub(crate) fn new(seed: u32) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A whole number from 0 to below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.drawn += 1;
        random::bits(self.drawn, 0, 0, self.seed)[0] as usize % count
    }

    pub(crate) fn range(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    pub(crate) fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// What an input is filled with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Content {
    /// Numbers in [-1, 1).
    Number,
    /// Whole numbers from 0 to below this one.
    Index(usize),
    /// All of the arena in which the inputs lie.
    Whole,
}

/// What a program is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Least and most nodes in front of the gradients.
    pub(crate) nodes: [usize; 2],
    /// How often gradients are taken of gradients: 0 to 2.
    pub(crate) orders: usize,
    /// Whether gradients may be told to stop.
    pub(crate) stops: bool,
}

/// A program, where its tensors lie and what its inputs are filled with.
pub(crate) struct Sample {
    pub(crate) program: Program,
    pub(crate) places: Places,
    pub(crate) inputs: Vec<(StateId, Content)>,
    /// What the gradients are taken of, with cotangents: first and second order.
    pub(crate) roots: Vec<Vec<(NodeId, NodeId)>>,
    /// The gradients of each order with respect to `targets`.
    pub(crate) gradients: Vec<Vec<NodeId>>,
    pub(crate) targets: Vec<(StateId, NodeId)>,
}

impl Sample {
    pub(crate) fn draw(seed: u32, wish: Wish) -> Self {
        let mut growth = Growth::new(seed, wish.stops);
        let count = growth.dice.range(wish.nodes[0], wish.nodes[1]);
        growth.grow(count);
        let Growth {
            mut graph,
            mut dice,
            pool,
            mut inputs,
            ..
        } = growth;
        let targets: Vec<(StateId, NodeId)> = inputs
            .iter()
            .filter(|(_, kind)| *kind == Content::Number)
            .map(|&(state, _)| (state, graph.state(state)))
            .collect();
        let mut results: Vec<NodeId> = pool[pool.len() - dice.range(1, 2)..].to_vec();
        results.push(dice.pick(&pool));
        let mut places = Places::default();
        if dice.once_in(2) {
            let whole = whole_arena(&mut graph, &mut places, &inputs);
            inputs.push((whole, Content::Whole));
            let whole = graph.state(whole);
            let squares = graph.square(whole);
            results.push(graph.mean_all(squares).unwrap());
        }
        let (mut roots, mut gradients) = (Vec::new(), Vec::new());
        let mut ends = results.clone();
        for order in 0..wish.orders {
            let mut pairs = Vec::new();
            for (index, &end) in ends.iter().enumerate() {
                // A constant cotangent folds into the rules.
                let shape = graph.shape(end).clone();
                let weight = if dice.once_in(3) {
                    graph.constant(1.0, shape)
                } else {
                    let name = format!("cotangent.{order}.{index}");
                    let state = graph.declare(name, shape, Role::Input).unwrap();
                    inputs.push((state, Content::Number));
                    graph.state(state)
                };
                pairs.push((end, weight));
            }
            let nodes: Vec<NodeId> = targets.iter().map(|&(_, node)| node).collect();
            let found = graph.vector_jacobian(&pairs, &nodes).unwrap();
            roots.push(pairs);
            gradients.push(found.clone());
            ends = found;
        }
        let mut sample = Self {
            program: Program {
                graph,
                assigns: Vec::new(),
            },
            places,
            inputs,
            roots,
            gradients,
            targets,
        };
        sample.assign(&mut dice, &results);
        sample.arrange(&mut dice);
        sample
    }

    /// Gives every result an output, and some inputs new values.
    fn assign(&mut self, dice: &mut Dice, results: &[NodeId]) {
        let gradients = self.gradients.concat();
        let all: Vec<NodeId> = results.iter().chain(&gradients).copied().collect();
        for (index, &node) in all.iter().enumerate() {
            let shape = self.program.graph.shape(node).clone();
            let name = format!("output.{index}");
            let output = self.program.graph.declare(name, shape, Role::Output);
            self.program.assign(output.unwrap(), node).unwrap();
        }
        let states = self.targets.clone();
        for &(state, node) in &states {
            let shape = self.program.graph.shape(node).clone();
            // Another state, which may have a new value of its own, a gradient,
            // or what an output holds too.
            let fitting: Vec<NodeId> = states
                .iter()
                .map(|&(_, other)| other)
                .chain(all.iter().copied())
                .filter(|&other| self.program.graph.shape(other) == &shape)
                .collect();
            let new = match dice.below(4) {
                0 => dice.pick(&fitting),
                1 => {
                    let other = dice.pick(&fitting);
                    self.program.graph.binary_scalar(Binary::Add, other, 0.5)
                }
                2 => self.program.graph.constant(0.25, shape),
                _ => continue,
            };
            self.program.assign(state, new).unwrap();
        }
    }

    /// Places for what has none yet: together, by role, or each on its own.
    fn arrange(&mut self, dice: &mut Dice) {
        let rest: Vec<(String, Shape, Role)> = self
            .program
            .graph
            .states()
            .iter()
            .filter(|state| self.places.get(&state.name).is_none())
            .map(|state| (state.name.clone(), state.shape.clone(), state.role))
            .collect();
        let arrangement = dice.below(3);
        let group = |name: &str, role: Role| match arrangement {
            0 => "all".to_owned(),
            1 => format!("{role:?}"),
            _ => name.to_owned(),
        };
        let mut groups: Vec<(String, Vec<(String, Shape)>)> = Vec::new();
        for (name, shape, role) in rest {
            let group = group(&name, role);
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, tensors)) => tensors.push((name, shape)),
                None => groups.push((group, vec![(name, shape)])),
            }
        }
        for (group, tensors) in groups {
            self.places.add_group(Group::View(group), &tensors).unwrap();
        }
    }
}

/// Lays out the inputs so far and declares their arena as a tensor.
fn whole_arena(graph: &mut Graph, places: &mut Places, inputs: &[(StateId, Content)]) -> StateId {
    let tensors: Vec<(String, Shape)> = inputs
        .iter()
        .map(|&(state, _)| graph.state_info(state))
        .map(|state| (state.name.clone(), state.shape.clone()))
        .collect();
    places
        .add_group(Group::View("inputs".into()), &tensors)
        .unwrap();
    let (name, shape) = places
        .name_arenas(&Group::View("inputs".into()), "whole")
        .unwrap()
        .remove(0);
    graph.declare(name, shape, Role::Input).unwrap()
}
