//! Is a training healthy? Named verdicts from the numbers of its ticks, with
//! their evidence and what to do. Plain numbers; nothing here touches a GPU.
//! `docs/health.md` explains each measurement, threshold and verdict.

use serde::{Deserialize, Deserializer, Serialize};

use super::monitor::{FAR, PROBES, Probe};
use crate::config::{Config, LossKind};

/// Steps at the start, and part of all steps, in which a generator may be poor:
/// its first images are all alike, and D tells them from real ones at once.
pub const WARM_UP: u64 = 200;
const WARM_UP_PART: u64 = 50;
/// A sign is a verdict when it was there in so many ticks in a row ...
pub const TICKS: usize = 3;
/// ... over so many steps.
pub const STEPS: u64 = 200;

/// Samples lie this much nearer to each other than real images do: collapse.
const DIVERSITY: f64 = 0.25;
/// The same of each sample and the nearest other one of its batch.
const TWINS: f64 = 0.15;
/// What either gains since it fell below its limit, as part of the limit, where
/// it is on its way up.
const GAIN: f64 = 0.1;
/// D knows nothing while its loss is so near to an undecided one's.
const UNDECIDED: f64 = 0.01;
/// D is right about all images but one in a hundred ...
const ACCURACY: f64 = 0.99;
/// ... and its loss is this part of an undecided D's.
const LOSS_SHARE: f64 = 0.05;
/// Derivative of a sample's loss with respect to its logit; 0.5 before D knows
/// anything.
const LOGIT_GRADIENT: f64 = 1e-3;
/// Length of the generator's gradient.
const GRADIENT: f64 = 1e-8;
/// Samples lie this much nearer to training images than those do to each other.
/// The mean image, which knows none of them, lies at 1 / sqrt(2).
const MEMORY: f64 = 0.6;
/// Part of a network's weights that one step replaces.
const UPDATE: f64 = 0.2;
/// Losses on probabilities: 30 is D(G(z)) = e^-30.
const LOSS: f64 = 30.0;
/// Losses on scores, which have no unit.
const SCORE: f64 = 1e4;

/// Numbers that do not exist are NaN here and `null` in files.
macro_rules! measures {
    ($( $(#[doc = $doc:literal])+ $name:ident, )+) => {
        /// What is measured at the end of a tick. A number that does not exist
        /// is NaN here and `null` in files.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Measures {
            $(
                $(#[doc = $doc])+
                #[serde(default = "missing", deserialize_with = "number_or_null")]
                pub $name: f64,
            )+
            /// What is wrong.
            #[serde(default, skip_serializing_if = "Verdicts::is_empty")]
            pub verdicts: Verdicts,
        }

        impl Default for Measures {
            /// Nothing measured.
            fn default() -> Self {
                Self { $( $name: f64::NAN, )+ verdicts: Verdicts::default() }
            }
        }
    };
}

measures! {
    /// Part of the real batch that D is right about.
    accuracy_real,
    /// Part of the generated batch that D is right about.
    accuracy_fake,
    /// Length of G's gradient.
    gradient_g,
    /// Length of D's gradient.
    gradient_d,
    /// Root mean square, over the batch, of the derivative of a sample's loss
    /// with respect to its logit: 0.5 for an undecided D, 1 for a critic.
    gradient_logits,
    /// Length of the last step's change of G's weights, as part of their own.
    update_g,
    /// Length of the last step's change of D's weights, as part of their own.
    update_d,
    /// Mean distance of two samples, as root mean square over pixels.
    diversity,
    /// `diversity` as part of that of the real batch.
    diversity_ratio,
    /// Mean distance of a sample from the nearest other, as part of that of
    /// the real batch.
    twin_ratio,
    /// Mean distance of a sample from the nearest training image, as part of
    /// that between training images.
    memory_ratio,
    /// Part of all weights and gradients that is infinite or NaN.
    non_finite,
    /// Standard deviation of D's loss over the steps of the tick.
    oscillation_d,
    /// Standard deviation of G's loss over the steps of the tick.
    oscillation_g,
}

fn missing() -> f64 {
    f64::NAN
}

/// A number, NaN where JSON has `null`.
pub(crate) fn number_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Sizes that the sums of the health program are over.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Logits of a batch.
    pub logits: usize,
    /// Elements of an image.
    pub pixels: usize,
    /// Weights and gradients of both networks.
    pub elements: usize,
}

impl Measures {
    /// From the numbers of [`PROBES`]; losses are left missing.
    pub fn new(probes: &[f32; PROBES.len()], sizes: Sizes) -> Self {
        let of = |probe: Probe| f64::from(probes[probe as usize]);
        let distance = |probe: Probe| {
            let distance = of(probe);
            // Nothing was left to be near to.
            if distance < f64::from(FAR).sqrt() / 1e3 {
                distance
            } else {
                f64::NAN
            }
        };
        let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { f64::NAN };
        Self {
            accuracy_real: of(Probe::AccuracyReal),
            accuracy_fake: of(Probe::AccuracyFake),
            gradient_g: of(Probe::GradientG).sqrt(),
            gradient_d: of(Probe::GradientD).sqrt(),
            gradient_logits: (of(Probe::LogitGradient) * sizes.logits as f64).sqrt(),
            update_g: ratio(of(Probe::ChangeG), of(Probe::WeightsG)).sqrt(),
            update_d: ratio(of(Probe::ChangeD), of(Probe::WeightsD)).sqrt(),
            diversity: distance(Probe::PairsFake) / (sizes.pixels as f64).sqrt(),
            diversity_ratio: ratio(distance(Probe::PairsFake), distance(Probe::PairsReal)),
            twin_ratio: ratio(distance(Probe::TwinFake), distance(Probe::TwinReal)),
            memory_ratio: ratio(distance(Probe::NearFake), distance(Probe::NearReal)),
            non_finite: of(Probe::NonFinite) / sizes.elements as f64,
            ..Self::default()
        }
    }
}

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
    /// Samples are training images.
    #[serde(rename = "memorising")]
    Memorising,
}

