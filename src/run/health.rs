//! Is a training healthy? Named verdicts from the numbers of its ticks, with
//! their evidence and what to do. Plain numbers; nothing here touches a GPU.
//! `docs/health.md` explains each measurement, threshold and verdict.

mod verdict;

pub use verdict::{VERDICTS, Verdict, Verdicts};

use serde::{Deserialize, Deserializer, Serialize};

use std::collections::BTreeMap;

use super::monitor::{FAR, Probe};
use crate::adversarial::{Form, Loss};
use crate::systems::Duel;

/// Steps at the start, and part of all steps, in which a generator may be poor:
/// its first images are all alike, and D tells them from real ones at once.
pub const WARM_UP: u64 = 200;
const WARM_UP_PART: u64 = 50;
/// A sign is a verdict when it was there in so many ticks in a row ...
pub const TICKS: usize = 3;
/// ... over so many steps.
pub const STEPS: u64 = 200;

/// Samples lie this much nearer to each other than real images do: collapse.
pub(super) const DIVERSITY: f64 = 0.25;
/// The same of each sample and the nearest other one of its batch.
pub(super) const TWINS: f64 = 0.15;
/// What either gains since it fell below its limit, as part of the limit, where
/// it is on its way up.
const GAIN: f64 = 0.1;
/// D knows nothing while its loss is so near to an undecided one's.
const UNDECIDED: f64 = 0.01;
/// D is right about all images but one in a hundred ...
pub(super) const ACCURACY: f64 = 0.99;
/// ... and its loss is this part of an undecided D's.
const LOSS_SHARE: f64 = 0.05;
/// Derivative of a sample's loss with respect to its logit; 0.5 before D knows
/// anything.
pub(super) const LOGIT_GRADIENT: f64 = 1e-3;
/// Length of the generator's gradient.
pub(super) const GRADIENT: f64 = 1e-8;
/// Samples lie this much nearer to training images than those do to each other.
/// The mean image, which knows none of them, lies at 1 / sqrt(2).
pub(super) const MEMORY: f64 = 0.6;
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
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Measures {
            $(
                $(#[doc = $doc])+
                #[serde(default = "missing", deserialize_with = "number_or_null")]
                pub $name: f64,
            )+
            /// What is wrong.
            #[serde(default, skip_serializing_if = "Verdicts::is_empty")]
            pub verdicts: Verdicts,
            /// Of each network, with its name in lower case: `gradient_<network>`,
            /// the length of its gradient, and `update_<network>`, the length of
            /// the last step's change of its weights, as part of their own. Of each
            /// loss: `oscillation_<loss>`, the standard deviation over the steps of
            /// the tick.
            #[serde(flatten, deserialize_with = "numbers_or_null")]
            pub parts: BTreeMap<String, f64>,
        }

        impl Default for Measures {
            /// Nothing measured.
            fn default() -> Self {
                Self { $( $name: f64::NAN, )+ verdicts: Verdicts::default(), parts: BTreeMap::new() }
            }
        }
    };
}

measures! {
    /// Part of the real batch that D is right about.
    accuracy_real,
    /// Part of the generated batch that D is right about.
    accuracy_fake,
    /// Root mean square, over the batch, of the derivative of a sample's loss
    /// with respect to its logit: 0.5 for an undecided D, 1 for a critic.
    gradient_logits,
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
}

fn missing() -> f64 {
    f64::NAN
}

/// A number, NaN where JSON has `null`.
pub(crate) fn number_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Numbers by name, NaN where JSON has `null`.
pub(crate) fn numbers_or_null<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let found: BTreeMap<String, Option<f64>> = Deserialize::deserialize(from)?;
    let numbers = found.into_iter();
    Ok(numbers
        .map(|(name, x)| (name, x.unwrap_or(f64::NAN)))
        .collect())
}

