//! Dense networks with ReLU for points of the plane: the toy networks of
//! Gulrajani et al. 2017 (512 units there), with their uniform initialisation
//! after He et al. 2015.

use super::{Judgement, Model, output};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, flatten, leaky_relu};

pub(super) fn generator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    z: NodeId,
) -> Result<NodeId> {
    let [channels, height, width] = model.image;
    let features = channels * height * width;
    let (_, y) = layers(graph, net, z, &model.config.hidden_g, features)?;
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
    let x = flatten(graph, x)?;
    let (features, logits) = layers(graph, net, x, &model.config.hidden_d, 1)?;
    Ok(Judgement { logits, features })
}

/// The last hidden layer and the output `[N, out]` of `x [N, features]`.
fn layers(
    graph: &mut Graph,
    net: &mut Net,
    x: NodeId,
    hidden: &[usize],
    out: usize,
) -> Result<(NodeId, NodeId)> {
    let mut h = x;
    // Biases as the weights: with zeros, every unit of the first layer would
    // bend on a line through the origin.
    let start = |inputs: usize, gain: f32| {
        let uniform = Init::Uniform((3.0 * gain / inputs as f32).sqrt());
        Inits {
            weight: uniform.clone(),
            bias: Some(uniform),
        }
    };
    // Layers are numbered as in an nn.Sequential with the activations counted.
    for (index, &units) in hidden.iter().enumerate() {
        let inits = start(graph.shape(h)[1], 2.0);
        h = net.linear(graph, &format!("main.{}", 2 * index), h, units, inits)?;
        h = leaky_relu(graph, h, 0.0);
    }
    let inits = start(graph.shape(h)[1], 1.0);
    let y = net.linear(graph, &format!("main.{}", 2 * hidden.len()), h, out, inits)?;
    Ok((h, y))
}