/// All verdicts, the gravest first.
pub const VERDICTS: [Verdict; 6] = [
    Verdict::NonFinite,
    Verdict::Diverging,
    Verdict::DiscriminatorOverpowered,
    Verdict::VanishingGeneratorGradient,
    Verdict::ModeCollapse,
    Verdict::Memorising,
];

impl Verdict {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonFinite => "non-finite",
            Self::Diverging => "diverging",
            Self::ModeCollapse => "mode collapse",
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
            Self::DiscriminatorOverpowered => {
                "lower optimizer.d.lr, or make its task harder (loss.instance_noise=0.1, loss.real_label=0.9)"
            }
            Self::VanishingGeneratorGradient => {
                "lower optimizer.d.lr, or use a loss that does not saturate (loss.kind=non-saturating)"
            }
            Self::Memorising => "end here, or give more images or loss.augment=all",
        }
    }

    /// What a rollback changes: factors of the learning rates of G and D. Where
    /// fewer steps are the remedy there is nothing to change.
    pub const fn remedy(self) -> [f64; 2] {
        match self {
            Self::NonFinite | Self::Diverging => [0.1, 0.1],
            Self::ModeCollapse => [0.5, 1.0],
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

/// What the rules look at, of one tick.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Generator steps since the start.
    pub step: u64,
    /// D's loss, mean over the tick.
    pub loss_d: f64,
    /// G's loss, mean over the tick.
    pub loss_g: f64,
    /// The rest.
    pub measures: Measures,
}

/// A verdict with its grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub verdict: Verdict,
    /// The numbers that say so.
    pub evidence: String,
}

impl std::fmt::Display for Finding {
    /// `mode collapse: samples differ 0.03 times as much as real images`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.verdict.name(), self.evidence)
    }
}

/// What a loss makes of the numbers.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    kind: LossKind,
    /// D's loss where it knows nothing, and where it is always right; `None`
    /// for a critic, which is never right.
    range_d: Option<[f64; 2]>,
    /// The last step at which a poor generator says nothing.
    warm_up: u64,
}

impl Rules {
    /// The rules of a configuration.
    pub fn new(config: &Config) -> Self {
        let (kind, label) = (config.loss.kind, config.loss.real_label);
        let undecided = 2.0 * std::f64::consts::LN_2;
        let entropy = |p: f64| {
            if p < 1.0 {
                -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
            } else {
                0.0
            }
        };
        let range = match kind {
            LossKind::NonSaturating | LossKind::Minimax | LossKind::FeatureMatching => {
                Some([undecided, entropy(label)])
            }
            LossKind::Relativistic => Some([undecided, 0.0]),
            LossKind::LeastSquares => Some([label * label / 4.0, 0.0]),
            LossKind::Hinge => Some([2.0, 0.0]),
            LossKind::Wasserstein => None,
        };
        Self {
            kind,
            warm_up: WARM_UP.max(config.steps / WARM_UP_PART),
            range_d: range.map(|range| range.map(|loss| loss * config.loss.d_weight)),
        }
    }