/// Sizes that the sums of the health program are over.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Logits of a batch.
    pub logits: usize,
    /// Elements of a record.
    pub record: usize,
    /// Names of the networks.
    pub networks: Vec<&'static str>,
    /// Weights and gradients of all networks.
    pub elements: usize,
}

impl Measures {
    /// From the numbers of the monitor's probes; losses are left missing.
    pub fn new(probes: &[(Probe, f32)], sizes: &Sizes) -> Self {
        let of = |probe: Probe| {
            let found = probes.iter().find(|(known, _)| *known == probe);
            found.map_or(f64::NAN, |&(_, value)| f64::from(value))
        };
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
        let mut parts = BTreeMap::new();
        for (index, network) in sizes.networks.iter().enumerate() {
            let network = network.to_lowercase();
            let gradient = of(Probe::Gradient(index)).sqrt();
            let change = ratio(of(Probe::Change(index)), of(Probe::Weights(index))).sqrt();
            parts.insert(format!("gradient_{network}"), gradient);
            parts.insert(format!("update_{network}"), change);
        }
        Self {
            accuracy_real: of(Probe::AccuracyReal),
            accuracy_fake: of(Probe::AccuracyFake),
            gradient_logits: (of(Probe::LogitGradient) * sizes.logits as f64).sqrt(),
            diversity: distance(Probe::PairsFake) / (sizes.record as f64).sqrt(),
            diversity_ratio: ratio(distance(Probe::PairsFake), distance(Probe::PairsReal)),
            twin_ratio: ratio(distance(Probe::TwinFake), distance(Probe::TwinReal)),
            memory_ratio: ratio(distance(Probe::NearFake), distance(Probe::NearReal)),
            non_finite: of(Probe::NonFinite) / sizes.elements as f64,
            parts,
            ..Self::default()
        }
    }

    /// Length of a network's gradient; NaN where it was not measured.
    pub fn gradient(&self, network: &str) -> f64 {
        self.part("gradient", network)
    }

    /// Length of the last step's change of a network's weights, as part of their
    /// own; NaN where it was not measured.
    pub fn update(&self, network: &str) -> f64 {
        self.part("update", network)
    }

    fn part(&self, what: &str, network: &str) -> f64 {
        let name = format!("{what}_{}", network.to_lowercase());
        self.parts.get(&name).copied().unwrap_or(f64::NAN)
    }

    /// The numbers of all networks, with their names, whose names begin so.
    pub fn all(&self, what: &str) -> impl Iterator<Item = (&str, f64)> {
        let what = format!("{what}_");
        self.parts
            .iter()
            .filter_map(move |(name, &value)| Some((name.strip_prefix(&what)?, value)))
    }
}

/// What the rules look at, of one tick.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Steps since the start.
    pub step: u64,
    /// Mean losses over the tick; of two players the generator's first.
    pub losses: Vec<f64>,
    /// What was measured at the end of the tick.
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

/// What a system makes of the numbers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The two players, where there are any.
    players: Option<Players>,
    /// Whether images are made of images, not of noise.
    translates: bool,
    /// The last step at which a poor generator says nothing.
    warm_up: u64,
}

#[derive(Clone, Debug)]
struct Players {
    generator: &'static str,
    loss: Loss,
    /// D's loss where it knows nothing, and where it is always right; `None`
    /// for a critic, which is never right.
    range: Option<[f64; 2]>,
}

impl Rules {
    /// The rules of these steps of a run, between two players or not.
    pub fn new(duel: Option<Duel>, steps: std::ops::Range<u64>) -> Self {
        let players = duel.map(
            |Duel {
                 generator, loss, ..
             }| {
                let form: Form = loss.kind.facts().form;
                let range = form.range(loss.real_label);
                Players {
                    generator,
                    range: range.map(|range| range.map(|of| of * loss.d_weight)),
                    loss,
                }
            },
        );
        Self {
            players,
            translates: false,
            warm_up: steps.start
                + WARM_UP.max(steps.end.saturating_sub(steps.start) / WARM_UP_PART),
        }
    }

