//! Losses on logits, in forms that neither overflow nor lose their gradient
//! to rounding. `a` is a logit, or a critic's score; `D = sigmoid(a)`.

use super::Loss;
use crate::config::words;
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};
use crate::nets::Judgement;
use crate::nn::leaky_relu;

words! {
    /// What the networks minimise; [`discriminator`] and [`generator`] have the formulas.
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

/// What a score is compared with to tell whether D is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// 0.
    Zero,
    /// Half of the target on real images.
    HalfTarget,
    /// The other batch's mean.
    OtherMean,
    /// The middle of both means, as a critic's scores have no origin.
    Middle,
}

/// How D's loss depends on what it knows, for densities p of the data and q of a
/// fixed generator and the target b on real images.
///
/// | form | D*(x) | its loss at x |
/// |---|---|---|
/// | entropy | `b p / (p + q)` (Goodfellow et al. 2014, proposition 1) | `-b p log D* - ((1 - b) p + q) log(1 - D*)` |
/// | square | `b p / (p + q)` (Mao et al. 2017) | `b^2 p q / (2 (p + q))` |
/// | margin | `sign(p - q)` (Lim and Ye 2017) | `2 min(p, q)` |
/// | relative, gap | none | |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Cross-entropy of a probability.
    Entropy,
    /// Cross-entropy of the difference from the other batch.
    Relative,
    /// Squared distance from the targets.
    Square,
    /// Distance from the margins.
    Margin,
    /// Difference of mean scores.
    Gap,
}

/// What is known of a loss besides its terms.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How D's loss depends on what it knows.
    pub form: Form,
    /// What tells whether D is right.
    pub level: Level,
    /// Whether the generator's loss needs a real batch.
    pub compares_batches: bool,
    /// Whether the generator learns from the logit of its own image alone; if so,
    /// by how much its loss falls as the logit rises.
    pub pull: Option<fn(f64) -> f64>,
    /// Whether the generator learns through logits at all.
    pub by_logits: bool,
    /// Whether the generator's loss is a logarithm of a probability, in nats.
    pub in_nats: bool,
}

impl LossKind {
    /// What is known of it.
    pub fn facts(self) -> Facts {
        let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
        let entropy = Facts {
            form: Form::Entropy,
            level: Level::Zero,
            compares_batches: false,
            pull: None,
            by_logits: true,
            in_nats: true,
        };
        match self {
            Self::NonSaturating => Facts {
                pull: Some(|a| 1.0 / (1.0 + a.exp())),
                ..entropy
            },
            Self::Minimax => Facts {
                pull: Some(sigmoid),
                ..entropy
            },
            Self::Relativistic => Facts {
                form: Form::Relative,
                level: Level::OtherMean,
                compares_batches: true,
                ..entropy
            },
            Self::LeastSquares => Facts {
                form: Form::Square,
                level: Level::HalfTarget,
                pull: Some(|a| 1.0 - a),
                in_nats: false,
                ..entropy
            },
            Self::Hinge => Facts {
                form: Form::Margin,
                pull: Some(|_| 1.0),
                in_nats: false,
                ..entropy
            },
            Self::Wasserstein => Facts {
                form: Form::Gap,
                level: Level::Middle,
                pull: Some(|_| 1.0),
                in_nats: false,
                ..entropy
            },
            Self::FeatureMatching => Facts {
                compares_batches: true,
                by_logits: false,
                in_nats: false,
                ..entropy
            },
        }
    }
}

impl Form {
    /// Whether D is the sigmoid of its logit.
    pub fn is_probability(self) -> bool {
        matches!(self, Self::Entropy | Self::Relative)
    }

    /// Whether D is taught a target on real images.
    pub fn has_target(self) -> bool {
        matches!(self, Self::Entropy | Self::Square)
    }

    /// Whether there is a best D against a fixed generator.
    pub fn has_optimum(self) -> bool {
        match self {
            Self::Entropy | Self::Square | Self::Margin => true,
            Self::Relative | Self::Gap => false,
        }
    }

    /// D's loss where it knows nothing, and where it is always right; `None` for
    /// a critic, which is never right.
    pub fn range(self, label: f64) -> Option<[f64; 2]> {
        let certain = -weighted(label, label) - weighted(1.0 - label, 1.0 - label);
        match self {
            Self::Entropy => Some([self.joint(label), certain]),
            Self::Relative | Self::Square | Self::Margin => Some([self.joint(label), 0.0]),
            Self::Gap => None,
        }
    }

