//! A restricted Boltzmann machine (Smolensky 1986): binary visible units v, binary
//! hidden units h, and the energy `E(v, h) = -b v - c h - h W v`. The probability of v
//! is `e^-F(v) / Z` with the free energy `F(v) = -b v - sum softplus(c + W v)`. The
//! gradient of `-log p(v)` is that of F on data less that of F on samples of the
//! model. Some steps of Gibbs sampling draw these: from the data in contrastive
//! divergence (Hinton 2002), from where the last update left them in persistent
//! contrastive divergence (Tieleman 2008). The details are those of the Deep Learning
//! Tutorials (`code/rbm.py`).

use std::sync::Arc;

use super::{
    Build, Counters, Field, Given, Known, Likelihood, Medium, Memory, Network, Observed, Pass,
    Report, Source, System, Unit, View, registry,
};
use crate::config::{Config, Keys, Latent, Optimizer, Output, Rule, Schema, WIDEST, section};
use crate::data::IMAGE;
use crate::error::Result;
use crate::graph::{Binary, Distribution, Graph, NodeId, Unary};
use crate::nn::{self, Init, Mode, Net};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Rbm::new(config, given)?)),
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "rbm",
    sections: |_| vec![Model::at("model"), Optimizer::at("optimizer.r")],
    elsewhere: |_, _| None,
    refusals: |config| {
        Ok(vec![
            config.own::<Optimizer>("optimizer.r")?.floor_above("r"),
        ])
    },
};

/// The network.
const R: &str = "R";
/// Hidden units of the persistent chains, `[batch, hidden]`.
const CHAINS: &str = "chains.hidden";
/// The pixel that the pseudo-likelihood of a step is taken of.
const PIXEL: &str = "pixel";
/// Images of a batch, and what most views take and give.
const IMAGES: &str = "images";

const LOSS: &str = "loss";
const ENERGY_DATA: &str = "energy_data";
const ENERGY_CHAINS: &str = "energy_chains";

/// Most elements of the table of all hidden states with their visible units, 64 MiB,
/// that the partition function is summed over.
const TABLE: usize = 1 << 24;

section! {
    /// Units and chains.
    Model {
        /// Hidden units. The likelihood of images is exact where two to the power of this, times their pixels, is 2^24 at most.
        hidden: usize = 500, Rule::Whole(1, WIDEST);
        /// Gibbs steps, each from hidden to visible to hidden units, between two updates.
        k: usize = 15, Rule::Whole(1, 1000);
        /// Whether the chains go on from update to update (PCD) instead of starting at each batch (CD).
        persistent: bool = true, Rule::Flag;
        /// Rounds of `k` Gibbs steps from random pixels to a sample; the tutorials take 1000 steps.
        sample_rounds: usize = 10, Rule::Whole(1, 1_000_000);
    }
}

/// A machine with its optimiser.
#[derive(Clone, Debug)]
pub struct Rbm {
    image: [usize; 3],
    batch: usize,
    model: Model,
    optimizer: Optimizer,
}

impl Rbm {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        Ok(Self {
            image: given.image,
            batch: config.batch,
            model: config.own("model")?,
            optimizer: config.own("optimizer.r")?,
        })
    }

    /// Visible units, one for each pixel of each channel.
    fn visible(&self) -> usize {
        self.image.iter().product()
    }

    fn images(&self) -> Field {
        Field {
            name: IMAGES,
            record: self.image.to_vec(),
            source: Source::Pixels {
                stream: 0,
                column: IMAGE,
                range: Output::Sigmoid,
            },
        }
    }

    /// Whether the partition function is summed.
    fn is_exact(&self) -> bool {
        let states = u32::try_from(self.model.hidden).ok();
        let states = states.and_then(|hidden| 1_usize.checked_shl(hidden));
        let table = states.and_then(|states| states.checked_mul(self.visible()));
        table.is_some_and(|table| table <= TABLE)
    }

    fn machine(&self, graph: &mut Graph, net: &mut Net) -> Result<Machine> {
        let (visible, hidden) = (self.visible(), self.model.hidden);
        let range = 4.0 * (6.0 / (visible + hidden) as f32).sqrt();
        let zero = || Init::Constant(0.0);
        Ok(Machine {
            weight: net.parameter(graph, "weight", [hidden, visible], Init::Uniform(range))?,
            bias_visible: net.parameter(graph, "bias_visible", [visible], zero())?,
            bias_hidden: net.parameter(graph, "bias_hidden", [hidden], zero())?,
        })
    }
}

