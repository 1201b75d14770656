//! A restricted Boltzmann machine (Smolensky 1986): binary visible units v, binary
//! hidden units h, and the energy `E(v, h) = -b v - c h - h W v`. The probability of v
//! is `e^-F(v) / Z` with the free energy `F(v) = -b v - sum softplus(c + W v)`. The
//! gradient of `-log p(v)` is that of F on data less that of F on samples of the
//! model. Some steps of Gibbs sampling draw these: from the data in contrastive
//! divergence (Hinton 2002), from where the last update left them in persistent
//! contrastive divergence (Tieleman 2008). The details are those of the Deep Learning
//! Tutorials (`code/rbm.py`).

mod machine;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{
    Build, Counters, Field, Given, Known, Likelihood, Medium, Memory, Moves, Network, Observed,
    Pass, Report, Source, System, Unit, View, registry,
};
use crate::config::{Allowed, Config, Keys, Latent, Optimizer, Output, Schema, WIDEST, section};
use crate::error::Result;
use crate::graph::{Binary, Graph, NodeId, Unary};
use crate::nn::{self, Init, Mode, Net};
use machine::{Machine, cross_entropy, draw_row};

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
/// Rounds of Gibbs steps that a sample has seen.
const ROUND: &str = "round";

const LOSS: &str = "loss";
const ENERGY_DATA: &str = "energy_data";
const ENERGY_CHAINS: &str = "energy_chains";

/// Most elements of the table of all hidden states with their visible units, 64 MiB,
/// that the partition function is summed over.
const TABLE: usize = 1 << 24;

section! {
    /// Units and chains.
    Model {
        /// Hidden units. The likelihood of images is exact where two to the power of this, times their pixels, is at most 2^24.
        hidden: usize = 500, Allowed::Whole(1, WIDEST);
        /// Gibbs steps, each from hidden to visible to hidden units, between two updates.
        k: usize = 15, Allowed::Whole(1, 1000);
        /// Whether the chains go on from update to update (PCD) instead of starting at each batch (CD).
        persistent: bool = true, Allowed::Flag;
        /// Rounds of `k` Gibbs steps per sample, from one of the persistent chains, or from random pixels where there are none.
        sample_rounds: usize = 10, Allowed::Whole(1, 1_000_000);
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
        Field::pixels(IMAGES, self.image, Output::Sigmoid)
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

impl Rbm {
    /// A round of Gibbs steps. The first starts at a persistent chain, unless `round`
    /// says that it is none, and the others at the visible units of the one before.
    fn sample(&self, build: &mut Build<'_>) -> Result<()> {
        let visible = build.field("visible")?;
        let round = build.field(ROUND)?;
        let Model { k, persistent, .. } = self.model;
        let chains = persistent.then(|| build.memory(CHAINS)).transpose()?;
        let (graph, net) = build.net(R)?;
        let machine = self.machine(graph, net)?;
        let shape = graph.shape(visible).clone();
        let units = nn::flatten(graph, visible)?;
        let units = graph.binary_scalar(Binary::Greater, units, 0.0);
        let mut hidden = machine.draw_hidden(graph, units)?;
        if let Some(chains) = chains {
            let chain = draw_row(graph, chains, shape[0])?;
            hidden = graph.select(round, hidden, chain)?;
        }
        let chain = machine.gibbs(graph, hidden, k)?;
        // Probabilities show more than what is drawn from them.
        let images = graph.unary(Unary::Sigmoid, chain.logits);
        let images = graph.reshape(images, shape.clone())?;
        let visible = graph.reshape(chain.visible, shape)?;
        let next = graph.binary_scalar(Binary::Add, round, 1.0);
        build.output(IMAGES, images);
        build.output("visible", visible);
        build.output(ROUND, next);
        Ok(())
    }
}

impl System for Rbm {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut net = Net::new(R, Mode::TRAIN);
        self.machine(&mut Graph::new(), &mut net)?;
        let moves = Moves::new("optimizer.r", &self.optimizer);
        Ok(vec![Network::trained(R, &net, moves)])
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
        vec![Pass::new("step", [IMAGES, PIXEL])]
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
        // Latents above 0 are white pixels, and so are those of a round before.
        let visible = Field {
            name: "visible",
            source: Source::Latent(Latent::Uniform),
            ..self.images()
        };
        let round = Field {
            name: ROUND,
            record: vec![1],
            source: Source::Zero,
        };
        let of_images =
            |name, output, medium| View::new(name, vec![self.images()], &[output], medium);
        let mut views = vec![
            View {
                repeat: self.model.sample_rounds,
                draws: true,
                ..View::new(
                    "sample",
                    vec![visible, round],
                    &[IMAGES, "visible", ROUND],
                    shown,
                )
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
        if view == "sample" {
            return self.sample(build);
        }
        let images = build.field(IMAGES)?;
        let (graph, net) = build.net(R)?;
        let machine = self.machine(graph, net)?;
        let shape = graph.shape(images).clone();
        let units = nn::flatten(graph, images)?;
        let (name, output) = match view {
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
