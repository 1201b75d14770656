//! A program: a graph with the persistent tensors that it writes.

use std::collections::{BTreeMap, HashMap};

use super::{Graph, NodeId, Op, Role, Shape, StateId};
use crate::error::{Error, Result};
use crate::recording::{ALIGNMENT, Slice, Storage};

/// What one replay computes: values of nodes, written to persistent tensors
/// after every read of their old values.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The nodes that are computed.
    pub graph: Graph,
    /// Which node becomes the new value of which persistent tensor.
    pub assigns: Vec<(StateId, NodeId)>,
}

impl Program {
    /// Makes `node` the new value of `state`.
    ///
    /// # Errors
    /// Where shapes differ or `state` has a new value already.
    pub fn assign(&mut self, state: StateId, node: NodeId) -> Result<()> {
        let info = self.graph.state_info(state);
        if &info.shape != self.graph.shape(node) {
            return Err(Error::shape(
                "assign",
                format!(
                    "{} is {}, its new value {}",
                    info.name,
                    info.shape,
                    self.graph.shape(node)
                ),
            ));
        }
        if self.assigns.iter().any(|&(earlier, _)| earlier == state) {
            return Err(Error::shape(
                "assign",
                format!("{} is assigned twice", info.name),
            ));
        }
        self.assigns.push((state, node));
        Ok(())
    }

    /// The same program without nodes that nothing needs, with batch
    /// normalisation spelled out around its fused statistics and outer products as
    /// products of elements (so that both fuse with their neighbours), and gradient stops
    /// removed.
    pub(crate) fn simplified(&self) -> Result<Self> {
        let mut needed = vec![false; self.graph.nodes().len()];
        for &(_, node) in &self.assigns {
            needed[node.0] = true;
        }
        for index in (0..needed.len()).rev() {
            if needed[index] {
                for input in &self.graph.nodes()[index].inputs {
                    needed[input.0] = true;
                }
            }
        }
        let mut graph = self.graph.without_nodes();
        let mut moved: HashMap<NodeId, NodeId> = HashMap::new();
        // The factors of outer products.
        let mut outer: HashMap<NodeId, [NodeId; 2]> = HashMap::new();
        for (index, node) in self
            .graph
            .nodes()
            .iter()
            .enumerate()
            .filter(|(index, _)| needed[*index])
        {
            // Leaves are made without a check.
            node.shape.check("a tensor")?;
            let inputs: Vec<NodeId> = node.inputs.iter().map(|input| moved[input]).collect();
            let id = match (&node.op, &inputs[..]) {
                (Op::StopGradient, &[x]) => x,
                (Op::BatchNorm { eps }, &[x, gain, offset]) => {
                    let stats = graph.channel_stats(x)?;
                    graph.batch_norm_apply(x, stats, gain, offset, eps.0)?
                }
                (&Op::MatMul { transpose_a, .. }, &[a, b])
                    if is_outer(graph.shape(a), transpose_a) =>
                {
                    let factors = stretched(&mut graph, [a, b], &node.shape)?;
                    outer_product(&mut graph, &mut outer, factors)?
                }
                // Views of products are products of views.
                (Op::Reshape | Op::Permute(_), [x]) if outer.contains_key(x) => {
                    let view = |x| graph.insert(node.op.clone(), &[x], node.shape.clone());
                    let factors = outer[x].map(view);
                    outer_product(&mut graph, &mut outer, factors)?
                }
                _ => graph.insert(node.op.clone(), &inputs, node.shape.clone()),
            };
            moved.insert(NodeId(index), id);
        }
        let assigns = self
            .assigns
            .iter()
            .map(|&(state, node)| (state, moved[&node]))
            .collect();
        Ok(Self { graph, assigns })
    }
}

/// Whether a matrix product's left operand is one column.
fn is_outer(a: &Shape, is_transposed: bool) -> bool {
    let columns = a.rank() - if is_transposed { 2 } else { 1 };
    a[columns] == 1
}

/// A column and a row stretched to the `shape [.., M, N]` of their product; transposed or
/// not, they have the same elements.
fn stretched(graph: &mut Graph, factors: [NodeId; 2], shape: &Shape) -> Result<[NodeId; 2]> {
    let rank = shape.rank();
    let mut stretch = |x: NodeId, along: usize| {
        let mut one = shape.to_vec();
        one[along] = 1;
        let x = graph.reshape(x, one)?;
        graph.broadcast(x, shape.clone())
    };
    let [column, row] = factors;
    Ok([stretch(column, rank - 1)?, stretch(row, rank - 2)?])
}

fn outer_product(
    graph: &mut Graph,
    known: &mut HashMap<NodeId, [NodeId; 2]>,
    factors: [NodeId; 2],
) -> Result<NodeId> {
    let product = graph.mul(factors[0], factors[1])?;
    known.insert(product, factors);
    Ok(product)
}

/// Where persistent tensors lie. Tensors of a group lie one after another in
/// the group's arenas; groups of the same tensors (values, gradients, moments)
/// have the same offsets, so that one dispatch can update them together.
#[derive(Clone, Debug, Default)]
pub struct Places {
    arenas: Vec<Arena>,
    by_name: BTreeMap<String, (Shape, Slice)>,
    /// Names that stand for whole arenas.
    whole: Vec<String>,
}

