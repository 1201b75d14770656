//! From nodes to kernel launches: every node that needs memory becomes one
//! launch on values; what lies where is decided afterwards (`plan`).

use std::collections::HashMap;

use super::fuse::{Fate, Fusion};
use super::together::{Launched, together};
use super::view::{ValueId, View, merged_axes, order_of_copies, row_major};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Op, Shape, StateId};
use crate::graph::{Places, Program};
use crate::ops::map::Map;
use crate::ops::{Contraction, Facts, Launch, Variant};
use crate::recording::{Kernel, Slice, Storage};

/// Memory that launches read and write.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Size in elements.
    pub(super) len: usize,
    /// Fixed place; otherwise the plan finds one.
    pub(super) place: Option<Slice>,
}

/// What a step runs.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Launch(Launch),
    /// May share a launch with others.
    Map(Map),
}

impl From<Launch> for Work {
    fn from(launch: Launch) -> Self {
        Self::Launch(launch)
    }
}

impl From<Map> for Work {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

/// An element of a value, a multiple of [`crate::recording::ALIGNMENT`], that a binding
/// begins with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Start {
    pub(super) value: ValueId,
    pub(super) element: usize,
}

impl From<ValueId> for Start {
    fn from(value: ValueId) -> Self {
        Self { value, element: 0 }
    }
}

/// A kernel on values, or on parts of them; the first is written.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) bound: Vec<Start>,
    pub(super) label: String,
}

impl Step {
    pub(super) fn written(&self) -> ValueId {
        self.bound[0].value
    }

    pub(super) fn read(&self) -> impl Iterator<Item = ValueId> {
        self.bound[1..].iter().map(|start| start.value)
    }

    fn touches(&self, value: ValueId) -> bool {
        self.bound.iter().any(|start| start.value == value)
    }
}

/// A program as launches on values.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) values: Vec<Value>,
    pub(super) launches: Vec<Launched>,
    /// Copies behind all launches: value to persistent tensor.
    pub(super) copies: Vec<(ValueId, Slice)>,
    /// For which a variant was chosen.
    pub(super) contractions: Vec<Contraction>,
}

/// Lowers a simplified program.
pub(super) fn lower(program: &Program, places: &Places, facts: &Facts) -> Result<Lowered> {
    let roots: Vec<NodeId> = program.assigns.iter().map(|&(_, node)| node).collect();
    let fusion = Fusion::of(&program.graph, &roots);
    let mut lowering = Lowering {
        graph: &program.graph,
        fusion: &fusion,
        places,
        facts,
        values: Vec::new(),
        steps: Vec::new(),
        views: HashMap::new(),
        copies_in_order: HashMap::new(),
        made: HashMap::new(),
        contractions: Vec::new(),
    };
    for index in 0..program.graph.nodes().len() {
        let id = NodeId(index);
        if fusion.fate(id) == Fate::Memory {
            lowering.emit(id)?;
        }
    }
    let copies = lowering.assign(&program.assigns)?;
    Ok(Lowered {
        launches: together(lowering.steps, &lowering.values),
        values: lowering.values,
        copies,
        contractions: lowering.contractions,
    })
}

/// After how many launches planes are not waited for any more but made again. Fewer lie
/// between a layer on real images and on generated ones, and between a layer on
/// generated images and its gradients. Were they kept for good, `dcgan32` would take 1.17
/// times the memory and 3 % less time.
const MADE_AGAIN: usize = 40;

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) fusion: &'a Fusion,
    places: &'a Places,
    pub(super) facts: &'a Facts,
    values: Vec<Value>,
    steps: Vec<Step>,
    views: HashMap<NodeId, View>,
    /// Copies of views in another memory order, made once.
    copies_in_order: HashMap<(NodeId, Vec<usize>), View>,
    /// What kernels made of values for contractions.
    made: HashMap<(Start, Kernel), ValueId>,
    contractions: Vec<Contraction>,
}

