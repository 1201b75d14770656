//! Losses on logits, in forms that neither overflow nor lose their gradient
//! to rounding. `a` is a logit, `D = sigmoid(a)`.

use crate::config::LossKind;
use crate::error::Result;
use crate::graph::{Graph, NodeId, Unary};

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

/// The discriminator's loss, `bce(real, real_label) + bce(fake, 0)` times
/// `weight`. With label 1 and weight 1 it is minus the value V of Goodfellow et
/// al. 2014, equation 1, whose optimum is -log 4; weight 1/2 is the J(D) of
/// Goodfellow 2016.
///
/// # Errors
/// As [`bce`].
pub fn discriminator(
    graph: &mut Graph,
    real: NodeId,
    fake: NodeId,
    real_label: f32,
    weight: f32,
) -> Result<NodeId> {
    let on_real = bce(graph, real, real_label)?;
    let on_fake = bce(graph, fake, 0.0)?;
    let sum = graph.add(on_real, on_fake)?;
    Ok(graph.scale(sum, weight))
}

/// The generator's loss on its images' logits: `mean log(1 - D)` (minimax,
/// saturates where D is sure) or `mean -log D` (Goodfellow et al. 2014,
/// section 3).
///
/// # Errors
/// As [`bce`].
pub fn generator(graph: &mut Graph, fake: NodeId, kind: LossKind) -> Result<NodeId> {
    match kind {
        LossKind::NonSaturating => bce(graph, fake, 1.0),
        LossKind::Minimax => {
            let against = bce(graph, fake, 0.0)?;
            Ok(graph.neg(against))
        }
    }
}
