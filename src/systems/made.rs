//! Autoregressive models of black and white images, whose likelihood is exact: MADE
//! (Germain et al. 2015, 1502.03509) as in `karpathy/pytorch-made`, and the fully
//! visible belief network (Frey 1998), which is the same without hidden layers.
//!
//! Pixels have an order. A mask on each layer lets the logit of a pixel depend on
//! those before it alone, so the product of all conditional probabilities is the
//! probability of an image.

use std::sync::Arc;

use super::{
    Build, Counters, Field, Given, Known, Likelihood, Medium, Moves, Network, Pass, Report, Source,
    System, Unit, View, registry,
};
use crate::config::{
    Allowed, Config, Keys, Latent, Optimizer, Output, Schema, WIDEST, section, words,
};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Shape, Unary};
use crate::nn::{Inits, Mode, Net, bernoulli, flatten, leaky_relu};
use crate::random::bits;

/// MADE as a preset names it.
pub(super) const MADE: registry::Entry = registry::Entry {
    schema: &Schema {
        name: "made",
        sections: |_| {
            vec![
                Hidden::at("model"),
                Ordered::at("model"),
                Optimizer::at("optimizer.made"),
            ]
        },
        elsewhere: |_, _| None,
        refusals: |config| {
            let optimizer = config.own::<Optimizer>("optimizer.made")?;
            Ok(vec![optimizer.floor_above("made")])
        },
    },
    open: |config, given| {
        let Hidden { hidden } = config.own("model")?;
        let moves = Moves::new("optimizer.made", &config.own("optimizer.made")?);
        Ok(Arc::new(Made::new("MADE", config, given, &hidden, moves)?))
    },
};

/// The fully visible belief network as a preset names it.
pub(super) const FVBN: registry::Entry = registry::Entry {
    schema: &Schema {
        name: "fvbn",
        sections: |_| vec![Ordered::at("model"), Optimizer::at("optimizer.fvbn")],
        elsewhere: |_, _| None,
        refusals: |config| {
            let optimizer = config.own::<Optimizer>("optimizer.fvbn")?;
            Ok(vec![optimizer.floor_above("fvbn")])
        },
    },
    open: |config, given| {
        let moves = Moves::new("optimizer.fvbn", &config.own("optimizer.fvbn")?);
        Ok(Arc::new(Made::new("FVBN", config, given, &[], moves)?))
    },
};

const IMAGES: &str = "images";
const NOISE: &str = "noise";
const LOSS: &str = "loss";
const SAMPLE: &str = "sample";
const LIKELIHOOD: &str = "likelihood";

section! {
    /// Sizes of the network.
    Hidden {
        /// Units of the hidden layers (ReLU).
        hidden: Vec<usize> = vec![500], Allowed::Wholes(1, WIDEST);
    }
}

section! {
    /// The order of the pixels.
    Ordered {
        /// Which pixels another depends on: `natural` is row by row from the top, `random` an order that the seed fixes.
        order: Order = Order::Natural, Allowed::Choice(&["natural", "random"]);
    }
}

words! {
    /// The order of the pixels.
    Order {
        /// Row by row.
        Natural,
        /// One permutation.
        Random,
    }
}

/// One network with one order of the pixels.
#[derive(Clone, Debug)]
struct Made {
    /// The network's name.
    name: &'static str,
    image: [usize; 3],
    /// The degrees of the units of each layer, from the pixels, whose degrees are
    /// their places in the order, to the last hidden layer.
    degrees: Vec<Vec<usize>>,
    moves: Moves,
}

impl Made {
    fn new(
        name: &'static str,
        config: &Config,
        given: &Given<'_>,
        hidden: &[usize],
        moves: Moves,
    ) -> Result<Self> {
        let Ordered { order } = config.own("model")?;
        let pixels = given.image.iter().product();
        Ok(Self {
            name,
            image: given.image,
            degrees: degrees(pixels, hidden, order, config.seed),
            moves,
        })
    }

    fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    fn images(&self) -> Field {
        Field::pixels(IMAGES, self.image, Output::Sigmoid)
    }

