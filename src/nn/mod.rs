//! Layers as functions from nodes to nodes. A [`Net`] hands out named
//! parameters while a network is built, so a model is a plain function, and
//! building it once tells what it needs.
//!
//! Names and layouts are PyTorch's, so checkpoints feed an equivalent
//! `torch.nn` module: Linear `[out, in]`, Conv2d `[out, in, KH, KW]`,
//! ConvTranspose2d `[in, out, KH, KW]`, BatchNorm `weight`, `bias`,
//! `running_mean`, `running_var`.

mod cross_entropy;
mod init;

pub use cross_entropy::{accuracy, cross_entropy};
pub use init::Init;

use crate::error::{Error, Result};
use crate::graph::{
    Binary, ConvGeometry, Distribution, Graph, NodeId, Role, Scalar, Shape, StateId, Unary,
};

/// Added to the variance in batch normalisation (PyTorch's default).
pub const BATCH_NORM_EPS: f32 = 1e-5;

/// Share of the new batch in running statistics (PyTorch's `momentum`).
pub const BATCH_NORM_MOMENTUM: f32 = 0.1;

/// Added to the variance under the root in [`minibatch_std`] (Karras et al. 2018).
const STD_EPS: f32 = 1e-8;

/// Least length that a vector is divided by in spectral normalisation (PyTorch).
const SPECTRAL_EPS: f32 = 1e-12;

/// A tensor that a network keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Full name, such as `G.main.0.weight`.
    pub name: String,
    /// PyTorch's layout.
    pub shape: Shape,
    /// How it starts.
    pub init: Init,
    /// Trained, or only kept (running statistics).
    pub role: Role,
}

impl Parameter {
    /// Whether it is a trained tensor of the network with this prefix.
    pub fn is_of(&self, net: &str) -> bool {
        self.role == Role::Parameter && self.name.split('.').next() == Some(net)
    }
}

/// How batch normalisation and dropout behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Statistics of the batch, dropout on.
    Train,
    /// Running statistics, dropout off.
    Eval,
}

/// One network while it is built into a graph. Building it several times into
/// one graph (on real and on fake images) shares its parameters.
#[derive(Clone, Debug)]
pub struct Net {
    prefix: String,
    mode: Mode,
    spectral: bool,
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
    /// window size
    pub kernel: usize,
    /// steps between windows
    pub stride: usize,
    /// zeros on each side
    pub pad: usize,
}

/// How the tensors of a layer start.
#[derive(Clone, Debug, PartialEq)]
pub struct Inits {
    /// its weight
    pub weight: Init,
    /// its bias, if it has one
    pub bias: Option<Init>,
}

