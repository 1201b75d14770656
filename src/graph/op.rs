//! The closed set of primitives. Everything that `gpugan` computes is a graph
//! of these; the gradient of each is again made of these (see `vjp`).
//!
//! Every tensor holds f32. Indices and masks are f32 too: whole numbers up to
//! 2^24 are exact, and the builder refuses longer axes.

use super::Shape;

/// An f32 that can be compared and hashed by its bits, so that operations with
/// constants can be looked up.
#[derive(Clone, Copy)]
pub struct Scalar(pub f32);

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Functions of one element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `e^x`
    Exp,
    /// Natural logarithm; NaN below 0.
    Log,
    /// `x^(1/2)`
    Sqrt,
    /// `x^(-1/2)`
    Rsqrt,
    /// `1 / x`
    Recip,
    /// `|x|`
    Abs,
    /// -1, 0 or 1
    Sign,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Hyperbolic tangent, in a form that never overflows.
    Tanh,
    /// `log(1 + e^x)`, in the form that never overflows
    Softplus,
    /// inverse hyperbolic tangent, for `|x| < 1`
    Atanh,
    /// sine, x in radians
    Sin,
    /// cosine, x in radians
    Cos,
    /// largest whole number `<= x`
    Floor,
    /// nearest whole number, ties to even
    Round,
    /// 1 where x is neither infinite nor NaN, else 0; told by its bits, as
    /// compilers may assume that comparisons meet no NaN
    Finite,
    /// `x` where positive, else `slope * x`; `slope >= 0`, 0 is ReLU. The
    /// gradient is read off the sign of the output.
    LeakyRelu(Scalar),
}

/// Functions of two elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The larger of two elements.
    Max,
    /// The smaller of two elements.
    Min,
    /// `a^b` for `a > 0`
    Pow,
    /// 1 where `a > b`, else 0
    Greater,
    /// 1 where `a >= b`, else 0
    GreaterEqual,
    /// 1 where `a == b`, else 0
    Equal,
}

/// Distributions of the counter-based generator (see `shaders/random.wgsl` and
/// `reference::random`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Distribution {
    /// uniform in [0, 1)
    Uniform,
    /// Normal with mean 0 and variance 1.
    Normal,
    /// 1 with this probability, else 0
    Bernoulli(Scalar),
}

/// How `Pad` fills the border.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PadMode {
    /// Filled with zeros.
    Zero,
    /// mirrored at the edge element, which is not repeated; pads must be
    /// smaller than the axis
    Reflect,
    /// the edge element again
    Replicate,
}

/// Geometry shared by the three convolutions. `input` is the image side
/// `[N, C, H, W]`, `output` the side `[N, O, OH, OW]` that a forward
/// convolution produces; `ConvTranspose2d` maps from output to input.
/// Weights are `[O, C / groups, KH, KW]` throughout.
///
/// `OH = (H + pad_top + pad_bottom - dilation (KH - 1) - 1) / stride + 1`,
/// rounded down; the rows of `H` that the rounding leaves over are what
/// PyTorch calls output_padding of the transposed convolution, so carrying
/// both sizes makes every shape invertible.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ConvGeometry {
    /// `[H, W]` of the image side
    pub input: [usize; 2],
    /// `[OH, OW]` of the other side
    pub output: [usize; 2],
    /// Size of the kernel, `[KH, KW]`.
    pub kernel: [usize; 2],
    /// steps between windows, `[vertical, horizontal]`
    pub stride: [usize; 2],
    /// steps between taps of one window
    pub dilation: [usize; 2],
    /// zeros before the image, `[top, left]`; those after it follow from the
    /// sizes
    pub pad: [usize; 2],
    /// channel groups; both channel counts are multiples of it
    pub groups: usize,
}

/// Windows over the last two axes of `[N, C, H, W]`, for pooling. Cells
/// outside the image count as zero in sums and are left out of maxima.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// `[H, W]` of the image side
    pub input: [usize; 2],
    /// `[OH, OW]`: number of windows
    pub output: [usize; 2],
    /// Size of a window, `[KH, KW]`.
    pub kernel: [usize; 2],
    /// steps between windows
    pub stride: [usize; 2],
    /// cells before the image, `[top, left]`
    pub pad: [usize; 2],
}

/// Index into the graph's table of persistent tensors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct StateId(pub usize);