impl Lowering<'_> {
    /// A new value of `len` elements.
    pub(super) fn value(&mut self, len: usize) -> ValueId {
        self.values.push(Value { len, place: None });
        ValueId(self.values.len() - 1)
    }

    /// A new value that holds `shape` in memory `order`.
    pub(super) fn output(&mut self, shape: &Shape, order: &[usize]) -> View {
        let value = self.value(shape.numel());
        View::whole(value, shape, order)
    }

    /// Adds a kernel that writes `output` and reads `inputs`.
    pub(super) fn step<I: Copy + Into<Start>>(
        &mut self,
        work: impl Into<Work>,
        output: impl Into<Start>,
        inputs: &[I],
        label: impl Into<String>,
    ) {
        let inputs = inputs.iter().map(|&input| input.into());
        self.steps.push(Step {
            work: work.into(),
            bound: std::iter::once(output.into()).chain(inputs).collect(),
            label: label.into(),
        });
    }

    /// The variant for a contraction, which is noted.
    pub(super) fn choose(&mut self, contraction: Contraction) -> Variant {
        if !self
            .contractions
            .iter()
            .any(|known| known.is_like(&contraction))
        {
            self.contractions.push(contraction);
        }
        contraction.choose(self.facts)
    }

    /// The order in which the only user of a node takes its axes, if that permutes them.
    pub(super) fn order_of_user(&self, id: NodeId) -> Option<Vec<usize>> {
        let nodes = self.graph.nodes().iter();
        let mut users = nodes.filter(|node| node.inputs.contains(&id));
        match (users.next().map(|user| &user.op), users.next()) {
            (Some(Op::Permute(order)), None) => Some(order.clone()),
            _ => None,
        }
    }

    /// Remembers where a node's elements lie.
    pub(super) fn bind(&mut self, id: NodeId, view: View) {
        self.views.insert(id, view);
    }

    fn place_of(&self, state: StateId) -> Result<Slice> {
        let info = self.graph.state_info(state);
        match self.places.get(&info.name) {
            Some((shape, slice)) if shape == &info.shape => Ok(slice),
            Some((shape, _)) => Err(Error::shape(
                "lower",
                format!(
                    "{} is {} in the graph and {shape} in memory",
                    info.name, info.shape
                ),
            )),
            None => Err(Error::shape(
                "lower",
                format!("{} has no place in memory", info.name),
            )),
        }
    }

    /// The value of a persistent tensor, the same at every read.
    fn state_value(&mut self, state: StateId) -> Result<ValueId> {
        let place = self.place_of(state)?;
        if let Some(index) = self
            .values
            .iter()
            .position(|value| value.place == Some(place))
        {
            return Ok(ValueId(index));
        }
        self.values.push(Value {
            len: place.len,
            place: Some(place),
        });
        Ok(ValueId(self.values.len() - 1))
    }

    /// Where a node's elements lie, computing copies where a reshape needs one.
    pub(super) fn view(&mut self, id: NodeId) -> Result<View> {
        self.view_in(id, None)
    }

    /// As [`Lowering::view`]; a copy lies in `order` if it can.
    fn view_in(&mut self, id: NodeId, order: Option<&[usize]>) -> Result<View> {
        if let Some(view) = self.views.get(&id) {
            return Ok(view.clone());
        }
        let graph = self.graph;
        let node = graph.node(id);
        let view = match &node.op {
            Op::State(state) => {
                let value = self.state_value(*state)?;
                View::whole(value, &node.shape, &row_major(node.shape.rank()))
            }
            Op::Constant(number) => {
                let view = self.output(&node.shape, &row_major(node.shape.rank()));
                let body = format!("let result = {};", crate::ops::scalar::literal(number.0));
                self.map(&view, &[], body, "Constant");
                view
            }
            Op::Broadcast => self.view(node.inputs[0])?.broadcast(&node.shape),
            Op::Permute(order) => self.view(node.inputs[0])?.permute(order, &node.shape),
            Op::Slice { start } => self.view(node.inputs[0])?.slice(start, &node.shape),
            Op::Reshape => {
                let source = self.view(node.inputs[0])?;
                match (source.reshape(&node.shape), order) {
                    (Some(view), _) => view,
                    (None, Some(order)) => self.copy_reshaped(node, order)?,
                    (None, None) => self.copy_reshaped(node, &order_of_copies(&node.shape))?,
                }
            }
            _ => {
                return Err(Error::shape(
                    "lower",
                    format!("{} is used before it is computed", node.op.name()),
                ));
            }
        };
        self.views.insert(id, view.clone());
        Ok(view)
    }

    /// The elements of a reshape that strides cannot express, copied in `order` where its
    /// axes are axes of its input, or such axes merged.
    fn copy_reshaped(&mut self, node: &Node, order: &[usize]) -> Result<View> {
        let input = node.inputs[0];
        let from = self.graph.shape(input);
        let row_major_of = |shape: &Shape| row_major(shape.rank());
        let (copied, order) = match merged_axes(from, &node.shape) {
            Some(axes) => {
                let copied = order.iter().flat_map(|&axis| axes[axis].clone());
                (copied.collect(), order.to_vec())
            }
            None => (row_major_of(from), row_major_of(&node.shape)),
        };
        let copy = self.in_order(input, &copied)?;
        Ok(View::whole(copy.value, &node.shape, &order))
    }

    /// A view of the node that lies densely in `order` from the start of its
    /// memory; a copy where it does not.
    pub(super) fn in_order(&mut self, id: NodeId, order: &[usize]) -> Result<View> {
        let view = self.view_in(id, Some(order))?;
        if view.offset == 0
            && view.lies_in(order)
            && self.values[view.value.0].len == view.shape.numel()
        {
            return Ok(view);
        }
        let key = (id, order.to_vec());
        if let Some(copy) = self.copies_in_order.get(&key) {
            return Ok(copy.clone());
        }
        let copy = self.output(&view.shape, order);
        self.map(
            &copy,
            &[view],
            "let result = v0;".to_owned(),
            &format!("copy {:?} in order {order:?}", copy.shape),
        );
        self.copies_in_order.insert(key, copy.clone());
        Ok(copy)
    }

    /// Lets the map that made a node write it in another order at once, if nothing has
    /// read it yet. Only what is row-major moves, so that a map moves once. No view of it
    /// may be at hand.
    fn move_map(&mut self, id: NodeId, order: &[usize]) -> Result<()> {
        let view = self.view(id)?;
        let is_whole = self.values[view.value.0].len == view.shape.numel();
        let is_row_major = view.lies_in(&row_major(view.shape.rank()));
        let views = self.views.values().chain(self.copies_in_order.values());
        let is_known_once = views.filter(|known| known.value == view.value).count() == 1;
        let steps = self.steps.iter_mut();
        let mut users = steps.filter(|step| step.touches(view.value));
        let (Some(step), None) = (users.next(), users.next()) else {
            return Ok(());
        };
        let is_made = step.written() == view.value;
        if let Work::Map(map) = &step.work
            && is_made
            && is_whole
            && is_row_major
            && is_known_once
            && let Some(map) = map.reordered(&view.shape, order)
        {
            step.work = map.into();
            self.views
                .insert(id, View::whole(view.value, &view.shape, order));
        }
        Ok(())
    }

    /// Where the operands of a contraction lie, each in the order it is wanted in, if
    /// any. To be asked before what else is read: a map may move.
    pub(super) fn operands(
        &mut self,
        wanted: [(NodeId, Option<Vec<usize>>); 2],
    ) -> Result<[View; 2]> {
        let [(a, a_order), (b, b_order)] = wanted;
        let mut place = |id: NodeId, order: Option<Vec<usize>>| match order {
            Some(order) => {
                if a != b {
                    self.move_map(id, &order)?;
                }
                self.in_order(id, &order)
            }
            None => self.at_start(id),
        };
        Ok([place(a, a_order)?, place(b, b_order)?])
    }

    /// What a launch makes of an operand of a contraction, made again where the last use
    /// is [`MADE_AGAIN`] launches ago.
    pub(super) fn made_of(&mut self, operand: Start, launch: Launch, len: usize) -> ValueId {
        let key = (operand, launch.kernel.clone());
        if let Some(&made) = self.made.get(&key)
            && self.steps[self.steps.len().saturating_sub(MADE_AGAIN)..]
                .iter()
                .any(|step| step.touches(made))
        {
            return made;
        }
        let made = self.value(len);
        let label = format!("planes of {}", launch.kernel.variant);
        self.step(launch, made, &[operand], label);
        self.made.insert(key, made);
        made
    }

    /// A view of the node that starts at the start of its memory, with any
    /// strides.
    pub(super) fn at_start(&mut self, id: NodeId) -> Result<View> {
        let view = self.view(id)?;
        if view.offset == 0 {
            return Ok(view);
        }
        self.in_order(id, &row_major(view.shape.rank()))
    }

    /// Makes nodes the new values of persistent tensors: in place where nothing
    /// reads any of the old value or its neighbours meanwhile, by a copy behind
    /// all steps otherwise.
    fn assign(&mut self, assigns: &[(StateId, NodeId)]) -> Result<Vec<(ValueId, Slice)>> {
        // Only when every source has a value of its own is it known what is read.
        let mut sources: Vec<(ValueId, Slice)> = Vec::with_capacity(assigns.len());
        for &(state, node) in assigns {
            let rank = self.graph.shape(node).rank();
            let mut view = self.in_order(node, &row_major(rank))?;
            let is_state = self.values[view.value.0].place.is_some();
            if is_state || sources.iter().any(|&(taken, _)| taken == view.value) {
                let copy = self.output(&view.shape, &row_major(rank));
                self.map(&copy, &[view], "let result = v0;".to_owned(), "copy");
                view = copy;
            }
            sources.push((view.value, self.place_of(state)?));
        }
        let read: Vec<Slice> = self.values.iter().filter_map(|value| value.place).collect();
        let mut copies = Vec::new();
        for (value, place) in sources {
            let old_is_read = read.iter().any(|slice| slice.overlaps(&place));
            if old_is_read || self.meets(value, place.storage) {
                copies.push((value, place));
            } else {
                self.values[value.0].place = Some(place);
            }
        }
        Ok(copies)
    }

    /// Whether a launch would read and write `storage`, which wgpu refuses for
    /// any parts of one buffer, if `value` lay there.
    fn meets(&self, value: ValueId, storage: Storage) -> bool {
        let lies_there = |other: ValueId| {
            self.values[other.0]
                .place
                .is_some_and(|place| place.storage == storage)
        };
        self.steps.iter().any(|step| {
            let writes = step.written() == value && step.read().any(lies_there);
            let reads = step.read().any(|read| read == value) && lies_there(step.written());
            writes || reads
        })
    }
}