    /// D*(x) where the data has this share of both densities.
    pub fn best(self, share: f64, label: f64) -> Option<f64> {
        match self {
            Self::Entropy | Self::Square => Some(label * share),
            Self::Margin => Some((share - 0.5).signum()),
            Self::Relative | Self::Gap => None,
        }
    }

    /// The loss of D* at a point with these densities.
    pub fn best_loss(self, p: f64, q: f64, label: f64) -> Option<f64> {
        let both = (p + q).max(f64::MIN_POSITIVE);
        match self {
            Self::Entropy => {
                let best = label * p / both;
                Some(-weighted(label * p, best) - weighted((1.0 - label) * p + q, 1.0 - best))
            }
            Self::Square => Some(label * label * p * q / (2.0 * both)),
            Self::Margin => Some(2.0 * p.min(q)),
            Self::Relative | Self::Gap => None,
        }
    }

    /// D's loss at the joint optimum q = p: log 4, or with a label b the entropy
    /// `-b log(b/2) - (2 - b) log(1 - b/2)`; `b^2 / 4`; 2; 0 of a critic.
    pub fn joint(self, label: f64) -> f64 {
        match self {
            Self::Entropy | Self::Relative => {
                -weighted(label, label / 2.0) - weighted(2.0 - label, 1.0 - label / 2.0)
            }
            Self::Square => label * label / 4.0,
            Self::Margin => 2.0,
            Self::Gap => 0.0,
        }
    }
}

/// `weight log x`, 0 where the weight is.
pub(crate) fn weighted(weight: f64, x: f64) -> f64 {
    if weight > 0.0 {
        weight * x.max(f64::MIN_POSITIVE).ln()
    } else {
        0.0
    }
}

/// Mean of `-t log D - (1 - t) log(1 - D)` over logits, with one target `t`
/// for all: `t softplus(-a) + (1 - t) softplus(a)`. The shorter
/// `softplus(a) - t a` would find the gradient as a difference of two numbers
/// near 1 where D is right.
///
/// # Errors
/// None for well-formed graphs; shape errors are passed on.
pub fn bce(graph: &mut Graph, logits: NodeId, target: f32) -> Result<NodeId> {
    let against = graph.neg(logits);
    let for_one = graph.unary(Unary::Softplus, against);
    let for_zero = graph.unary(Unary::Softplus, logits);
    let losses = if target == 1.0 {
        for_one
    } else if target == 0.0 {
        for_zero
    } else {
        let for_one = graph.scale(for_one, target);
        let for_zero = graph.scale(for_zero, 1.0 - target);
        graph.add(for_one, for_zero)?
    };
    graph.mean_all(losses)
}

/// The discriminator's loss on logits `[N, 1]` of a real and a fake batch, times
/// `d_weight`. Those on probabilities are `bce(real, real_label) + bce(fake, 0)`:
/// with label 1 and weight 1 minus the value V of Goodfellow et al. 2014,
/// equation 1, whose optimum is -log 4; weight 1/2 is the J(D) of Goodfellow 2016.
///
/// | kind | loss, mean over the batch |
/// |---|---|
/// | relativistic | `bce(real - mean fake, 1) + bce(fake - mean real, 0)` (Jolicoeur-Martineau 2018) |
/// | least-squares | `(real - real_label)^2 / 2 + fake^2 / 2` (Mao et al. 2017, equation 9) |
/// | hinge | `max(0, 1 - real) + max(0, 1 + fake)` (Miyato et al. 2018, equation 16) |
/// | wasserstein | `fake - real` (Arjovsky et al. 2017, algorithm 1) |
///
/// # Errors
/// As [`bce`].
pub fn discriminator(
    graph: &mut Graph,
    config: &Loss,
    real: NodeId,
    fake: NodeId,
) -> Result<NodeId> {
    let label = config.real_label as f32;
    let sum = match config.kind {
        LossKind::NonSaturating | LossKind::Minimax | LossKind::FeatureMatching => {
            let on_real = bce(graph, real, label)?;
            let on_fake = bce(graph, fake, 0.0)?;
            graph.add(on_real, on_fake)?
        }
        LossKind::Relativistic => relativistic(graph, real, fake)?,
        LossKind::LeastSquares => {
            let on_real = half_square(graph, real, label)?;
            let on_fake = half_square(graph, fake, 0.0)?;
            graph.add(on_real, on_fake)?
        }
        LossKind::Hinge => {
            let against = graph.neg(real);
            let on_real = hinge(graph, against)?;
            let on_fake = hinge(graph, fake)?;
            graph.add(on_real, on_fake)?
        }
        LossKind::Wasserstein => {
            let [on_real, on_fake] = [real, fake].map(|logits| graph.mean_all(logits));
            graph.sub(on_fake?, on_real?)?
        }
    };
    Ok(graph.scale(sum, config.d_weight as f32))
}

