//! The sections of the configuration: [`Config`] and what is in it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::data::Data;
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
    /// The two networks.
    Model {
        /// `mlp`: dense generator and maxout discriminator (Goodfellow et al. 2014); `dcgan`: convolutional (Radford et al. 2015); `resnet`: residual blocks (Gulrajani et al. 2017, Miyato et al. 2018); `dense`: dense ReLU networks for points of the plane (`gpugan toy`).
        architecture: Architecture = Architecture::Dcgan, Rule::Choice(&["mlp", "dcgan", "resnet", "dense"]);
        /// Length of the latent vector z.
        latent: usize = 100, Rule::Whole(1, WIDEST);
        /// Distribution of each element of z: `normal` N(0, 1), or `uniform` between -sqrt(3) and sqrt(3), which has variance 1 too.
        latent_distribution: Latent = Latent::Normal, Rule::Choice(&["normal", "uniform"]);
        /// dcgan: channels of the layer next to the image, in both networks; each halving of the image doubles them. resnet: channels of every block.
        width: usize = 64, Rule::Whole(1, 4096);
        /// dcgan: `linear` makes a quarter of the image by a dense layer and doubles it twice, with biases next to the image; `conv` makes 4x4 by a convolution and doubles it up to a square of 16, 32, 64, ... without biases.
        stem: Stem = Stem::Linear, Rule::Choice(&["linear", "conv"]);
        /// dcgan: standard deviation of the initial weights, around 0 for convolutions and around 1 for the gains of batch normalisation.
        init_std: f64 = 0.02, Rule::POSITIVE;
        /// dcgan and resnet: normalisation of the discriminator's hidden layers but the first (resnet: the first block): `batch`, `layer` (all channels of an image), `instance` (each channel of an image), `group`, or `none`, where they have biases instead. Gradient penalties are per image and need one of the last four.
        norm_d: Norm = Norm::Batch, Rule::Choice(&["batch", "layer", "instance", "group", "none"]);
        /// dcgan and resnet: groups of channels of `group` normalisation; divides `width`.
        norm_groups: usize = 8, Rule::Whole(1, 4096);
        /// Whether every weight of the discriminator is divided by its largest singular value, one power iteration an update (Miyato et al. 2018).
        spectral_norm: bool = false, Rule::Flag;
        /// dcgan, resnet and dense: images of a group whose mean standard deviation the discriminator sees as one more channel of its last features (Karras et al. 2018); divides the batch, 0 is off.
        minibatch_std: usize = 0, Rule::Whole(0, WIDEST);
        /// dcgan, resnet and dense: minibatch discrimination (Salimans et al. 2016, section 3.2): as many more channels of the discriminator's last features say how near an image is to the others of its batch; 0 is off.
        minibatch_features: usize = 0, Rule::Whole(0, 4096);
        /// Numbers that `minibatch_features` compares for each of its channels.
        minibatch_dims: usize = 5, Rule::Whole(1, 4096);
        /// Last function of the generator: `tanh` with images in [-1, 1], `sigmoid` with images in [0, 1], or `linear`.
        output: Output = Output::Tanh, Rule::Choice(&["tanh", "sigmoid", "linear"]);
        /// mlp and dense: units of the generator's hidden layers (ReLU).
        hidden_g: Vec<usize> = vec![1200, 1200], Rule::Wholes(1, WIDEST);
        /// dense: units of the discriminator's hidden layers (ReLU).
        hidden_d: Vec<usize> = vec![128, 128, 128], Rule::Wholes(1, WIDEST);
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
        /// With D = sigmoid(a) of a logit a: `non-saturating` (the generator's loss is -log D(G(z))), `minimax` (log(1 - D(G(z)))), `relativistic` (each logit against the other batch's mean). On a itself: `least-squares` (targets 1 and 0), `hinge`, `wasserstein` (a critic, which needs a bound: `penalty`, `weight_clip` or `model.spectral_norm`). `feature-matching`: D as in `non-saturating`, G brings the means of D's last features together.
        kind: LossKind = LossKind::NonSaturating, Rule::Choice(&["non-saturating", "minimax", "relativistic", "least-squares", "hinge", "wasserstein", "feature-matching"]);
        /// Penalty on the norm of the gradient of D's output with respect to an image: `gradient` towards 1 between real and fake images (WGAN-GP), `gradient-one-sided` only above 1, `dragan` towards 1 around real images, `r1` its square half on real images, `r2` on fake ones.
        penalty: Penalty = Penalty::None, Rule::Choice(&["none", "gradient", "gradient-one-sided", "dragan", "r1", "r2"]);
        /// Factor of the penalty.
        penalty_weight: f64 = 10.0, Rule::NOT_NEGATIVE;
        /// Discriminator updates from one with the penalty to the next, in which it counts this many times.
        penalty_every: u64 = 1, Rule::Whole(1, 1_000_000);
        /// The discriminator's weights are kept between minus this and this after each update (WGAN); 0 is off.
        weight_clip: f64 = 0.0, Rule::NOT_NEGATIVE;
        /// Standard deviation of normal noise that is added to every image that the discriminator sees; 0 is off.
        instance_noise: f64 = 0.0, Rule::NOT_NEGATIVE;
        /// Steps in which `instance_noise` falls linearly to 0; with 0 it stays.
        instance_noise_steps: u64 = 0, Rule::Whole(0, LONGEST);
        /// Differentiable augmentation of every image that the discriminator sees (Zhao et al. 2020).
        augment: Augment = Augment::None, Rule::Choice(&["none", "color", "translation", "cutout", "all"]);
        /// Probability with which each kind of `augment` changes an image; the largest with `augment_target`.
        augment_p: f64 = 1.0, Rule::Number(std::ops::Bound::Excluded(0.0), std::ops::Bound::Included(1.0));
        /// Adaptive strength (Karras et al. 2020): the probability starts at 0 and follows the mean sign of D on real images, up while it is above this and down while it is below; 0.6 is usual, 0 keeps the probability at `augment_p`.
        augment_target: f64 = 0.0, Rule::BELOW_ONE;
        /// Real images in which an adaptive probability goes from 0 to 1 at the fastest.
        augment_images: u64 = 500_000, Rule::Whole(1, LONGEST);
        /// Discriminator updates from one change of an adaptive probability to the next.
        augment_every: u64 = 4, Rule::Whole(1, 1_000_000);
        /// Images that the discriminator judges together, stacked along the channels (PacGAN); divides the batch.
        pack: usize = 1, Rule::Whole(1, 64);
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
        /// Discriminator steps for each of the generator steps that `d_steps_first` and `d_steps_every` name.
        d_steps_boost: usize = 100, Rule::Whole(1, 1000);
        /// Generator steps at the start of a run that take `d_steps_boost`; WGAN has 25.
        d_steps_first: u64 = 0, Rule::Whole(0, LONGEST);
        /// Every such generator step takes `d_steps_boost` too, the first included; WGAN has 500, 0 is never.
        d_steps_every: u64 = 0, Rule::Whole(0, LONGEST);
        /// `alternating`: the generator steps against the discriminator just updated, with new latents; `simultaneous`: both step from one batch, its latents and its dropout.
        update: Update = Update::Alternating, Rule::Choice(&["alternating", "simultaneous"]);
        /// Updates of the discriminator, by gradient descent with `unroll_lr`, that each generator step looks ahead and learns through (Metz et al. 2017), by the whole value of the game: needs `loss.kind = minimax`; 0 is off.
        unroll: usize = 0, Rule::Whole(0, 20);
        /// Learning rate of the updates that `unroll` looks ahead; one that overshoots teaches the generator nonsense.
        unroll_lr: f64 = 0.003, Rule::POSITIVE;
        /// Discriminator steps before the generator's first.
        d_pretrain: u64 = 0, Rule::Whole(0, LONGEST);
        /// Decay, in a step, of the moving average of the generator's weights that is sampled; 0 is off.
        ema_decay: f64 = 0.999, Rule::BELOW_ONE;
        /// Steps in a tick, which ends with a line of statistics.
        tick: u64 = 100, Rule::Whole(1, RAREST);
        /// Ticks from one snapshot (samples and checkpoint) to the next.
        snap: u64 = 5, Rule::Whole(1, RAREST);
        /// Newest checkpoints that are kept, beside the last healthy one; 0 keeps all.
        keep: usize = 3, Rule::COUNT;
        /// Whether the training's health is measured, once a tick.
        health: bool = true, Rule::Flag;
        /// What an unhealthy training leads to: `warn` says so and goes on, `stop` saves and ends with exit code 3, `rollback` goes back to the last healthy checkpoint with other learning rates, three times at most. One that is not finite ends under `warn` too.
        on_collapse: OnCollapse = OnCollapse::Warn, Rule::Choice(&["warn", "stop", "rollback"]);
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
        /// Learning rate of the first update. The two networks may have their own (TTUR, Heusel et al. 2017: such as 1e-4 for g and 4e-4 for d).
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

        impl $name {
            /// As TOML spells it.
            pub fn word(self) -> String {
                // Only a value that is no word would not be text.
                toml::Value::try_from(self)
                    .ok()
                    .and_then(|value| value.as_str().map(str::to_owned))
                    .unwrap_or_default()
            }
        }
    };
}

