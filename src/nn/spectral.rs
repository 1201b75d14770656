//! Spectral normalisation (Miyato et al. 2018): weights divided by their largest
//! singular value, which one step of the power method a use follows.

use super::{Init, Net, Statistics};
use crate::error::Result;
use crate::graph::{Binary, Graph, NodeId, Role, Shape, Unary};

/// Least length that a vector is divided by in spectral normalisation (PyTorch).
const SPECTRAL_EPS: f32 = 1e-12;

impl Net {
    /// The weight of a layer, whose axis `outputs` counts its outputs; as a matrix
    /// of as many rows its largest singular value is 1 with [`Net::spectral`].
    pub(super) fn weight(
        &mut self,
        graph: &mut Graph,
        layer: &str,
        shape: impl Into<Shape>,
        outputs: usize,
        init: Init,
    ) -> Result<NodeId> {
        if !self.spectral {
            return self.parameter(graph, format!("{layer}.weight"), shape, init);
        }
        let weight = self.parameter(graph, format!("{layer}.weight_orig"), shape, init)?;
        let shape = graph.shape(weight).clone();
        let rows = shape[outputs];
        let columns = shape.numel() / rows.max(1);
        let start = Init::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let [u_id, v_id] = [("weight_u", rows), ("weight_v", columns)].map(|(tensor, len)| {
            let name = format!("{layer}.{tensor}");
            self.tensor(graph, name, [len].into(), start.clone(), Role::Buffer)
        });
        let (u_id, v_id) = (u_id?, v_id?);
        let first = match outputs {
            0 => weight,
            _ => {
                let others = (0..shape.rank()).filter(|&axis| axis != outputs);
                let order: Vec<usize> = std::iter::once(outputs).chain(others).collect();
                graph.permute(weight, &order)?
            }
        };
        let matrix = graph.reshape(first, [rows, columns])?;
        let (mut u, mut v) = (self.latest(graph, u_id), self.latest(graph, v_id));
        u = graph.reshape(u, [1, rows])?;
        v = graph.reshape(v, [1, columns])?;
        if self.mode.statistics == Statistics::Batch {
            let constant = graph.stop_gradient(matrix);
            v = graph.matmul(u, constant, false, false)?;
            v = direction(graph, v)?;
            u = graph.matmul(v, constant, false, true)?;
            u = direction(graph, u)?;
            for (id, node, len) in [(u_id, u, rows), (v_id, v, columns)] {
                let node = graph.reshape(node, [len])?;
                self.keep(id, node);
            }
        }
        let image = graph.matmul(v, matrix, false, true)?; // [1, rows]
        let products = graph.mul(image, u)?;
        let sigma = graph.sum_all(products)?;
        graph.div(weight, sigma)
    }
}

/// A row vector divided by its length.
fn direction(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let squares = graph.square(x);
    let sum = graph.sum(squares, &[1])?;
    let length = graph.unary(Unary::Sqrt, sum);
    let length = graph.binary_scalar(Binary::Max, length, SPECTRAL_EPS);
    graph.div(x, length)
}
