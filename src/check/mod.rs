//! Whether an adapter computes what it should: one list of cases, each with
//! its gradients and the gradients of those, compared with the f64 loops of
//! `reference`. Tests, `gpugan check` and the benchmarks share the list.

mod cases;
mod report;
mod run;

use std::collections::HashMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::graph::{Class, Graph, NodeId, Op, Program, Role, Shape, StateId};
use crate::ops::Rung;
use crate::random;
use crate::reference::{self, Tensor};

pub use cases::{Size, cases, cases_at, shapes};
pub use report::run;
pub use run::{Comparison, run_case};

/// Largest relative error of a tensor that is right.
pub const TOLERANCE: f64 = 1e-4;

/// Seed and counter of random numbers in cases.
pub const STEP: (u32, u32) = (0x5eed, 7);

/// What a case is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Family {
    /// Functions of single elements.
    Elementwise,
    /// Broadcast, reshape, permute, pad, slice, concat, gather, scatter.
    Movement,
    /// Sums, maxima and their places.
    Reduction,
    /// `MatMul` with either operand transposed, batched or not.
    MatMul,
    /// Convolutions and their adjoints.
    Convolution,
    /// Pooling and resizing.
    Window,
    /// Channel statistics and batch normalisation.
    Normalization,
    /// `Random`, which must match the Rust twin bit for bit.
    Random,
    /// Several primitives in one kernel, and memory orders that meet.
    Fusion,
}

impl Family {
    /// Every family once, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Elementwise,
        Self::Movement,
        Self::Reduction,
        Self::MatMul,
        Self::Convolution,
        Self::Window,
        Self::Normalization,
        Self::Random,
        Self::Fusion,
    ];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// What an operand of a case is filled with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Values {
    /// Drawn from N(0, 1).
    Normal,
    /// Uniform in this range.
    Uniform(f32, f32),
    /// Magnitude uniform in [margin, 1 + margin], either sign: away from the
    /// kink at 0.
    Away(f32),
    /// Multiples of 1/16 around 0, all different, in random order, so that the
    /// largest stands out.
    Distinct,
    /// Whole numbers from 0 to below this one; no gradient is taken.
    Index(usize),
}

/// An operand of a case.
#[derive(Clone, PartialEq, Debug)]
pub struct Operand {
    /// Shape of the operand.
    pub shape: Shape,
    /// What it is filled with.
    pub values: Values,
}

/// A tensor of these values; `stream` tells operands apart. All are exact f32.
fn fill(shape: &Shape, values: Values, stream: u32) -> Tensor {
    let (seed, counter) = STEP;
    let uniform = |element, part| random::uniform(element, stream, counter + part, seed);
    let count = shape.numel();
    let data = match values {
        Values::Distinct => {
            let mut order: Vec<u32> = (0..count as u32).collect();
            order.sort_by_key(|&element| random::bits(element, stream, counter, seed));
            let middle = (count / 2) as f64;
            order
                .iter()
                .map(|&place| (f64::from(place) - middle) / 16.0)
                .collect()
        }
        _ => (0..count as u32)
            .map(|element| {
                let u = uniform(element, 0);
                let value = match values {
                    Values::Uniform(low, high) => low + (high - low) * u,
                    Values::Away(margin) if uniform(element, 1) < 0.5 => -(margin + u),
                    Values::Away(margin) => margin + u,
                    Values::Index(below) => (u * below as f32).floor(),
                    Values::Normal | Values::Distinct => {
                        random::normal(element, stream, counter, seed) as f32
                    }
                };
                f64::from(value)
            })
            .collect(),
    };
    Tensor {
        shape: shape.clone(),
        data,
    }
}

type Build = Box<dyn Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync>;

/// A function of some operands that is checked with its first and second
/// gradients.
pub struct Case {
    /// What it is about.
    pub family: Family,
    /// Name that no other case has; `--filter` looks for parts of it.
    pub name: String,
    /// Inputs of the operation, in its order.
    pub operands: Vec<Operand>,
    /// Largest relative error that is right; 0 where bits must agree.
    pub tolerance: f64,
    /// Variants of its contractions besides the one that suits the adapter.
    others: Vec<Rung>,
    build: Build,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family, self.name)
    }
}

impl Case {
    /// A case without operands; `build` makes its result from the nodes of the
    /// operands that follow.
    pub fn new(
        family: Family,
        name: impl Into<String>,
        build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
    ) -> Self {
        Self {
            family,
            name: name.into(),
            operands: Vec::new(),
            tolerance: TOLERANCE,
            others: Vec::new(),
            build: Box::new(build),
        }
    }

    /// Adds an operand.
    pub fn with(mut self, shape: impl Into<Shape>, values: Values) -> Self {
        self.operands.push(Operand {
            shape: shape.into(),
            values,
        });
        self
    }

    /// Adds an operand of normal values.
    pub fn normal(self, shape: impl Into<Shape>) -> Self {
        self.with(shape, Values::Normal)
    }

    /// The result must have the very bits of the reference.
    pub fn exact(mut self) -> Self {
        self.tolerance = 0.0;
        self
    }

    /// Contractions run on this variant, too. Drivers take long to compile them,
    /// so every case says which ones it is about.
    pub fn also_on(mut self, rung: Rung) -> Self {
        self.others.push(rung);
        self
    }

    /// On which variants of contractions the case runs: the one that suits the
    /// adapter, and those of [`Case::also_on`] where it contracts anything.
    ///
    /// # Errors
    /// As [`Case::derive`].
    pub fn rungs(&self) -> Result<Vec<Rung>> {
        let mut rungs = vec![Rung::Best];
        if !self.others.is_empty() && self.derive()?.contracts() {
            rungs.extend(&self.others);
        }
        Ok(rungs)
    }

