//! What a program's nodes are in f64, and how far f32 may be from it.

use std::collections::HashMap;

use gpugan::graph::{Binary, Distribution, NodeId, Op, StateId, Unary};
use gpugan::random;
use gpugan::recording::StepValues;
use gpugan::reference::{Tensor, apply};

use super::generator::{Content, Sample};

/// Seed and counter of random tensors.
pub(crate) const STEP: StepValues = StepValues {
    seed: 0x5eed,
    counter: 7,
    learning_rate: 0.0,
    momentum: 0.0,
    correction1: 0.0,
    correction2: 0.0,
    ema_decay: 0.0,
    padding: 0.0,
};

pub(crate) type States = HashMap<StateId, Tensor>;

/// Values of all inputs, exact in f32; `turn` tells fillings apart.
pub(crate) fn fill(sample: &Sample, turn: u32) -> States {
    let graph = &sample.program.graph;
    let mut states = States::new();
    for &(state, kind) in &sample.inputs {
        let info = graph.state_info(state);
        let uniform = |element| random::uniform(element, state.0 as u32, turn, 99);
        let mut tensor = Tensor::full(info.shape.clone(), 0.0);
        for (element, value) in (0..).zip(&mut tensor.data) {
            *value = f64::from(match kind {
                Content::Number => 2.0 * uniform(element) - 1.0,
                Content::Index(size) => (uniform(element) * size as f32).floor(),
                Content::Whole => 0.0,
            });
        }
        if kind == Content::Whole {
            // Gaps between tensors are zero.
            for (earlier, held) in &states {
                let slice = sample.places.get(&graph.state_info(*earlier).name);
                if let Some((_, slice)) = slice {
                    tensor.data[slice.offset..slice.offset + slice.len].copy_from_slice(&held.data);
                }
            }
        }
        states.insert(state, tensor);
    }
    states
}

/// Values of all nodes that `roots` need. With a `jitter`, every operation is a
/// few roundings off, differently for each number.
pub(crate) fn evaluate(
    sample: &Sample,
    roots: &[NodeId],
    states: &States,
    jitter: Option<u32>,
) -> HashMap<NodeId, Tensor> {
    let graph = &sample.program.graph;
    let mut needed = vec![false; graph.nodes().len()];
    for root in roots {
        needed[root.0] = true;
    }
    let mut values: HashMap<NodeId, Tensor> = HashMap::new();
    for id in (0..needed.len()).rev() {
        if needed[id] {
            for input in &graph.nodes()[id].inputs {
                needed[input.0] = true;
            }
        }
    }
    for (id, node) in graph
        .nodes()
        .iter()
        .enumerate()
        .filter(|(id, _)| needed[*id])
    {
        let (mut before, mut after) = roundings(&node.op);
        if jitter.is_none() {
            (before, after) = ([0.0; 2], [0.0; 2]);
        }
        let shaken = |tensor: &Tensor, salt: u32, [relative, absolute]: [f64; 2]| {
            let mut tensor = tensor.clone();
            for (element, value) in (0..).zip(&mut tensor.data) {
                let seed = jitter.unwrap_or(0);
                let u = f64::from(random::uniform(element, id as u32, salt, seed)) * 2.0 - 1.0;
                *value += u * (relative * value.abs() + absolute);
            }
            tensor
        };
        let value = match node.op {
            Op::State(state) => states[&state].clone(),
            _ => {
                let inputs: Vec<Tensor> = (1..)
                    .zip(&node.inputs)
                    .map(|(salt, input)| match (&node.op, salt) {
                        // The index.
                        (Op::ScatterAdd(_) | Op::PoolScatter(_), 2) => values[input].clone(),
                        _ => shaken(&values[input], salt, before),
                    })
                    .collect();
                let inputs: Vec<&Tensor> = inputs.iter().collect();
                apply(&node.op, &inputs, &node.shape, STEP.seed, STEP.counter).unwrap()
            }
        };
        values.insert(NodeId(id), shaken(&value, 0, after));
    }
    values
}