    /// What the last of these ticks is found to be, the gravest first: signs
    /// that were there in [`TICKS`] ticks in a row over [`STEPS`] steps, and at
    /// once what is not finite. A diversity that grows is on its way up, not
    /// collapsed.
    pub fn findings(&self, ticks: &[Observation]) -> Vec<Finding> {
        let Some(last) = ticks.last() else {
            return Vec::new();
        };
        let lasts = |verdict: Verdict| {
            let steady = ticks.iter().rev().take_while(|tick| {
                let signs = self.signs(tick);
                signs.iter().any(|sign| sign.verdict == verdict)
            });
            let (count, first) = steady.fold((0, last), |(count, _), tick| (count + 1, tick));
            let grows = verdict == Verdict::ModeCollapse
                && spread(&last.measures) > spread(&first.measures) + GAIN;
            count >= TICKS && last.step - first.step >= STEPS && !grows
        };
        let mut found = self.signs(last);
        found.retain(|sign| sign.verdict == Verdict::NonFinite || lasts(sign.verdict));
        found
    }

    /// What one tick alone looks like, the gravest first; early on only what no
    /// start of a training excuses.
    pub fn signs(&self, tick: &Observation) -> Vec<Finding> {
        let mut signs = self.strict_signs(tick);
        let grave =
            |sign: &Finding| matches!(sign.verdict, Verdict::NonFinite | Verdict::Diverging);
        signs.retain(|sign| grave(sign) || tick.step > self.warm_up);
        signs
    }

    /// The same without excuse: what a checkpoint must be free of to count as
    /// healthy.
    pub fn strict_signs(&self, tick: &Observation) -> Vec<Finding> {
        let m = &tick.measures;
        let mut signs = Vec::new();
        let mut sign = |verdict: Verdict, there: bool, evidence: String| {
            if there {
                signs.push(Finding { verdict, evidence });
            }
        };
        sign(
            Verdict::NonFinite,
            m.non_finite > 0.0,
            format!(
                "{:.2} % of weights and gradients are infinite or NaN",
                100.0 * m.non_finite
            ),
        );

        let update = m.update_g.max(m.update_d);
        sign(
            Verdict::Diverging,
            update > UPDATE,
            format!("a step changes weights by {update:.2} of their length (limit {UPDATE})"),
        );
        let loss = tick.loss_d.abs().max(tick.loss_g.abs());
        let bound = match self.kind {
            LossKind::NonSaturating | LossKind::Minimax | LossKind::Relativistic => LOSS,
            _ => SCORE,
        };
        sign(
            Verdict::Diverging,
            loss > bound && update <= UPDATE,
            format!("a loss is {loss:.3e} in size (limit {bound})"),
        );
        let share = self.range_d.map_or(f64::NAN, |[undecided, least]| {
            (tick.loss_d - least) / (undecided - least)
        });
        // Before D tells anything apart, G has nothing to learn from yet.
        let undecided = (share - 1.0).abs() < UNDECIDED;
        let collapsed = spread(m) < 1.0;
        sign(
            Verdict::DiscriminatorOverpowered,
            m.accuracy_real.min(m.accuracy_fake) >= ACCURACY && share <= LOSS_SHARE,
            format!(
                "D is right about {:.0} % of real and {:.0} % of generated images, its loss {share:.1e} of an undecided one's (limits {:.0} %, {LOSS_SHARE})",
                100.0 * m.accuracy_real,
                100.0 * m.accuracy_fake,
                100.0 * ACCURACY,
            ),
        );

        let blind = m.gradient_logits < LOGIT_GRADIENT && self.kind != LossKind::FeatureMatching;
        sign(
            Verdict::VanishingGeneratorGradient,
            blind,
            format!(
                "a logit moves a sample's loss by {:.1e} (limit {LOGIT_GRADIENT:.0e}, undecided 0.5)",
                m.gradient_logits
            ),
        );
        sign(
            Verdict::VanishingGeneratorGradient,
            m.gradient_g < GRADIENT && !blind,
            format!(
                "G's gradient is {:.1e} long (limit {GRADIENT:.0e})",
                m.gradient_g
            ),
        );

        sign(
            Verdict::ModeCollapse,
            collapsed && !undecided,
            format!(
                "samples differ {:.3} times as much as real images, from their nearest {:.3} times (limits {DIVERSITY}, {TWINS})",
                m.diversity_ratio, m.twin_ratio
            ),
        );
        sign(
            Verdict::Memorising,
            m.memory_ratio < MEMORY && !collapsed,
            format!(
                "samples lie {:.2} times as far from training images as those from each other (limit {MEMORY})",
                m.memory_ratio
            ),
        );
        signs
    }
}

/// How far samples spread, in units of the limits; below 1 they have collapsed.
fn spread(measures: &Measures) -> f64 {
    (measures.diversity_ratio / DIVERSITY).min(measures.twin_ratio / TWINS)
}