    /// The graph of the result `y`, of its gradients with a random cotangent,
    /// and of the gradients of those with random cotangents of their own.
    ///
    /// # Errors
    /// Where shapes do not fit or a gradient rule is missing.
    pub fn derive(&self) -> Result<Derived> {
        let mut graph = Graph::new();
        let mut inputs = Vec::new();
        let mut declare = |graph: &mut Graph, name: String, shape: &Shape, values| {
            let stream = inputs.len() as u32;
            let id = graph.declare(name, shape.clone(), Role::Input)?;
            inputs.push((id, fill(shape, values, stream)));
            Ok::<_, Error>(graph.state(id))
        };
        let mut operands = Vec::new();
        let mut targets = Vec::new();
        for (index, operand) in self.operands.iter().enumerate() {
            let name = format!("x{index}");
            let node = declare(&mut graph, name.clone(), &operand.shape, operand.values)?;
            operands.push(node);
            if !matches!(operand.values, Values::Index(_)) {
                targets.push((name, node));
            }
        }
        let y = (self.build)(&mut graph, &operands)?;
        let mut derived = Derived {
            result: y,
            first: Vec::new(),
            second: Vec::new(),
            cotangents: Vec::new(),
            inputs: Vec::new(),
            graph: Graph::new(),
        };
        if !targets.is_empty() {
            let shape = graph.shape(y).clone();
            let r = declare(&mut graph, "r".to_owned(), &shape, Values::Normal)?;
            let nodes: Vec<NodeId> = targets.iter().map(|&(_, node)| node).collect();
            let first = graph.vector_jacobian(&[(y, r)], &nodes)?;
            derived.cotangents.push(r);
            let mut roots = Vec::new();
            for ((name, _), &gradient) in targets.iter().zip(&first) {
                let shape = graph.shape(gradient).clone();
                let direction = declare(&mut graph, format!("d{name}"), &shape, Values::Normal)?;
                derived.cotangents.push(direction);
                roots.push((gradient, direction));
            }
            derived.first = pair(&targets, first);
            targets.push(("r".to_owned(), r));
            let nodes: Vec<NodeId> = targets.iter().map(|&(_, node)| node).collect();
            let second = graph.vector_jacobian(&roots, &nodes)?;
            derived.second = pair(&targets, second);
        }
        derived.graph = graph;
        derived.inputs = inputs;
        Ok(derived)
    }
}

fn pair(targets: &[(String, NodeId)], gradients: Vec<NodeId>) -> Vec<Gradient> {
    targets
        .iter()
        .zip(gradients)
        .map(|((name, target), node)| Gradient {
            of: name.clone(),
            target: *target,
            node,
        })
        .collect()
}

/// A gradient of a case.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Name of the tensor it is taken with respect to.
    pub of: String,
    /// The tensor that the gradient is of.
    pub target: NodeId,
    /// The gradient of the sum of all outputs with respect to `target`.
    pub node: NodeId,
}

/// A case with its gradients as a graph, and the values of its inputs.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The operation, and its first and second gradients.
    pub graph: Graph,
    /// Values of all inputs.
    pub inputs: Vec<(StateId, Tensor)>,
    /// The case's result y.
    pub result: NodeId,
    /// Gradients of `sum r y` with respect to the operands.
    pub first: Vec<Gradient>,
    /// Gradients of `sum of dx . first` with respect to the operands and r.
    pub second: Vec<Gradient>,
    /// The random cotangents: r, then one for each first gradient.
    pub cotangents: Vec<NodeId>,
}

impl Derived {
    /// All results with their names: `y`, the first gradients, the second.
    pub fn results(&self) -> Vec<(String, NodeId)> {
        let first = self.first.iter().map(|g| (format!("dy/d{}", g.of), g.node));
        let second = self
            .second
            .iter()
            .map(|g| (format!("d2y/d{}", g.of), g.node));
        std::iter::once(("y".to_owned(), self.result))
            .chain(first)
            .chain(second)
            .collect()
    }

    /// Whether a matrix product or convolution is among the nodes, so that
    /// [`Rung`] matters.
    pub fn contracts(&self) -> bool {
        let mut nodes = self.graph.nodes().iter();
        nodes.any(|node| node.op.class() == Class::Contraction)
    }

    /// The inputs as `reference::evaluate` takes them.
    pub fn states(&self) -> HashMap<StateId, Tensor> {
        self.inputs.iter().cloned().collect()
    }

    /// The results by the f64 loops.
    ///
    /// # Errors
    /// Where an index lies outside its axis.
    pub fn reference(&self) -> Result<Vec<Tensor>> {
        let roots: Vec<NodeId> = self.results().iter().map(|&(_, node)| node).collect();
        let (seed, counter) = STEP;
        reference::evaluate(&self.graph, &roots, &self.states(), seed, counter)
    }

    /// A program that writes the results, each to a tensor of its name, with
    /// these names and shapes. Gradients that are constants are left out.
    ///
    /// # Errors
    /// None for derived cases.
    pub fn program(&self) -> Result<(Program, Vec<(String, Shape)>)> {
        let mut program = Program {
            graph: self.graph.clone(),
            assigns: Vec::new(),
        };
        let mut outputs = Vec::new();
        for (name, node) in self.results() {
            let constant = matches!(self.graph.node(node).op, Op::Constant(_));
            if constant && node != self.result {
                continue;
            }
            let shape = self.graph.shape(node).clone();
            let state = program
                .graph
                .declare(name.clone(), shape.clone(), Role::Output)?;
            program.assign(state, node)?;
            outputs.push((name, shape));
        }
        Ok((program, outputs))
    }
}