words! {
    /// Kind of networks.
    Architecture {
        /// Dense generator and maxout discriminator (Goodfellow et al. 2014).
        Mlp,
        /// Convolutional networks with batch normalisation (Radford et al. 2015).
        Dcgan,
        /// Residual blocks (Gulrajani et al. 2017, Miyato et al. 2018).
        Resnet,
        /// Dense networks with ReLU, for points of the plane.
        Dense,
    }
}

words! {
    /// Normalisation of hidden layers.
    Norm {
        /// Over the batch (Ioffe and Szegedy 2015).
        Batch,
        /// Over all channels of an image, with a gain a channel.
        Layer,
        /// Over each channel of an image.
        Instance,
        /// Over groups of channels of an image.
        Group,
        /// None; biases instead.
        None,
    }
}

words! {
    /// Penalty on the gradient of the discriminator's output.
    Penalty {
        /// None.
        None,
        /// `(|g| - 1)^2` between real and fake images (Gulrajani et al. 2017).
        Gradient,
        /// `max(0, |g| - 1)^2` between real and fake images.
        GradientOneSided,
        /// `(|g| - 1)^2` around real images (Kodali et al. 2017).
        Dragan,
        /// `|g|^2 / 2` on real images (Mescheder et al. 2018).
        R1,
        /// `|g|^2 / 2` on generated images.
        R2,
    }
}

