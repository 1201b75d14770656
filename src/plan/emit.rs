//! One kernel launch (or a few) for each node that has memory.

use std::fmt::Write;

use super::lower::{Lowering, Start};
use super::view::{ValueId, View, row_major};
use crate::error::Result;
use crate::graph::{Class, ConvGeometry, NodeId, Op};
use crate::ops::conv::{Conv, Target};
use crate::ops::fold::Fold;
use crate::ops::map::Map;
use crate::ops::matmul::MatMul;
use crate::ops::reduce::{self, Reduce};
use crate::ops::{Contraction, Epilogue, Launches, Load, Variant};
use crate::recording::ALIGNMENT;

/// A contraction in equal parts of its batch, computed one after another: how many, and
/// how many elements each has of output, operands and what the epilogue reads; none of
/// what is the same for all parts.
struct Parts {
    count: usize,
    output: usize,
    operands: [usize; 2],
    extras: Vec<usize>,
}

impl Parts {
    /// Each image a part. `roles` are those of image, weight and result: which is the
    /// output, which are the operands.
    fn images(conv: &Conv, roles: [usize; 3], extras: &[View]) -> Self {
        let [output, first, second] = roles.map(|role| [conv.x[0], 0, conv.y[0]][role]);
        let extra = |view: &View| match output {
            0 => 0,
            _ => view.strides[0],
        };
        Self {
            count: conv.batch,
            output,
            operands: [first, second],
            extras: extras.iter().map(extra).collect(),
        }
    }

    /// So many of these parts in each.
    fn in_parts_of(&self, together: usize) -> Self {
        Self {
            count: self.count / together,
            output: self.output * together,
            operands: self.operands.map(|len| len * together),
            extras: self.extras.iter().map(|len| len * together).collect(),
        }
    }

    /// Whether bindings may begin with each part.
    fn is_bindable(&self) -> bool {
        let lens = self.operands.iter().chain(&self.extras);
        let mut lens = lens.chain([&self.output]);
        lens.all(|len| len.is_multiple_of(ALIGNMENT))
    }

