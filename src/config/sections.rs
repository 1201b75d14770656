//! The sections of the configuration: [`Config`] and what is in it.

use serde::{Deserialize, Serialize};

use super::rule::{Rule, section};

/// More than any layer or batch has.
const WIDEST: i64 = 1 << 16;

/// More steps than any run has; times a batch they still fit in 64 bits.
const LONGEST: i64 = 1_000_000_000_000;

/// More steps in a tick, or ticks in a snapshot, than any run has; their
/// product still fits in 64 bits.
const RAREST: i64 = 1_000_000_000;

section! {
    /// A run, completely described: with the same seed, adapter and driver it
    /// gives the same weights.
    Config {
        /// Name of the preset that the other values started from.
        preset: String = "default".into(), Rule::Text;
        /// Seed of every random choice: weights, batches, latents, dropout.
        seed: u64 = 0, Rule::COUNT;
        /// Real images, and latents, in one step.
        batch: usize = 64, Rule::Whole(1, WIDEST);
        /// Generator steps until the run ends.
        steps: u64 = 10_000, Rule::Whole(1, LONGEST);
        sections {
            /// What is learned from.
            data: Data,
            /// The two networks.
            model: Model,
            /// What they minimise.
            loss: Loss,
            /// The loop around them.
            train: Train,
            /// How their weights move.
            optimizer: Optimizers,
        }
    }
}

section! {
    /// What is learned from.
    Data {
        /// Name of a data set that comes with the program (`fashion`), or a path to images.
        source: String = "fashion".into(), Rule::Text;
        /// Height and width, in pixels, of the images that the model takes and makes; others are resized.
        size: Size = Size::square(28), Rule::Sides(4, 1024);
        /// Channels of the images: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; as many as the data has where not set.
        #[serde(skip_serializing_if = "Option::is_none")]
        channels: Option<usize> = None, Rule::Whole(1, 4);
        /// Whether each image is mirrored left to right with probability one half.
        mirror: bool = false, Rule::Flag;
    }
}

section! {
    /// The two networks.
    Model {
        /// `mlp`: dense generator and maxout discriminator (Goodfellow et al. 2014); `dcgan`: convolutional (Radford et al. 2015).
        architecture: Architecture = Architecture::Dcgan, Rule::Choice(&["mlp", "dcgan"]);
        /// Length of the latent vector z.
        latent: usize = 100, Rule::Whole(1, WIDEST);
        /// Distribution of each element of z: `normal` N(0, 1), or `uniform` between -sqrt(3) and sqrt(3), which has variance 1 too.
        latent_distribution: Latent = Latent::Normal, Rule::Choice(&["normal", "uniform"]);
        /// dcgan: channels of the layer next to the image, in both networks; each halving of the image doubles them.
        width: usize = 64, Rule::Whole(1, 4096);
        /// dcgan: `linear` makes a quarter of the image by a dense layer and doubles it twice, with biases next to the image; `conv` makes 4x4 by a convolution and doubles it up to a square of 16, 32, 64, ... without biases.
        stem: Stem = Stem::Linear, Rule::Choice(&["linear", "conv"]);
        /// dcgan: standard deviation of the initial weights, around 0 for convolutions and around 1 for the gains of batch normalisation.
        init_std: f64 = 0.02, Rule::POSITIVE;
        /// Last function of the generator: `tanh` with images in [-1, 1], or `sigmoid` with images in [0, 1].
        output: Output = Output::Tanh, Rule::Choice(&["tanh", "sigmoid"]);
        /// mlp: units of the generator's hidden layers (ReLU).
        hidden_g: Vec<usize> = vec![1200, 1200], Rule::Wholes(1, WIDEST);
        /// mlp: units of each of the discriminator's two maxout layers.
        maxout_units: usize = 240, Rule::Whole(1, WIDEST);
        /// mlp: linear pieces of a maxout unit, of which the largest is its value.
        maxout_pieces: usize = 5, Rule::Whole(1, 64);
        /// mlp: probability that the discriminator drops an element of the image; the others are divided by one minus it.
        dropout_input: f64 = 0.2, Rule::BELOW_ONE;
        /// mlp: probability that the discriminator drops a hidden unit; the others are divided by one minus it.
        dropout_hidden: f64 = 0.5, Rule::BELOW_ONE;
        /// mlp: the generator's initial weights are uniform between minus this and this.
        irange_g: f64 = 0.05, Rule::POSITIVE;
        /// mlp: the discriminator's initial weights are uniform between minus this and this.
        irange_d: f64 = 0.005, Rule::POSITIVE;
        /// mlp: initial biases of the generator's last layer: `zero`, or `marginals`, with which it starts from the mean real image; all other biases start at zero.
        output_bias: OutputBias = OutputBias::Zero, Rule::Choice(&["zero", "marginals"]);
    }
}

