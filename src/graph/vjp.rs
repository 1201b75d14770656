//! Gradients as further nodes: one rule a primitive, each made of primitives,
//! so that gradients of gradients need no further code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Binary, Graph, NodeId, Op, PadMode, Shape, Unary};
use crate::error::{Error, Result};

impl Graph {
    /// Gradients of the scalar `root` with respect to `targets`, in their
    /// order. Only paths from a target to the root are followed. A target that
    /// the root does not depend on has gradient zero.
    ///
    /// # Errors
    /// `MissingGradient` where a path runs through an operation without a rule.
    pub fn gradient(&mut self, root: NodeId, targets: &[NodeId]) -> Result<Vec<NodeId>> {
        if self.shape(root).numel() != 1 {
            return Err(Error::shape(
                "gradient",
                format!("root has shape {}, not one element", self.shape(root)),
            ));
        }
        let one = self.constant(1.0, self.shape(root).clone());
        self.vector_jacobian(&[(root, one)], targets)
    }

    /// The sum over `roots` of each root's given gradient times its Jacobian,
    /// with respect to `targets`.
    ///
    /// # Errors
    /// As [`Graph::gradient`].
    pub fn vector_jacobian(
        &mut self,
        roots: &[(NodeId, NodeId)],
        targets: &[NodeId],
    ) -> Result<Vec<NodeId>> {
        let on_path = self.paths(roots.iter().map(|&(root, _)| root), targets);
        let mut gradients: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for &(root, gradient) in roots {
            self.accumulate(&mut gradients, root, gradient)?;
        }
        // Ids grow from inputs to users, so the reverse order meets each node
        // after all its users.
        for &id in on_path.iter().rev() {
            let Some(&gradient) = gradients.get(&id) else {
                continue;
            };
            let inputs = self.node(id).inputs.clone();
            let wanted: Vec<bool> = inputs.iter().map(|input| on_path.contains(input)).collect();
            if !wanted.contains(&true) {
                continue;
            }
            for (input, contribution) in self.rule(id, gradient, &wanted)? {
                self.accumulate(&mut gradients, input, contribution)?;
            }
        }
        Ok(targets
            .iter()
            .map(|target| match gradients.get(target) {
                Some(&gradient) => gradient,
                None => self.constant(0.0, self.shape(*target).clone()),
            })
            .collect())
    }

    /// Nodes on a path from one of `targets` to one of `roots`, both included.
    fn paths(&self, roots: impl Iterator<Item = NodeId>, targets: &[NodeId]) -> BTreeSet<NodeId> {
        let Some(first) = targets.iter().min() else {
            return BTreeSet::new();
        };
        let mut reached = BTreeSet::new();
        let mut stack: Vec<NodeId> = roots.collect();
        while let Some(id) = stack.pop() {
            if id >= *first && reached.insert(id) {
                stack.extend(&self.node(id).inputs);
            }
        }
        let mut on_path = BTreeSet::new();
        for id in reached {
            let node = self.node(id);
            let stops = node.op == Op::StopGradient;
            if targets.contains(&id)
                || (!stops && node.inputs.iter().any(|input| on_path.contains(input)))
            {
                on_path.insert(id);
            }
        }
        on_path
    }

    fn accumulate(
        &mut self,
        gradients: &mut BTreeMap<NodeId, NodeId>,
        id: NodeId,
        contribution: NodeId,
    ) -> Result<()> {
        let sum = match gradients.get(&id) {
            Some(&earlier) => self.add(earlier, contribution)?,
            None => contribution,
        };
        gradients.insert(id, sum);
        Ok(())
    }