/// A primitive. Inputs are listed in the comments in their order; `x` is the
/// first. Reductions keep their axes at size 1.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    // ---- leaves
    /// A persistent tensor: parameter, running statistic, batch, per-step value.
    State(StateId),
    /// One number in every element.
    Constant(Scalar),
    /// `0, 1, 2, ...` along the axis.
    Iota(usize),
    /// Fresh random numbers at every step. `stream` tells apart the random
    /// tensors of one run; element, stream, step and seed fix each number.
    Random {
        /// what is drawn
        distribution: Distribution,
        /// which of the run's random tensors this is
        stream: u32,
    },

    // ---- elementwise: inputs and output of one shape
    /// `f(x)`
    Unary(Unary),
    /// `f(a, b)`
    Binary(Binary),
    /// `condition != 0 ? a : b` of (condition, a, b)
    Select,
    /// The identity, with gradient zero.
    StopGradient,

    // ---- movement
    /// Stretches axes of size 1 to the output's shape; ranks are equal.
    Broadcast,
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Output axis `i` is input axis `order[i]`.
    Permute(Vec<usize>),
    /// Adds a border: `before` elements in front of each axis; those behind
    /// follow from the shapes.
    Pad {
        /// elements in front of each axis
        before: Vec<usize>,
        /// what fills the border
        mode: PadMode,
    },
    /// Adjoint of `Pad`: folds border gradients back. For zero padding use
    /// `Slice`, so `mode` is `Reflect` or `Replicate` here.
    PadFold {
        /// elements in front of each axis
        before: Vec<usize>,
        /// what had filled the border
        mode: PadMode,
    },
    /// The part of `x` that starts at `start` and has the output's shape.
    Slice {
        /// first element along each axis
        start: Vec<usize>,
    },
    /// Inputs one after another along the axis.
    Concat(usize),
    /// `y[.., i, ..] = x[.., index[.., i, ..], ..]` of (x, index) along the
    /// axis; other axes of x and index agree (torch.gather).
    Gather(usize),
    /// Adjoint of `Gather` of (updates, index): zeros, with `updates` added at
    /// `index` along the axis, in the order of the index; the output's shape
    /// tells the axis' size.
    ScatterAdd(usize),

    // ---- reductions over axes, which stay with size 1
    /// Sum over these axes, which stay with size 1.
    Sum(Vec<usize>),
    /// Largest element over these axes, which stay with size 1.
    Max(Vec<usize>),
    /// Row-major position of the (first) largest element within the reduced
    /// axes.
    ArgMax(Vec<usize>),

    // ---- contractions
    /// `a b` of `[M, K] [K, N]` or batches `[B, M, K] [B, K, N]`, either
    /// transposed first.
    MatMul {
        /// a is stored `[.., K, M]`
        transpose_a: bool,
        /// b is stored `[.., N, K]`
        transpose_b: bool,
    },
    /// Cross-correlation of (image `[N, C, H, W]`, weight `[O, C/g, KH, KW]`)
    /// to `[N, O, OH, OW]`.
    Conv2d(ConvGeometry),
    /// Its adjoint for the image, of (`[N, O, OH, OW]`, weight
    /// `[O, C/g, KH, KW]`) to `[N, C, H, W]`. PyTorch's transposed convolution
    /// with weight `[in, out, KH, KW]` is this with O = in.
    ConvTranspose2d(ConvGeometry),
    /// Its adjoint for the weight, of (image `[N, C, H, W]`,
    /// `[N, O, OH, OW]`) to `[O, C/g, KH, KW]`.
    ConvWeightGrad(ConvGeometry),

    // ---- windows
    /// Sum over each window, `[N, C, H, W]` to `[N, C, OH, OW]`.
    SumPool(Window),
    /// Its adjoint, `[N, C, OH, OW]` to `[N, C, H, W]`: adds each value to
    /// every cell of its window. With kernel = stride it is nearest
    /// upsampling.
    SumUnpool(Window),
    /// Row-major position `h * W + w` of the (first) largest cell of each
    /// window.
    MaxPoolIndex(Window),
    /// The cells at those positions, of (x `[N, C, H, W]`, index
    /// `[N, C, OH, OW]`).
    PoolGather(Window),
    /// Its adjoint, of (updates, index), to `[N, C, H, W]`.
    PoolScatter(Window),
    /// Bilinear resize of the last two axes of `[N, C, H, W]`; cell centres lie
    /// at half-integers (PyTorch's `align_corners=False`).
    ResizeBilinear,
    /// Its adjoint; the output's shape is that of the image before the resize.
    ResizeBilinearAdjoint,

    // ---- fused; each has a decomposition into the above
    /// Mean and biased variance per channel of `[N, C, ...]`, to `[2, C]`.
    ChannelStats,
    /// `[sum of g, sum of g (x - mean)]` per channel, of (g, x, stats), to
    /// `[2, C]`.
    ChannelDot,
    /// Batch normalisation with this batch's statistics, of (x, gain `[C]`,
    /// offset `[C]`): `(x - mean) / sqrt(var + eps) * gain + offset`.
    BatchNorm {
        /// added to the variance
        eps: Scalar,
    },
}

