//! The launches of everything but elementwise clusters, reductions and
//! contractions.

use super::emit::{four, in_axes};
use super::lower::Lowering;
use super::view::{ValueId, View, row_major};
use crate::error::{Error, Result};
use crate::graph::{NodeId, Op, PadMode, Window};
use crate::ops::Load;
use crate::ops::index::{Border, Indexed};
use crate::ops::map::Map;
use crate::ops::norm::{ChannelDot, ChannelStats, Channels};
use crate::ops::random::Random;
use crate::ops::reduce::Stages;
use crate::ops::window::{Pool, Pooling, Resize};

impl Lowering<'_> {
    pub(super) fn emit_other(&mut self, id: NodeId) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let shape = &node.shape;
        let plain = row_major(shape.rank());
        let label = format!("{} {shape}", node.op.name());
        match &node.op {
            Op::Iota(axis) => {
                let output = self.output(shape, &plain);
                self.map(&output, &[], format!("let result = f32(i{axis});"), &label);
                Ok(output)
            }
            &Op::Random {
                distribution,
                stream,
            } => {
                let output = self.output(shape, &plain);
                let random = Random {
                    distribution,
                    stream,
                    count: shape.numel(),
                };
                self.step::<ValueId>(random.launch(), output.value, &[], label);
                Ok(output)
            }
            Op::Concat(axis) => {
                let output = self.output(shape, &plain);
                let mut start = vec![0; shape.rank()];
                for &part in &node.inputs {
                    let view = self.view(part)?;
                    let room = View {
                        offset: 0,
                        ..output.clone()
                    }
                    .slice(&start, &view.shape);
                    self.store(&view, &room, &label);
                    start[*axis] += view.shape[*axis];
                }
                Ok(output)
            }
            Op::Pad { before, mode } => self.border(id, false, before, *mode),
            Op::PadFold { before, mode } => self.border(id, true, before, *mode),
            Op::Gather(axis) => self.indexed(id, false, *axis),
            Op::ScatterAdd(axis) => self.indexed(id, true, *axis),
            Op::SumPool(window) => self.pool(id, Pooling::SumPool, *window),
            Op::SumUnpool(window) => self.pool(id, Pooling::SumUnpool, *window),
            Op::MaxPoolIndex(window) => self.pool(id, Pooling::MaxPoolIndex, *window),
            Op::PoolGather(window) => self.pool(id, Pooling::PoolGather, *window),
            Op::PoolScatter(window) => self.pool(id, Pooling::PoolScatter, *window),
            Op::ResizeBilinear => self.resize(id, false),
            Op::ResizeBilinearAdjoint => self.resize(id, true),
            Op::ChannelStats => {
                let view = self.at_start(node.inputs[0])?;
                let (sizes, view) = self.channels(node.inputs[0], view)?;
                let stats = ChannelStats {
                    sizes,
                    x: three(&view),
                };
                self.staged(id, stats.stages(self.facts), &[view.value], &label)
            }
            Op::ChannelDot => {
                let x = self.at_start(node.inputs[1])?;
                let (sizes, x) = self.channels(node.inputs[1], x)?;
                let g = self.at_start(node.inputs[0])?;
                let (_, g) = self.channels(node.inputs[0], g)?;
                let stats = self.in_order(node.inputs[2], &row_major(2))?;
                let dot = ChannelDot {
                    sizes,
                    g: three(&g),
                    x: three(&x),
                };
                self.staged(
                    id,
                    dot.stages(self.facts),
                    &[g.value, x.value, stats.value],
                    &label,
                )
            }
            op => Err(Error::shape(
                "lower",
                format!("no kernel computes {}", op.name()),
            )),
        }
    }

    /// One or two launches that end in the value of `id`, row-major.
    pub(super) fn staged(
        &mut self,
        id: NodeId,
        stages: Stages,
        inputs: &[ValueId],
        label: &str,
    ) -> Result<View> {
        let shape = self.graph.shape(id);
        let output = self.output(shape, &row_major(shape.rank()));
        match stages {
            Stages::One(launch) => self.step(launch, output.value, inputs, label),
            Stages::Two {
                first,
                partial,
                second,
            } => {
                let between = self.value(partial);
                self.step(first, between, inputs, format!("{label} (parts)"));
                self.step(second, output.value, &[between], label);
            }
        }
        Ok(output)
    }

    /// Copies `from` into the part `room` of a larger tensor.
    fn store(&mut self, from: &View, room: &View, label: &str) {
        let axes = row_major(from.shape.rank());
        let map = Map::new(
            from.shape.to_vec(),
            vec![in_axes(from, &axes)],
            "let result = v0;",
        )
        .stored(in_axes(room, &axes));
        self.step(map, room.value, &[from.value], label);
    }

    /// `[N, C, H, W]` in the memory order of its input where that is dense.
    fn like(&mut self, id: NodeId, input: &View) -> View {
        let order = input
            .order()
            .unwrap_or_else(|| row_major(input.shape.rank()));
        let shape = self.graph.shape(id);
        self.output(shape, &order)
    }

    fn border(&mut self, id: NodeId, fold: bool, before: &[usize], mode: PadMode) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let input = self.view(node.inputs[0])?;
        let output = self.like(id, &input);
        let (inner, padded) = if fold {
            (&node.shape, &input.shape)
        } else {
            (&input.shape, &node.shape)
        };
        let border = Border {
            fold,
            mode,
            before: before.to_vec(),
            inner: inner.to_vec(),
            padded: padded.to_vec(),
            x: Load {
                strides: input.strides.clone(),
                offset: input.offset,
            },
            y: output.strides.clone(),
        };
        self.step(
            border.launch(),
            output.value,
            &[input.value],
            format!("{} {}", node.op.name(), node.shape),
        );
        Ok(output)
    }

    fn indexed(&mut self, id: NodeId, scatter: bool, axis: usize) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let (x, index) = (self.view(node.inputs[0])?, self.view(node.inputs[1])?);
        let output = self.output(&node.shape, &row_major(node.shape.rank()));
        let load = |view: &View| Load {
            strides: view.strides.clone(),
            offset: view.offset,
        };
        let indexed = Indexed {
            scatter,
            axis,
            shape: node.shape.to_vec(),
            size: if scatter {
                index.shape[axis]
            } else {
                x.shape[axis]
            },
            x: load(&x),
            index: load(&index),
            y: output.strides.clone(),
        };
        let label = format!("{} {}", node.op.name(), node.shape);
        let mut inputs = vec![x.value, index.value];
        let order = indexed.order(self.facts);
        if let Some(order) = &order {
            let mut sorted = Vec::new();
            for launch in order.launches() {
                let further = self.value(order.count());
                let mut read = vec![index.value];
                read.extend(sorted.pop());
                self.step(launch, further, &read, format!("{label} (order)"));
                sorted.push(further);
            }
            inputs.append(&mut sorted);
        }
        self.step(indexed.launch(order.as_ref()), output.value, &inputs, label);
        Ok(output)
    }

    fn pool(&mut self, id: NodeId, pooling: Pooling, window: Window) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let x = self.at_start(node.inputs[0])?;
        let index = match node.inputs.get(1) {
            Some(&index) => Some(self.at_start(index)?),
            None => None,
        };
        let output = self.like(id, &x);
        let pool = Pool {
            pooling,
            window,
            batch: node.shape[0],
            channels: node.shape[1],
            x: four(&x.strides),
            index: index.as_ref().map_or([0; 4], |index| four(&index.strides)),
            y: four(&output.strides),
        };
        let mut inputs = vec![x.value];
        inputs.extend(index.map(|index| index.value));
        self.step(
            pool.launch(),
            output.value,
            &inputs,
            format!("{} {}", node.op.name(), node.shape),
        );
        Ok(output)
    }

    fn resize(&mut self, id: NodeId, adjoint: bool) -> Result<View> {
        let graph = self.graph;
        let node = graph.node(id);
        let x = self.at_start(node.inputs[0])?;
        let output = self.like(id, &x);
        let size = |view: &View| [view.shape[2], view.shape[3]];
        let (image, resized) = if adjoint {
            (size(&output), size(&x))
        } else {
            (size(&x), size(&output))
        };
        let resize = Resize {
            adjoint,
            batch: node.shape[0],
            channels: node.shape[1],
            image,
            resized,
            x: four(&x.strides),
            y: four(&output.strides),
        };
        self.step(
            resize.launch(),
            output.value,
            &[x.value],
            format!("{} {}", node.op.name(), node.shape),
        );
        Ok(output)
    }

    /// A tensor as `[batch, channels, pixels]`, a copy where its memory order
    /// does not allow that.
    fn channels(&mut self, id: NodeId, view: View) -> Result<(Channels, View)> {
        let shape = self.graph.shape(id);
        let (batch, channels) = (shape[0], shape[1]);
        let flat = [batch, channels, shape.numel() / (batch * channels)].into();
        let flat = match view.reshape(&flat) {
            Some(flat) => flat,
            None => View::whole(
                self.in_order(id, &row_major(shape.rank()))?.value,
                &flat,
                &row_major(3),
            ),
        };
        Ok((
            Channels {
                batch,
                channels,
                pixels: flat.shape[2],
            },
            flat,
        ))
    }
}

fn three(view: &View) -> [usize; 3] {
    std::array::from_fn(|axis| view.strides[axis])
}
