//! Every case of the list against central differences.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gpugan::check::{Case, Derived, Gradient, STEP, Size, cases_at};
use gpugan::graph::{NodeId, Op, StateId};
use gpugan::random;
use gpugan::reference::{Tensor, evaluate};

/// Half the distance of the two points of a difference. Of what it leaves out,
/// the third derivative weighs 1e-10, rounding 1e-16 / 1e-5.
const HALF: f64 = 1e-5;

/// Single elements that are tried, next to directions that move all.
const ELEMENTS: usize = 12;
const DIRECTIONS: u32 = 2;

struct Differences<'a> {
    derived: &'a Derived,
    states: HashMap<StateId, Tensor>,
}

impl Differences<'_> {
    fn state(&self, node: NodeId) -> StateId {
        match self.derived.graph.node(node).op {
            Op::State(id) => id,
            ref op => panic!("{} is no operand", op.name()),
        }
    }

    fn values(&self, roots: &[NodeId], moved: StateId, direction: &[f64], way: f64) -> Vec<Tensor> {
        let mut states = self.states.clone();
        let tensor = states.get_mut(&moved).unwrap();
        for (x, d) in tensor.data.iter_mut().zip(direction) {
            *x += way * d;
        }
        let (seed, counter) = STEP;
        evaluate(&self.derived.graph, roots, &states, seed, counter).unwrap()
    }

    /// The derivative of `sum of weight * root` along `direction` of `moved`.
    fn slope(&self, roots: &[(NodeId, NodeId)], moved: StateId, direction: &[f64]) -> f64 {
        let nodes: Vec<NodeId> = roots.iter().map(|&(root, _)| root).collect();
        let above = self.values(&nodes, moved, direction, HALF);
        let below = self.values(&nodes, moved, direction, -HALF);
        let mut sum = 0.0;
        for ((above, below), &(_, weight)) in above.iter().zip(&below).zip(roots) {
            let weight = &self.states[&self.state(weight)].data;
            for ((a, b), w) in above.data.iter().zip(&below.data).zip(weight) {
                sum += w * (a - b);
            }
        }
        sum / (2.0 * HALF)
    }

    /// Largest difference of a gradient from the slopes it predicts, relative
    /// to the largest slope of its kind.
    fn error(&self, roots: &[(NodeId, NodeId)], gradient: &Gradient) -> f64 {
        let moved = self.state(gradient.target);
        let (seed, counter) = STEP;
        let computed = evaluate(
            &self.derived.graph,
            &[gradient.node],
            &self.states,
            seed,
            counter,
        )
        .unwrap()
        .remove(0);
        assert_eq!(
            &computed.shape,
            self.derived.graph.shape(gradient.target),
            "shape of the gradient of {}",
            gradient.of
        );
        let count = computed.data.len();
        let step = count.div_ceil(ELEMENTS).max(1);
        let elements = (0..count).step_by(step).map(|element| {
            let mut direction = vec![0.0; count];
            direction[element] = 1.0;
            direction
        });
        let all = (0..DIRECTIONS).map(|stream| {
            (0..count as u32)
                .map(|element| f64::from(random::uniform(element, stream, 99, seed)) - 0.5)
                .collect()
        });
        let directions: Vec<Vec<f64>> = elements.chain(all).collect();
        let mut worst = 0f64;
        let mut scale = computed.data.iter().fold(1e-3, |m: f64, g| m.max(g.abs()));
        for direction in directions {
            let predicted: f64 = computed
                .data
                .iter()
                .zip(&direction)
                .map(|(g, d)| g * d)
                .sum();
            let slope = self.slope(roots, moved, &direction);
            scale = scale.max(slope.abs());
            worst = worst.max((slope - predicted).abs());
        }
        worst / scale
    }
}

fn check(case: &Case) -> Vec<String> {
    let derived = case.derive().unwrap_or_else(|e| panic!("{case:?}: {e}"));
    let differences = Differences {
        derived: &derived,
        states: derived.states(),
    };
    let Some((&r, directions)) = derived.cotangents.split_first() else {
        return Vec::new();
    };
    let first_roots = [(derived.result, r)];
    let second_roots: Vec<(NodeId, NodeId)> = derived
        .first
        .iter()
        .map(|gradient| gradient.node)
        .zip(directions.iter().copied())
        .collect();
    let mut wrong = Vec::new();
    for (order, gradients, roots, tolerance) in [
        ("first", &derived.first, &first_roots[..], 1e-6),
        ("second", &derived.second, &second_roots[..], 1e-5),
    ] {
        for gradient in gradients {
            let error = differences.error(roots, gradient);
            if error.is_nan() || error > tolerance {
                wrong.push(format!(
                    "{case:?}: {order} gradient of {} differs by {error:.1e}",
                    gradient.of
                ));
            }
        }
    }
    wrong
}

#[test]
fn every_gradient_and_its_gradient_are_the_slopes() {
    // Gradient rules know no variants.
    let cases = cases_at(Size::Tiny);
    let next = AtomicUsize::new(0);
    let work = || -> Vec<String> {
        std::iter::from_fn(|| cases.get(next.fetch_add(1, Ordering::Relaxed)))
            .flat_map(check)
            .collect()
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let all = workers.into_iter().map(|worker| worker.join().unwrap());
        all.flatten().collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
