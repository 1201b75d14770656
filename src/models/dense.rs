//! Dense networks with ReLU for points of the plane: the toy networks of
//! Gulrajani et al. 2017 (512 units there), with their uniform initialisation
//! after He et al. 2015.

use super::{Judgement, Model, output, uniform};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Inits, Net, flatten, leaky_relu};

pub(super) fn generator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    z: NodeId,
) -> Result<NodeId> {
    let [channels, height, width] = model.image;
    let features = channels * height * width;
    let hidden = &model.config.hidden_g;
    let h = layers(graph, net, z, hidden)?;
    let h = h.last().copied().unwrap_or(z);
    let y = last(graph, net, h, hidden.len(), features)?;
    let y = output(graph, model.config.output, y);
    let batch = graph.shape(z)[0];
    graph.reshape(y, [batch, channels, height, width])
}

pub(super) fn discriminator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    x: NodeId,
) -> Result<Judgement> {
    let units = &model.config.hidden_d;
    let x = flatten(graph, x)?;
    let hidden = layers(graph, net, x, units)?;
    let features = hidden.last().copied().unwrap_or(x);
    let [batch, units] = graph.shape(features)[..] else {
        unreachable!("a dense layer gives [N, units]");
    };
    let h = graph.reshape(features, [batch, units, 1, 1])?;
    let h = model.compared(graph, net, h, uniform(units, 1.0))?;
    let h = flatten(graph, h)?;
    let logits = last(graph, net, h, hidden.len(), 1)?;
    Ok(Judgement {
        logits,
        features,
        hidden,
    })
}

/// The hidden layers of `x [N, features]`, of so many units each. Layers are
/// numbered as in an nn.Sequential with the activations counted.
fn layers(graph: &mut Graph, net: &mut Net, x: NodeId, units: &[usize]) -> Result<Vec<NodeId>> {
    let mut h = x;
    let mut hidden = Vec::new();
    for (index, &units) in units.iter().enumerate() {
        let inits = start(graph.shape(h)[1], 2.0);
        h = net.linear(graph, &format!("main.{}", 2 * index), h, units, inits)?;
        h = leaky_relu(graph, h, 0.0);
        hidden.push(h);
    }
    Ok(hidden)
}

/// The output `[N, out]` after so many hidden layers.
fn last(graph: &mut Graph, net: &mut Net, h: NodeId, hidden: usize, out: usize) -> Result<NodeId> {
    let inits = start(graph.shape(h)[1], 1.0);
    net.linear(graph, &format!("main.{}", 2 * hidden), h, out, inits)
}

/// Biases start as the weights: with zeros, every unit of the first layer would
/// bend on a line through the origin.
fn start(inputs: usize, gain: f32) -> Inits {
    let uniform = uniform(inputs, gain);
    Inits {
        weight: uniform.clone(),
        bias: Some(uniform),
    }
}
