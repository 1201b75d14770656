//! What happens to every image before the discriminator sees it: differentiable
//! augmentation (Zhao et al. 2020, 2006.10738), at a fixed or an adaptive
//! probability (Karras et al. 2020, 2006.06676), and instance noise. Generated
//! images get their gradient through it.

use super::{Level, Loss};
use crate::config::words;
use crate::error::Result;
use crate::graph::{Binary, Distribution, Graph, NodeId, Shape, Unary};

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

/// Largest shift, and the side of the rectangle that is cut out, as parts of the
/// image's side (1 / 8 and 1 / 2 in the paper's policies).
const SHIFT_PART: usize = 8;
const CUTOUT_PART: usize = 2;

/// What an adaptive strength keeps from update to update, each a scalar that
/// starts at 0: the probability, and since its last change the sum of mean signs
/// and the number of discriminator updates.
pub const STATE: [&str; 3] = [PROBABILITY, "augment.signs", "augment.updates"];

/// The probability of an adaptive strength.
pub const PROBABILITY: &str = "augment.p";

/// `x [N, C, H, W]` augmented, each image by its own draws. With a probability, a
/// scalar, each kind of change happens to as large a part of the images.
///
/// # Errors
/// None for well-formed graphs; shape errors are passed on.
pub fn augment(
    graph: &mut Graph,
    kind: Augment,
    probability: Option<NodeId>,
    x: NodeId,
) -> Result<NodeId> {
    let changes: &[fn(&mut Graph, NodeId) -> Result<NodeId>] = match kind {
        Augment::None => &[],
        Augment::Color => &[color],
        Augment::Translation => &[translation],
        Augment::Cutout => &[cutout],
        Augment::All => &[color, translation, cutout],
    };
    let mut x = x;
    for change in changes {
        let changed = change(graph, x)?;
        x = match probability {
            None => changed,
            Some(p) => {
                let by = draw(graph, x);
                let chosen = graph.binary(Binary::Greater, p, by)?;
                graph.select(chosen, changed, x)?
            }
        };
    }
    Ok(x)
}

/// The probability of a change, where it is not 1: `adaptive` where there is one.
pub fn probability(graph: &mut Graph, config: &Loss, adaptive: Option<NodeId>) -> Option<NodeId> {
    let fixed = config.augment != Augment::None && config.augment_p < 1.0;
    adaptive.or_else(|| fixed.then(|| graph.constant(config.augment_p as f32, Shape::scalar())))
}

/// New values of [`STATE`], of which these are the old, after a discriminator update on `batch` real images
/// with these logits: every so many updates the probability takes a step towards
/// where the mean sign of D(real) is the target. All of it is arithmetic of the
/// device, so no step waits for a number.
///
/// # Errors
/// As [`augment`].
pub fn adapt(
    graph: &mut Graph,
    config: &Loss,
    batch: usize,
    [p, sum, updates]: [NodeId; 3],
    logits: NodeId,
) -> Result<[NodeId; 3]> {
    let every = config.augment_every as f32;
    let boundary = match config.kind.facts().level {
        Level::HalfTarget => config.real_label as f32 / 2.0,
        // The others are refused, as their zero is anywhere.
        Level::Zero | Level::OtherMean | Level::Middle => 0.0,
    };
    let centred = graph.binary_scalar(Binary::Sub, logits, boundary);
    let signs = graph.unary(Unary::Sign, centred);
    let signs = graph.mean_all(signs)?;
    let sum = graph.add(sum, signs)?;
    let updates = graph.binary_scalar(Binary::Add, updates, 1.0);
    let due = graph.binary_scalar(Binary::GreaterEqual, updates, every);

    let mean = graph.scale(sum, 1.0 / every);
    let above = graph.binary_scalar(Binary::Sub, mean, config.augment_target as f32);
    let way = graph.unary(Unary::Sign, above);
    let step = batch as f64 * config.augment_every as f64 / config.augment_images as f64;
    let change = graph.scale(way, step as f32);
    let change = graph.mul(change, due)?;
    let p = graph.add(p, change)?;
    let p = graph.binary_scalar(Binary::Max, p, 0.0);
    let p = graph.binary_scalar(Binary::Min, p, config.augment_p as f32);

    let over = graph.neg(due);
    let goes_on = graph.binary_scalar(Binary::Add, over, 1.0);
    let sum = graph.mul(sum, goes_on)?;
    let updates = graph.mul(updates, goes_on)?;
    Ok([p, sum, updates])
}

