//! What a discriminator has learned to see, as features of images (Radford et
//! al. 2015, section 5.1).

use super::Gan;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Window};
use crate::nn::flatten;
use crate::systems::Build;

/// Rows and columns that a hidden layer keeps at most.
const GRID: usize = 4;

impl Gan {
    /// `layer0`, `layer1`, ... `[count, features]` of `images [count, C, H, W]`: every
    /// hidden layer of the discriminator in evaluation, from the image on, pooled
    /// and flattened. One that judges packs sees each image `pack` times.
    pub(super) fn representation(&self, build: &mut Build<'_>) -> Result<()> {
        let (_, judged) = self.judged(build)?;
        for (index, hidden) in judged.hidden.into_iter().enumerate() {
            let features = pooled(&mut build.graph, hidden)?;
            build.output(&layer(index), features);
        }
        Ok(())
    }
}

/// The name of a layer's output.
pub(super) fn layer(index: usize) -> String {
    format!("layer{index}")
}

/// A hidden layer as rows. Of `n` pixels along a side, more than [`GRID`] become
/// [`GRID`] maxima of windows of equal size, `n / GRID` apart, that overlap by
/// the remainder; fewer stay as they are.
fn pooled(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let input = match graph.shape(x)[..] {
        [_, _] => return Ok(x),
        [_, _, height, width] => [height, width],
        _ => {
            let shape = graph.shape(x);
            return Err(Error::shape(
                "representation",
                format!("{shape} is neither [N, C, H, W] nor [N, units]"),
            ));
        }
    };
    let output = input.map(|side| side.min(GRID));
    let stride = [0, 1].map(|axis| input[axis] / output[axis]);
    let window = Window {
        input,
        output,
        kernel: [0, 1].map(|axis| input[axis] - (output[axis] - 1) * stride[axis]),
        stride,
        pad: [0, 0],
    };
    let x = graph.max_pool(x, window)?;
    flatten(graph, x)
}
