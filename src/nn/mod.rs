//! Layers as functions from nodes to nodes. A [`Net`] hands out named
//! parameters while a network is built, so a model is a plain function, and
//! building it once tells what it needs.
//!
//! Names and layouts are PyTorch's, so checkpoints feed an equivalent
//! `torch.nn` module: Linear `[out, in]`, Conv2d `[out, in, KH, KW]`,
//! ConvTranspose2d `[in, out, KH, KW]`, BatchNorm `weight`, `bias`,
//! `running_mean`, `running_var`.

mod bernoulli;
mod condition;
mod cross_entropy;
mod distances;
mod gaussian;
mod init;
mod layers;
mod minibatch;
mod norm;
mod pixels;
mod resampled;
mod spectral;

pub use bernoulli::bernoulli;
pub use condition::one_hot;
pub use cross_entropy::{accuracy, cross_entropy};
pub use distances::{mean_absolute, mean_square};
pub use gaussian::gaussian;
pub use init::Init;
pub(crate) use layers::MASK;
pub use layers::{flatten, leaky_relu, maxout};
pub use minibatch::minibatch_std;
pub use norm::{BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, instance_norm};
pub use pixels::{pixel_shuffle, pixel_unshuffle, reflection_pad, resize_bicubic, total_variation};
pub use resampled::Resampling;

use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Role, Shape, StateId};

/// A tensor that a network keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Full name, such as `G.main.0.weight`.
    pub name: String,
    /// Shape in PyTorch's layout.
    pub shape: Shape,
    /// How it starts.
    pub init: Init,
    /// Trained, or only kept (running statistics).
    pub role: Role,
}

impl Parameter {
    /// Whether it is trained, not only kept.
    pub fn is_trained(&self) -> bool {
        self.role == Role::Parameter
    }
}

/// Where batch normalisation takes its statistics from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistics {
    /// The batch; running statistics follow.
    Batch,
    /// What was kept of earlier batches.
    Running,
}

/// How layers behave that are not the same in training and in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// Of batch normalisation; those of the batch also mean that spectral
    /// normalisation follows the weights.
    pub statistics: Statistics,
    /// Whether dropout drops.
    pub dropout: bool,
}

impl Mode {
    /// Statistics of the batch, dropout on.
    pub const TRAIN: Self = Self {
        statistics: Statistics::Batch,
        dropout: true,
    };
    /// Running statistics, dropout off.
    pub const EVAL: Self = Self {
        statistics: Statistics::Running,
        dropout: false,
    };
}

/// One network while it is built into a graph. Building it several times into
/// one graph (on real and on fake images) shares its parameters.
#[derive(Clone, Debug)]
pub struct Net {
    prefix: String,
    mode: Mode,
    spectral: bool,
    /// Layers from the first on whose tensors are not trained.
    frozen: usize,
    /// Layers so far: weights of more than one axis.
    layers: usize,
    parameters: Vec<(Parameter, StateId)>,
    /// Latest value of each running statistic in this graph.
    running: Vec<(StateId, NodeId)>,
    /// What stands for parameters instead of their states.
    moved: Vec<(StateId, NodeId)>,
}

/// Geometry of a square convolution, `kernel` by `kernel`, the same pad on all
/// sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Square {
    /// Rows and columns of the window.
    pub kernel: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros on each side of the image.
    pub pad: usize,
}

/// How the tensors of a layer start.
#[derive(Clone, Debug, PartialEq)]
pub struct Inits {
    /// Of the weight.
    pub weight: Init,
    /// Of the bias, if there is one.
    pub bias: Option<Init>,
}

impl Inits {
    /// A weight without a bias.
    pub fn weight(weight: Init) -> Self {
        Self { weight, bias: None }
    }

    /// Weights and bias of a layer of so many inputs as `torch.nn.Linear` starts them:
    /// uniform, at most `1 / sqrt(inputs)` from 0.
    pub fn linear(inputs: usize) -> Self {
        let uniform = Init::Uniform((inputs as f32).sqrt().recip());
        Self {
            weight: uniform.clone(),
            bias: Some(uniform),
        }
    }

    /// A bias that starts at 0.
    pub fn zero_bias(weight: Init) -> Self {
        Self {
            weight,
            bias: Some(Init::Constant(0.0)),
        }
    }
}