/// The weights in a graph. Units are rows: `[N, visible]` and `[N, hidden]`.
struct Machine {
    /// `[hidden, visible]`.
    weight: NodeId,
    /// `[visible]`.
    bias_visible: NodeId,
    /// `[hidden]`.
    bias_hidden: NodeId,
}

/// Where a chain is after a Gibbs step.
struct Chain {
    /// Log-odds of the visible units, `[N, visible]`.
    logits: NodeId,
    /// Drawn from them.
    visible: NodeId,
    /// Drawn given these, `[N, hidden]`.
    hidden: NodeId,
}

impl Machine {
    /// Log-odds of the hidden units given the visible ones.
    fn to_hidden(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let sums = graph.matmul(visible, self.weight, false, true)?;
        graph.add(sums, self.bias_hidden)
    }

    /// Log-odds of the visible units given the hidden ones.
    fn to_visible(&self, graph: &mut Graph, hidden: NodeId) -> Result<NodeId> {
        let sums = graph.matmul(hidden, self.weight, false, false)?;
        graph.add(sums, self.bias_visible)
    }

    /// `F(v)` in nats, `[N, 1]`, of visible units from 0 to 1.
    fn free_energy(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let logits = self.to_hidden(graph, visible)?;
        let hidden = graph.unary(Unary::Softplus, logits);
        let hidden = graph.sum(hidden, &[1])?;
        let biased = graph.mul(visible, self.bias_visible)?;
        let biased = graph.sum(biased, &[1])?;
        let sum = graph.add(biased, hidden)?;
        Ok(graph.neg(sum))
    }

    /// Hidden units given the visible ones.
    fn draw_hidden(&self, graph: &mut Graph, visible: NodeId) -> Result<NodeId> {
        let logits = self.to_hidden(graph, visible)?;
        draw(graph, logits)
    }

    /// `steps` Gibbs steps, at least one.
    fn gibbs(&self, graph: &mut Graph, hidden: NodeId, steps: usize) -> Result<Chain> {
        let mut chain = self.gibbs_step(graph, hidden)?;
        for _ in 1..steps {
            chain = self.gibbs_step(graph, chain.hidden)?;
        }
        Ok(chain)
    }

    fn gibbs_step(&self, graph: &mut Graph, hidden: NodeId) -> Result<Chain> {
        let logits = self.to_visible(graph, hidden)?;
        let visible = draw(graph, logits)?;
        Ok(Chain {
            logits,
            visible,
            hidden: self.draw_hidden(graph, visible)?,
        })
    }

    /// The gradients of minus the mean free energy of a batch, in the order of the
    /// tensors: means of the units and of their products, hidden units as their
    /// probabilities.
    fn statistics(&self, graph: &mut Graph, visible: NodeId) -> Result<[NodeId; 3]> {
        let count = graph.shape(visible)[0] as f32;
        let hidden = self.to_hidden(graph, visible)?;
        let hidden = graph.unary(Unary::Sigmoid, hidden);
        let products = graph.matmul(hidden, visible, true, false)?;
        let products = graph.scale(products, 1.0 / count);
        let mut mean = |units: NodeId| {
            let length = graph.shape(units)[1];
            let mean = graph.mean(units, &[0])?;
            graph.reshape(mean, [length])
        };
        Ok([products, mean(visible)?, mean(hidden)?])
    }

    /// The gradients of the mean free energy of data less that of the ends of chains,
    /// through which no gradient flows.
    fn directions(&self, graph: &mut Graph, data: NodeId, ends: NodeId) -> Result<[NodeId; 3]> {
        let of_data = self.statistics(graph, data)?;
        let [weight, visible, hidden] = self.statistics(graph, ends)?;
        Ok([
            graph.sub(weight, of_data[0])?,
            graph.sub(visible, of_data[1])?,
            graph.sub(hidden, of_data[2])?,
        ])
    }

    /// Mean over a batch of `-log p(pixel | other pixels)`, times the number of
    /// pixels, of images with pixels 0 and 1: an estimate of minus the logarithm of
    /// the pseudo-likelihood (Besag 1975), in nats.
    fn pseudo_likelihood(
        &self,
        graph: &mut Graph,
        (images, pixel): (NodeId, NodeId),
    ) -> Result<NodeId> {
        let visible = graph.shape(images)[1];
        let pixel = graph.reshape(pixel, [1, 1])?;
        let numbers = graph.iota([1, visible], 1)?;
        let chosen = graph.binary(Binary::Equal, numbers, pixel)?;
        let one = graph.constant(1.0, [1, 1]);
        let inverse = graph.sub(one, images)?;
        let flipped = graph.select(chosen, inverse, images)?;
        let as_is = self.free_energy(graph, images)?;
        let flipped = self.free_energy(graph, flipped)?;
        let less = graph.sub(as_is, flipped)?;
        let losses = graph.unary(Unary::Softplus, less);
        let mean = graph.mean_all(losses)?;
        Ok(graph.scale(mean, visible as f32))
    }

