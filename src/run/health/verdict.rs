//! The verdicts: their names, what to do about them, and sets of them.

use serde::{Deserialize, Serialize};

/// What can be wrong with a training, the gravest first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// Losses, weights or gradients are infinite or NaN.
    #[serde(rename = "non-finite")]
    NonFinite,
    /// Steps or losses grow without bound.
    #[serde(rename = "diverging")]
    Diverging,
    /// D is right about everything.
    #[serde(rename = "discriminator overpowered")]
    DiscriminatorOverpowered,
    /// Nothing tells G where to go.
    #[serde(rename = "vanishing generator gradient")]
    VanishingGeneratorGradient,
    /// Samples are nearly all alike.
    #[serde(rename = "mode collapse")]
    ModeCollapse,
    /// What is made of different inputs is nearly all alike.
    #[serde(rename = "ignores its input")]
    IgnoresInput,
    /// Samples are training images.
    #[serde(rename = "memorising")]
    Memorising,
}

/// All verdicts, the gravest first.
pub const VERDICTS: [Verdict; 7] = [
    Verdict::NonFinite,
    Verdict::Diverging,
    Verdict::DiscriminatorOverpowered,
    Verdict::VanishingGeneratorGradient,
    Verdict::ModeCollapse,
    Verdict::IgnoresInput,
    Verdict::Memorising,
];

impl Verdict {
    /// The name in files and messages, as `mode collapse`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonFinite => "non-finite",
            Self::Diverging => "diverging",
            Self::ModeCollapse => "mode collapse",
            Self::IgnoresInput => "ignores its input",
            Self::DiscriminatorOverpowered => "discriminator overpowered",
            Self::VanishingGeneratorGradient => "vanishing generator gradient",
            Self::Memorising => "memorising",
        }
    }

    /// What to do about it.
    pub const fn suggestion(self) -> &'static str {
        match self {
            Self::NonFinite | Self::Diverging => {
                "lower both learning rates (optimizer.g.lr, optimizer.d.lr)"
            }
            Self::ModeCollapse => {
                "lower optimizer.g.lr, or let D see several images at once (loss.pack=2, model.minibatch_std=4)"
            }
            Self::IgnoresInput => {
                "check that inputs match their images; lower optimizer.g.lr, or raise the weight that ties outputs to inputs (loss.l1, loss.cycle)"
            }
            Self::DiscriminatorOverpowered => {
                "lower optimizer.d.lr, or make its task harder (loss.instance_noise=0.1, loss.real_label=0.9)"
            }
            Self::VanishingGeneratorGradient => {
                "lower optimizer.d.lr, or use a loss that does not saturate (loss.kind=non-saturating)"
            }
            Self::Memorising => "stop here, use more images, or set loss.augment=all",
        }
    }

    /// What a rollback changes: factors of the learning rates of G and D. Where
    /// fewer steps are the remedy there is nothing to change.
    pub const fn remedy(self) -> [f64; 2] {
        match self {
            Self::NonFinite | Self::Diverging => [0.1, 0.1],
            Self::ModeCollapse | Self::IgnoresInput => [0.5, 1.0],
            Self::DiscriminatorOverpowered | Self::VanishingGeneratorGradient => [1.0, 0.25],
            Self::Memorising => [1.0, 1.0],
        }
    }
}

/// A set of verdicts; in files a list of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Verdict>", into = "Vec<Verdict>")]
pub struct Verdicts(u8);

impl Verdicts {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether this one is there.
    pub const fn contains(self, verdict: Verdict) -> bool {
        self.0 & (1 << verdict as u8) != 0
    }

    /// Those there are, the gravest first.
    pub fn iter(self) -> impl Iterator<Item = Verdict> {
        VERDICTS.into_iter().filter(move |v| self.contains(*v))
    }
}

impl FromIterator<Verdict> for Verdicts {
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        Self(verdicts.into_iter().fold(0, |set, v| set | 1 << v as u8))
    }
}

impl From<Vec<Verdict>> for Verdicts {
    fn from(verdicts: Vec<Verdict>) -> Self {
        verdicts.into_iter().collect()
    }
}

impl From<Verdicts> for Vec<Verdict> {
    fn from(verdicts: Verdicts) -> Self {
        verdicts.iter().collect()
    }
}