    /// Gradients of the inputs of node `id` that are `wanted`, from the
    /// gradient `g` of its output.
    fn rule(&mut self, id: NodeId, g: NodeId, wanted: &[bool]) -> Result<Vec<(NodeId, NodeId)>> {
        let node = self.node(id).clone();
        let inputs = &node.inputs;
        let mut out = Vec::with_capacity(inputs.len());
        match &node.op {
            Op::State(_) | Op::Constant(_) | Op::Iota(_) | Op::Random { .. } | Op::StopGradient => {
            }

            // Their derivative is zero wherever it exists.
            Op::Unary(Unary::Sign | Unary::Floor | Unary::Round | Unary::Finite)
            | Op::Binary(Binary::Greater | Binary::GreaterEqual | Binary::Equal)
            | Op::ArgMax(_)
            | Op::MaxPoolIndex(_) => {}

            Op::Unary(f) => out.push((inputs[0], self.unary_rule(*f, inputs[0], id, g)?)),
            Op::Binary(f) => return self.binary_rule(*f, inputs[0], inputs[1], id, g, wanted),
            Op::Select => {
                let zero = self.constant(0.0, node.shape.clone());
                if wanted[1] {
                    out.push((inputs[1], self.select(inputs[0], g, zero)?));
                }
                if wanted[2] {
                    out.push((inputs[2], self.select(inputs[0], zero, g)?));
                }
            }

            Op::Broadcast => {
                let from = self.shape(inputs[0]).clone();
                let axes: Vec<usize> = (0..from.rank())
                    .filter(|&axis| from[axis] != node.shape[axis])
                    .collect();
                out.push((inputs[0], self.sum(g, &axes)?));
            }
            Op::Reshape => {
                let from = self.shape(inputs[0]).clone();
                out.push((inputs[0], self.reshape(g, from)?));
            }
            Op::Permute(order) => {
                let mut inverse = vec![0; order.len()];
                for (to, &from) in order.iter().enumerate() {
                    inverse[from] = to;
                }
                out.push((inputs[0], self.permute(g, &inverse)?));
            }
            Op::Pad { before, mode } => {
                let from = self.shape(inputs[0]).clone();
                out.push((inputs[0], self.pad_fold(g, before, from, *mode)?));
            }
            Op::PadFold { before, mode } => {
                let after = room_behind(self.shape(inputs[0]), before, &node.shape);
                out.push((inputs[0], self.pad(g, before, &after, *mode)?));
            }
            Op::Slice { start } => {
                let after = room_behind(self.shape(inputs[0]), start, &node.shape);
                out.push((inputs[0], self.pad(g, start, &after, PadMode::Zero)?));
            }
            Op::Concat(axis) => {
                let mut start = vec![0; node.shape.rank()];
                for (&part, &wanted) in inputs.iter().zip(wanted) {
                    let shape = self.shape(part).clone();
                    let size = shape[*axis];
                    if wanted {
                        out.push((part, self.slice(g, &start, shape)?));
                    }
                    start[*axis] += size;
                }
            }
            Op::Gather(axis) => {
                if wanted[0] {
                    let size = self.shape(inputs[0])[*axis];
                    out.push((inputs[0], self.scatter_add(g, inputs[1], *axis, size)?));
                }
            }
            Op::ScatterAdd(axis) => {
                if wanted[0] {
                    out.push((inputs[0], self.gather(g, inputs[1], *axis)?));
                }
            }

            Op::Sum(_) => {
                let from = self.shape(inputs[0]).clone();
                out.push((inputs[0], self.broadcast(g, from)?));
            }
            Op::Max(axes) => {
                let scattered = self.max_rule(inputs[0], axes, g)?;
                out.push((inputs[0], scattered));
            }

            Op::MatMul {
                transpose_a,
                transpose_b,
            } => {
                let (a, b, ta, tb) = (inputs[0], inputs[1], *transpose_a, *transpose_b);
                if wanted[0] {
                    let da = if ta {
                        self.matmul(b, g, tb, true)?
                    } else {
                        self.matmul(g, b, false, !tb)?
                    };
                    out.push((a, da));
                }
                if wanted[1] {
                    let db = if tb {
                        self.matmul(g, a, true, ta)?
                    } else {
                        self.matmul(a, g, !ta, false)?
                    };
                    out.push((b, db));
                }
            }
            Op::Conv2d(geometry) => {
                if wanted[0] {
                    out.push((inputs[0], self.conv_transpose2d(g, inputs[1], *geometry)?));
                }
                if wanted[1] {
                    out.push((inputs[1], self.conv_weight_grad(inputs[0], g, *geometry)?));
                }
            }
            Op::ConvTranspose2d(geometry) => {
                if wanted[0] {
                    out.push((inputs[0], self.conv2d(g, inputs[1], *geometry)?));
                }
                if wanted[1] {
                    out.push((inputs[1], self.conv_weight_grad(g, inputs[0], *geometry)?));
                }
            }
            Op::ConvWeightGrad(geometry) => {
                if wanted[0] {
                    out.push((inputs[0], self.conv_transpose2d(inputs[1], g, *geometry)?));
                }
                if wanted[1] {
                    out.push((inputs[1], self.conv2d(inputs[0], g, *geometry)?));
                }
            }

            Op::SumPool(window) => out.push((inputs[0], self.sum_unpool(g, *window)?)),
            Op::SumUnpool(window) => out.push((inputs[0], self.sum_pool(g, *window)?)),
            Op::PoolGather(window) => {
                if wanted[0] {
                    out.push((inputs[0], self.pool_scatter(g, inputs[1], *window)?));
                }
            }
            Op::PoolScatter(window) => {
                if wanted[0] {
                    out.push((inputs[0], self.pool_gather(g, inputs[1], *window)?));
                }
            }
            Op::ResizeBilinear => {
                let size = self.image_size(inputs[0]);
                out.push((inputs[0], self.resize_bilinear_adjoint(g, size)?));
            }
            Op::ResizeBilinearAdjoint => {
                let size = self.image_size(inputs[0]);
                out.push((inputs[0], self.resize_bilinear(g, size)?));
            }

            Op::BatchNorm { eps } => {
                return self.batch_norm_rule(inputs[0], inputs[1], inputs[2], eps.0, g, wanted);
            }
            Op::ChannelStats => out.push((inputs[0], self.channel_stats_rule(inputs[0], id, g)?)),
            Op::ChannelDot => {
                return self.channel_dot_rule([inputs[0], inputs[1], inputs[2]], id, g, wanted);
            }
        }
        Ok(out)
    }