/// `x` plus normal noise of standard deviation `std`, a scalar.
///
/// # Errors
/// As [`augment`].
pub fn noise(graph: &mut Graph, x: NodeId, std: NodeId) -> Result<NodeId> {
    let noise = graph.random(Distribution::Normal, graph.shape(x).clone());
    let noise = graph.mul(noise, std)?;
    graph.add(x, noise)
}

/// A uniform number in [0, 1) for each image, `[N, 1, 1, 1]`.
fn draw(graph: &mut Graph, x: NodeId) -> NodeId {
    let batch = graph.shape(x)[0];
    graph.random(Distribution::Uniform, [batch, 1, 1, 1])
}

/// Brightness by -1/2 to 1/2, saturation by 0 to 2, contrast by 1/2 to 3/2.
fn color(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let by = draw(graph, x);
    let by = graph.binary_scalar(Binary::Sub, by, 0.5);
    let mut x = graph.add(x, by)?;
    if graph.shape(x)[1] > 1 {
        let by = draw(graph, x);
        let by = graph.scale(by, 2.0);
        x = stretched(graph, x, &[1], by)?;
    }
    let by = draw(graph, x);
    let by = graph.binary_scalar(Binary::Add, by, 0.5);
    stretched(graph, x, &[1, 2, 3], by)
}

/// The distance from the mean over `axes`, times a factor.
fn stretched(graph: &mut Graph, x: NodeId, axes: &[usize], by: NodeId) -> Result<NodeId> {
    let mean = graph.mean(x, axes)?;
    let distance = graph.sub(x, mean)?;
    let distance = graph.mul(distance, by)?;
    graph.add(distance, mean)
}

/// A shift in whole pixels along both axes: products with matrices that have
/// a one where row and shifted column meet.
fn translation(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let [n, c, h, w] = graph.shape(x)[..] else {
        unreachable!("images have four axes");
    };
    let shift = |graph: &mut Graph, side: usize, source: usize| -> Result<NodeId> {
        let most = (side / SHIFT_PART) as f32;
        let by = graph.random(Distribution::Uniform, [n, 1, 1]);
        let by = graph.scale(by, 2.0 * most + 1.0);
        let by = graph.unary(Unary::Floor, by);
        let by = graph.binary_scalar(Binary::Sub, by, most);
        let from = graph.iota([n, side, side], source)?;
        let from = graph.add(from, by)?;
        let to = graph.iota([n, side, side], 3 - source)?;
        graph.binary(Binary::Equal, from, to)
    };
    let columns = shift(graph, w, 1)?; // [N, W, W'], 1 where column W goes to W'
    let rows = shift(graph, h, 2)?; // [N, H', H]
    let flat = graph.reshape(x, [n, c * h, w])?;
    let flat = graph.matmul(flat, columns, false, false)?;
    let images = graph.reshape(flat, [n, c, h, w])?;
    let images = graph.permute(images, &[0, 2, 1, 3])?;
    let flat = graph.reshape(images, [n, h, c * w])?;
    let flat = graph.matmul(rows, flat, false, false)?;
    let images = graph.reshape(flat, [n, h, c, w])?;
    graph.permute(images, &[0, 2, 1, 3])
}

/// A rectangle of half the sides set to 0, its centre anywhere in the image.
fn cutout(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let [n, _, h, w] = graph.shape(x)[..] else {
        unreachable!("images have four axes");
    };
    let inside = |graph: &mut Graph, axis: usize, side: usize| -> Result<NodeId> {
        let half = (side / CUTOUT_PART) as f32 / 2.0;
        let by = graph.random(Distribution::Uniform, [n, 1, 1, 1]);
        let by = graph.scale(by, side as f32);
        let mut shape = [n, 1, 1, 1];
        shape[axis] = side;
        let at = graph.iota(shape, axis)?;
        let at = graph.binary_scalar(Binary::Add, at, 0.5);
        let distance = graph.sub(at, by)?;
        let distance = graph.unary(Unary::Abs, distance);
        let half = graph.constant(half, shape);
        graph.binary(Binary::Greater, half, distance)
    };
    let rows = inside(graph, 2, h)?;
    let columns = inside(graph, 3, w)?;
    let hole = graph.mul(rows, columns)?;
    let hole = graph.neg(hole);
    let kept = graph.binary_scalar(Binary::Add, hole, 1.0);
    graph.mul(x, kept)
}