/// What the tensors of a group are. Those that are named after a network have the
/// offsets of its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// What a network trains.
    Weights(String),
    /// What a network keeps beside, such as running statistics.
    Buffers(String),
    /// Gradients of a network's weights.
    Gradient(String),
    /// What an optimiser keeps for each weight, from 1.
    Moment(String, usize),
    /// Moving average of a network's weights.
    Average(String),
    /// Moving average of a network's buffers.
    AverageBuffers(String),
    /// What a run remembers beside its networks.
    Memory,
    /// What a batch holds.
    Field,
    /// Numbers that a step reports.
    Report,
    /// Inputs and outputs of a view.
    View(String),
    /// What is measured of a run's health.
    Probe,
    /// What measuring keeps between steps.
    Scratch(String),
    /// All tensors of this role, of a program on its own.
    Role(Role),
}

impl Group {
    /// Whether its tensors make up the state of a run, which checkpoints hold.
    pub fn is_state(&self) -> bool {
        match self {
            Self::Weights(_)
            | Self::Buffers(_)
            | Self::Moment(..)
            | Self::Average(_)
            | Self::AverageBuffers(_)
            | Self::Memory => true,
            Self::Gradient(_)
            | Self::Field
            | Self::Report
            | Self::View(_)
            | Self::Probe
            | Self::Scratch(_)
            | Self::Role(_) => false,
        }
    }

    /// Whether its tensors are those of a network, trained, kept or averaged, from
    /// which another run can start.
    pub fn is_network(&self) -> bool {
        self.is_state() && !matches!(self, Self::Moment(..) | Self::Memory)
    }
}

/// A stretch of persistent memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// The group it belongs to.
    pub group: Group,
    /// Size in elements.
    pub len: usize,
}

/// Longest arena of several tensors in elements: 128 MiB, the WebGPU default for
/// a storage binding. A longer tensor has an arena of its own, which the adapter
/// may refuse.
const LONGEST_ARENA: usize = (128 << 20) / 4;

impl Places {
    /// Places for all that a program on its own reads and writes: an arena for
    /// each role, as no kernel may read and write the same one.
    ///
    /// # Errors
    /// Where two tensors have one name.
    pub fn of(program: &Program) -> Result<Self> {
        let mut places = Self::default();
        for role in [Role::Parameter, Role::Buffer, Role::Input, Role::Output] {
            let states = program.graph.states().iter();
            let tensors: Vec<_> = states
                .filter(|state| state.role == role)
                .map(|state| (state.name.clone(), state.shape.clone()))
                .collect();
            places.add_group(Group::Role(role), &tensors)?;
        }
        Ok(places)
    }

    /// Adds a group of named tensors in this order. A tensor never spans two
    /// arenas.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn add_group(&mut self, group: Group, tensors: &[(String, Shape)]) -> Result<()> {
        let mut open = false;
        for (name, shape) in tensors {
            let len = shape.numel();
            let room = len.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
            if !open
                || self
                    .arenas
                    .last()
                    .is_some_and(|arena| arena.len + room > LONGEST_ARENA)
            {
                self.arenas.push(Arena {
                    group: group.clone(),
                    len: 0,
                });
                open = true;
            }
            let index = self.arenas.len() - 1;
            let arena = &mut self.arenas[index];
            let slice = Slice {
                storage: Storage::Arena(index),
                offset: arena.len,
                len,
            };
            arena.len += room;
            if self
                .by_name
                .insert(name.clone(), (shape.clone(), slice))
                .is_some()
            {
                return Err(Error::shape(
                    "add_group",
                    format!("a tensor named {name} exists already"),
                ));
            }
        }
        Ok(())
    }

    /// Names every whole arena of a group `<name>.<number>`, as a vector that a
    /// program can read, gaps between its tensors included. Returns the names.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn name_arenas(&mut self, group: &Group, name: &str) -> Result<Vec<(String, Shape)>> {
        let mut names = Vec::new();
        for (index, slice) in self.group(group).into_iter().enumerate() {
            let (name, shape) = (format!("{name}.{index}"), Shape::from([slice.len]));
            let taken = self.by_name.insert(name.clone(), (shape.clone(), slice));
            self.whole.push(name.clone());
            if taken.is_some() {
                return Err(Error::shape(
                    "name_arenas",
                    format!("a tensor named {name} exists already"),
                ));
            }
            names.push((name, shape));
        }
        Ok(names)
    }

    /// All arenas; `Storage::Arena` counts into this list.
    pub fn arenas(&self) -> &[Arena] {
        &self.arenas
    }

    /// The whole arenas of a group, in order.
    pub fn group(&self, group: &Group) -> Vec<Slice> {
        let whole = |(index, arena): (usize, &Arena)| Slice {
            storage: Storage::Arena(index),
            offset: 0,
            len: arena.len,
        };
        self.arenas
            .iter()
            .enumerate()
            .filter(|(_, arena)| arena.group == *group)
            .map(whole)
            .collect()
    }

    /// Shape and place of a tensor.
    pub fn get(&self, name: &str) -> Option<(&Shape, Slice)> {
        self.by_name.get(name).map(|(shape, slice)| (shape, *slice))
    }

    /// The group that a tensor belongs to; none of names of whole arenas.
    pub fn group_of(&self, name: &str) -> Option<&Group> {
        let (_, slice) = self.get(name)?;
        match slice.storage {
            Storage::Arena(index) if !self.whole.iter().any(|whole| whole == name) => {
                Some(&self.arenas[index].group)
            }
            _ => None,
        }
    }

    /// Names, shapes and places, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Shape, Slice)> {
        self.by_name
            .iter()
            .map(|(name, (shape, slice))| (name.as_str(), shape, *slice))
    }
}
