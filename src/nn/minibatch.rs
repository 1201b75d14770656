//! What compares the images of a batch, so that a discriminator sees where they
//! are all alike.

use super::{Init, Inits, Net, image};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};

/// Added to the variance under the root in [`minibatch_std`] (Karras et al. 2018).
const STD_EPS: f32 = 1e-8;

/// `x [N, C, H, W]` with one more channel: the standard deviation over each
/// `group` of neighbouring images, averaged over all features (Karras et al.
/// 2018, section 3).
///
/// # Errors
/// Where `group` does not divide the batch.
pub fn minibatch_std(graph: &mut Graph, x: NodeId, group: usize) -> Result<NodeId> {
    let shape = graph.shape(x).clone();
    let [_, h, w] = image(graph, "MinibatchStd", x)?;
    let batch = shape[0];
    if group == 0 || !batch.is_multiple_of(group) {
        return Err(Error::shape(
            "MinibatchStd",
            format!("{batch} images do not divide into groups of {group}"),
        ));
    }
    let (groups, features) = (batch / group, shape.numel() / batch);
    let rows = graph.reshape(x, [groups, group, features])?;
    let mean = graph.mean(rows, &[1])?;
    let centred = graph.sub(rows, mean)?;
    let squares = graph.square(centred);
    let variance = graph.mean(squares, &[1])?;
    let variance = graph.binary_scalar(Binary::Add, variance, STD_EPS);
    let deviation = graph.unary(Unary::Sqrt, variance);
    let mean = graph.mean(deviation, &[2])?; // [groups, 1, 1]
    let mean = graph.broadcast(mean, [groups, group, h * w])?;
    let channel = graph.reshape(mean, [batch, 1, h, w])?;
    graph.concat(&[x, channel], 1)
}

impl Net {
    /// How near each of `x [N, features]` is to the others of its batch,
    /// `[N, kernels]`: the sum over the others of `exp(-|M_i - M_j|)`, an L1
    /// distance of `dims` numbers for each kernel, with `M = x T` (Salimans et
    /// al. 2016, section 3.2). `T` is the weight of an
    /// `nn.Linear(features, kernels * dims, bias=False)`.
    ///
    /// # Errors
    /// None for well-formed graphs; shape errors are passed on.
    pub fn minibatch_discrimination(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        [kernels, dims]: [usize; 2],
        weight: Init,
    ) -> Result<NodeId> {
        let batch = graph.shape(x)[0];
        let projected = self.linear(graph, layer, x, kernels * dims, Inits::weight(weight))?;
        let one = graph.reshape(projected, [batch, 1, kernels, dims])?;
        let other = graph.reshape(projected, [1, batch, kernels, dims])?;
        let difference = graph.sub(one, other)?; // [N, N, kernels, dims]
        let distance = graph.unary(Unary::Abs, difference);
        let distance = graph.sum(distance, &[3])?;
        let against = graph.neg(distance);
        let near = graph.unary(Unary::Exp, against);
        // Each is nearest to itself, by exp(0) = 1, beside which distant others
        // would be rounded away.
        let [row, column] = [0, 1].map(|axis| graph.iota([batch, batch, 1, 1], axis));
        let itself = graph.binary(Binary::Equal, row?, column?)?;
        let zero = graph.constant(0.0, graph.shape(near).clone());
        let near = graph.select(itself, zero, near)?;
        let near = graph.sum(near, &[1])?; // [N, 1, kernels, 1]
        graph.reshape(near, [batch, kernels])
    }
}