/// The generator's loss on its images' logits; some compare with the `real` batch.
///
/// | kind | loss, mean over the batch |
/// |---|---|
/// | non-saturating | `-log D` (Goodfellow et al. 2014, section 3) |
/// | minimax | `log(1 - D)`, which saturates where D is sure |
/// | relativistic | the discriminator's with the batches exchanged |
/// | least-squares | `(fake - 1)^2 / 2` |
/// | hinge, wasserstein | `-fake` |
/// | feature-matching | squared distance of the batches' mean features (Salimans et al. 2016, section 3.1) |
///
/// # Errors
/// Where the kind compares with a real batch and there is none; as [`bce`].
pub fn generator(
    graph: &mut Graph,
    kind: LossKind,
    fake: Judgement,
    real: Option<Judgement>,
) -> Result<NodeId> {
    let logits = fake.logits;
    let real = || {
        real.ok_or_else(|| Error::shape("generator loss", format!("{kind:?} needs a real batch")))
    };
    match kind {
        LossKind::NonSaturating => bce(graph, logits, 1.0),
        LossKind::Minimax => {
            let against = bce(graph, logits, 0.0)?;
            Ok(graph.neg(against))
        }
        LossKind::Relativistic => {
            let real = real()?.logits;
            relativistic(graph, logits, real)
        }
        LossKind::LeastSquares => half_square(graph, logits, 1.0),
        LossKind::Hinge | LossKind::Wasserstein => {
            let mean = graph.mean_all(logits)?;
            Ok(graph.neg(mean))
        }
        LossKind::FeatureMatching => {
            let real = real()?.features;
            let [of_real, of_fake] = [real, fake.features].map(|x| graph.mean(x, &[0]));
            let difference = graph.sub(of_real?, of_fake?)?;
            let squares = graph.square(difference);
            graph.sum_all(squares)
        }
    }
}

/// `bce(for_one - mean for_zero, 1) + bce(for_zero - mean for_one, 0)`
fn relativistic(graph: &mut Graph, for_one: NodeId, for_zero: NodeId) -> Result<NodeId> {
    let against = |graph: &mut Graph, logits, other, target| -> Result<NodeId> {
        let mean = graph.mean_all(other)?;
        let relative = graph.sub(logits, mean)?;
        bce(graph, relative, target)
    };
    let one = against(graph, for_one, for_zero, 1.0)?;
    let zero = against(graph, for_zero, for_one, 0.0)?;
    graph.add(one, zero)
}

/// Mean of `(logit - target)^2 / 2`.
fn half_square(graph: &mut Graph, logits: NodeId, target: f32) -> Result<NodeId> {
    let difference = graph.binary_scalar(Binary::Sub, logits, target);
    let squares = graph.square(difference);
    let mean = graph.mean_all(squares)?;
    Ok(graph.scale(mean, 0.5))
}

/// Mean of `max(0, 1 + x)`.
fn hinge(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let margin = graph.binary_scalar(Binary::Add, x, 1.0);
    let loss = leaky_relu(graph, margin, 0.0);
    graph.mean_all(loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discriminator_that_knows_nothing_has_the_loss_of_equal_densities() {
        for form in [Form::Entropy, Form::Square, Form::Margin] {
            for label in [1.0, 0.9, 0.6] {
                let [nothing, _] = form.range(label).expect("it has targets");
                let equal = form.best_loss(1.0, 1.0, label).expect("it has an optimum");
                assert!((nothing - equal).abs() < 1e-12, "{form:?} {label}");
            }
        }
    }
}
