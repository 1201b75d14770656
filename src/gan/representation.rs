//! What a discriminator has learned to see, as features of images (Radford et
//! al. 2015, section 5.1).

use super::programs::judged;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Program, Role, Window};
use crate::models::Model;
use crate::nn::flatten;

/// Rows and columns that a hidden layer keeps at most.
const GRID: usize = 4;

/// `representation.features [count, features]` of images
/// `representation.images [count, C, H, W]`: every hidden layer of the
/// discriminator in evaluation, from the image on, pooled, flattened and
/// concatenated; and how many features are of each layer. One that judges packs
/// sees each image `pack` times.
///
/// # Errors
/// Where the model's sizes do not fit together, or `count` does not divide into
/// the groups that it compares.
pub fn representation(
    config: &Config,
    model: &Model,
    count: usize,
) -> Result<(Program, Vec<usize>)> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let (_, judged) = judged(graph, config, model, ("representation.images", count))?;
    let layers = judged.hidden.into_iter().map(|h| pooled(graph, h));
    let layers = layers.collect::<Result<Vec<NodeId>>>()?;
    let widths = layers.iter().map(|&layer| graph.shape(layer)[1]).collect();
    let features = graph.concat(&layers, 1)?;
    let shape = graph.shape(features).clone();
    let state = graph.declare("representation.features", shape, Role::Output)?;
    program.assign(state, features)?;
    Ok((program, widths))
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