    /// `log Z` in nats, `[1, 1]`, summed over all states of the hidden units.
    fn log_partition(&self, graph: &mut Graph) -> Result<NodeId> {
        let hidden = graph.shape(self.bias_hidden)[0];
        let numbers = graph.iota([1 << hidden, 1], 0)?;
        let mut bits = Vec::with_capacity(hidden);
        let mut left = numbers;
        for _ in 0..hidden {
            let half = graph.scale(left, 0.5);
            let half = graph.unary(Unary::Floor, half);
            let even = graph.scale(half, 2.0);
            bits.push(graph.sub(left, even)?);
            left = half;
        }
        let states = graph.concat(&bits, 1)?;
        let logits = self.to_visible(graph, states)?;
        let visible = graph.unary(Unary::Softplus, logits);
        let visible = graph.sum(visible, &[1])?;
        let biased = graph.mul(states, self.bias_hidden)?;
        let biased = graph.sum(biased, &[1])?;
        let logs = graph.add(visible, biased)?;
        // The largest is taken off first, so that nothing overflows.
        let largest = graph.max(logs, &[0])?;
        let shifted = graph.sub(logs, largest)?;
        let parts = graph.unary(Unary::Exp, shifted);
        let sum = graph.sum(parts, &[0])?;
        let log = graph.unary(Unary::Log, sum);
        graph.add(log, largest)
    }
}

/// Units that are 1 with the probability of their log-odds, else 0.
fn draw(graph: &mut Graph, logits: NodeId) -> Result<NodeId> {
    let probabilities = graph.unary(Unary::Sigmoid, logits);
    let numbers = graph.random(Distribution::Uniform, graph.shape(logits).clone());
    graph.binary(Binary::Greater, probabilities, numbers)
}

/// Mean over a batch of the cross-entropy of pixels from 0 to 1 and log-odds, summed
/// over the pixels, in nats.
fn cross_entropy(graph: &mut Graph, images: NodeId, logits: NodeId) -> Result<NodeId> {
    let count = graph.shape(images)[0] as f32;
    let all = graph.unary(Unary::Softplus, logits);
    let right = graph.mul(images, logits)?;
    let losses = graph.sub(all, right)?;
    let sum = graph.sum_all(losses)?;
    Ok(graph.scale(sum, 1.0 / count))
}

