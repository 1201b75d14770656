//! Losses on logits, in forms that neither overflow nor lose their gradient
//! to rounding. `a` is a logit, or a critic's score; `D = sigmoid(a)`.

use crate::config::{Loss, LossKind};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};
use crate::models::Judgement;
use crate::nn::leaky_relu;

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

/// Whether the generator's loss compares with a real batch.
pub fn compares_batches(kind: LossKind) -> bool {
    matches!(kind, LossKind::Relativistic | LossKind::FeatureMatching)
}

/// Whether a discriminator with this loss gives probabilities, by a sigmoid.
pub fn is_probability(kind: LossKind) -> bool {
    match kind {
        LossKind::NonSaturating
        | LossKind::Minimax
        | LossKind::Relativistic
        | LossKind::FeatureMatching => true,
        LossKind::LeastSquares | LossKind::Hinge | LossKind::Wasserstein => false,
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
