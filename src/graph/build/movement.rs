//! Primitives that move elements, and gather and scatter.

use super::super::{Graph, MAX_RANK, NodeId, Op, PadMode, Shape};
use super::check_axes;
use crate::error::{Error, Result};

impl Graph {
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
        self.checked(Op::Broadcast, &[x], shape)
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
            _ => self.checked(Op::Reshape, &[x], shape),
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
                format!("{order:?} is not an order of the axes of {from}"),
            ));
        }
        if sorted == order {
            return Ok(x);
        }
        let shape: Vec<usize> = order.iter().map(|&axis| from[axis]).collect();
        self.checked(Op::Permute(order.to_vec()), &[x], shape)
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
        self.checked(
            Op::Pad {
                before: before.to_vec(),
                mode,
            },
            &[x],
            shape,
        )
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
        self.checked(
            Op::PadFold {
                before: before.to_vec(),
                mode,
            },
            &[x],
            shape,
        )
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
        self.checked(
            Op::Slice {
                start: start.to_vec(),
            },
            &[x],
            shape,
        )
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
        self.checked(Op::Concat(axis), parts, shape)
    }

    /// Elements of `x` at `index` along `axis` (torch.gather).
    pub fn gather(&mut self, x: NodeId, index: NodeId, axis: usize) -> Result<NodeId> {
        let (from, shape) = (self.shape(x).clone(), self.shape(index).clone());
        self.check_index("Gather", &from, &shape, axis)?;
        self.checked(Op::Gather(axis), &[x, index], shape)
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
        self.checked(Op::ScatterAdd(axis), &[updates, index], to)
    }
}