    /// For a system that makes images of images: outputs that are alike ignore their
    /// inputs, and those near to training images may be the right ones.
    #[must_use]
    pub fn translating(mut self, translates: bool) -> Self {
        self.translates = translates;
        self
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
            let grows = matches!(verdict, Verdict::ModeCollapse | Verdict::IgnoresInput)
                && distance_from_limit(&last.measures)
                    > distance_from_limit(&first.measures) + GAIN;
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

        let update = m.all("update").map(|(_, x)| x).fold(f64::NAN, f64::max);
        let leaps = update > UPDATE;
        sign(
            Verdict::Diverging,
            leaps,
            format!("a step changes weights by {update:.2} of their norm (limit {UPDATE})"),
        );
        let players = self.players.as_ref();
        // Losses of other systems have no common unit.
        let bound = match players.map(|players| players.loss.kind.facts().in_nats) {
            Some(true) => LOSS,
            Some(false) => SCORE,
            None => f64::INFINITY,
        };
        let loss = tick
            .losses
            .iter()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        sign(
            Verdict::Diverging,
            loss > bound && !leaps,
            format!("a loss has the magnitude {loss:.3e} (limit {bound})"),
        );
        let range = players.and_then(|players| players.range);
        let share = match (range, &tick.losses[..]) {
            (Some([undecided, least]), &[_, loss_d]) => (loss_d - least) / (undecided - least),
            _ => f64::NAN,
        };
        // Before D tells anything apart, G has nothing to learn from yet.
        let undecided = (share - 1.0).abs() < UNDECIDED;
        let collapsed = distance_from_limit(m) < 1.0;
        sign(
            Verdict::DiscriminatorOverpowered,
            m.accuracy_real.min(m.accuracy_fake) >= ACCURACY && share <= LOSS_SHARE,
            format!(
                "D is right about {:.0} % of real and {:.0} % of generated images, and its loss is {share:.1e} of an undecided D's (limits {:.0} %, {LOSS_SHARE})",
                100.0 * m.accuracy_real,
                100.0 * m.accuracy_fake,
                100.0 * ACCURACY,
            ),
        );

        let by_logits = players.is_some_and(|players| players.loss.kind.facts().by_logits);
        let blind = m.gradient_logits < LOGIT_GRADIENT && by_logits;
        let gradient = players.map_or(f64::NAN, |players| m.gradient(players.generator));
        sign(
            Verdict::VanishingGeneratorGradient,
            blind,
            format!(
                "the loss of a sample changes by {:.1e} per logit (limit {LOGIT_GRADIENT:.0e}, undecided 0.5)",
                m.gradient_logits
            ),
        );
        sign(
            Verdict::VanishingGeneratorGradient,
            gradient < GRADIENT && !blind,
            format!("G's gradient has the norm {gradient:.1e} (limit {GRADIENT:.0e})"),
        );

        let (alike, what) = match self.translates {
            true => (Verdict::IgnoresInput, "outputs of different inputs"),
            false => (Verdict::ModeCollapse, "samples"),
        };
        sign(
            alike,
            collapsed && !undecided,
            format!(
                "{what} differ {:.3} times as much as real images, nearest ones {:.3} times (limits {DIVERSITY}, {TWINS})",
                m.diversity_ratio, m.twin_ratio
            ),
        );
        sign(
            Verdict::Memorising,
            m.memory_ratio < MEMORY && !collapsed && !self.translates,
            format!(
                "samples are {:.2} times as far from training images as those are from each other (limit {MEMORY})",
                m.memory_ratio
            ),
        );
        signs
    }
}

/// How far samples spread, in units of the limits; below 1 they have collapsed.
fn distance_from_limit(measures: &Measures) -> f64 {
    (measures.diversity_ratio / DIVERSITY).min(measures.twin_ratio / TWINS)
}
