//! The graph and its builder: one method a primitive, each checks its shapes.
//! Here are the graph itself and its leaves.

mod contraction;
mod elementwise;
mod fused;
mod movement;
mod window;

use std::collections::HashMap;

use super::{Distribution, MAX_RANK, Op, Role, Scalar, Shape, State, StateId};
use crate::error::{Error, Result};

/// A value in a graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One application of a primitive.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The nodes that the operation takes, in its order.
    pub inputs: Vec<NodeId>,
    /// The output's shape.
    pub shape: Shape,
}

/// A growing list of nodes, inputs always before their users. Asking twice for
/// the same application of a primitive gives the same node.
#[derive(Clone, Default, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    known: HashMap<Node, NodeId>,
    states: Vec<State>,
    random_streams: u32,
}

/// Whole numbers up to this one are exact in f32, which holds indices.
const EXACT_INDICES: usize = 1 << 24;

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node behind an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All nodes, inputs before users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The shape of a node.
    pub fn shape(&self, id: NodeId) -> &Shape {
        &self.nodes[id.0].shape
    }

    /// The table of persistent tensors.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The persistent tensor behind an id.
    pub fn state_info(&self, id: StateId) -> &State {
        &self.states[id.0]
    }

    /// The persistent tensor of that name, if there is one.
    pub fn find_state(&self, name: &str) -> Option<StateId> {
        self.states
            .iter()
            .position(|state| state.name == name)
            .map(StateId)
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], shape: impl Into<Shape>) -> NodeId {
        let node = Node {
            op,
            inputs: inputs.to_vec(),
            shape: shape.into(),
        };
        debug_assert!(node.shape.rank() <= MAX_RANK, "rank of {node:?}");
        if let Some(&id) = self.known.get(&node) {
            return id;
        }
        let id = NodeId(self.nodes.len());
        self.nodes.push(node.clone());
        self.known.insert(node, id);
        id
    }

    /// Adds a node whose shape is new.
    fn checked(&mut self, op: Op, inputs: &[NodeId], shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        shape.check("a tensor")?;
        Ok(self.push(op, inputs, shape))
    }

    /// An empty graph with the same table of persistent tensors.
    pub(crate) fn without_nodes(&self) -> Self {
        Self {
            states: self.states.clone(),
            random_streams: self.random_streams,
            ..Self::default()
        }
    }

    /// Adds a node that another graph has checked.
    pub(crate) fn insert(&mut self, op: Op, inputs: &[NodeId], shape: Shape) -> NodeId {
        self.push(op, inputs, shape)
    }

    // ---- leaves

    /// Declares a persistent tensor and returns its id; `name` must be new.
    pub fn declare(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        role: Role,
    ) -> Result<StateId> {
        let state = State {
            name: name.into(),
            shape: shape.into(),
            role,
        };
        if self.find_state(&state.name).is_some() {
            return Err(Error::shape(
                "declare",
                format!("a tensor named {} exists already", state.name),
            ));
        }
        if state.shape.rank() > MAX_RANK {
            return Err(Error::shape(
                "declare",
                format!("{} has more than {MAX_RANK} axes", state.name),
            ));
        }
        state.shape.check(&state.name)?;
        if state.shape.contains(&0) {
            return Err(Error::shape(
                "declare",
                format!("{} would be {}, without elements", state.name, state.shape),
            ));
        }
        self.states.push(state);
        Ok(StateId(self.states.len() - 1))
    }

    /// The value of a tensor that something else writes, declared at its first use.
    pub(crate) fn written(&mut self, name: &str, shape: Shape) -> Result<NodeId> {
        let id = match self.find_state(name) {
            Some(id) => id,
            None => self.declare(name, shape, Role::Input)?,
        };
        Ok(self.state(id))
    }

    /// The value of a persistent tensor before the step's updates.
    pub fn state(&mut self, id: StateId) -> NodeId {
        let shape = self.states[id.0].shape.clone();
        self.push(Op::State(id), &[], shape)
    }

    /// One number in every element.
    pub fn constant(&mut self, value: f32, shape: impl Into<Shape>) -> NodeId {
        self.push(Op::Constant(Scalar(value)), &[], shape)
    }

    /// `0, 1, 2, ...` along `axis`.
    pub fn iota(&mut self, shape: impl Into<Shape>, axis: usize) -> Result<NodeId> {
        let shape = shape.into();
        check_axes("Iota", &shape, &[axis])?;
        self.checked(Op::Iota(axis), &[], shape)
    }

    /// Fresh random numbers; every call makes a new stream.
    pub fn random(&mut self, distribution: Distribution, shape: impl Into<Shape>) -> NodeId {
        let stream = self.random_streams;
        self.random_streams += 1;
        self.push(
            Op::Random {
                distribution,
                stream,
            },
            &[],
            shape,
        )
    }

    // ---- checks

    fn common_shape(&self, op: &'static str, inputs: &[NodeId]) -> Result<Shape> {
        let mut shape = self.shape(inputs[0]).clone();
        for &input in &inputs[1..] {
            let other = self.shape(input);
            shape = shape
                .broadcast(other)
                .ok_or_else(|| Error::shape(op, format!("{shape} and {other} do not broadcast")))?;
        }
        Ok(shape)
    }

    fn check_inside(
        &self,
        op: &'static str,
        x: NodeId,
        start: &[usize],
        shape: &Shape,
    ) -> Result<()> {
        let from = self.shape(x);
        let fits = start.len() == from.rank()
            && shape.rank() == from.rank()
            && (0..from.rank()).all(|axis| start[axis] + shape[axis] <= from[axis]);
        if fits {
            return Ok(());
        }
        Err(Error::shape(
            op,
            format!("{shape} at {start:?} does not lie inside {from}"),
        ))
    }

    fn check_index(
        &self,
        op: &'static str,
        from: &Shape,
        index: &Shape,
        axis: usize,
    ) -> Result<()> {
        let fits = from.rank() == index.rank()
            && axis < from.rank()
            && from[axis] <= EXACT_INDICES
            && (0..from.rank()).all(|i| i == axis || from[i] == index[i]);
        if fits {
            return Ok(());
        }
        Err(Error::shape(
            op,
            format!("index {index} does not fit {from} along axis {axis}"),
        ))
    }

    fn rank4(&self, op: &'static str, x: NodeId) -> Result<[usize; 4]> {
        <[usize; 4]>::try_from(&self.shape(x)[..])
            .map_err(|_| Error::shape(op, format!("{} is not [N, C, H, W]", self.shape(x))))
    }

    fn window_shape(
        &self,
        op: &'static str,
        x: NodeId,
        from: [usize; 2],
        to: [usize; 2],
    ) -> Result<[usize; 4]> {
        let [n, c, h, w] = self.rank4(op, x)?;
        if [h, w] != from {
            return Err(Error::shape(
                op,
                format!("{} does not have image axes {from:?}", self.shape(x)),
            ));
        }
        Ok([n, c, to[0], to[1]])
    }

    fn channels(&self, op: &'static str, x: NodeId) -> Result<usize> {
        let shape = self.shape(x);
        shape
            .get(1)
            .copied()
            .ok_or_else(|| Error::shape(op, format!("{shape} has no channel axis")))
    }
}

fn check_axes(op: &'static str, shape: &[usize], axes: &[usize]) -> Result<()> {
    if axes.iter().all(|&axis| axis < shape.len()) {
        return Ok(());
    }
    Err(Error::shape(op, format!("axes {axes:?} of {shape:?}")))
}