impl Inits {
    /// No bias.
    pub fn weight(weight: Init) -> Self {
        Self { weight, bias: None }
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

    fn parameter(
        &mut self,
        graph: &mut Graph,
        name: String,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<NodeId> {
        let id = self.tensor(graph, name, shape.into(), init, Role::Parameter)?;
        let moved = self.moved.iter().find(|(known, _)| *known == id);
        Ok(moved.map_or_else(|| graph.state(id), |&(_, node)| node))
    }

    /// The weight of a layer; of `[out, ...]`, as a matrix of `out` rows, the
    /// largest singular value is 1 with [`Net::spectral`].
    fn weight(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<NodeId> {
        if !self.spectral {
            return self.parameter(graph, format!("{layer}.weight"), shape, init);
        }
        let weight = self.parameter(graph, format!("{layer}.weight_orig"), shape, init)?;
        let shape = graph.shape(weight).clone();
        let (rows, columns) = (shape[0], shape.numel() / shape[0].max(1));
        let start = Init::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let [u_id, v_id] = [("weight_u", rows), ("weight_v", columns)].map(|(tensor, len)| {
            let name = format!("{layer}.{tensor}");
            self.tensor(graph, name, [len].into(), start.clone(), Role::Buffer)
        });
        let (u_id, v_id) = (u_id?, v_id?);
        let matrix = graph.reshape(weight, [rows, columns])?;
        let (mut u, mut v) = (self.latest(graph, u_id), self.latest(graph, v_id));
        u = graph.reshape(u, [1, rows])?;
        v = graph.reshape(v, [1, columns])?;
        if self.mode == Mode::Train {
            let constant = graph.stop_gradient(matrix);
            v = graph.matmul(u, constant, false, false)?;
            v = direction(graph, v)?;
            u = graph.matmul(v, constant, false, true)?;
            u = direction(graph, u)?;
            for (id, node, len) in [(u_id, u, rows), (v_id, v, columns)] {
                let node = graph.reshape(node, [len])?;
                self.keep(id, node);
            }
        }
        let image = graph.matmul(v, matrix, false, true)?; // [1, rows]
        let products = graph.mul(image, u)?;
        let sigma = graph.sum_all(products)?;
        graph.div(weight, sigma)
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

    /// `x W^T + b` of `x [N, in]`, weight `[out, in]`, bias `[out]` if it has
    /// an initialiser.
    pub fn linear(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let inputs = *graph.shape(x).last().unwrap_or(&0);
        let weight = self.weight(graph, layer, [out, inputs], weight)?;
        let y = graph.matmul(x, weight, false, true)?;
        let Some(bias) = bias else { return Ok(y) };
        let bias = self.parameter(graph, format!("{layer}.bias"), [out], bias)?;
        graph.add(y, bias)
    }

    /// Convolution of `x [N, C, H, W]` to `out` channels.
    pub fn conv(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        square: Square,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "Conv2d", x)?;
        let Square {
            kernel,
            stride,
            pad,
        } = square;
        let geometry =
            ConvGeometry::forward([h, w], [kernel; 2], [stride; 2], [1; 2], [[pad; 2]; 2], 1)
                .ok_or_else(|| {
                    Error::shape(
                        "Conv2d",
                        format!(
                            "a {kernel}x{kernel} window does not fit a {h}x{w} image with pad {pad}"
                        ),
                    )
                })?;
        let weight = self.weight(graph, layer, [out, channels, kernel, kernel], weight)?;
        let y = graph.conv2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }

    /// Transposed convolution of `x [N, C, H, W]` to `out` channels of
    /// `stride (H - 1) + kernel - 2 pad` rows.
    pub fn conv_transpose(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        out: usize,
        square: Square,
        Inits { weight, bias }: Inits,
    ) -> Result<NodeId> {
        let [channels, h, w] = image(graph, "ConvTranspose2d", x)?;
        let Square {
            kernel,
            stride,
            pad,
        } = square;
        let geometry = ConvGeometry::transposed(
            [h, w],
            [kernel; 2],
            [stride; 2],
            [1; 2],
            [[pad; 2]; 2],
            [0; 2],
            1,
        )
        .ok_or_else(|| {
            Error::shape(
                "ConvTranspose2d",
                format!("pad {pad} takes away all of a {h}x{w} image"),
            )
        })?;
        let weight = self.parameter(
            graph,
            format!("{layer}.weight"),
            [channels, out, kernel, kernel],
            weight,
        )?;
        let y = graph.conv_transpose2d(x, weight, geometry)?;
        self.channel_bias(graph, layer, y, out, bias)
    }

    fn channel_bias(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        y: NodeId,
        out: usize,
        bias: Option<Init>,
    ) -> Result<NodeId> {
        let Some(bias) = bias else { return Ok(y) };
        let bias = self.parameter(graph, format!("{layer}.bias"), [out], bias)?;
        let bias = graph.per_channel(bias, y)?;
        graph.add(y, bias)
    }

    /// Batch normalisation over all axes but 1, with PyTorch's running
    /// statistics: biased variance to normalise, unbiased to keep. Every call
    /// in a graph moves the running statistics on from the last.
    pub fn batch_norm(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        gain: Init,
    ) -> Result<NodeId> {
        let shape = graph.shape(x).clone();
        let channels = shape.get(1).copied().unwrap_or(0);
        let gain = self.parameter(graph, format!("{layer}.weight"), [channels], gain)?;
        let offset = self.parameter(
            graph,
            format!("{layer}.bias"),
            [channels],
            Init::Constant(0.0),
        )?;
        let [mean, variance] =
            [("running_mean", 0.0), ("running_var", 1.0)].map(|(tensor, start)| {
                self.tensor(
                    graph,
                    format!("{layer}.{tensor}"),
                    [channels].into(),
                    Init::Constant(start),
                    Role::Buffer,
                )
            });
        let (mean, variance) = (mean?, variance?);
        if self.mode == Mode::Eval {
            let rows = [mean, variance].map(|id| {
                let node = graph.state(id);
                graph.reshape(node, [1, channels])
            });
            let [mean, variance] = rows;
            let stats = graph.concat(&[mean?, variance?], 0)?;
            return graph.batch_norm_apply(x, stats, gain, offset, BATCH_NORM_EPS);
        }
        let stats = graph.channel_stats(x)?;
        let count = (shape.numel() / channels.max(1)) as f32;
        // One element has no unbiased variance; PyTorch refuses such a batch,
        // we keep the biased one.
        let unbiased = if count > 1.0 {
            count / (count - 1.0)
        } else {
            1.0
        };
        for (row, id, factor) in [(0, mean, 1.0), (1, variance, unbiased)] {
            let seen = graph.slice(stats, &[row, 0], [1, channels])?;
            let seen = graph.reshape(seen, [channels])?;
            let seen = graph.scale(seen, BATCH_NORM_MOMENTUM * factor);
            let old = self.latest(graph, id);
            let kept = graph.scale(old, 1.0 - BATCH_NORM_MOMENTUM);
            let new = graph.add(kept, seen)?;
            self.keep(id, new);
        }
        graph.batch_norm(x, gain, offset, BATCH_NORM_EPS)
    }

    /// Normalisation over each of `groups` groups of channels of each image of
    /// `x [N, C, H, W]`, with a gain and an offset a channel, as
    /// `nn.GroupNorm(groups, C)` (Wu and He 2018). One group is layer
    /// normalisation, `C` groups are instance normalisation.
    ///
    /// # Errors
    /// Where `groups` does not divide the channels.
    pub fn group_norm(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        groups: usize,
        gain: Init,
    ) -> Result<NodeId> {
        let shape = graph.shape(x).clone();
        let [channels, ..] = image(graph, "GroupNorm", x)?;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::shape(
                "GroupNorm",
                format!("{channels} channels do not divide into {groups} groups"),
            ));
        }
        let gain = self.parameter(graph, format!("{layer}.weight"), [channels], gain)?;
        let zero = Init::Constant(0.0);
        let offset = self.parameter(graph, format!("{layer}.bias"), [channels], zero)?;
        let rows = graph.reshape(x, [shape[0], groups, shape.numel() / shape[0] / groups])?;
        let mean = graph.mean(rows, &[2])?;
        let centred = graph.sub(rows, mean)?;
        let squares = graph.square(centred);
        let variance = graph.mean(squares, &[2])?;
        let variance = graph.binary_scalar(Binary::Add, variance, BATCH_NORM_EPS);
        let scale = graph.unary(Unary::Rsqrt, variance);
        let rows = graph.mul(centred, scale)?;
        let y = graph.reshape(rows, shape)?;
        let gain = graph.per_channel(gain, y)?;
        let y = graph.mul(y, gain)?;
        let offset = graph.per_channel(offset, y)?;
        graph.add(y, offset)
    }

    /// How near each of `x [N, features]` is to the others of its batch,
    /// `[N, kernels]`: the sum over the others of `exp(-|M_i - M_j|)`, an L1
    /// distance of `dims` numbers for each kernel, with `M = x T` (Salimans et
    /// al. 2016, section 3.2). `T` is the weight of an
    /// `nn.Linear(features, kernels * dims, bias=False)`.
    ///
    /// # Errors
    /// None for well-formed graphs; shape errors are passed on.
    pub fn minibatch_discrimination(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        [kernels, dims]: [usize; 2],
        weight: Init,
    ) -> Result<NodeId> {
        let batch = graph.shape(x)[0];
        let projected = self.linear(graph, layer, x, kernels * dims, Inits::weight(weight))?;
        let one = graph.reshape(projected, [batch, 1, kernels, dims])?;
        let other = graph.reshape(projected, [1, batch, kernels, dims])?;
        let difference = graph.sub(one, other)?; // [N, N, kernels, dims]
        let distance = graph.unary(Unary::Abs, difference);
        let distance = graph.sum(distance, &[3])?;
        let against = graph.neg(distance);
        let near = graph.unary(Unary::Exp, against);
        let near = graph.sum(near, &[1])?; // [N, 1, kernels, 1]
        let near = graph.reshape(near, [batch, kernels])?;
        // Each is nearest to itself: exp(0).
        Ok(graph.binary_scalar(Binary::Sub, near, 1.0))
    }

    /// Drops elements with probability `p` and divides the others by `1 - p`,
    /// while training.
    pub fn dropout(&self, graph: &mut Graph, x: NodeId, p: f32) -> Result<NodeId> {
        if self.mode == Mode::Eval || p == 0.0 {
            return Ok(x);
        }
        let mask = graph.random(
            Distribution::Bernoulli(Scalar(1.0 - p)),
            graph.shape(x).clone(),
        );
        let scaled = graph.scale(x, 1.0 / (1.0 - p));
        graph.mul(scaled, mask)
    }
}

/// ReLU with a slope for negative values; 0 is the plain one.
pub fn leaky_relu(graph: &mut Graph, x: NodeId, slope: f32) -> NodeId {
    graph.unary(Unary::LeakyRelu(Scalar(slope)), x)
}

/// The largest of `pieces` neighbouring features, `[N, units * pieces]` to
/// `[N, units]` (Goodfellow et al. 2013, equation 1).
pub fn maxout(graph: &mut Graph, x: NodeId, pieces: usize) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let [batch, features] = shape[..] else {
        return Err(Error::shape(
            "Maxout",
            format!("{shape} is not [N, features]"),
        ));
    };
    if pieces == 0 || features % pieces != 0 {
        return Err(Error::shape(
            "Maxout",
            format!("{features} features do not divide into units of {pieces} pieces"),
        ));
    }
    let pairs = graph.reshape(x, [batch, features / pieces, pieces])?;
    let largest = graph.max(pairs, &[2])?;
    graph.reshape(largest, [batch, features / pieces])
}

