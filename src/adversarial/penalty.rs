//! Penalties on the gradient of the discriminator's output with respect to its
//! input. Gradients are nodes, so training differentiates them again.

use crate::config::words;
use crate::error::Result;
use crate::graph::{Binary, Distribution, Graph, NodeId, Unary};
use crate::nn::leaky_relu;

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

/// Added to a squared norm before its root, whose slope at 0 is infinite.
pub const NORM_EPS: f32 = 1e-12;

/// Largest step from a real image in [`Penalty::Dragan`], in standard deviations
/// of the real batch (Kodali et al. 2017).
const DRAGAN_STEP: f32 = 0.5;

/// The penalty, as a mean over the batch, for real and generated batches
/// `[N, C, H, W]` and a discriminator that gives `[N, 1]`. None is 0.
///
/// `gradient` is Gulrajani et al. 2017, equation 3, without its factor; one
/// interpolation factor and one norm over all elements for each sample. `r1` and
/// `r2` are Mescheder et al. 2018, equations 9 and 10, with gamma as factor.
///
/// # Errors
/// Those of `discriminator`, and where it has no gradient rule.
pub fn penalty(
    graph: &mut Graph,
    kind: Penalty,
    real: NodeId,
    fake: NodeId,
    discriminator: impl FnOnce(&mut Graph, NodeId) -> Result<NodeId>,
) -> Result<NodeId> {
    let batch = graph.shape(real)[0];
    let at = match kind {
        Penalty::None => return Ok(graph.constant(0.0, crate::graph::Shape::scalar())),
        Penalty::R1 => real,
        Penalty::R2 => fake,
        Penalty::Gradient | Penalty::GradientOneSided => {
            let way = graph.random(Distribution::Uniform, [batch, 1, 1, 1]);
            between(graph, real, fake, way)?
        }
        Penalty::Dragan => {
            let way = graph.random(Distribution::Uniform, [batch, 1, 1, 1]);
            let noise = graph.random(Distribution::Uniform, graph.shape(real).clone());
            let deviation = deviation(graph, real)?;
            let step = graph.scale(deviation, DRAGAN_STEP);
            let step = graph.mul(noise, step)?;
            let far = graph.add(real, step)?;
            between(graph, real, far, way)?
        }
    };
    // A value of its own, not a path to what it was computed from.
    let at = graph.stop_gradient(at);
    let scores = discriminator(graph, at)?;
    let sum = graph.sum_all(scores)?;
    let gradient = graph.gradient(sum, &[at])?[0];
    let squares = graph.square(gradient);
    let squares = graph.sum(squares, &[1, 2, 3])?; // [N, 1, 1, 1]
    if matches!(kind, Penalty::R1 | Penalty::R2) {
        let mean = graph.mean_all(squares)?;
        return Ok(graph.scale(mean, 0.5));
    }
    let squares = graph.binary_scalar(Binary::Add, squares, NORM_EPS);
    let norm = graph.unary(Unary::Sqrt, squares);
    let mut excess = graph.binary_scalar(Binary::Sub, norm, 1.0);
    if kind == Penalty::GradientOneSided {
        excess = leaky_relu(graph, excess, 0.0);
    }
    let squares = graph.square(excess);
    graph.mean_all(squares)
}

/// `a + way (b - a)`
fn between(graph: &mut Graph, a: NodeId, b: NodeId, way: NodeId) -> Result<NodeId> {
    let difference = graph.sub(b, a)?;
    let part = graph.mul(difference, way)?;
    graph.add(a, part)
}

/// Standard deviation of all elements, biased, `[1, 1, 1, 1]`.
fn deviation(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let mean = graph.mean(x, &[0, 1, 2, 3])?;
    let centred = graph.sub(x, mean)?;
    let squares = graph.square(centred);
    let variance = graph.mean(squares, &[0, 1, 2, 3])?;
    let variance = graph.binary_scalar(Binary::Add, variance, NORM_EPS);
    Ok(graph.unary(Unary::Sqrt, variance))
}
