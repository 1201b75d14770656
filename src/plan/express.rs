//! The WGSL of a cluster of elementwise nodes: one `let` a node, calling the
//! hand-written functions of `shaders/lib/math.wgsl`.

use std::collections::HashMap;
use std::fmt::Write;

use super::fuse::Fate;
use super::lower::Lowering;
use super::view::View;
use crate::error::Result;
use crate::graph::{NodeId, Op};
use crate::ops::scalar::{binary_code, literal, select_code, unary_code};

/// A cluster's code. `loads[k]` is named `v<k>` in it, and the host's
/// accumulator `acc`.
#[derive(Default)]
pub(super) struct Expression {
    pub(super) loads: Vec<View>,
    pub(super) lines: String,
    /// The name or literal of the last value.
    pub(super) result: String,
    /// Names of the operations, for labels.
    pub(super) names: Vec<String>,
    known: HashMap<NodeId, String>,
}

impl Lowering<'_> {
    /// The code of the cluster that ends in `id`; `host` is the contraction
    /// whose result is at hand as `acc`.
    pub(super) fn expression(&mut self, id: NodeId, host: Option<NodeId>) -> Result<Expression> {
        let mut expression = Expression::default();
        if let Some(host) = host {
            expression.known.insert(host, "acc".to_owned());
        }
        expression.result = self.compute(&mut expression, id)?;
        Ok(expression)
    }

    /// The code that a kernel needs to read its input `id`: a load, or the
    /// cluster that rides in front of it.
    pub(super) fn expression_of_input(&mut self, id: NodeId) -> Result<Expression> {
        let mut expression = Expression::default();
        expression.result = self.term(&mut expression, id)?;
        Ok(expression)
    }

    /// The name or literal that holds a node's element.
    fn term(&mut self, expression: &mut Expression, id: NodeId) -> Result<String> {
        if let Some(name) = expression.known.get(&id) {
            return Ok(name.clone());
        }
        if let Op::Constant(number) = self.graph.node(id).op {
            return Ok(literal(number.0));
        }
        if matches!(self.fusion.fate(id), Fate::Inside(_) | Fate::Everywhere) {
            return self.compute(expression, id);
        }
        let view = self.view(id)?;
        let name = match expression.loads.iter().position(|load| load == &view) {
            Some(index) => format!("v{index}"),
            None => {
                expression.loads.push(view);
                format!("v{}", expression.loads.len() - 1)
            }
        };
        expression.known.insert(id, name.clone());
        Ok(name)
    }

    fn compute(&mut self, expression: &mut Expression, id: NodeId) -> Result<String> {
        let graph = self.graph;
        let node = graph.node(id);
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            arguments.push(self.term(expression, input)?);
        }
        let code = match (&node.op, &arguments[..]) {
            (Op::Unary(f), [x]) => unary_code(*f, x),
            (Op::Binary(f), [a, b]) => binary_code(*f, a, b),
            (Op::Select, [condition, a, b]) => select_code(condition, a, b),
            _ => unreachable!("{} is not elementwise", node.op.name()),
        };
        let name = format!("t{}", expression.names.len());
        // Writing to a String cannot fail.
        let _ = writeln!(expression.lines, "let {name} = {code};");
        expression.names.push(node.op.name());
        expression.known.insert(id, name.clone());
        Ok(name)
    }
}