section! {
    /// What the networks minimise.
    Loss {
        /// The generator's loss: `non-saturating` -log D(G(z)), or `minimax` log(1 - D(G(z))).
        kind: LossKind = LossKind::NonSaturating, Rule::Choice(&["non-saturating", "minimax"]);
        /// Target of the discriminator on real images; 0.9 is one-sided label smoothing.
        real_label: f64 = 1.0, Rule::Number(std::ops::Bound::Excluded(0.0), std::ops::Bound::Included(1.0));
        /// Factor of the discriminator's loss; 0.5 makes it the mean over real and fake images instead of the sum.
        d_weight: f64 = 1.0, Rule::POSITIVE;
    }
}

section! {
    /// The loop around the networks.
    Train {
        /// Discriminator steps for each generator step.
        d_steps: usize = 1, Rule::Whole(1, 1000);
        /// `alternating`: the generator steps against the discriminator just updated, with new latents; `simultaneous`: both step from one batch, its latents and its dropout.
        update: Update = Update::Alternating, Rule::Choice(&["alternating", "simultaneous"]);
        /// Discriminator steps before the generator's first.
        d_pretrain: u64 = 0, Rule::Whole(0, LONGEST);
        /// Decay, in a step, of the moving average of the generator's weights that is sampled; 0 is off.
        ema_decay: f64 = 0.999, Rule::BELOW_ONE;
        /// Steps in a tick, which ends with a line of statistics.
        tick: u64 = 100, Rule::Whole(1, RAREST);
        /// Ticks from one snapshot (samples and checkpoint) to the next.
        snap: u64 = 5, Rule::Whole(1, RAREST);
        /// Newest checkpoints that are kept; 0 keeps all.
        keep: usize = 3, Rule::COUNT;
    }
}

/// How the weights move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizers {
    /// The generator's optimizer.
    pub g: Optimizer,
    /// The discriminator's optimizer.
    pub d: Optimizer,
}

section! {
    /// How the weights of one network move.
    Optimizer {
        /// `adam`, `sgd` (with momentum) or `rmsprop`.
        kind: OptimizerKind = OptimizerKind::Adam, Rule::Choice(&["adam", "sgd", "rmsprop"]);
        /// Learning rate of the first update.
        lr: f64 = 2e-4, Rule::NOT_NEGATIVE;
        /// adam: decay of the mean of the gradient.
        beta1: f64 = 0.5, Rule::BELOW_ONE;
        /// adam: decay of the mean of the squared gradient.
        beta2: f64 = 0.999, Rule::BELOW_ONE;
        /// adam and rmsprop: added to the square root that divides the update.
        eps: f64 = 1e-8, Rule::NOT_NEGATIVE;
        /// rmsprop: decay of the mean of the squared gradient.
        alpha: f64 = 0.99, Rule::BELOW_ONE;
        /// sgd: part of the last change of a weight that is added to the next.
        momentum: f64 = 0.0, Rule::BELOW_ONE;
        /// sgd: `torch` v = momentum v + g, w = w - lr v; `pylearn2` v = momentum v - lr g, w = w + v. They differ where the learning rate changes.
        momentum_form: MomentumForm = MomentumForm::Torch, Rule::Choice(&["torch", "pylearn2"]);
        /// sgd: the momentum that `momentum_steps` leads to.
        momentum_final: f64 = 0.0, Rule::BELOW_ONE;
        /// sgd: updates in which the momentum goes linearly from `momentum` to `momentum_final`; with 0 it stays `momentum`.
        momentum_steps: u64 = 0, Rule::Whole(0, LONGEST);
        /// The learning rate is divided by this after each update; 1 keeps it.
        lr_decay: f64 = 1.0, Rule::Number(std::ops::Bound::Included(1.0), std::ops::Bound::Unbounded);
        /// The learning rate that `lr_decay` stops at.
        lr_min: f64 = 0.0, Rule::NOT_NEGATIVE;
        /// This times the weight is added to its gradient before the update (L2).
        weight_decay: f64 = 0.0, Rule::NOT_NEGATIVE;
    }
}

