//! Elementwise primitives; operands stretch to a common shape.

use super::super::{Binary, Graph, NodeId, Op, Unary};
use crate::error::Result;

impl Graph {
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
            // A rounded quotient is left to the kernel, or to the f64 reference.
            (Binary::Div, Some(p), Some(q)) if f64::from(p / q) == f64::from(p) / f64::from(q) => {
                return Ok(self.constant(p / q, shape));
            }
            _ => {}
        }
        self.checked(Op::Binary(f), &[a, b], shape)
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
        self.checked(Op::Select, &[condition, a, b], shape)
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

    /// The negative of each element.
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
}