words! {
    /// What is done to each image that the discriminator sees.
    Augment {
        /// Nothing.
        None,
        /// Brightness, saturation and contrast.
        Color,
        /// A shift by up to an eighth, filled with 0.
        Translation,
        /// A rectangle of half the sides set to 0.
        Cutout,
        /// All three.
        All,
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
        /// Any numbers.
        Linear,
    }
}

impl Output {
    /// The numbers of black and white pixels as the networks see them.
    pub const fn range(self) -> (f32, f32) {
        match self {
            Self::Tanh | Self::Linear => (-1.0, 1.0),
            Self::Sigmoid => (0.0, 1.0),
        }
    }

    /// Pixels in [-1, 1] as the networks see them.
    pub fn from_unit(self, pixels: &[f32]) -> Cow<'_, [f32]> {
        let (low, high) = self.range();
        if (low, high) == (-1.0, 1.0) {
            return Cow::Borrowed(pixels);
        }
        let scaled = pixels.iter().map(|x| low + (high - low) * (x + 1.0) / 2.0);
        scaled.collect()
    }

    /// Pixels that a network made, in [-1, 1].
    pub fn to_unit(self, pixels: &[f32]) -> Vec<f32> {
        let (low, high) = self.range();
        let scaled = pixels.iter().map(|x| (x - low) / (high - low) * 2.0 - 1.0);
        scaled.collect()
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
    /// What the networks minimise; `gan::loss` has the formulas.
    LossKind {
        /// The generator minimises `-log D(G(z))`.
        NonSaturating,
        /// The generator minimises `log(1 - D(G(z)))`.
        Minimax,
        /// Relativistic average (Jolicoeur-Martineau 2018).
        Relativistic,
        /// LSGAN (Mao et al. 2017).
        LeastSquares,
        /// Lim and Ye 2017, Miyato et al. 2018.
        Hinge,
        /// WGAN (Arjovsky et al. 2017).
        Wasserstein,
        /// Salimans et al. 2016, section 3.1.
        FeatureMatching,
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
    /// What an unhealthy training leads to.
    OnCollapse {
        /// A warning.
        Warn,
        /// The end of the run.
        Stop,
        /// The last healthy checkpoint again, with other learning rates.
        Rollback,
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
