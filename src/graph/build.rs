//! The graph and its builder: one method a primitive, each checks its shapes.

use std::collections::HashMap;

use super::{
    Binary, ConvGeometry, Distribution, MAX_RANK, Op, PadMode, Role, Scalar, Shape, State, StateId,
    Unary, Window,
};
use crate::error::{Error, Result};

/// A value in a graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One application of a primitive.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From what.
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
        self.states.push(state);
        Ok(StateId(self.states.len() - 1))
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
        Ok(self.push(Op::Iota(axis), &[], shape))
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

    // ---- elementwise

    /// `f(x)` for each element.
    pub fn unary(&mut self, f: Unary, x: NodeId) -> NodeId {
        let shape = self.shape(x).clone();
        self.push(Op::Unary(f), &[x], shape)
    }

    /// `f(a, b)` for each element; sizes of 1 and missing leading axes stretch.
    pub fn binary(&mut self, f: Binary, a: NodeId, b: NodeId) -> Result<NodeId> {
        let shape = self.common_shape("Binary", &[a, b])?;
        let a = self.broadcast(a, shape.clone())?;
        let b = self.broadcast(b, shape.clone())?;
        let number = |id: NodeId| match self.node(id).op {
            Op::Constant(value) => Some(value.0),
            _ => None,
        };
        // What gradients produce by the dozen: sums with 0 and products with 1.
        match (f, number(a), number(b)) {
            (Binary::Add, Some(0.0), _) | (Binary::Mul, Some(1.0), _) => return Ok(b),
            (Binary::Add | Binary::Sub, _, Some(0.0)) => return Ok(a),
            (Binary::Mul | Binary::Div, _, Some(1.0)) => return Ok(a),
            (Binary::Add, Some(p), Some(q)) => return Ok(self.constant(p + q, shape)),
            (Binary::Sub, Some(p), Some(q)) => return Ok(self.constant(p - q, shape)),
            (Binary::Mul, Some(p), Some(q)) => return Ok(self.constant(p * q, shape)),
            (Binary::Div, Some(p), Some(q)) if q != 0.0 => return Ok(self.constant(p / q, shape)),
            _ => {}
        }
        Ok(self.push(Op::Binary(f), &[a, b], shape))
    }

    /// `f(a, number)` for each element.
    pub fn binary_scalar(&mut self, f: Binary, a: NodeId, number: f32) -> NodeId {
        let shape = self.shape(a).clone();
        let b = self.constant(number, shape.clone());
        match self.binary(f, a, b) {
            Ok(node) => node,
            Err(_) => unreachable!("both operands have shape {shape}"),
        }
    }

    /// `a` where `condition` is not 0, else `b`; stretches like `binary`.
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId> {
        let shape = self.common_shape("Select", &[condition, a, b])?;
        let condition = self.broadcast(condition, shape.clone())?;
        let a = self.broadcast(a, shape.clone())?;
        let b = self.broadcast(b, shape.clone())?;
        Ok(self.push(Op::Select, &[condition, a, b], shape))
    }

    /// `x`, through which no gradient flows.
    pub fn stop_gradient(&mut self, x: NodeId) -> NodeId {
        let shape = self.shape(x).clone();
        self.push(Op::StopGradient, &[x], shape)
    }

    /// `a + b`, stretching like `binary`.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Add, a, b)
    }

    /// `a - b`, stretching like `binary`.
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Sub, a, b)
    }

    /// `a * b`, stretching like `binary`.
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Mul, a, b)
    }

    /// `a / b`, stretching like `binary`.
    pub fn div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.binary(Binary::Div, a, b)
    }

    /// `number * x`.
    pub fn scale(&mut self, x: NodeId, number: f32) -> NodeId {
        self.binary_scalar(Binary::Mul, x, number)
    }

    /// `-x`.
    pub fn neg(&mut self, x: NodeId) -> NodeId {
        if let Op::Constant(value) = self.node(x).op {
            return self.constant(-value.0, self.shape(x).clone());
        }
        self.unary(Unary::Neg, x)
    }

    /// `x * x`.
    pub fn square(&mut self, x: NodeId) -> NodeId {
        let shape = self.shape(x).clone();
        self.push(Op::Binary(Binary::Mul), &[x, x], shape)
    }

    // ---- movement

    /// Stretches sizes of 1, and missing leading axes, to `shape`.
    pub fn broadcast(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        let from = self.shape(x).clone();
        if from == shape {
            return Ok(x);
        }
        if from.broadcast(&shape).as_ref() != Some(&shape) {
            return Err(Error::shape(
                "Broadcast",
                format!("{from} does not stretch to {shape}"),
            ));
        }
        if let Op::Constant(value) = self.node(x).op {
            return Ok(self.constant(value.0, shape));
        }
        let mut aligned = vec![1; shape.rank() - from.rank()];
        aligned.extend_from_slice(&from);
        let x = self.reshape(x, aligned)?;
        if self.shape(x) == &shape {
            return Ok(x);
        }
        Ok(self.push(Op::Broadcast, &[x], shape))
    }

    /// The same elements in row-major order under another shape.
    pub fn reshape(&mut self, x: NodeId, shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        let from = self.shape(x).clone();
        if from == shape {
            return Ok(x);
        }
        if from.numel() != shape.numel() || shape.rank() > MAX_RANK {
            return Err(Error::shape(
                "Reshape",
                format!("{from} does not hold as many elements as {shape}"),
            ));
        }
        match self.node(x).op {
            Op::Constant(value) => Ok(self.constant(value.0, shape)),
            Op::Reshape => {
                let source = self.node(x).inputs[0];
                self.reshape(source, shape)
            }
            _ => Ok(self.push(Op::Reshape, &[x], shape)),
        }
    }

    /// Output axis `i` is input axis `order[i]`.
    pub fn permute(&mut self, x: NodeId, order: &[usize]) -> Result<NodeId> {
        let from = self.shape(x).clone();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if sorted != (0..from.rank()).collect::<Vec<_>>() {
            return Err(Error::shape(
                "Permute",
                format!("{order:?} is no order of the axes of {from}"),
            ));
        }
        if sorted == order {
            return Ok(x);
        }
        let shape: Vec<usize> = order.iter().map(|&axis| from[axis]).collect();
        Ok(self.push(Op::Permute(order.to_vec()), &[x], shape))
    }

    /// Adds `before` and `after` elements to each axis.
    pub fn pad(
        &mut self,
        x: NodeId,
        before: &[usize],
        after: &[usize],
        mode: PadMode,
    ) -> Result<NodeId> {
        let from = self.shape(x).clone();
        if before.len() != from.rank() || after.len() != from.rank() {
            return Err(Error::shape(
                "Pad",
                format!("{from} needs one pad per axis and side"),
            ));
        }
        if before.iter().chain(after).all(|&pad| pad == 0) {
            return Ok(x);
        }
        for axis in 0..from.rank() {
            let longest = before[axis].max(after[axis]);
            if mode == PadMode::Reflect && longest >= from[axis] {
                return Err(Error::shape(
                    "Pad",
                    format!("reflecting {longest} needs a longer axis than in {from}"),
                ));
            }
        }
        let shape: Vec<usize> = (0..from.rank())
            .map(|axis| before[axis] + from[axis] + after[axis])
            .collect();
        Ok(self.push(
            Op::Pad {
                before: before.to_vec(),
                mode,
            },
            &[x],
            shape,
        ))
    }

    /// Adjoint of `pad` for `Reflect` and `Replicate`: folds the border into
    /// `shape`, which lies `before` elements inside `x`.
    pub fn pad_fold(
        &mut self,
        x: NodeId,
        before: &[usize],
        shape: impl Into<Shape>,
        mode: PadMode,
    ) -> Result<NodeId> {
        let shape = shape.into();
        if mode == PadMode::Zero {
            return self.slice(x, before, shape);
        }
        self.check_inside("PadFold", x, before, &shape)?;
        Ok(self.push(
            Op::PadFold {
                before: before.to_vec(),
                mode,
            },
            &[x],
            shape,
        ))
    }

    /// The part of `x` that starts at `start` and has this shape.
    pub fn slice(&mut self, x: NodeId, start: &[usize], shape: impl Into<Shape>) -> Result<NodeId> {
        let shape = shape.into();
        self.check_inside("Slice", x, start, &shape)?;
        if self.shape(x) == &shape {
            return Ok(x);
        }
        if let Op::Constant(value) = self.node(x).op {
            return Ok(self.constant(value.0, shape));
        }
        Ok(self.push(
            Op::Slice {
                start: start.to_vec(),
            },
            &[x],
            shape,
        ))
    }

    /// Inputs one after another along `axis`.
    pub fn concat(&mut self, parts: &[NodeId], axis: usize) -> Result<NodeId> {
        let [first, rest @ ..] = parts else {
            return Err(Error::shape("Concat", "there is nothing to join"));
        };
        let mut shape = self.shape(*first).to_vec();
        check_axes("Concat", &shape, &[axis])?;
        for part in rest {
            let other = self.shape(*part);
            let fits = other.rank() == shape.len()
                && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
            if !fits {
                return Err(Error::shape(
                    "Concat",
                    format!("{shape:?} and {other} differ outside axis {axis}"),
                ));
            }
            shape[axis] += other[axis];
        }
        if rest.is_empty() {
            return Ok(*first);
        }
        Ok(self.push(Op::Concat(axis), parts, shape))
    }

    /// Elements of `x` at `index` along `axis` (torch.gather).
    pub fn gather(&mut self, x: NodeId, index: NodeId, axis: usize) -> Result<NodeId> {
        let (from, shape) = (self.shape(x).clone(), self.shape(index).clone());
        self.check_index("Gather", &from, &shape, axis)?;
        Ok(self.push(Op::Gather(axis), &[x, index], shape))
    }

    /// Zeros with `size` along `axis`, with `updates` added at `index`.
    pub fn scatter_add(
        &mut self,
        updates: NodeId,
        index: NodeId,
        axis: usize,
        size: usize,
    ) -> Result<NodeId> {
        let (from, shape) = (self.shape(updates).clone(), self.shape(index).clone());
        if from != shape {
            return Err(Error::shape(
                "ScatterAdd",
                format!("updates {from} and index {shape} differ"),
            ));
        }
        let mut to = from.to_vec();
        check_axes("ScatterAdd", &from, &[axis])?;
        to[axis] = size;
        self.check_index("ScatterAdd", &to.clone().into(), &shape, axis)?;
        Ok(self.push(Op::ScatterAdd(axis), &[updates, index], to))
    }

    // ---- reductions

    /// Sum over `axes`, which stay with size 1.
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("Sum", x, axes, Op::Sum)
    }

    /// Mean over `axes`, which stay with size 1.
    pub fn mean(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        let count: usize = axes
            .iter()
            .filter_map(|&axis| self.shape(x).get(axis))
            .product();
        let sum = self.sum(x, axes)?;
        // Dividing is exact where the count is; its reciprocal rarely is.
        Ok(self.binary_scalar(Binary::Div, sum, count as f32))
    }

    /// Mean of all elements, as a scalar.
    pub fn mean_all(&mut self, x: NodeId) -> Result<NodeId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        let mean = self.mean(x, &axes)?;
        self.reshape(mean, Shape::scalar())
    }

    /// Sum of all elements, as a scalar.
    pub fn sum_all(&mut self, x: NodeId) -> Result<NodeId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        let sum = self.sum(x, &axes)?;
        self.reshape(sum, Shape::scalar())
    }

    /// Largest element over `axes`, which stay with size 1.
    pub fn max(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("Max", x, axes, Op::Max)
    }

    /// Position of the first largest element within `axes`, row-major.
    pub fn argmax(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("ArgMax", x, axes, Op::ArgMax)
    }

    fn reduce(
        &mut self,
        name: &'static str,
        x: NodeId,
        axes: &[usize],
        op: fn(Vec<usize>) -> Op,
    ) -> Result<NodeId> {
        let from = self.shape(x).clone();
        check_axes(name, &from, axes)?;
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        let shape = from.reduced(&axes);
        if shape == from && name != "ArgMax" {
            return Ok(x);
        }
        if from.numel() == 0 || (name == "ArgMax" && from.numel() / shape.numel() > EXACT_INDICES) {
            return Err(Error::shape(
                name,
                format!("cannot reduce {axes:?} of {from}"),
            ));
        }
        Ok(self.push(op(axes), &[x], shape))
    }

    // ---- contractions

    /// Matrix product; `transpose_a` says that `a` is stored `[.., K, M]`, and
    /// `transpose_b` that `b` is stored `[.., N, K]`.
    pub fn matmul(
        &mut self,
        a: NodeId,
        b: NodeId,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<NodeId> {
        let (sa, sb) = (self.shape(a).clone(), self.shape(b).clone());
        let misfit = || {
            Error::shape(
                "MatMul",
                format!(
                    "{sa} (transposed: {transpose_a}) and {sb} (transposed: {transpose_b}) do not multiply"
                ),
            )
        };
        let rank = sa.rank();
        if rank != sb.rank() || !(2..=3).contains(&rank) || sa[..rank - 2] != sb[..rank - 2] {
            return Err(misfit());
        }
        let pick = |shape: &Shape, swap: bool| {
            let (rows, columns) = (shape[rank - 2], shape[rank - 1]);
            if swap {
                (columns, rows)
            } else {
                (rows, columns)
            }
        };
        let ((m, k), (k2, n)) = (pick(&sa, transpose_a), pick(&sb, transpose_b));
        if k != k2 {
            return Err(misfit());
        }
        let mut shape = sa[..rank - 2].to_vec();
        shape.extend([m, n]);
        Ok(self.push(
            Op::MatMul {
                transpose_a,
                transpose_b,
            },
            &[a, b],
            shape,
        ))
    }

    /// Cross-correlation of `[N, C, H, W]` with `[O, C/g, KH, KW]`.
    pub fn conv2d(&mut self, x: NodeId, weight: NodeId, geometry: ConvGeometry) -> Result<NodeId> {
        let (image, w) = (self.rank4("Conv2d", x)?, self.rank4("Conv2d", weight)?);
        let output = [image[0], w[0], geometry.output[0], geometry.output[1]];
        check_conv("Conv2d", image, output, w, geometry)?;
        Ok(self.push(Op::Conv2d(geometry), &[x, weight], output))
    }

    /// Adjoint of `conv2d` for the image: `[N, O, OH, OW]` with
    /// `[O, C/g, KH, KW]` to `[N, C, H, W]`.
    pub fn conv_transpose2d(
        &mut self,
        y: NodeId,
        weight: NodeId,
        geometry: ConvGeometry,
    ) -> Result<NodeId> {
        let (output, w) = (
            self.rank4("ConvTranspose2d", y)?,
            self.rank4("ConvTranspose2d", weight)?,
        );
        let image = [
            output[0],
            w[1] * geometry.groups,
            geometry.input[0],
            geometry.input[1],
        ];
        check_conv("ConvTranspose2d", image, output, w, geometry)?;
        Ok(self.push(Op::ConvTranspose2d(geometry), &[y, weight], image))
    }

    /// Adjoint of `conv2d` for the weight: `[N, C, H, W]` with
    /// `[N, O, OH, OW]` to `[O, C/g, KH, KW]`.
    pub fn conv_weight_grad(
        &mut self,
        x: NodeId,
        y: NodeId,
        geometry: ConvGeometry,
    ) -> Result<NodeId> {
        let (image, output) = (
            self.rank4("ConvWeightGrad", x)?,
            self.rank4("ConvWeightGrad", y)?,
        );
        let w = [
            output[1],
            image[1] / geometry.groups.max(1),
            geometry.kernel[0],
            geometry.kernel[1],
        ];
        check_conv("ConvWeightGrad", image, output, w, geometry)?;
        Ok(self.push(Op::ConvWeightGrad(geometry), &[x, y], w))
    }

    // ---- windows

    /// Sum over each window.
    pub fn sum_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("SumPool", x, window.input, window.output)?;
        Ok(self.push(Op::SumPool(window), &[x], shape))
    }

    /// Adjoint of `sum_pool`.
    pub fn sum_unpool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("SumUnpool", x, window.output, window.input)?;
        Ok(self.push(Op::SumUnpool(window), &[x], shape))
    }

    /// Mean over each window; cells outside the image count as zeros.
    pub fn avg_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let sum = self.sum_pool(x, window)?;
        Ok(self.scale(sum, 1.0 / (window.kernel[0] * window.kernel[1]) as f32))
    }

    /// Repeats each cell `factor` times along both image axes.
    pub fn upsample_nearest(&mut self, x: NodeId, factor: [usize; 2]) -> Result<NodeId> {
        let [_, _, h, w] = self.rank4("SumUnpool", x)?;
        self.sum_unpool(x, Window::tiles([h * factor[0], w * factor[1]], factor))
    }

    /// Position `h * W + w` of the first largest cell of each window.
    pub fn max_pool_index(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("MaxPoolIndex", x, window.input, window.output)?;
        if window.input[0] * window.input[1] > EXACT_INDICES
            || window.pad[0] >= window.kernel[0]
            || window.pad[1] >= window.kernel[1]
        {
            return Err(Error::shape(
                "MaxPoolIndex",
                format!("{window:?} has empty windows or too large an image"),
            ));
        }
        Ok(self.push(Op::MaxPoolIndex(window), &[x], shape))
    }

    /// Largest cell of each window.
    pub fn max_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let index = self.max_pool_index(x, window)?;
        self.pool_gather(x, index, window)
    }

    /// Cells of `x` at the positions of `max_pool_index`.
    pub fn pool_gather(&mut self, x: NodeId, index: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("PoolGather", x, window.input, window.output)?;
        if self.shape(index)[..] != shape {
            return Err(Error::shape(
                "PoolGather",
                format!("index {} is not {shape:?}", self.shape(index)),
            ));
        }
        Ok(self.push(Op::PoolGather(window), &[x, index], shape))
    }

    /// Adjoint of `pool_gather`.
    pub fn pool_scatter(
        &mut self,
        updates: NodeId,
        index: NodeId,
        window: Window,
    ) -> Result<NodeId> {
        let shape = self.window_shape("PoolScatter", updates, window.output, window.input)?;
        if self.shape(index) != self.shape(updates) {
            return Err(Error::shape(
                "PoolScatter",
                format!(
                    "index {} and updates {} differ",
                    self.shape(index),
                    self.shape(updates)
                ),
            ));
        }
        Ok(self.push(Op::PoolScatter(window), &[updates, index], shape))
    }

    /// Bilinear resize of the image axes to `size`.
    pub fn resize_bilinear(&mut self, x: NodeId, size: [usize; 2]) -> Result<NodeId> {
        let [n, c, h, w] = self.rank4("ResizeBilinear", x)?;
        if [h, w] == size {
            return Ok(x);
        }
        Ok(self.push(Op::ResizeBilinear, &[x], [n, c, size[0], size[1]]))
    }

    /// Adjoint of `resize_bilinear` of an image of `size`.
    pub fn resize_bilinear_adjoint(&mut self, y: NodeId, size: [usize; 2]) -> Result<NodeId> {
        let [n, c, h, w] = self.rank4("ResizeBilinearAdjoint", y)?;
        if [h, w] == size {
            return Ok(y);
        }
        Ok(self.push(Op::ResizeBilinearAdjoint, &[y], [n, c, size[0], size[1]]))
    }

    // ---- fused

    /// Mean and biased variance per channel (axis 1), `[2, C]`.
    pub fn channel_stats(&mut self, x: NodeId) -> Result<NodeId> {
        let channels = self.channels("ChannelStats", x)?;
        Ok(self.push(Op::ChannelStats, &[x], [2, channels]))
    }

    /// `[sum of g, sum of g (x - mean)]` per channel, `[2, C]`.
    pub fn channel_dot(&mut self, g: NodeId, x: NodeId, stats: NodeId) -> Result<NodeId> {
        let channels = self.channels("ChannelDot", x)?;
        if self.shape(g) != self.shape(x) || self.shape(stats)[..] != [2, channels] {
            return Err(Error::shape(
                "ChannelDot",
                format!(
                    "{} and {} with statistics {}",
                    self.shape(g),
                    self.shape(x),
                    self.shape(stats)
                ),
            ));
        }
        Ok(self.push(Op::ChannelDot, &[g, x, stats], [2, channels]))
    }

    /// Batch normalisation with this batch's statistics over all axes but
    /// axis 1 (Ioffe and Szegedy 2015, algorithm 1).
    pub fn batch_norm(
        &mut self,
        x: NodeId,
        gain: NodeId,
        offset: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let channels = self.channels("BatchNorm", x)?;
        if self.shape(gain)[..] != [channels] || self.shape(offset)[..] != [channels] {
            return Err(Error::shape(
                "BatchNorm",
                format!(
                    "{channels} channels with gain {} and offset {}",
                    self.shape(gain),
                    self.shape(offset)
                ),
            ));
        }
        let shape = self.shape(x).clone();
        Ok(self.push(
            Op::BatchNorm { eps: Scalar(eps) },
            &[x, gain, offset],
            shape,
        ))
    }

    /// Builds what a fused node stands for out of primitives; `None` for
    /// primitives themselves.
    pub fn decompose(&mut self, id: NodeId) -> Result<Option<NodeId>> {
        let node = self.node(id).clone();
        let result = match (&node.op, &node.inputs[..]) {
            (Op::ChannelStats, &[x]) => {
                let axes = self.all_but_channel(x);
                let mean = self.mean(x, &axes)?;
                let centred = self.sub(x, mean)?;
                let squares = self.square(centred);
                let variance = self.mean(squares, &axes)?;
                self.stack_channels(mean, variance)?
            }
            (Op::ChannelDot, &[g, x, stats]) => {
                let axes = self.all_but_channel(x);
                let mean = self.channel_row(stats, 0, x)?;
                let centred = self.sub(x, mean)?;
                let product = self.mul(g, centred)?;
                let sum = self.sum(g, &axes)?;
                let dot = self.sum(product, &axes)?;
                self.stack_channels(sum, dot)?
            }
            (Op::BatchNorm { eps }, &[x, gain, offset]) => {
                let stats = self.channel_stats(x)?;
                self.batch_norm_apply(x, stats, gain, offset, eps.0)?
            }
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    /// `(x - mean) / sqrt(variance + eps) * gain + offset` with given
    /// statistics `[2, C]`: batch normalisation in evaluation.
    pub fn batch_norm_apply(
        &mut self,
        x: NodeId,
        stats: NodeId,
        gain: NodeId,
        offset: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let mean = self.channel_row(stats, 0, x)?;
        let variance = self.channel_row(stats, 1, x)?;
        let shifted = self.binary_scalar(Binary::Add, variance, eps);
        let inverse = self.unary(Unary::Rsqrt, shifted);
        let gain = self.per_channel(gain, x)?;
        let offset = self.per_channel(offset, x)?;
        let factor = self.mul(inverse, gain)?;
        let centred = self.sub(x, mean)?;
        let scaled = self.mul(centred, factor)?;
        self.add(scaled, offset)
    }

    /// Row `row` of `[2, C]` statistics, shaped to stretch over `like`.
    pub(crate) fn channel_row(
        &mut self,
        stats: NodeId,
        row: usize,
        like: NodeId,
    ) -> Result<NodeId> {
        let channels = self.shape(stats)[1];
        let row = self.slice(stats, &[row, 0], [1, channels])?;
        self.per_channel(row, like)
    }

    /// `[C]` shaped to stretch over `like`, whose axis 1 is C.
    pub fn per_channel(&mut self, x: NodeId, like: NodeId) -> Result<NodeId> {
        let mut shape = vec![1; self.shape(like).rank()];
        shape[1] = self.shape(x).numel();
        self.reshape(x, shape)
    }

    pub(crate) fn all_but_channel(&self, x: NodeId) -> Vec<usize> {
        (0..self.shape(x).rank())
            .filter(|&axis| axis != 1)
            .collect()
    }

    fn stack_channels(&mut self, first: NodeId, second: NodeId) -> Result<NodeId> {
        let channels = self.shape(first).numel();
        let first = self.reshape(first, [1, channels])?;
        let second = self.reshape(second, [1, channels])?;
        self.concat(&[first, second], 0)
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

fn check_conv(
    op: &'static str,
    image: [usize; 4],
    output: [usize; 4],
    w: [usize; 4],
    g: ConvGeometry,
) -> Result<()> {
    let fits = g.groups > 0
        && image[0] == output[0]
        && [image[2], image[3]] == g.input
        && [output[2], output[3]] == g.output
        && [w[2], w[3]] == g.kernel
        && w[0] == output[1]
        && w[0].is_multiple_of(g.groups)
        && image[1].is_multiple_of(g.groups)
        && w[1] == image[1] / g.groups
        && g.stride
            .iter()
            .chain(&g.dilation)
            .chain(&g.kernel)
            .all(|&n| n > 0);
    if fits {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("image {image:?}, output {output:?} and weight {w:?} do not fit {g:?}"),
    ))
}
