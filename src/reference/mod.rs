//! Plain f64 loops for every primitive: the truth that tests and
//! `gpugan check` compare the GPU with. Written to be obviously right; speed
//! does not matter here.
//!
//! Shapes are taken as the graph's builder made them. What depends on values,
//! such as an index outside its axis, is an error.

mod contract;
mod draw;
mod elementwise;
mod movement;
mod norm;
mod reduce;
mod window;

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Op, Shape, StateId};

/// A tensor in row-major order.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Sizes of the axes.
    pub shape: Shape,
    /// `shape.numel()` elements, last axis fastest.
    pub data: Vec<f64>,
}

impl Tensor {
    /// Wraps elements in row-major order. Fails where their number is not that
    /// of the shape.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Result<Self> {
        let shape = shape.into();
        if shape.numel() != data.len() {
            return Err(Error::shape(
                "Tensor",
                format!("{} elements do not fill {shape}", data.len()),
            ));
        }
        Ok(Self { shape, data })
    }

    /// One number in every element.
    pub fn full(shape: impl Into<Shape>, value: f64) -> Self {
        let shape = shape.into();
        let data = vec![value; shape.numel()];
        Self { shape, data }
    }

    /// Each element from its position, asked in row-major order.
    pub fn from_fn(shape: impl Into<Shape>, mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let shape = shape.into();
        let mut data = Vec::with_capacity(shape.numel());
        for_each_position(&shape, |position| data.push(f(position)));
        Self { shape, data }
    }

    /// The element at a position, one number an axis. Panics outside the shape.
    pub fn at(&self, position: &[usize]) -> f64 {
        self.data[self.offset(position)]
    }

    /// The element at a position, to change it. Panics outside the shape.
    pub fn at_mut(&mut self, position: &[usize]) -> &mut f64 {
        let offset = self.offset(position);
        &mut self.data[offset]
    }

    fn offset(&self, position: &[usize]) -> usize {
        assert_eq!(position.len(), self.shape.rank(), "axes of {}", self.shape);
        position
            .iter()
            .zip(self.shape.iter())
            .fold(0, |offset, (&place, &size)| {
                assert!(place < size, "{position:?} outside {}", self.shape);
                offset * size + place
            })
    }
}

/// Visits every position of a shape in row-major order.
fn for_each_position(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut position = vec![0; shape.len()];
    for _ in 0..shape.iter().product() {
        visit(&position);
        for axis in (0..shape.len()).rev() {
            position[axis] += 1;
            if position[axis] < shape[axis] {
                break;
            }
            position[axis] = 0;
        }
    }
}

/// The values of `roots`, in their order. Each node they need is evaluated
/// once. `states` holds the persistent tensors these nodes read; `seed` and
/// `counter` (the step's number) fix the random ones.
///
/// Fails where a state is missing or has another shape than declared, and
/// where an index tensor points outside its axis.
pub fn evaluate(
    graph: &Graph,
    roots: &[NodeId],
    states: &HashMap<StateId, Tensor>,
    seed: u32,
    counter: u32,
) -> Result<Vec<Tensor>> {
    let mut needed = vec![false; graph.nodes().len()];
    for root in roots {
        needed[root.0] = true;
    }
    // Inputs lie before their users, so one walk backwards finds all.
    for (id, node) in graph.nodes().iter().enumerate().rev() {
        if needed[id] {
            for input in &node.inputs {
                needed[input.0] = true;
            }
        }
    }
    let mut values: HashMap<NodeId, Tensor> = HashMap::new();
    for (id, node) in graph.nodes().iter().enumerate() {
        if !needed[id] {
            continue;
        }
        let value = if let Op::State(state) = node.op {
            lookup(graph, state, states)?.clone()
        } else {
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input]).collect();
            apply(&node.op, &inputs, &node.shape, seed, counter)?
        };
        values.insert(NodeId(id), value);
    }
    Ok(roots.iter().map(|root| values[root].clone()).collect())
}

fn lookup<'a>(
    graph: &Graph,
    id: StateId,
    states: &'a HashMap<StateId, Tensor>,
) -> Result<&'a Tensor> {
    let declared = graph.state_info(id);
    let value = states.get(&id).ok_or_else(|| {
        Error::shape(
            "State",
            format!("{} has no value; give it one", declared.name),
        )
    })?;
    if value.shape != declared.shape {
        return Err(Error::shape(
            "State",
            format!(
                "{} is {} and was given {}",
                declared.name, declared.shape, value.shape
            ),
        ));
    }
    Ok(value)
}

