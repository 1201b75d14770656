//! The first GAN (Goodfellow et al. 2014, 1406.2661): dense layers, ReLU in
//! the generator, maxout with dropout in the discriminator.

use super::{Judgement, Model, output};
use crate::config::{Output, OutputBias};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, flatten, leaky_relu, maxout};

/// Pixel probabilities are kept this far from 0 and 1 before their logit is
/// taken.
const MARGIN: f32 = 1e-2;

pub(super) fn generator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    z: NodeId,
) -> Result<NodeId> {
    let config = &model.config;
    let [channels, height, width] = model.image;
    let weight = Init::Uniform(config.irange_g as f32);
    let mut h = z; // [N, latent]
    // Layers are numbered as in an nn.Sequential with the activations counted.
    for (index, &units) in config.hidden_g.iter().enumerate() {
        let layer = format!("main.{}", 2 * index);
        h = net.linear(graph, &layer, h, units, Inits::zero_bias(weight.clone()))?;
        h = leaky_relu(graph, h, 0.0);
    }
    let bias = match (config.output_bias, &model.mean_image) {
        (OutputBias::Marginals, Some(mean)) => {
            Init::Values(mean.iter().map(|&x| inverse(config.output, x)).collect())
        }
        _ => Init::Constant(0.0),
    };
    let layer = format!("main.{}", 2 * config.hidden_g.len());
    h = net.linear(
        graph,
        &layer,
        h,
        channels * height * width,
        Inits {
            weight,
            bias: Some(bias),
        },
    )?;
    let image = output(graph, config.output, h);
    let batch = graph.shape(z)[0];
    graph.reshape(image, [batch, channels, height, width])
}

pub(super) fn discriminator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    x: NodeId,
) -> Result<Judgement> {
    let config = &model.config;
    let weight = Init::Uniform(config.irange_d as f32);
    let mut h = flatten(graph, x)?; // [N, C * H * W]
    h = net.dropout(graph, h, config.dropout_input as f32)?;
    let mut hidden = Vec::new();
    for layer in ["maxout.0", "maxout.1"] {
        let features = config.maxout_units * config.maxout_pieces;
        h = net.linear(graph, layer, h, features, Inits::zero_bias(weight.clone()))?;
        h = maxout(graph, h, config.maxout_pieces)?;
        hidden.push(h);
        h = net.dropout(graph, h, config.dropout_hidden as f32)?;
    }
    let logits = net.linear(graph, "out", h, 1, Inits::zero_bias(weight))?; // [N, 1]
    Ok(Judgement {
        logits,
        features: h,
        hidden,
    })
}

/// What the last function maps to `x`.
fn inverse(kind: Output, x: f32) -> f32 {
    if kind == Output::Linear {
        return x;
    }
    let (low, high) = kind.range();
    let p = ((x - low) / (high - low)).clamp(MARGIN, 1.0 - MARGIN);
    let logit = (p / (1.0 - p)).ln();
    match kind {
        Output::Sigmoid => logit,
        // tanh(x) = 2 sigmoid(2 x) - 1
        _ => logit / 2.0,
    }
}