impl Net {
    /// A network whose tensors are named `<prefix>.<layer>.<tensor>`.
    pub fn new(prefix: impl Into<String>, mode: Mode) -> Self {
        Self {
            prefix: prefix.into(),
            mode,
            spectral: false,
            frozen: 0,
            layers: 0,
            parameters: Vec::new(),
            running: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Divides every weight by its largest singular value from here on (Miyato
    /// et al. 2018, algorithm 1), under the names of PyTorch's
    /// `nn.utils.spectral_norm`: `weight_orig`, `weight_u`, `weight_v`.
    #[must_use]
    pub fn spectral(mut self, on: bool) -> Self {
        self.spectral = on;
        self
    }

    /// Keeps the tensors of the first `layers` layers as they start, biases and
    /// normalisations behind them included (Mo et al. 2020).
    #[must_use]
    pub fn frozen(mut self, layers: usize) -> Self {
        self.frozen = layers;
        self
    }

    /// Puts other nodes in the place of trained parameters, for what is built
    /// from here on.
    pub fn replace(&mut self, parameters: Vec<(StateId, NodeId)>) {
        self.moved = parameters;
    }

    /// All tensors seen so far, in the order of their first use.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().map(|(parameter, _)| parameter)
    }

    /// The trained ones, with their ids in the graph.
    pub fn trained(&self) -> impl Iterator<Item = (&Parameter, StateId)> {
        self.parameters
            .iter()
            .filter(|(p, _)| p.role == Role::Parameter)
            .map(|(p, id)| (p, *id))
    }

    /// New values of the running statistics, to be assigned.
    pub fn running(&self) -> &[(StateId, NodeId)] {
        &self.running
    }

    /// Number of trained elements.
    pub fn count(&self) -> usize {
        self.trained()
            .map(|(parameter, _)| parameter.shape.numel())
            .sum()
    }

    /// The current value of tensor `layer.tensor`, declared at its first use.
    fn tensor(
        &mut self,
        graph: &mut Graph,
        name: String,
        shape: Shape,
        init: Init,
        role: Role,
    ) -> Result<StateId> {
        let name = format!("{}.{name}", self.prefix);
        if let Some((known, id)) = self.parameters.iter().find(|(known, _)| known.name == name) {
            if known.shape != shape {
                return Err(Error::shape(
                    "Net",
                    format!("{name} is {} and used as {shape}", known.shape),
                ));
            }
            return Ok(*id);
        }
        self.layers += usize::from(role == Role::Parameter && shape.rank() > 1);
        let role = match role {
            Role::Parameter if (1..=self.frozen).contains(&self.layers) => Role::Buffer,
            role => role,
        };
        let id = graph.declare(name.clone(), shape.clone(), role)?;
        self.parameters.push((
            Parameter {
                name,
                shape,
                init,
                role,
            },
            id,
        ));
        Ok(id)
    }

    /// A trained tensor `<prefix>.<name>`, declared at its first use.
    ///
    /// # Errors
    /// Where it was declared with another shape.
    pub fn parameter(
        &mut self,
        graph: &mut Graph,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<NodeId> {
        let id = self.tensor(graph, name.into(), shape.into(), init, Role::Parameter)?;
        let moved = self.moved.iter().find(|(known, _)| *known == id);
        Ok(moved.map_or_else(|| graph.state(id), |&(_, node)| node))
    }

    /// A running statistic as the last layer left it.
    fn latest(&self, graph: &mut Graph, id: StateId) -> NodeId {
        let latest = self.running.iter().find(|(known, _)| *known == id);
        latest.map_or_else(|| graph.state(id), |&(_, node)| node)
    }

    /// Sets a running statistic for the next layer and the next step.
    fn keep(&mut self, id: StateId, node: NodeId) {
        match self.running.iter_mut().find(|(known, _)| *known == id) {
            Some((_, latest)) => *latest = node,
            None => self.running.push((id, node)),
        }
    }
}

/// `[C, H, W]` of `[N, C, H, W]`.
fn image(graph: &Graph, op: &'static str, x: NodeId) -> Result<[usize; 3]> {
    match graph.shape(x)[..] {
        [_, c, h, w] => Ok([c, h, w]),
        _ => Err(Error::shape(
            op,
            format!("{} is not [N, C, H, W]", graph.shape(x)),
        )),
    }
}