/// One primitive. `shape` is the output's, as the graph's node holds it; `seed`
/// and `counter` matter to `Random` alone.
///
/// Fails on `State`, which only [`evaluate`] can look up, on a number of inputs
/// that the primitive does not have, and on an index outside its axis.
pub fn apply(
    op: &Op,
    inputs: &[&Tensor],
    shape: &Shape,
    seed: u32,
    counter: u32,
) -> Result<Tensor> {
    let value = match (op, inputs) {
        (Op::Constant(number), []) => Tensor::full(shape.clone(), f64::from(number.0)),
        (Op::Iota(axis), []) => Tensor::from_fn(shape.clone(), |p| p[*axis] as f64),
        (
            Op::Random {
                distribution,
                stream,
            },
            [],
        ) => draw::tensor(*distribution, shape, *stream, counter, seed),

        (Op::Unary(f), [x]) => elementwise::unary(*f, x),
        (Op::Binary(f), [a, b]) => elementwise::binary(*f, a, b),
        (Op::Select, [condition, a, b]) => elementwise::select(condition, a, b),
        (Op::StopGradient, [x]) => (*x).clone(),

        (Op::Broadcast, [x]) => movement::broadcast(x, shape),
        (Op::Reshape, [x]) => Tensor::new(shape.clone(), x.data.clone())?,
        (Op::Permute(order), [x]) => movement::permute(x, order, shape),
        (Op::Pad { before, mode }, [x]) => movement::pad(x, before, *mode, shape),
        (Op::PadFold { before, mode }, [x]) => movement::pad_fold(x, before, *mode, shape),
        (Op::Slice { start }, [x]) => movement::slice(x, start, shape),
        (Op::Concat(axis), parts) => movement::concat(parts, *axis, shape),
        (Op::Gather(axis), [x, index]) => movement::gather(x, index, *axis)?,
        (Op::ScatterAdd(axis), [updates, index]) => {
            movement::scatter_add(updates, index, *axis, shape)?
        }

        (Op::Sum(axes), [x]) => reduce::sum(x, axes),
        (Op::Max(axes), [x]) => reduce::max(x, axes),
        (Op::ArgMax(axes), [x]) => reduce::argmax(x, axes),

        (
            Op::MatMul {
                transpose_a,
                transpose_b,
            },
            [a, b],
        ) => contract::matmul(a, b, *transpose_a, *transpose_b, shape),
        (Op::Conv2d(g), [image, weight]) => contract::conv2d(image, weight, g, shape),
        (Op::ConvTranspose2d(g), [output, weight]) => {
            contract::conv_transpose2d(output, weight, g, shape)
        }
        (Op::ConvWeightGrad(g), [image, output]) => {
            contract::conv_weight_grad(image, output, g, shape)
        }

        (Op::SumPool(w), [x]) => window::sum_pool(x, w, shape),
        (Op::SumUnpool(w), [x]) => window::sum_unpool(x, w, shape),
        (Op::MaxPoolIndex(w), [x]) => window::max_pool_index(x, w, shape)?,
        (Op::PoolGather(_), [x, index]) => window::pool_gather(x, index)?,
        (Op::PoolScatter(_), [updates, index]) => window::pool_scatter(updates, index, shape)?,
        (Op::ResizeBilinear, [x]) => window::resize_bilinear(x, shape),
        (Op::ResizeBilinearAdjoint, [y]) => window::resize_bilinear_adjoint(y, shape),

        (Op::ChannelStats, [x]) => norm::channel_stats(x),
        (Op::ChannelDot, [g, x, stats]) => norm::channel_dot(g, x, stats),
        (Op::BatchNorm { eps }, [x, gain, offset]) => {
            norm::batch_norm(x, gain, offset, f64::from(eps.0))
        }
        _ => {
            return Err(Error::shape(
                "reference",
                format!("{} cannot be applied to {} inputs", op.name(), inputs.len()),
            ));
        }
    };
    assert_eq!(&value.shape, shape, "output shape of {}", op.name());
    Ok(value)
}

/// An element of an index tensor as a position below `size`.
fn checked_index(op: &'static str, value: f64, size: usize) -> Result<usize> {
    if value.fract() == 0.0 && value >= 0.0 && value < size as f64 {
        return Ok(value as usize);
    }
    Err(Error::shape(
        op,
        format!("index {value} is not a whole number from 0 to below {size}"),
    ))
}
