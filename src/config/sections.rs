//! The sections that every system has, and the words of their keys.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::key::{Allowed, section, words};
use super::refusal::{Refusal, refuse};

/// More than any layer or batch has.
pub(crate) const WIDEST: i64 = 1 << 16;

/// More steps than any run has; times a batch they still fit in 64 bits.
pub(crate) const LONGEST: i64 = 1_000_000_000_000;

/// More steps in a tick, or ticks in a snapshot, than any run has; their
/// product still fits in 64 bits.
const RAREST: i64 = 1_000_000_000;

section! {
    /// The keys above all sections.
    Top {
        /// Name of the preset that the other values started from.
        preset: String = "default".into(), Allowed::Text;
        /// What is trained, which decides what keys there are; chosen by the preset.
        system: String = String::new(), Allowed::Text;
        /// Seed of every random choice: weights, batches, latents, dropout.
        seed: u64 = 0, Allowed::COUNT;
        /// Records of the data per step.
        batch: usize = 64, Allowed::Whole(1, WIDEST);
        /// Steps until the run ends.
        steps: u64 = 10_000, Allowed::Whole(1, LONGEST);
    }
}

section! {
    /// The loop around the networks.
    Train {
        /// Steps per tick; each tick ends with a line of statistics.
        tick: u64 = 100, Allowed::Whole(1, RAREST);
        /// Ticks per snapshot, which writes figures and a checkpoint.
        snap: u64 = 5, Allowed::Whole(1, RAREST);
        /// Newest checkpoints to keep, besides the last healthy one; 0 keeps all.
        keep: usize = 3, Allowed::COUNT;
        /// Whether the training's health is measured, once a tick.
        health: bool = true, Allowed::Flag;
        /// Whether statistics and samples are written for TensorBoard too, into the run's folder.
        events: bool = true, Allowed::Flag;
        /// What to do when training goes wrong: `warn` says so and goes on, `stop` saves and ends with exit code 3, `rollback` goes back to the last healthy checkpoint with other learning rates, at most three times. Losses, weights or gradients that are not finite end it under `warn` too.
        on_collapse: OnCollapse = OnCollapse::Warn, Allowed::Choice(&["warn", "stop", "rollback"]);
    }
}

section! {
    /// How the weights of one network move.
    Optimizer {
        /// `adam`, `sgd` (with momentum) or `rmsprop`.
        kind: OptimizerKind = OptimizerKind::Adam, Allowed::Choice(&["adam", "sgd", "rmsprop"]);
        /// Learning rate of the first update. Two players may have their own (TTUR, Heusel et al. 2017: such as 1e-4 for g and 4e-4 for d).
        lr: f64 = 2e-4, Allowed::NOT_NEGATIVE;
        /// Decay of the mean of the gradient (`adam`).
        beta1: f64 = 0.5, Allowed::BELOW_ONE;
        /// Decay of the mean of the squared gradient (`adam`).
        beta2: f64 = 0.999, Allowed::BELOW_ONE;
        /// Added to the square root that divides the update (`adam`, `rmsprop`).
        eps: f64 = 1e-8, Allowed::POSITIVE;
        /// Decay of the mean of the squared gradient (`rmsprop`).
        alpha: f64 = 0.99, Allowed::BELOW_ONE;
        /// Fraction of the last change of a weight that is added to the next (`sgd`).
        momentum: f64 = 0.0, Allowed::BELOW_ONE;
        /// Where the learning rate stands in `sgd`: `torch` v = momentum v + g, w = w - lr v; `pylearn2` v = momentum v - lr g, w = w + v. They differ where the learning rate changes.
        momentum_form: MomentumForm = MomentumForm::Torch, Allowed::Choice(&["torch", "pylearn2"]);
        /// The momentum that `momentum_steps` leads to.
        momentum_final: f64 = 0.0, Allowed::BELOW_ONE;
        /// Updates in which the momentum goes linearly from `momentum` to `momentum_final`; with 0 it stays `momentum`.
        momentum_steps: u64 = 0, Allowed::Whole(0, LONGEST);
        /// The learning rate is divided by this after each update; 1 keeps it.
        lr_decay: f64 = 1.0, Allowed::Number(std::ops::Bound::Included(1.0), std::ops::Bound::Unbounded);
        /// Updates in which the learning rate falls linearly to `lr_min`, after the first `lr_hold`; with 0 it does not.
        lr_steps: u64 = 0, Allowed::Whole(0, LONGEST);
        /// Updates before those of `lr_steps`.
        lr_hold: u64 = 0, Allowed::Whole(0, LONGEST);
        /// The learning rate that no schedule goes below.
        lr_min: f64 = 0.0, Allowed::NOT_NEGATIVE;
        /// This times the weight is added to its gradient before the update (L2).
        weight_decay: f64 = 0.0, Allowed::NOT_NEGATIVE;
    }
}

/// Height and width of an image in pixels. In TOML one number where they are
/// equal, else `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sides", into = "Sides")]
pub struct Size {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
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

words! {
    /// Distribution of each element of the latent vector; all have mean 0 and variance 1.
    Latent {
        /// Standard normal, N(0, 1).
        Normal,
        /// Uniform in [-sqrt(3), sqrt(3)].
        Uniform,
    }
}

words! {
    /// Last function of the generator.
    Output {
        /// Images in [-1, 1].
        Tanh,
        /// Images in [0, 1].
        Sigmoid,
        /// The identity, for outputs without bounds.
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
    /// What an unhealthy training leads to.
    OnCollapse {
        /// Say so once and go on.
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

impl Optimizer {
    /// Refuses a floor of the learning rate above where it starts, of the network
    /// with this name in keys.
    pub(crate) fn floor_above(&self, network: &str) -> Option<Refusal> {
        refuse(
            self.lr_min > self.lr,
            format!(
                "optimizer.{network}.lr_min = {:?} is above optimizer.{network}.lr = {:?}",
                self.lr_min, self.lr
            ),
            "use a minimum that is not above the initial rate",
        )
    }
}