/// One rounding of f32.
const ULP: f64 = 1.0 / (1 << 23) as f64;

/// How far what an operation adds up and what it results in may be off,
/// relative and absolute.
fn roundings(op: &Op) -> ([f64; 2], [f64; 2]) {
    let exact = [0.0; 2];
    match op {
        Op::Random {
            distribution: Distribution::Normal,
            ..
        } => (exact, [2e-5, 2e-5]),
        _ if is_discrete(op) => (exact, exact),
        Op::Unary(Unary::Neg | Unary::Abs | Unary::LeakyRelu(_))
        | Op::Binary(Binary::Max | Binary::Min)
        | Op::Select => (exact, exact),
        Op::Unary(Unary::Sqrt | Unary::Rsqrt | Unary::Recip) => (exact, [4.0 * ULP, 0.0]),
        Op::Unary(_) | Op::Binary(Binary::Pow) => (exact, [16.0 * ULP, 4.0 * ULP]),
        Op::Binary(_) => (exact, [2.0 * ULP, 0.0]),
        Op::Sum(_)
        | Op::ScatterAdd(_)
        | Op::PadFold { .. }
        | Op::MatMul { .. }
        | Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::ConvWeightGrad(_)
        | Op::SumPool(_)
        | Op::SumUnpool(_)
        | Op::PoolScatter(_)
        | Op::ResizeBilinear
        | Op::ResizeBilinearAdjoint
        | Op::ChannelStats
        | Op::ChannelDot
        | Op::BatchNorm { .. } => ([2.0 * ULP, 0.0], [4.0 * ULP, 0.0]),
        _ => (exact, exact),
    }
}

/// Whether an operation jumps: what it results in is right or wrong, never
/// nearly right.
pub(crate) fn is_discrete(op: &Op) -> bool {
    matches!(
        op,
        Op::Unary(Unary::Sign | Unary::Floor | Unary::Round | Unary::Finite)
            | Op::Binary(Binary::Greater | Binary::GreaterEqual | Binary::Equal)
            | Op::ArgMax(_)
            | Op::MaxPoolIndex(_)
    )
}

/// Values of roots, and how far those of f32 may be off.
pub(crate) struct Truth {
    pub(crate) values: Vec<Tensor>,
    /// Of each root; none where roundings decide the result.
    pub(crate) tolerances: Vec<Option<f64>>,
}

/// Relative to the largest of a tensor: what is right at least, and the noise
/// of a tensor that says nothing.
const LEAST: f64 = 1e-5;
const NOISY: f64 = 1e-3;

/// `None` where a jump is so near that roundings decide on which side of it the
/// program comes out.
pub(crate) fn truth(sample: &Sample, roots: &[NodeId], states: &States) -> Option<Truth> {
    let exact = evaluate(sample, roots, states, None);
    let noisy: Vec<_> = (1..=4)
        .map(|seed| evaluate(sample, roots, states, Some(seed)))
        .collect();
    for (id, value) in &exact {
        let discrete = is_discrete(&sample.program.graph.node(*id).op);
        if discrete && noisy.iter().any(|noisy| &noisy[id] != value) {
            return None;
        }
    }
    let tolerance = |root: &NodeId| {
        let value = &exact[root];
        let scale = value
            .data
            .iter()
            .fold(1e-6, |most: f64, x| most.max(x.abs()));
        let noise = noisy
            .iter()
            .flat_map(|noisy| noisy[root].data.iter().zip(&value.data))
            .fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
        let fits = noise <= NOISY * scale && scale < 1e9;
        fits.then_some(4.0 * noise + LEAST * scale)
    };
    Some(Truth {
        values: roots.iter().map(|root| exact[root].clone()).collect(),
        tolerances: roots.iter().map(tolerance).collect(),
    })
}