    fn unary_rule(&mut self, f: Unary, x: NodeId, y: NodeId, g: NodeId) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        let one = self.constant(1.0, shape);
        // Where it can be, the derivative is written in terms of the output y,
        // so that x need not be kept.
        let derivative = match f {
            Unary::Neg => return Ok(self.neg(g)),
            Unary::Exp => y,
            Unary::Log => return self.div(g, x),
            Unary::Sqrt => {
                let half = self.scale(g, 0.5);
                return self.div(half, y);
            }
            Unary::Rsqrt => {
                let square = self.square(y);
                let cube = self.mul(square, y)?;
                self.scale(cube, -0.5)
            }
            Unary::Recip => {
                let square = self.square(y);
                self.neg(square)
            }
            Unary::Abs => self.unary(Unary::Sign, x),
            Unary::Sigmoid => {
                let rest = self.sub(one, y)?;
                self.mul(y, rest)?
            }
            Unary::Tanh => {
                let square = self.square(y);
                self.sub(one, square)?
            }
            Unary::Softplus => self.unary(Unary::Sigmoid, x),
            Unary::Atanh => {
                let square = self.square(x);
                let rest = self.sub(one, square)?;
                return self.div(g, rest);
            }
            Unary::Sin => self.unary(Unary::Cos, x),
            Unary::Cos => {
                let sine = self.unary(Unary::Sin, x);
                self.neg(sine)
            }
            Unary::LeakyRelu(slope) => {
                let positive = self.binary_scalar(Binary::Greater, y, 0.0);
                let damped = self.scale(g, slope.0);
                return self.select(positive, g, damped);
            }
            Unary::Sign | Unary::Floor | Unary::Round | Unary::Finite => {
                return Err(Error::MissingGradient {
                    op: format!("{f:?}"),
                });
            }
        };
        self.mul(g, derivative)
    }

    fn binary_rule(
        &mut self,
        f: Binary,
        a: NodeId,
        b: NodeId,
        y: NodeId,
        g: NodeId,
        wanted: &[bool],
    ) -> Result<Vec<(NodeId, NodeId)>> {
        let zero = self.constant(0.0, self.shape(g).clone());
        let mut out = Vec::new();
        if wanted[0] {
            let da = match f {
                Binary::Add | Binary::Sub => g,
                Binary::Mul => self.mul(g, b)?,
                Binary::Div => self.div(g, b)?,
                // At ties the first operand takes the gradient.
                Binary::Max => {
                    let first = self.binary(Binary::GreaterEqual, a, b)?;
                    self.select(first, g, zero)?
                }
                Binary::Min => {
                    let first = self.binary(Binary::GreaterEqual, b, a)?;
                    self.select(first, g, zero)?
                }
                Binary::Pow => {
                    let exponent = self.binary_scalar(Binary::Sub, b, 1.0);
                    let power = self.binary(Binary::Pow, a, exponent)?;
                    let slope = self.mul(b, power)?;
                    self.mul(g, slope)?
                }
                Binary::Greater | Binary::GreaterEqual | Binary::Equal => {
                    return Err(Error::MissingGradient {
                        op: format!("{f:?}"),
                    });
                }
            };
            out.push((a, da));
        }
        if wanted[1] {
            let db = match f {
                Binary::Add => g,
                Binary::Sub => self.neg(g),
                Binary::Mul => self.mul(g, a)?,
                Binary::Div => {
                    let slope = self.div(y, b)?;
                    let product = self.mul(g, slope)?;
                    self.neg(product)
                }
                Binary::Max => {
                    let first = self.binary(Binary::GreaterEqual, a, b)?;
                    self.select(first, zero, g)?
                }
                Binary::Min => {
                    let first = self.binary(Binary::GreaterEqual, b, a)?;
                    self.select(first, zero, g)?
                }
                Binary::Pow => {
                    let log = self.unary(Unary::Log, a);
                    let slope = self.mul(y, log)?;
                    self.mul(g, slope)?
                }
                Binary::Greater | Binary::GreaterEqual | Binary::Equal => {
                    return Err(Error::MissingGradient {
                        op: format!("{f:?}"),
                    });
                }
            };
            out.push((b, db));
        }
        Ok(out)
    }

    /// Sends `g` to the first largest element within `axes`, by bringing those
    /// axes together at the end.
    fn max_rule(&mut self, x: NodeId, axes: &[usize], g: NodeId) -> Result<NodeId> {
        let from = self.shape(x).clone();
        let index = self.argmax(x, axes)?;
        let kept: Vec<usize> = (0..from.rank())
            .filter(|axis| !axes.contains(axis))
            .collect();
        let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let rows: usize = kept.iter().map(|&axis| from[axis]).product();
        let size: usize = axes.iter().map(|&axis| from[axis]).product();
        let index = self.reshape(index, [rows, 1])?;
        let updates = self.reshape(g, [rows, 1])?;
        let scattered = self.scatter_add(updates, index, 1, size)?;
        let apart: Vec<usize> = order.iter().map(|&axis| from[axis]).collect();
        let apart = self.reshape(scattered, apart)?;
        let mut inverse = vec![0; order.len()];
        for (to, &axis) in order.iter().enumerate() {
            inverse[axis] = to;
        }
        self.permute(apart, &inverse)
    }

    fn image_size(&self, x: NodeId) -> [usize; 2] {
        let shape = self.shape(x);
        [shape[2], shape[3]]
    }
}

/// Elements behind the part of `shape` at `start` of `whole`, per axis.
fn room_behind(whole: &Shape, start: &[usize], part: &Shape) -> Vec<usize> {
    (0..whole.rank())
        .map(|axis| whole[axis] - start[axis] - part[axis])
        .collect()
}