    /// Whether the result is the sum of what comes of the parts.
    fn add_up(&self) -> bool {
        self.output == 0
    }
}

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
        match self.graph.node(host).op {
            Op::MatMul {
                transpose_a,
                transpose_b,
            } => self.matmul(host, root, [transpose_a, transpose_b]),
            Op::Conv2d(geometry) => self.conv(host, root, Target::Forward, geometry),
            Op::ConvTranspose2d(geometry) => self.conv(host, root, Target::Transpose, geometry),
            Op::ConvWeightGrad(geometry) => self.conv(host, root, Target::WeightGrad, geometry),
            ref op => unreachable!("{} has no epilogue", op.name()),
        }
    }

    /// The WGSL function that a contraction passes its results through, what that reads
    /// besides, and the label of both. To be asked when the operands lie where they stay:
    /// it may read one of them.
    fn epilogue(&mut self, host: NodeId, root: NodeId) -> Result<(Epilogue, Vec<View>, String)> {
        let graph = self.graph;
        let label = format!("{} {}", graph.node(host).op.name(), graph.shape(host));
        if host == root {
            return Ok((Epilogue::none(), Vec::new(), label));
        }
        let expression = self.expression(root, Some(host))?;
        let rank = graph.shape(root).rank();
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
        let label = format!("{label} {}", expression.names.join(" "));
        Ok((epilogue, expression.loads, label))
    }

    fn conv(
        &mut self,
        id: NodeId,
        root: NodeId,
        kind: Target,
        geometry: ConvGeometry,
    ) -> Result<View> {
        let graph = self.graph;
        let shape = graph.shape(id);
        let inputs = &graph.node(id).inputs;
        // Which of image, weight and result is the output, and which are the operands.
        let [output, first, second] = match kind {
            Target::Forward => [2, 0, 1],
            Target::Transpose => [0, 2, 1],
            Target::WeightGrad => [1, 0, 2],
        };
        let mut shapes = [shape; 3];
        [shapes[first], shapes[second]] = [graph.shape(inputs[0]), graph.shape(inputs[1])];
        let [x, _, y] = shapes;
        let mut conv = Conv {
            kind,
            geometry,
            batch: x[0],
            channels: x[1],
            filters: y[1],
            x: [0; 4],
            w: [0; 4],
            y: [0; 4],
        };
        // What lies where decides which orders are asked for.
        let mut lie = [four(&shape.strides_in(&row_major(4))); 3];
        lie[first] = four(&self.at_start(inputs[0])?.strides);
        lie[second] = four(&self.at_start(inputs[1])?.strides);
        [conv.x, conv.w, conv.y] = lie;
        let fold = Fold::suits(&conv, self.facts);
        let variant = match fold {
            Some(_) => Variant::Plain,
            None => self.choose(Contraction::Conv(conv)),
        };
        let orders = fold.map_or_else(|| conv.orders(variant), |fold| fold.orders());
        let mut orders = [orders.x, orders.w, orders.y].map(|order| order.map(Vec::from));
        let mut wanted = |operand: usize| orders[operand].take();
        let [a, b] = self.operands([(inputs[0], wanted(first)), (inputs[1], wanted(second))])?;
        let order = wanted(output).or_else(|| match kind {
            // It is as fast in any order.
            Target::WeightGrad => self.order_of_user(root),
            Target::Forward | Target::Transpose => None,
        });
        let result = self.output(shape, &order.unwrap_or_else(|| row_major(4)));
        [lie[output], lie[first], lie[second]] = [&result, &a, &b].map(|view| four(&view.strides));
        [conv.x, conv.w, conv.y] = lie;
        let (epilogue, extras, label) = self.epilogue(id, root)?;
        let images = Parts::images(&conv, [output, first, second], &extras);
        let is_bindable = |together| images.in_parts_of(together).is_bindable();
        let (launches, together) = match Fold::suits(&conv, self.facts) {
            None => {
                let part = conv.part(variant, self.facts, is_bindable);
                (part.launches(variant, &epilogue), part.batch)
            }
            Some(fold) => (fold.launches(&epilogue), conv.batch),
        };
        let parts = images.in_parts_of(together);
        let extras: Vec<_> = extras.iter().map(|extra| extra.value).collect();
        self.launches(
            &launches,
            &parts,
            result.value,
            [a.value, b.value],
            &extras,
            &label,
        );
        Ok(result)
    }

    /// What a contraction launches, in order.
    fn launches(
        &mut self,
        launches: &Launches,
        parts: &Parts,
        output: ValueId,
        operands: [ValueId; 2],
        extras: &[ValueId],
        label: &str,
    ) {
        // What the parts so far come to, where they are parts of sums.
        let mut sum: Option<Start> = None;
        for part in 0..parts.count {
            let start = |value: ValueId, part_len: usize| Start {
                value,
                element: part * part_len,
            };
            let mut inputs: Vec<Start> = Vec::new();
            for (index, launch) in launches.operands.iter().enumerate() {
                let operand = start(operands[index], parts.operands[index]);
                inputs.push(match launch {
                    Some((launch, len)) => self.made_of(operand, launch.clone(), *len).into(),
                    None => operand,
                });
            }
            if let Some(between) = &launches.between {
                let (launch, len) = between.launch(sum.is_some(), |product| self.choose(product));
                inputs.extend(sum);
                let made = Start::from(self.value(len));
                self.step(launch, made, &inputs, format!("{label} (products)"));
                inputs = vec![made];
                sum = parts.add_up().then_some(made);
            }
            if parts.add_up() && part + 1 < parts.count {
                continue;
            }
            let extras = extras.iter().zip(&parts.extras);
            inputs.extend(extras.map(|(&extra, &len)| start(extra, len)));
            let output = start(output, parts.output);
            let label = match parts.count > 1 && !parts.add_up() {
                true => format!("{label} (part {} of {})", part + 1, parts.count),
                false => label.to_owned(),
            };
            self.step(launches.last.clone(), output, &inputs, label);
        }
    }

    fn matmul(&mut self, id: NodeId, root: NodeId, transposed: [bool; 2]) -> Result<View> {
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
        let [a, b] = [
            self.at_start(node.inputs[0])?,
            self.at_start(node.inputs[1])?,
        ];
        [product.a, product.b] = [strides(0, &a), strides(1, &b)];
        product.y = [product.m * product.n, product.n, 1];
        let variant = self.choose(Contraction::MatMul(product));
        let orders = product.orders(variant);
        let wanted = |operand: usize, order: Option<[usize; 3]>| {
            let axes = |order: [usize; 3]| {
                order
                    .into_iter()
                    .filter_map(|axis| stored(operand, axis))
                    .collect()
            };
            (node.inputs[operand], order.map(axes))
        };
        let [a, b] = self.operands([wanted(0, orders.a), wanted(1, orders.b)])?;
        [product.a, product.b] = [strides(0, &a), strides(1, &b)];
        let output = self.output(shape, &row_major(rank));
        let (epilogue, extras, label) = self.epilogue(id, root)?;
        let extras = extras.iter().map(|extra| extra.value);
        let inputs: Vec<_> = [a.value, b.value].into_iter().chain(extras).collect();
        let launch = product.launch(variant, &epilogue);
        self.step(launch, output.value, &inputs, label);
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

/// Strides along four axes.
pub(super) fn four(strides: &[usize]) -> [usize; 4] {
    std::array::from_fn(|axis| strides[axis])
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