    /// Logits `[N, D]` of the pixels of `x [N, D]`, each from those before it.
    fn logits(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<NodeId> {
        let hidden = self.degrees.len() - 1;
        let mut h = x;
        for layer in 0..=hidden {
            let from = &self.degrees[layer];
            let to = self.degrees.get(layer + 1).unwrap_or(&self.degrees[0]);
            let shape = Shape::from([to.len(), from.len()]);
            // Before the mask takes the host's memory.
            shape.check("the weights of a layer")?;
            let mask = match layer < hidden {
                true => mask(from, &self.degrees[layer + 1], |from, to| from <= to),
                false => mask(from, &self.degrees[0], |from, to| from < to),
            };
            let inits = Inits::linear(from.len());
            // Numbered as in an nn.Sequential with the activations counted.
            h = net.masked_linear(graph, &format!("net.{}", 2 * layer), h, mask, inits)?;
            if layer < hidden {
                h = leaky_relu(graph, h, 0.0);
            }
        }
        Ok(h)
    }

    /// `log p(x)` of the batch, `[N, 1]`, pixels being 1 above one half and else 0.
    fn log_likelihood(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let images = build.field(IMAGES)?;
        let (graph, net) = build.net(self.name)?;
        let x = flatten(graph, images)?;
        let x = graph.binary_scalar(Binary::Greater, x, 0.5);
        let logits = self.logits(graph, net, x)?;
        bernoulli(graph, x, logits)
    }
}

/// The degrees of all layers but the output's (section 4.2). Those of hidden units
/// are drawn evenly between the smallest of the layer before and the last but one
/// pixel's: with the last pixel's, which nothing depends on, a unit would be of no
/// use.
fn degrees(pixels: usize, hidden: &[usize], order: Order, seed: u64) -> Vec<Vec<usize>> {
    let word = |unit: usize, layer: usize| {
        bits(unit as u32, layer as u32, (seed >> 32) as u32, seed as u32)[0]
    };
    let mut places: Vec<usize> = (0..pixels).collect();
    if order == Order::Random {
        places.sort_by_key(|&pixel| word(pixel, 0));
    }
    let largest = pixels.saturating_sub(2);
    let mut layers = vec![places];
    for (index, &units) in hidden.iter().enumerate() {
        let smallest = layers[index].iter().copied().min().unwrap_or(0);
        let choices = (largest - smallest + 1) as u64;
        let degree = |unit| {
            let scaled = u64::from(word(unit, index + 1)) * choices;
            smallest + (scaled >> 32) as usize
        };
        layers.push((0..units).map(degree).collect());
    }
    layers
}

/// The mask `[to, from]` of a layer between units of these degrees: 1 where they may
/// be connected.
fn mask(from: &[usize], to: &[usize], connects: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let row = |&to: &usize| from.iter().map(move |&from| (from, to));
    let pairs = to.iter().flat_map(row);
    pairs
        .map(|(from, to)| f32::from(u8::from(connects(from, to))))
        .collect()
}

impl System for Made {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        let mut net = Net::new(self.name, Mode::TRAIN);
        let images = graph.constant(0.0, [1, self.pixels()]);
        self.logits(&mut graph, &mut net, images)?;
        Ok(vec![Network::trained(self.name, &net, self.moves.clone())])
    }

    fn fields(&self) -> Vec<Field> {
        vec![self.images()]
    }

    /// In nats an image.
    fn reports(&self) -> Vec<Report> {
        vec![Report {
            name: LOSS,
            label: "negative log-likelihood",
            unit: Unit::Loss,
        }]
    }

    fn passes(&self) -> Vec<Pass> {
        vec![Pass::new("step", [IMAGES])]
    }

    fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let log_likelihood = self.log_likelihood(build)?;
        let mean = build.graph.mean_all(log_likelihood)?;
        let loss = build.graph.neg(mean);
        build.report(LOSS, loss);
        build.minimise(loss, &[self.name]);
        Ok(())
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["step"]
    }

    /// A replay of `sample` draws every pixel from those that it depends on as they
    /// were drawn by the replay before, always with the same noise. After as many
    /// replays as there are pixels all are as if drawn one after another: the first
    /// pixel in the order is right after one replay, and each further replay makes
    /// the next one right.
    fn views(&self) -> Vec<View> {
        let medium = Medium::Images {
            shape: self.image,
            range: Output::Sigmoid,
        };
        let noise = Field {
            name: NOISE,
            record: vec![self.pixels()],
            source: Source::Latent(Latent::Uniform),
        };
        let zeros = Field {
            source: Source::Zero,
            ..self.images()
        };
        let inputs = vec![noise, zeros];
        vec![
            View {
                repeat: self.pixels(),
                ..View::new(SAMPLE, inputs, &[IMAGES, "probabilities"], medium)
            },
            View::new(
                LIKELIHOOD,
                vec![self.images()],
                &["log_likelihood"],
                Medium::Numbers,
            ),
        ]
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        match view {
            SAMPLE => {
                let noise = build.field(NOISE)?;
                let images = build.field(IMAGES)?;
                let shape = build.graph.shape(images).clone();
                let (graph, net) = build.net(self.name)?;
                let x = flatten(graph, images)?;
                let logits = self.logits(graph, net, x)?;
                let probabilities = graph.unary(Unary::Sigmoid, logits);
                // A latent of variance 1, scaled to [0, 1).
                let uniform = graph.scale(noise, 0.5 / 3.0_f32.sqrt());
                let uniform = graph.binary_scalar(Binary::Add, uniform, 0.5);
                let drawn = graph.binary(Binary::Greater, probabilities, uniform)?;
                for (name, pixels) in [(IMAGES, drawn), ("probabilities", probabilities)] {
                    let pixels = build.graph.reshape(pixels, shape.clone())?;
                    build.output(name, pixels);
                }
            }
            LIKELIHOOD => {
                let log_likelihood = self.log_likelihood(build)?;
                build.output("log_likelihood", log_likelihood);
            }
            _ => return Err(Error::shape("view", format!("there is no view {view}"))),
        }
        Ok(())
    }

    fn likelihood(&self) -> Option<Likelihood> {
        Some(Likelihood {
            view: LIKELIHOOD,
            known: Known::Exactly,
        })
    }
}
