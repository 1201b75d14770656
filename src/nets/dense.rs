//! Dense networks with ReLU for points of the plane: the toy networks of
//! Gulrajani et al. 2017 (512 units there), with their uniform initialisation
//! after He et al. 2015.

use std::sync::Arc;

use super::parts::{output, uniform};
use super::{Compared, Entry, Family, Judgement, Pair};
use crate::config::{Allowed, Keys, Refusal, Size, WIDEST, section};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Inits, Net, flatten, leaky_relu};

section! {
    /// Sizes of both networks.
    Dense {
        /// Units of the generator's hidden layers (ReLU).
        hidden_g: Vec<usize> = vec![1200, 1200], Allowed::Wholes(1, WIDEST);
        /// Units of the discriminator's hidden layers (ReLU).
        hidden_d: Vec<usize> = vec![128, 128, 128], Allowed::Wholes(1, WIDEST);
    }
}

/// As `model.architecture` names it.
pub(super) const ENTRY: Entry = Entry {
    name: "dense",
    sections: || vec![Dense::at("model"), Compared::at("model")],
    open: |config| {
        Ok(Arc::new(Networks {
            dense: config.own("model")?,
            compared: config.own("model")?,
        }))
    },
};

#[derive(Debug)]
struct Networks {
    dense: Dense,
    compared: Compared,
}

impl Family for Networks {
    fn generator(
        &self,
        pair: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        z: NodeId,
        _: Option<NodeId>,
    ) -> Result<NodeId> {
        let [channels, height, width] = pair.image;
        let features = channels * height * width;
        let hidden = &self.dense.hidden_g;
        let h = layers(graph, net, z, hidden)?;
        let h = h.last().copied().unwrap_or(z);
        let y = last(graph, net, h, hidden.len(), features)?;
        let y = output(graph, pair.output, y);
        let batch = graph.shape(z)[0];
        graph.reshape(y, [batch, channels, height, width])
    }

    fn discriminator(
        &self,
        _: &Pair,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        _: Option<NodeId>,
    ) -> Result<Judgement> {
        let units = &self.dense.hidden_d;
        let x = flatten(graph, x)?;
        let hidden = layers(graph, net, x, units)?;
        let features = hidden.last().copied().unwrap_or(x);
        let [batch, units] = graph.shape(features)[..] else {
            unreachable!("a dense layer gives [N, units]");
        };
        let h = graph.reshape(features, [batch, units, 1, 1])?;
        let h = self.compared.apply(graph, net, h, uniform(units, 1.0))?;
        let h = flatten(graph, h)?;
        let logits = last(graph, net, h, hidden.len(), 1)?;
        Ok(Judgement {
            logits,
            features,
            hidden,
            classes: None,
        })
    }

    fn refusals(&self, _: Size) -> Vec<Option<Refusal>> {
        Vec::new()
    }

    fn compared(&self) -> Option<&Compared> {
        Some(&self.compared)
    }

    fn of_points(&self) -> bool {
        true
    }
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
