//! The first GAN (Goodfellow et al. 2014, 1406.2661): dense layers, ReLU in
//! the generator, maxout with dropout in the discriminator.

use std::sync::Arc;

use super::parts::output;
use super::{Entry, Family, Judgement, Pair};
use crate::config::{Allowed, Keys, Output, Refusal, Size, WIDEST, section, words};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, flatten, leaky_relu, maxout};

/// Pixel probabilities are kept this far from 0 and 1 before their logit is
/// taken.
const MARGIN: f32 = 1e-2;

section! {
    /// Sizes of both networks.
    Mlp {
        /// Units of the generator's hidden layers (ReLU).
        hidden_g: Vec<usize> = vec![1200, 1200], Allowed::Wholes(1, WIDEST);
        /// Units of each of the discriminator's two maxout layers.
        maxout_units: usize = 240, Allowed::Whole(1, WIDEST);
        /// Linear pieces of a maxout unit, of which the largest is its value.
        maxout_pieces: usize = 5, Allowed::Whole(1, 64);
        /// Probability that the discriminator drops an element of the image; the others are divided by one minus it.
        dropout_input: f64 = 0.2, Allowed::BELOW_ONE;
        /// Probability that the discriminator drops a hidden unit; the others are divided by one minus it.
        dropout_hidden: f64 = 0.5, Allowed::BELOW_ONE;
        /// The generator's initial weights are uniform between minus this and this.
        irange_g: f64 = 0.05, Allowed::POSITIVE;
        /// The discriminator's initial weights are uniform between minus this and this.
        irange_d: f64 = 0.005, Allowed::POSITIVE;
        /// Initial biases of the generator's last layer: `zero`, or `marginals`, with which it starts from the mean real image; all other biases start at zero.
        output_bias: OutputBias = OutputBias::Zero, Allowed::Choice(&["zero", "marginals"]);
    }
}

words! {
    /// Initial biases of the generator's last layer.
    OutputBias {
        /// All 0.
        Zero,
        /// The inverse of the output function at the mean real image.
        Marginals,
    }
}

/// As `model.architecture` names it.
pub(super) const ENTRY: Entry = Entry {
    name: "mlp",
    sections: || vec![Mlp::at("model")],
    open: |config| Ok(Arc::new(Networks(config.own("model")?))),
};

#[derive(Debug)]
struct Networks(Mlp);

impl Family for Networks {
    fn generator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        _: Option<NodeId>,
    ) -> Result<NodeId> {
        let config = &self.0;
        let [channels, height, width] = pair.image;
        let weight = Init::Uniform(config.irange_g as f32);
        let mut h = z; // [N, latent]
        // Layers are numbered as in an nn.Sequential with the activations counted.
        for (index, &units) in config.hidden_g.iter().enumerate() {
            let layer = format!("main.{}", 2 * index);
            h = net.linear(graph, &layer, h, units, Inits::zero_bias(weight.clone()))?;
            h = leaky_relu(graph, h, 0.0);
        }
        let bias = match (config.output_bias, &pair.mean_image) {
            (OutputBias::Marginals, Some(mean)) => {
                Init::Values(mean.iter().map(|&x| inverse(pair.output, x)).collect())
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
        let image = output(graph, pair.output, h);
        let batch = graph.shape(z)[0];
        graph.reshape(image, [batch, channels, height, width])
    }

    fn discriminator(
        &self,
        _: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        _: Option<NodeId>,
    ) -> Result<Judgement> {
        let config = &self.0;
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
            classes: None,
        })
    }

    fn refusals(&self, _: Size) -> Vec<Option<Refusal>> {
        Vec::new()
    }

    fn starts_from_mean(&self) -> bool {
        self.0.output_bias == OutputBias::Marginals
    }
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