/// Height and width of an image in pixels. In TOML one number where they are
/// equal, else `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sides", into = "Sides")]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// As high as wide.
    pub const fn square(side: usize) -> Self {
        Self {
            height: side,
            width: side,
        }
    }
}

impl std::fmt::Display for Size {
    /// As in TOML.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.height == self.width {
            write!(f, "{}", self.height)
        } else {
            write!(f, "[{}, {}]", self.height, self.width)
        }
    }
}

/// The two forms of a [`Size`] in TOML.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Sides {
    Square(usize),
    Rectangle([usize; 2]),
}

impl From<Sides> for Size {
    fn from(sides: Sides) -> Self {
        match sides {
            Sides::Square(side) => Self::square(side),
            Sides::Rectangle([height, width]) => Self { height, width },
        }
    }
}

impl From<Size> for Sides {
    fn from(size: Size) -> Self {
        if size.height == size.width {
            Self::Square(size.height)
        } else {
            Self::Rectangle([size.height, size.width])
        }
    }
}

/// A set of words: an enum that TOML spells in kebab case.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $( $(#[doc = $doc:literal])+ $word:ident, )+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $( $(#[doc = $doc])+ $word, )+ }
    };
}

words! {
    /// Kind of networks.
    Architecture {
        /// Dense generator and maxout discriminator (Goodfellow et al. 2014).
        Mlp,
        /// Convolutional networks with batch normalisation (Radford et al. 2015).
        Dcgan,
    }
}

words! {
    /// Distribution of each element of the latent vector; all have mean 0 and variance 1.
    Latent {
        /// N(0, 1).
        Normal,
        /// Uniform in [-sqrt(3), sqrt(3)].
        Uniform,
    }
}

words! {
    /// How a dcgan starts from the latent vector, and ends in the logit.
    Stem {
        /// Dense layer to a quarter of the image, then two doublings.
        Linear,
        /// 4x4 transposed convolution to 4x4, then doublings up to the image.
        Conv,
    }
}

words! {
    /// Last function of the generator.
    Output {
        /// Images in [-1, 1].
        Tanh,
        /// Images in [0, 1].
        Sigmoid,
    }
}

impl Output {
    /// The smallest and largest pixel that the networks see.
    pub const fn range(self) -> (f32, f32) {
        match self {
            Self::Tanh => (-1.0, 1.0),
            Self::Sigmoid => (0.0, 1.0),
        }
    }
}

words! {
    /// Initial biases of the mlp generator's last layer.
    OutputBias {
        /// All 0.
        Zero,
        /// The inverse of the output function at the mean real image.
        Marginals,
    }
}

words! {
    /// The generator's loss.
    LossKind {
        /// `-log D(G(z))`.
        NonSaturating,
        /// `log(1 - D(G(z)))`.
        Minimax,
    }
}

words! {
    /// Which discriminator and latents a generator step sees.
    Update {
        /// The updated discriminator, new latents.
        Alternating,
        /// The same discriminator, latents and dropout as the discriminator step.
        Simultaneous,
    }
}

words! {
    /// Where the learning rate stands in gradient descent with momentum.
    MomentumForm {
        /// Outside the velocity: `v = momentum v + g; w = w - lr v` (PyTorch).
        Torch,
        /// Inside: `v = momentum v - lr g; w = w + v` (pylearn2; Sutskever et al. 2013).
        Pylearn2,
    }
}

words! {
    /// The rule by which weights move.
    OptimizerKind {
        /// Kingma and Ba 2015, with PyTorch's place of eps.
        Adam,
        /// Gradient descent with momentum.
        Sgd,
        /// PyTorch's form: eps outside the root, mean square from 0.
        Rmsprop,
    }
}
