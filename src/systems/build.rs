//! What a pass or a view is built with.

use super::view::output_tensor;
use super::{Field, Network, System, average_of};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Program, Role, Shape, StateId};
use crate::nn::{Mode, Net, Statistics};

/// A pass or a view while it is built.
pub struct Build<'a> {
    /// The graph that the pass or view is built into.
    pub graph: Graph,
    /// Records of a batch.
    count: usize,
    fields: Vec<Field>,
    /// Before the names of fields and outputs.
    prefix: String,
    /// Whether running statistics follow the batch.
    follows: bool,
    system: &'a dyn System,
    nets: Vec<(&'static str, Net)>,
    /// Networks whose running statistics stay as they are.
    still: Vec<&'static str>,
    moves: Vec<Move>,
    reports: Vec<(&'static str, NodeId)>,
    remembered: Vec<(StateId, NodeId)>,
    outputs: Vec<(String, NodeId)>,
}

/// Which weights a view is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weights {
    /// Those that training moves.
    Raw,
    /// Their moving averages, where there are any.
    Averaged,
    /// As averaged, with statistics of the batch, which the running ones follow. With
    /// the others, a view changes nothing of a run, whatever it normalises with.
    Followed,
}

/// How weights are to move.
enum Move {
    /// Down the gradient of a loss.
    Minimise(NodeId, Vec<&'static str>),
    /// Against these, one for each trained tensor.
    Descend(&'static str, Vec<(StateId, NodeId)>),
}

/// A pass that is built.
pub(crate) struct Built {
    pub(crate) program: Program,
    /// The networks that are updated afterwards, in this order.
    pub(crate) updates: Vec<&'static str>,
}

impl<'a> Build<'a> {
    /// A pass of a training on batches of `count` records.
    pub fn pass(system: &'a dyn System, networks: &[Network], count: usize) -> Self {
        let nets = networks.iter().map(|network| {
            let name = network.name;
            let mode = match network.moves {
                Some(_) => Mode::TRAIN,
                None => Mode::EVAL,
            };
            (name, system.net(name, name, mode))
        });
        Self::new(
            system,
            nets.collect(),
            system.fields(),
            String::new(),
            count,
        )
    }

    /// A view of `count` records with these weights.
    pub fn view(
        system: &'a dyn System,
        networks: &[Network],
        (name, fields): (&str, Vec<Field>),
        weights: Weights,
        count: usize,
    ) -> Self {
        let mode = match weights {
            Weights::Raw | Weights::Averaged => Mode::EVAL,
            Weights::Followed => Mode {
                statistics: Statistics::Batch,
                ..Mode::EVAL
            },
        };
        let nets = networks.iter().map(|network| {
            let name = network.name;
            let prefix = match weights != Weights::Raw && network.average > 0.0 {
                true => average_of(name),
                false => name.to_owned(),
            };
            (name, system.net(name, &prefix, mode))
        });
        let mut view = Self::new(system, nets.collect(), fields, format!("{name}."), count);
        view.follows = weights == Weights::Followed;
        view
    }

    fn new(
        system: &'a dyn System,
        nets: Vec<(&'static str, Net)>,
        fields: Vec<Field>,
        prefix: String,
        count: usize,
    ) -> Self {
        Self {
            graph: Graph::new(),
            count,
            fields,
            prefix,
            follows: true,
            system,
            nets,
            still: Vec::new(),
            moves: Vec::new(),
            reports: Vec::new(),
            remembered: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Records of a batch.
    pub fn count(&self) -> usize {
        self.count
    }

    /// A field of the batch, or an input of the view.
    ///
    /// # Errors
    /// Where there is no such field.
    pub fn field(&mut self, name: &str) -> Result<NodeId> {
        let field = self.fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| missing("field", name))?;
        let shape = field.shape(self.count);
        self.graph.written(&format!("{}{name}", self.prefix), shape)
    }

    /// A network, and the graph that it is built into.
    ///
    /// # Errors
    /// Where there is no such network.
    pub fn net(&mut self, name: &str) -> Result<(&mut Graph, &mut Net)> {
        let found = self.nets.iter_mut().find(|(known, _)| *known == name);
        let (_, net) = found.ok_or_else(|| missing("network", name))?;
        Ok((&mut self.graph, net))
    }

    /// Leaves the running statistics of a network as they are in this pass.
    pub fn keep_still(&mut self, network: &'static str) {
        self.still.push(network);
    }

    /// A tensor of [`System::memory`] as it was before this pass.
    ///
    /// # Errors
    /// Where there is no such tensor.
    pub fn memory(&mut self, name: &str) -> Result<NodeId> {
        let id = self.kept(name)?;
        Ok(self.graph.state(id))
    }

    /// Keeps the new value of a tensor of [`System::memory`].
    ///
    /// # Errors
    /// Where there is no such tensor.
    pub fn remember(&mut self, name: &str, value: NodeId) -> Result<()> {
        let id = self.kept(name)?;
        self.remembered.push((id, value));
        Ok(())
    }

    fn kept(&mut self, name: &str) -> Result<StateId> {
        if let Some(id) = self.graph.find_state(name) {
            return Ok(id);
        }
        let memory = self.system.memory();
        let tensor = memory.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| missing("memory", name))?;
        self.graph
            .declare(tensor.name, tensor.shape.clone(), Role::Buffer)
    }

    /// Moves the weights of these networks down the gradient of a loss, a scalar.
    pub fn minimise(&mut self, loss: NodeId, networks: &[&'static str]) {
        self.moves.push(Move::Minimise(loss, networks.to_vec()));
    }

    /// Moves a network's weights as if these were their gradients.
    pub fn descend(&mut self, network: &'static str, directions: Vec<(StateId, NodeId)>) {
        self.moves.push(Move::Descend(network, directions));
    }

    /// Reports a number, a scalar.
    pub fn report(&mut self, name: &'static str, value: NodeId) {
        self.reports.push((name, value));
    }

    /// Gives an output of a view.
    pub fn output(&mut self, name: &str, value: NodeId) {
        self.outputs.push((name.to_owned(), value));
    }

    /// What was reported or given as an output under this name.
    pub fn result(&self, name: &str) -> Option<NodeId> {
        let reports = self.reports.iter().map(|(known, node)| (*known, node));
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(known, node)| (known.as_str(), node));
        let found = reports.chain(outputs).find(|(known, _)| *known == name);
        found.map(|(_, node)| *node)
    }

    /// The program that assigns gradients, reports, running statistics, memory and
    /// outputs.
    pub(crate) fn finish(self) -> Result<Built> {
        let Self {
            mut graph,
            nets,
            still,
            moves,
            reports,
            remembered,
            outputs,
            prefix,
            fields,
            follows,
            ..
        } = self;
        let mut assigns: Vec<(StateId, NodeId)> = Vec::new();
        let mut updates = Vec::new();
        for step in moves {
            match step {
                Move::Minimise(loss, networks) => {
                    let mut trained: Vec<(String, Shape, StateId)> = Vec::new();
                    for name in &networks {
                        let found = nets.iter().find(|(known, _)| known == name);
                        let (_, net) = found.ok_or_else(|| missing("network", name))?;
                        let tensors = net.trained();
                        trained
                            .extend(tensors.map(|(p, id)| (p.name.clone(), p.shape.clone(), id)));
                    }
                    let targets: Vec<NodeId> =
                        trained.iter().map(|&(_, _, id)| graph.state(id)).collect();
                    let gradients = graph.gradient(loss, &targets)?;
                    for ((name, shape, _), gradient) in trained.into_iter().zip(gradients) {
                        let name = format!("gradient.{name}");
                        assigns.push((graph.declare(name, shape, Role::Output)?, gradient));
                    }
                    updates.extend(networks);
                }
                Move::Descend(network, directions) => {
                    for (id, direction) in directions {
                        let tensor = graph.state_info(id);
                        let (name, shape) =
                            (format!("gradient.{}", tensor.name), tensor.shape.clone());
                        assigns.push((graph.declare(name, shape, Role::Output)?, direction));
                    }
                    updates.push(network);
                }
            }
        }
        for (name, node) in reports {
            let state = graph.declare(name, Shape::scalar(), Role::Output)?;
            assigns.push((state, node));
        }
        if follows {
            for (_, net) in nets.iter().filter(|(name, _)| !still.contains(name)) {
                assigns.extend_from_slice(net.running());
            }
        }
        assigns.extend(remembered);
        for (name, node) in outputs {
            let name = output_tensor(&prefix, &fields, &name);
            let shape = graph.shape(node).clone();
            assigns.push((graph.declare(name, shape, Role::Output)?, node));
        }
        let mut program = Program {
            graph,
            ..Program::default()
        };
        for (state, node) in assigns {
            program.assign(state, node)?;
        }
        Ok(Built { program, updates })
    }
}

fn missing(what: &'static str, name: &str) -> Error {
    Error::shape("system", format!("there is no {what} {name}"))
}