/// `x [N, C, H, W]` with one more channel: the standard deviation over each
/// `group` of neighbouring images, averaged over all features (Karras et al.
/// 2018, section 3).
///
/// # Errors
/// Where `group` does not divide the batch.
pub fn minibatch_std(graph: &mut Graph, x: NodeId, group: usize) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let [_, h, w] = image(graph, "MinibatchStd", x)?;
    let batch = shape[0];
    if group == 0 || !batch.is_multiple_of(group) {
        return Err(Error::shape(
            "MinibatchStd",
            format!("{batch} images do not divide into groups of {group}"),
        ));
    }
    let (groups, features) = (batch / group, shape.numel() / batch);
    let rows = graph.reshape(x, [groups, group, features])?;
    let mean = graph.mean(rows, &[1])?;
    let centred = graph.sub(rows, mean)?;
    let squares = graph.square(centred);
    let variance = graph.mean(squares, &[1])?;
    let variance = graph.binary_scalar(Binary::Add, variance, STD_EPS);
    let deviation = graph.unary(Unary::Sqrt, variance);
    let mean = graph.mean(deviation, &[2])?; // [groups, 1, 1]
    let mean = graph.broadcast(mean, [groups, group, h * w])?;
    let channel = graph.reshape(mean, [batch, 1, h, w])?;
    graph.concat(&[x, channel], 1)
}

/// A row vector divided by its length.
fn direction(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let squares = graph.square(x);
    let sum = graph.sum(squares, &[1])?;
    let length = graph.unary(Unary::Sqrt, sum);
    let length = graph.binary_scalar(Binary::Max, length, SPECTRAL_EPS);
    graph.div(x, length)
}

/// `[N, ...]` to `[N, features]`.
pub fn flatten(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let batch = shape.first().copied().unwrap_or(1);
    graph.reshape(x, [batch, shape.numel() / batch.max(1)])
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
