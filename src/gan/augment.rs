//! What happens to every image before the discriminator sees it: differentiable
//! augmentation (Zhao et al. 2020, 2006.10738) and instance noise. Generated
//! images get their gradient through it.

use crate::config::Augment;
use crate::error::Result;
use crate::graph::{Binary, Distribution, Graph, NodeId, Unary};

/// Largest shift, and the side of the rectangle that is cut out, as parts of the
/// image's side (1 / 8 and 1 / 2 in the paper's policies).
const SHIFT_PART: usize = 8;
const CUTOUT_PART: usize = 2;

/// `x [N, C, H, W]` augmented, each image by its own draw.
///
/// # Errors
/// None for well-formed graphs; shape errors are passed on.
pub fn augment(graph: &mut Graph, kind: Augment, x: NodeId) -> Result<NodeId> {
    Ok(match kind {
        Augment::None => x,
        Augment::Color => color(graph, x)?,
        Augment::Translation => translation(graph, x)?,
        Augment::Cutout => cutout(graph, x)?,
        Augment::All => {
            let x = color(graph, x)?;
            let x = translation(graph, x)?;
            cutout(graph, x)?
        }
    })
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