impl Op {
    /// The primitive's name, as errors and plans print it.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        let end = text.find([' ', '(', '{']).unwrap_or(text.len());
        match self {
            Op::Unary(f) => format!("{f:?}")
                .split('(')
                .next()
                .unwrap_or_default()
                .to_owned(),
            Op::Binary(f) => format!("{f:?}"),
            _ => text[..end].to_owned(),
        }
    }

    /// What kind of operation it is.
    pub fn class(&self) -> Class {
        match self {
            Op::State(_) | Op::Constant(_) | Op::Iota(_) | Op::Random { .. } => Class::Leaf,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::StopGradient => Class::Elementwise,
            Op::Broadcast
            | Op::Reshape
            | Op::Permute(_)
            | Op::Pad { .. }
            | Op::PadFold { .. }
            | Op::Slice { .. }
            | Op::Concat(_)
            | Op::Gather(_)
            | Op::ScatterAdd(_) => Class::Movement,
            Op::Sum(_) | Op::Max(_) | Op::ArgMax(_) => Class::Reduction,
            Op::MatMul { .. } | Op::Conv2d(_) | Op::ConvTranspose2d(_) | Op::ConvWeightGrad(_) => {
                Class::Contraction
            }
            Op::SumPool(_)
            | Op::SumUnpool(_)
            | Op::MaxPoolIndex(_)
            | Op::PoolGather(_)
            | Op::PoolScatter(_)
            | Op::ResizeBilinear
            | Op::ResizeBilinearAdjoint => Class::Window,
            Op::ChannelStats | Op::ChannelDot | Op::BatchNorm { .. } => Class::Fused,
        }
    }

    /// Whether each output element depends only on the input elements at the
    /// same place.
    pub fn is_elementwise(&self) -> bool {
        self.class() == Class::Elementwise
    }
}

/// A kind of operation; every primitive is of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Has no inputs.
    Leaf,
    /// Each output element depends only on the input elements at the same place.
    Elementwise,
    /// Moves elements and changes none, but for sums of those that meet.
    Movement,
    /// Sums or chooses over whole axes.
    Reduction,
    /// A sum of products: matrix products, convolutions and their adjoints.
    Contraction,
    /// Sums, chooses or interpolates over windows of images.
    Window,
    /// Stands for a decomposition into the others.
    Fused,
}

impl ConvGeometry {
    /// The geometry of a forward convolution of an `input` image, with zeros
    /// added on each side, `[[top, left], [bottom, right]]`. `None` where the
    /// window does not fit.
    pub fn forward(
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        pad: [[usize; 2]; 2],
        groups: usize,
    ) -> Option<Self> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let span = dilation[axis] * (kernel[axis].checked_sub(1)?) + 1;
            let room = (input[axis] + pad[0][axis] + pad[1][axis]).checked_sub(span)?;
            output[axis] = room / stride[axis] + 1;
        }
        Some(Self {
            input,
            output,
            kernel,
            stride,
            dilation,
            pad: pad[0],
            groups,
        })
    }

    /// The geometry of a transposed convolution that maps `from` to
    /// `stride (from - 1) + dilation (kernel - 1) + 1 - pads + output_padding`.
    pub fn transposed(
        from: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        pad: [[usize; 2]; 2],
        output_padding: [usize; 2],
        groups: usize,
    ) -> Option<Self> {
        let mut input = [0; 2];
        for axis in 0..2 {
            let span = stride[axis] * (from[axis].checked_sub(1)?)
                + dilation[axis] * (kernel[axis].checked_sub(1)?)
                + 1
                + output_padding[axis];
            input[axis] = span.checked_sub(pad[0][axis] + pad[1][axis])?;
        }
        Some(Self {
            input,
            output: from,
            kernel,
            stride,
            dilation,
            pad: pad[0],
            groups,
        })
    }
}

impl Window {
    /// Non-overlapping windows of `factor` that cover the whole image.
    pub fn tiles(input: [usize; 2], factor: [usize; 2]) -> Self {
        Self {
            input,
            output: [input[0] / factor[0], input[1] / factor[1]],
            kernel: factor,
            stride: factor,
            pad: [0, 0],
        }
    }
}

/// What a persistent tensor is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Role {
    /// Trained by an optimiser.
    Parameter,
    /// Saved with the parameters but not trained: running statistics.
    Buffer,
    /// Written by the host before a step: real images, latents, labels.
    Input,
    /// Written by a program and read back: losses, gradients, samples.
    Output,
}

/// A persistent tensor as the graph knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Unique name, such as `G.main.0.weight`.
    pub name: String,
    /// Sizes; in memory always row-major.
    pub shape: Shape,
    /// What it is for.
    pub role: Role,
}
