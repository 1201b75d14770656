//! A pool of generated images that a discriminator sees beside the newest ones
//! (Shrivastava et al. 2017, section 2.3), on the device and saved with a run.

use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Shape, Unary};

/// A pool as it is at some time.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// `[size, C, H, W]`.
    pub images: NodeId,
    /// How many of them have been put in, a scalar.
    pub count: NodeId,
}

/// Uniform numbers that a query takes for each image: whether an earlier image is
/// handed out, and which.
pub const DRAWS: usize = 2;

/// What a discriminator sees in place of `fresh [N, C, H, W]`, image by image in their
/// order, and the pool afterwards. While the pool is not full, an image is put in and
/// handed out. After that, with probability one half, an earlier image is handed out
/// and the new one takes its place; else the new one is handed out and not kept.
/// `draws [N, 2]` are uniform in [0, 1).
///
/// # Errors
/// [`Error::Shape`] where shapes do not fit together.
pub fn query(
    graph: &mut Graph,
    pool: Pool,
    fresh: NodeId,
    draws: NodeId,
) -> Result<(NodeId, Pool)> {
    let shape = graph.shape(fresh).clone();
    let mut count = pool.count;
    let (&[n, c, h, w], &[size, ..]) = (&shape[..], &graph.shape(pool.images)[..]) else {
        return Err(Error::shape("pool", format!("{shape} is not [N, C, H, W]")));
    };
    let elements = c * h * w;
    let slots = graph.iota([size], 0)?;
    let mut rows = graph.reshape(pool.images, [size, elements])?;
    let fresh = graph.reshape(fresh, [n, elements])?;
    let mut given = Vec::with_capacity(n);
    for image in 0..n {
        let own = graph.slice(fresh, &[image, 0], [1, elements])?;
        let mut draw = |column: usize| -> Result<NodeId> {
            let number = graph.slice(draws, &[image, column], [1, 1])?;
            graph.reshape(number, Shape::scalar())
        };
        let (exchanges, which) = (draw(0)?, draw(1)?);
        let full = graph.binary_scalar(Binary::GreaterEqual, count, size as f32);
        let exchanges = graph.binary_scalar(Binary::Greater, exchanges, 0.5);
        let exchanges = graph.mul(full, exchanges)?;
        // A place of its own while there is room, else one of all.
        let which = graph.scale(which, size as f32);
        let which = graph.unary(Unary::Floor, which);
        // Rounding may make a draw 1.
        let which = graph.binary_scalar(Binary::Min, which, (size - 1) as f32);
        let slot = graph.select(full, which, count)?;
        let slot = graph.reshape(slot, [1])?;
        let here = graph.binary(Binary::Equal, slots, slot)?;
        let here = graph.reshape(here, [1, size])?;
        let old = graph.matmul(here, rows, false, false)?;
        let exchanged = graph.reshape(exchanges, [1, 1])?;
        given.push(graph.select(exchanged, old, own)?);
        let room = graph.binary_scalar(Binary::Equal, full, 0.0);
        let puts = graph.add(room, exchanges)?;
        let puts = graph.reshape(puts, [1, 1])?;
        let put = graph.mul(here, puts)?;
        let put = graph.reshape(put, [size, 1])?;
        rows = graph.select(put, own, rows)?;
        count = graph.add(count, room)?;
    }
    let images = graph.reshape(rows, [size, c, h, w])?;
    let given = graph.concat(&given, 0)?;
    let given = graph.reshape(given, [n, c, h, w])?;
    Ok((given, Pool { images, count }))
}
