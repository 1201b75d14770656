//! What a class does to a layer.

use super::{Init, Net};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId};

/// `[N, classes]` with 1 at the class of each row of `labels [N, 1]`, which are whole
/// numbers below `classes`, and 0 elsewhere; no gradient.
///
/// # Errors
/// Where labels are not `[N, 1]`.
pub fn one_hot(graph: &mut Graph, labels: NodeId, classes: usize) -> Result<NodeId> {
    let [batch, 1] = graph.shape(labels)[..] else {
        let shape = graph.shape(labels);
        return Err(Error::shape("one_hot", format!("{shape} is not [N, 1]")));
    };
    let numbers = graph.iota([batch, classes], 1)?;
    graph.binary(Binary::Equal, numbers, labels)
}

impl Net {
    /// `[N, width]`: the row of each class in a table `[classes, width]`, as
    /// `nn.Embedding(classes, width)`. `classes` are one-hot, `[N, classes]`.
    ///
    /// # Errors
    /// Where classes are not `[N, classes]`.
    pub fn embedding(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        classes: NodeId,
        width: usize,
        init: Init,
    ) -> Result<NodeId> {
        let count = graph.shape(classes).get(1).copied().unwrap_or(0);
        let table = self.weight(graph, layer, [count, width], 0, init)?;
        graph.matmul(classes, table, false, false)
    }

    /// Conditional batch normalisation (Dumoulin et al. 2017, de Vries et al. 2017):
    /// [`Net::batch_norm_plain`] of `x [N, C, H, W]`, then a gain, from 1, and an
    /// offset, from 0, of each channel for each class. `classes` are one-hot, `[N,
    /// classes]`; the tables are `<layer>.gain` and `<layer>.offset`.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn conditional_batch_norm(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        x: NodeId,
        classes: NodeId,
        eps: f32,
    ) -> Result<NodeId> {
        let y = self.batch_norm_plain(graph, layer, x, eps)?;
        let [batch, channels] = [0, 1].map(|axis| graph.shape(x)[axis]);
        let tables = [("gain", 1.0), ("offset", 0.0)].map(|(name, start)| {
            let layer = format!("{layer}.{name}");
            let rows = self.embedding(graph, &layer, classes, channels, Init::Constant(start))?;
            graph.reshape(rows, [batch, channels, 1, 1])
        });
        let [gain, offset] = tables;
        let scaled = graph.mul(y, gain?)?;
        graph.add(scaled, offset?)
    }
}