impl System for Rbm {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut net = Net::new(R, Mode::TRAIN);
        self.machine(&mut Graph::new(), &mut net)?;
        Ok(vec![Network {
            name: R,
            tensors: net.parameters().cloned().collect(),
            optimizer: self.optimizer.clone(),
            clip: None,
            average: 0.0,
        }])
    }

    fn fields(&self) -> Vec<Field> {
        let pixel = Field {
            name: PIXEL,
            record: Vec::new(),
            source: Source::Scalar,
        };
        vec![self.images(), pixel]
    }

    fn memory(&self) -> Vec<Memory> {
        let chains = Memory {
            name: CHAINS,
            shape: [self.batch, self.model.hidden].into(),
            init: Init::Constant(0.0),
        };
        Vec::from_iter(self.model.persistent.then_some(chains))
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        let loss = match self.model.persistent {
            true => "-log pseudo-likelihood",
            false => "reconstruction cross-entropy",
        };
        vec![
            report(LOSS, loss, Unit::Loss),
            report(ENERGY_DATA, "F(data)", Unit::Nats),
            report(ENERGY_CHAINS, "F(chains)", Unit::Nats),
        ]
    }

    fn passes(&self) -> Vec<Pass> {
        vec![Pass {
            name: "step",
            takes: vec![IMAGES, PIXEL],
        }]
    }

    fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let Model { k, persistent, .. } = self.model;
        let images = build.field(IMAGES)?;
        let pixel = build.field(PIXEL)?;
        let kept = persistent.then(|| build.memory(CHAINS)).transpose()?;
        let (graph, net) = build.net(R)?;
        let machine = self.machine(graph, net)?;
        let trained: Vec<_> = net.trained().map(|(_, id)| id).collect();

        let images = nn::flatten(graph, images)?;
        let start = match kept {
            Some(hidden) => hidden,
            None => machine.draw_hidden(graph, images)?,
        };
        let chain = machine.gibbs(graph, start, k)?;
        let directions = machine.directions(graph, images, chain.visible)?;

        let loss = match persistent {
            true => {
                let rounded = graph.unary(Unary::Round, images);
                machine.pseudo_likelihood(graph, (rounded, pixel))?
            }
            false => cross_entropy(graph, images, chain.logits)?,
        };
        let mut energy = |visible: NodeId| {
            let energies = machine.free_energy(graph, visible)?;
            graph.mean_all(energies)
        };
        let (of_data, of_chains) = (energy(images)?, energy(chain.visible)?);
        build.descend(R, trained.into_iter().zip(directions).collect());
        build.report(LOSS, loss);
        build.report(ENERGY_DATA, of_data);
        build.report(ENERGY_CHAINS, of_chains);
        match persistent {
            true => build.remember(CHAINS, chain.hidden),
            false => Ok(()),
        }
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["step"]
    }

    /// The pixels take turns.
    fn scalar(&self, _: &str, done: &Counters) -> f32 {
        (done.step % self.visible() as u64) as f32
    }

    fn views(&self) -> Vec<View> {
        let shown = Medium::Images {
            shape: self.image,
            range: Output::Sigmoid,
        };
        // Latents above 0 are white pixels, and so are those of a step before.
        let visible = Field {
            name: "visible",
            source: Source::Latent(Latent::Uniform),
            ..self.images()
        };
        let of_images =
            |name, output, medium| View::new(name, vec![self.images()], &[output], medium);
        let mut views = vec![
            View {
                repeat: self.model.sample_rounds,
                draws: true,
                ..View::new("sample", vec![visible], &[IMAGES, "visible"], shown)
            },
            of_images("reconstruct", "reconstruction", shown),
            of_images("energy", "energy", Medium::Numbers),
        ];
        if let Some(Likelihood { view, .. }) = self.likelihood() {
            views.push(of_images(view, "log_probability", Medium::Numbers));
        }
        views
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        let sampled = view == "sample";
        let input = build.field(if sampled { "visible" } else { IMAGES })?;
        let (graph, net) = build.net(R)?;
        let machine = self.machine(graph, net)?;
        let shape = graph.shape(input).clone();
        let units = nn::flatten(graph, input)?;
        let (name, output) = match view {
            "sample" => {
                let units = graph.binary_scalar(Binary::Greater, units, 0.0);
                let hidden = machine.draw_hidden(graph, units)?;
                let chain = machine.gibbs(graph, hidden, self.model.k)?;
                let images = graph.unary(Unary::Sigmoid, chain.logits);
                let images = graph.reshape(images, shape.clone())?;
                let visible = graph.reshape(chain.visible, shape)?;
                build.output(IMAGES, images);
                ("visible", visible)
            }
            "reconstruct" => {
                let hidden = machine.to_hidden(graph, units)?;
                let hidden = graph.unary(Unary::Sigmoid, hidden);
                let visible = machine.to_visible(graph, hidden)?;
                let visible = graph.unary(Unary::Sigmoid, visible);
                ("reconstruction", graph.reshape(visible, shape)?)
            }
            "energy" => ("energy", machine.free_energy(graph, units)?),
            _ => {
                let rounded = graph.unary(Unary::Round, units);
                let energy = machine.free_energy(graph, rounded)?;
                let log_partition = machine.log_partition(graph)?;
                let sum = graph.add(energy, log_partition)?;
                ("log_probability", graph.neg(sum))
            }
        };
        build.output(name, output);
        Ok(())
    }

    /// The persistent chains beside the data; chains that start at the data are as
    /// diverse as these whatever the model is.
    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        if !self.model.persistent {
            return Ok(Observed::default());
        }
        let images = build.field(IMAGES)?;
        let hidden = build.memory(CHAINS)?;
        let (graph, net) = build.net(R)?;
        let machine = self.machine(graph, net)?;
        let logits = machine.to_visible(graph, hidden)?;
        let chains = graph.unary(Unary::Sigmoid, logits);
        let data = nn::flatten(graph, images)?;
        Ok(Observed {
            records: Some([chains, data]),
            ..Observed::default()
        })
    }

    /// Of pixels that are rounded to 0 or 1; where the hidden units are too many to
    /// sum over, it says nothing.
    fn likelihood(&self) -> Option<Likelihood> {
        self.is_exact().then_some(Likelihood {
            view: "likelihood",
            known: Known::Exactly,
        })
    }

    fn traits(&self) -> Vec<String> {
        let method = if self.model.persistent { "PCD" } else { "CD" };
        vec![format!("{method}-{}", self.model.k)]
    }
}

#[cfg(test)]
mod tests;
