//! One kernel launch (or a few) for each node that has memory.

use std::fmt::Write;

use super::lower::Lowering;
use super::view::{ValueId, View, row_major};
use crate::error::Result;
use crate::graph::{Class, ConvGeometry, NodeId, Op};
use crate::ops::conv::{Conv, Target};
use crate::ops::fold::Fold;
use crate::ops::map::Map;
use crate::ops::matmul::MatMul;
use crate::ops::reduce::{self, Reduce};
use crate::ops::{Contraction, Epilogue, Launches, Load, Variant};

impl Lowering<'_> {
    /// Emits what computes `id` and remembers where it lies.
    pub(super) fn emit(&mut self, id: NodeId) -> Result<()> {
        let graph = self.graph;
        let node = graph.node(id);
        let view = match &node.op {
            Op::State(_) => return Ok(()),
            op if op.is_elementwise() => match self.fusion.host(id) {
                Some(host) => self.contraction(host, id)?,
                None => self.elementwise(id)?,
            },
            Op::Sum(axes) => self.reduce(id, axes, reduce::Reduction::Sum)?,
            Op::Max(axes) => self.reduce(id, axes, reduce::Reduction::Max)?,
            Op::ArgMax(axes) => self.reduce(id, axes, reduce::Reduction::ArgMax)?,
            op if op.class() == Class::Contraction => self.contraction(id, id)?,
            _ => self.emit_other(id)?,
        };
        self.bind(id, view);
        Ok(())
    }

    /// A map kernel that writes `output` from loads of its shape; the body ends
    /// in `let result = ...;`.
    pub(super) fn map(&mut self, output: &View, loads: &[View], body: String, label: &str) {
        let order = output
            .order()
            .unwrap_or_else(|| row_major(output.shape.rank()));
        let map = Map::new(
            order.iter().map(|&axis| output.shape[axis]).collect(),
            loads.iter().map(|load| in_axes(load, &order)).collect(),
            body,
        );
        let inputs: Vec<_> = loads.iter().map(|load| load.value).collect();
        self.step(map, output.value, &inputs, label);
    }

    fn elementwise(&mut self, id: NodeId) -> Result<View> {
        let expression = self.expression(id, None)?;
        let shape = self.graph.shape(id).clone();
        // Stay in the memory order of the first operand that has one.
        let order = expression
            .loads
            .iter()
            .filter_map(View::order)
            .find(|order| *order != row_major(shape.rank()))
            .unwrap_or_else(|| row_major(shape.rank()));
        let output = self.output(&shape, &order);
        let body = format!("{}let result = {};", expression.lines, expression.result);
        let label = format!("{} {shape}", expression.names.join(" "));
        self.map(&output, &expression.loads, body, &label);
        Ok(output)
    }

    fn reduce(&mut self, id: NodeId, axes: &[usize], kind: reduce::Reduction) -> Result<View> {
        let graph = self.graph;
        let input = graph.node(id).inputs[0];
        let expression = self.expression_of_input(input)?;
        let from = graph.shape(input).clone();
        let kept: Vec<usize> = (0..from.rank())
            .filter(|axis| !axes.contains(axis))
            .collect();
        let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let reduce = Reduce {
            kept: kept.iter().map(|&axis| from[axis]).collect(),
            reduced: axes.iter().map(|&axis| from[axis]).collect(),
            loads: expression
                .loads
                .iter()
                .map(|load| in_axes(load, &order))
                .collect(),
            body: format!("{}let result = {};", expression.lines, expression.result),
            kind,
        };
        let inputs: Vec<_> = expression.loads.iter().map(|load| load.value).collect();
        let label = format!(
            "{} {} {from}->{}",
            expression.names.join(" "),
            graph.node(id).op.name(),
            graph.shape(id)
        );
        self.staged(id, reduce.stages(self.facts), &inputs, label.trim_start())
    }

    /// A matrix product or convolution `host`, whose result goes through the
    /// cluster of `root` (which may be `host` itself).
    fn contraction(&mut self, host: NodeId, root: NodeId) -> Result<View> {
        let graph = self.graph;
        let (epilogue, extras, names) = if host == root {
            (Epilogue::none(), Vec::new(), Vec::new())
        } else {
            self.epilogue(root, host)?
        };
        let label = format!(
            "{} {} {}",
            graph.node(host).op.name(),
            graph.shape(host),
            names.join(" ")
        );
        match graph.node(host).op {
            Op::MatMul {
                transpose_a,
                transpose_b,
            } => self.matmul(
                host,
                [transpose_a, transpose_b],
                &epilogue,
                &extras,
                label.trim_end(),
            ),
            Op::Conv2d(geometry) => self.conv(
                host,
                Target::Forward,
                geometry,
                &epilogue,
                &extras,
                label.trim_end(),
            ),
            Op::ConvTranspose2d(geometry) => self.conv(
                host,
                Target::Transpose,
                geometry,
                &epilogue,
                &extras,
                label.trim_end(),
            ),
            Op::ConvWeightGrad(geometry) => self.conv(
                host,
                Target::WeightGrad,
                geometry,
                &epilogue,
                &extras,
                label.trim_end(),
            ),
            ref op => unreachable!("{} has no epilogue", op.name()),
        }
    }

    /// The WGSL function that a contraction passes its results through, and
    /// what it reads besides.
    fn epilogue(
        &mut self,
        root: NodeId,
        host: NodeId,
    ) -> Result<(Epilogue, Vec<View>, Vec<String>)> {
        let expression = self.expression(root, Some(host))?;
        let rank = self.graph.shape(root).rank();
        let mut code = "fn epilogue(acc: f32, i: vec4<u32>) -> f32 {\n".to_owned();
        for (index, load) in expression.loads.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = writeln!(code, "let v{index} = e{index}[{}];", address(load, rank));
        }
        let _ = write!(
            code,
            "{}return {};\n}}",
            expression.lines, expression.result
        );
        let epilogue = Epilogue {
            extras: expression.loads.len(),
            code,
        };
        Ok((epilogue, expression.loads, expression.names))
    }

    fn conv(
        &mut self,
        id: NodeId,
        kind: Target,
        geometry: ConvGeometry,
        epilogue: &Epilogue,
        extras: &[View],
        label: &str,
    ) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let (first, second) = (node.inputs[0], node.inputs[1]);
        let (x, w, y) = match kind {
            Target::Forward => (first, second, id),
            Target::Transpose => (id, second, first),
            Target::WeightGrad => (first, id, second),
        };
        let [batch, channels] = [graph.shape(x)[0], graph.shape(x)[1]];
        let mut conv = Conv {
            kind,
            geometry,
            batch,
            channels,
            filters: graph.shape(y)[1],
            x: [0; 4],
            w: [0; 4],
            y: [0; 4],
        };
        // What lies where decides which orders are asked for.
        let mut views = Vec::with_capacity(3);
        for operand in [x, w, y] {
            views.push(if operand == id {
                View::whole(ValueId(usize::MAX), graph.shape(id), &row_major(4))
            } else {
                self.at_start(operand)?
            });
        }
        [conv.x, conv.w, conv.y] = [four(&views[0]), four(&views[1]), four(&views[2])];
        let fold = Fold::suits(&conv, self.facts);
        let variant = match fold {
            Some(_) => Variant::Plain,
            None => self.choose(Contraction::Conv(conv)),
        };
        let orders = fold.map_or_else(|| conv.orders(variant), |fold| fold.orders());
        for (index, (operand, order)) in [(x, orders.x), (w, orders.w), (y, orders.y)]
            .into_iter()
            .enumerate()
        {
            if operand == id {
                let order = order.map_or_else(|| row_major(4), |order| order.to_vec());
                views[index] = self.output(graph.shape(id), &order);
            } else if let Some(order) = order {
                views[index] = self.in_order(operand, &order)?;
            }
        }
        conv.x = four(&views[0]);
        conv.w = four(&views[1]);
        conv.y = four(&views[2]);
        let [output, first, second] = match kind {
            Target::Forward => [2, 0, 1],
            Target::Transpose => [0, 2, 1],
            Target::WeightGrad => [1, 0, 2],
        };
        let launches = match Fold::suits(&conv, self.facts) {
            None => conv.launches(variant, epilogue),
            Some(fold) => fold.launches(epilogue),
        };
        let operands = [views[first].value, views[second].value];
        self.launches(launches, views[output].value, operands, extras, label);
        Ok(views.swap_remove(output))
    }

    /// What a contraction launches, in order.
    fn launches(
        &mut self,
        launches: Launches,
        output: ValueId,
        mut operands: [ValueId; 2],
        extras: &[View],
        label: &str,
    ) {
        for (operand, launch) in operands.iter_mut().zip(launches.operands) {
            if let Some((launch, len)) = launch {
                *operand = self.made_of(*operand, launch, len);
            }
        }
        let mut inputs = operands.to_vec();
        if let Some(between) = launches.between {
            let (launch, len) = between.launch(|product| self.choose(product));
            let made = self.value(len);
            self.step(launch, made, &inputs, format!("{label} (products)"));
            inputs = vec![made];
        }
        inputs.extend(extras.iter().map(|extra| extra.value));
        self.step(launches.last, output, &inputs, label);
    }

    fn matmul(
        &mut self,
        id: NodeId,
        transposed: [bool; 2],
        epilogue: &Epilogue,
        extras: &[View],
        label: &str,
    ) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let shape = graph.shape(id);
        let rank = shape.rank();
        let from = graph.shape(node.inputs[0]);
        let mut product = MatMul {
            batch: if rank == 3 { shape[0] } else { 1 },
            m: shape[rank - 2],
            n: shape[rank - 1],
            k: from[if transposed[0] { rank - 2 } else { rank - 1 }],
            a: [0; 3],
            b: [0; 3],
            y: [0; 3],
        };
        // The stored axis of a logical one of (batch, row, column); there may be
        // no batch axis.
        let stored = |operand: usize, logical: usize| {
            let axis = match (logical, transposed[operand]) {
                (1, true) => 2,
                (2, true) => 1,
                (axis, _) => axis,
            };
            (axis + rank).checked_sub(3)
        };
        let strides = |operand: usize, view: &View| -> [usize; 3] {
            std::array::from_fn(|logical| {
                stored(operand, logical).map_or(0, |axis| view.strides[axis])
            })
        };
        let mut views = [
            self.at_start(node.inputs[0])?,
            self.at_start(node.inputs[1])?,
        ];
        product.a = strides(0, &views[0]);
        product.b = strides(1, &views[1]);
        product.y = [product.m * product.n, product.n, 1];
        let variant = self.choose(Contraction::MatMul(product));
        let orders = product.orders(variant);
        for (operand, order) in [orders.a, orders.b].into_iter().enumerate() {
            let Some(order) = order else { continue };
            let order: Vec<usize> = order
                .iter()
                .filter_map(|&logical| stored(operand, logical))
                .collect();
            views[operand] = self.in_order(node.inputs[operand], &order)?;
        }
        product.a = strides(0, &views[0]);
        product.b = strides(1, &views[1]);
        let mut inputs: Vec<_> = views.iter().map(|view| view.value).collect();
        let output = self.output(shape, &row_major(rank));
        inputs.extend(extras.iter().map(|extra| extra.value));
        self.step(
            product.launch(variant, epilogue),
            output.value,
            &inputs,
            label,
        );
        Ok(output)
    }
}

/// A load's strides along `axes`.
pub(super) fn in_axes(load: &View, axes: &[usize]) -> Load {
    Load {
        strides: axes.iter().map(|&axis| load.strides[axis]).collect(),
        offset: load.offset,
    }
}

/// Strides of a view with four axes.
pub(super) fn four(view: &View) -> [usize; 4] {
    std::array::from_fn(|axis| view.strides[axis])
}

/// The WGSL of a view's element at the last `rank` of the coordinates `i`.
fn address(view: &View, rank: usize) -> String {
    let mut terms = Vec::new();
    for axis in 0..rank {
        let name = ["x", "y", "z", "w"][4 - rank + axis];
        match (view.shape[axis], view.strides[axis]) {
            (1, _) | (_, 0) => {}
            (_, 1) => terms.push(format!("i.{name}")),
            (_, stride) => terms.push(format!("i.{name} * {stride}u")),
        }
    }
    if view.offset > 0 || terms.is_empty() {
        terms.push(format!("{}u", view.offset));
    }
    terms.join(" + ")
}
