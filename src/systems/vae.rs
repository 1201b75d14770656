//! Variational autoencoders (Kingma and Welling 2013, 1312.6114): a decoder gives the
//! pixels' probabilities from a latent vector, an encoder the latent vectors that an
//! image may come from. Sizes, names and loss are those of `pytorch/examples/vae`.

use std::sync::Arc;

use super::{
    Build, Counters, Field, Known, Likelihood, Medium, Moves, Network, Observed, Pass, Report,
    Source, System, Unit, View, registry,
};
use crate::config::{
    Allowed, Keys, Latent, Optimizer, Output, Schema, WIDEST, refuse, section, words,
};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};
use crate::nn::{Init, Inits, Mode, Net, bernoulli, flatten, gaussian, leaky_relu};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| {
        Ok(Arc::new(Vae {
            image: given.image,
            model: config.own("model")?,
            optimizer: config.own("optimizer.vae")?,
        }))
    },
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "vae",
    sections: |_| vec![Model::at("model"), Optimizer::at("optimizer.vae")],
    elsewhere: |_, _| None,
    refusals: |config| {
        let model = config.own::<Model>("model")?;
        let optimizer = config.own::<Optimizer>("optimizer.vae")?;
        Ok(vec![
            optimizer.floor_above("vae"),
            refuse(
                model.pixels == Pixels::Gaussian && model.binary == Binarised::Threshold,
                "model.binary = threshold makes pixels of two values, but model.pixels = gaussian needs values in between",
                "use model.pixels = bernoulli, or model.binary = none",
            ),
        ])
    },
};

/// The network: encoder and decoder.
const VAE: &str = "VAE";
const IMAGES: &str = "images";
const EPS: &str = "eps";
const Z: &str = "z";
const LOSS: &str = "loss";
const RECONSTRUCTION: &str = "reconstruction";
const KL: &str = "kl";
const SAMPLE: &str = "sample";
const RECONSTRUCT: &str = "reconstruct";
const LIKELIHOOD: &str = "likelihood";

section! {
    /// The network.
    Model {
        /// Units of the encoder's hidden layer, and of the decoder's (ReLU); with 0 both are linear.
        hidden: usize = 400, Allowed::Whole(0, WIDEST);
        /// Length of the latent vector.
        latent: usize = 20, Allowed::Whole(1, WIDEST);
        /// Distribution of each pixel for a latent vector: `bernoulli`, a probability of being white; `gaussian`, a mean, and one learned variance for all pixels.
        pixels: Pixels = Pixels::Bernoulli, Allowed::Choice(&["bernoulli", "gaussian"]);
        /// How pixels, which are from 0 to 1, are made binary: `none` leaves them as they are, `threshold` makes those above one half 1 and the others 0.
        binary: Binarised = Binarised::None, Allowed::Choice(&["none", "threshold"]);
        /// Latent vectors from which the bound of an image's likelihood is computed; the more, the tighter it is (Burda et al. 2016, 1509.00519, theorem 1).
        bound_samples: usize = 50, Allowed::Whole(1, WIDEST);
    }
}

words! {
    /// Distribution of pixels that a latent vector gives.
    Pixels {
        /// White or black, or their probability.
        Bernoulli,
        /// Normal, all with the same variance.
        Gaussian,
    }
}

words! {
    /// What becomes of pixels.
    Binarised {
        /// Grey stays grey.
        None,
        /// 1 above one half, else 0.
        Threshold,
    }
}

#[derive(Clone, Debug)]
struct Vae {
    image: [usize; 3],
    model: Model,
    optimizer: Optimizer,
}

/// `q(z | x)`, a normal distribution with independent elements, `[N, latent]` each.
#[derive(Clone, Copy)]
struct Posterior {
    mean: NodeId,
    log_variance: NodeId,
}

impl Vae {
    fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    fn images(&self) -> Field {
        Field::pixels(IMAGES, self.image, Output::Sigmoid)
    }

    /// Standard normal numbers `[N, latent]`, or `[N, samples, latent]`.
    fn normal(&self, name: &'static str, samples: Option<usize>) -> Field {
        Field {
            name,
            record: samples.into_iter().chain([self.model.latent]).collect(),
            source: Source::Latent(Latent::Normal),
        }
    }

    /// The batch's pixels `[N, D]`, from 0 to 1.
    fn records(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let images = build.field(IMAGES)?;
        let graph = &mut build.graph;
        let x = flatten(graph, images)?;
        Ok(match self.model.binary {
            Binarised::None => x,
            Binarised::Threshold => graph.binary_scalar(Binary::Greater, x, 0.5),
        })
    }

    fn encode(&self, graph: &mut Graph, net: &mut Net, x: NodeId) -> Result<Posterior> {
        let latent = self.model.latent;
        let h = self.hidden(graph, net, "fc1", x)?;
        Ok(Posterior {
            mean: linear(graph, net, "fc21", h, latent)?,
            log_variance: linear(graph, net, "fc22", h, latent)?,
        })
    }

    /// A hidden layer, if there is one.
    fn hidden(&self, graph: &mut Graph, net: &mut Net, layer: &str, x: NodeId) -> Result<NodeId> {
        if self.model.hidden == 0 {
            return Ok(x);
        }
        let h = linear(graph, net, layer, x, self.model.hidden)?;
        Ok(leaky_relu(graph, h, 0.0))
    }

    /// What `z [N, latent]` says of the pixels, `[N, D]`: their logits, or means.
    fn decode(&self, graph: &mut Graph, net: &mut Net, z: NodeId) -> Result<NodeId> {
        let h = self.hidden(graph, net, "fc3", z)?;
        linear(graph, net, "fc4", h, self.pixels())
    }

    /// `log p(x | z)`, `[N, 1]`, of pixels `x [N, D]` and what z was decoded to.
    fn log_given(
        &self,
        graph: &mut Graph,
        net: &mut Net,
        x: NodeId,
        decoded: NodeId,
    ) -> Result<NodeId> {
        match self.model.pixels {
            Pixels::Bernoulli => bernoulli(graph, x, decoded),
            Pixels::Gaussian => {
                let log_variance =
                    net.parameter(graph, "log_variance", [1, 1], Init::Constant(0.0))?;
                gaussian(graph, x, decoded, log_variance)
            }
        }
    }

    /// The pixels' probabilities, or means, `[N, C, H, W]` of `z [N, latent]`.
    fn show(&self, build: &mut Build<'_>, z: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(VAE)?;
        let decoded = self.decode(graph, net, z)?;
        let means = match self.model.pixels {
            Pixels::Bernoulli => graph.unary(Unary::Sigmoid, decoded),
            Pixels::Gaussian => decoded,
        };
        let [c, h, w] = self.image;
        let count = graph.shape(z)[0];
        graph.reshape(means, [count, c, h, w])
    }

    /// Two bounds of `log p(x)`, `[N, 1]` each, from `samples` draws of `z`: the
    /// importance-weighted one (Burda et al. 2016, equation 8), which is below it in
    /// the mean over the draws, and the evidence lower bound, which is never above
    /// the former.
    fn bounds(&self, build: &mut Build<'_>) -> Result<[NodeId; 2]> {
        let (batch, samples) = (build.count(), self.model.bound_samples);
        let (latent, pixels) = (self.model.latent, self.pixels());
        let x = self.records(build)?;
        let eps = build.field(EPS)?;
        let (graph, net) = build.net(VAE)?;
        let Posterior { mean, log_variance } = self.encode(graph, net, x)?;
        let mean = graph.reshape(mean, [batch, 1, latent])?;
        let log_variance = graph.reshape(log_variance, [batch, 1, latent])?;
        let z = draw(graph, Posterior { mean, log_variance }, eps)?;
        let flat = graph.reshape(z, [batch * samples, latent])?;
        let decoded = self.decode(graph, net, flat)?;
        let x = graph.reshape(x, [batch, 1, pixels])?;
        let x = graph.broadcast(x, [batch, samples, pixels])?;
        let x = graph.reshape(x, [batch * samples, pixels])?;
        let given_z = self.log_given(graph, net, x, decoded)?;
        let given_z = graph.reshape(given_z, [batch, samples])?;
        // log p(z) - log q(z | x); their constants are the same.
        let (z, eps) = (graph.square(z), graph.square(eps));
        let ratio = graph.sub(eps, z)?;
        let ratio = graph.add(ratio, log_variance)?;
        let ratio = graph.sum(ratio, &[2])?;
        let ratio = graph.reshape(ratio, [batch, samples])?;
        let ratio = graph.scale(ratio, 0.5);
        let weights = graph.add(given_z, ratio)?;
        let largest = graph.max(weights, &[1])?;
        let shifted = graph.sub(weights, largest)?;
        let shifted = graph.unary(Unary::Exp, shifted);
        let mean = graph.mean(shifted, &[1])?;
        let mean = graph.unary(Unary::Log, mean);
        Ok([graph.add(mean, largest)?, graph.mean(weights, &[1])?])
    }
}

/// A layer that starts as `torch.nn.Linear`.
fn linear(graph: &mut Graph, net: &mut Net, layer: &str, x: NodeId, out: usize) -> Result<NodeId> {
    let inits = Inits::linear(graph.shape(x)[1]);
    net.linear(graph, layer, x, out, inits)
}

/// `z ~ q(z | x)` from standard normal numbers (equation 10).
fn draw(graph: &mut Graph, of: Posterior, eps: NodeId) -> Result<NodeId> {
    let half = graph.scale(of.log_variance, 0.5);
    let deviation = graph.unary(Unary::Exp, half);
    let noise = graph.mul(deviation, eps)?;
    graph.add(of.mean, noise)
}

/// `KL(q(z | x) || N(0, 1))` in nats, summed over the batch (appendix B).
fn divergence(graph: &mut Graph, of: Posterior) -> Result<NodeId> {
    let variance = graph.unary(Unary::Exp, of.log_variance);
    let square = graph.square(of.mean);
    let sum = graph.add(square, variance)?;
    let sum = graph.sub(sum, of.log_variance)?;
    let sum = graph.binary_scalar(Binary::Sub, sum, 1.0);
    let sum = graph.sum_all(sum)?;
    Ok(graph.scale(sum, 0.5))
}

impl System for Vae {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        let mut net = Net::new(VAE, Mode::TRAIN);
        let images = graph.constant(0.0, [1, self.pixels()]);
        let posterior = self.encode(&mut graph, &mut net, images)?;
        let decoded = self.decode(&mut graph, &mut net, posterior.mean)?;
        self.log_given(&mut graph, &mut net, images, decoded)?;
        let moves = Moves::new("optimizer.vae", &self.optimizer);
        Ok(vec![Network::trained(VAE, &net, moves)])
    }

    fn fields(&self) -> Vec<Field> {
        vec![self.images(), self.normal(EPS, None)]
    }

    /// In nats an image.
    fn reports(&self) -> Vec<Report> {
        let report = |name, label| Report {
            name,
            label,
            unit: Unit::Loss,
        };
        vec![
            report(LOSS, "loss"),
            report(RECONSTRUCTION, "reconstruction"),
            report(KL, "KL"),
        ]
    }

    fn passes(&self) -> Vec<Pass> {
        vec![Pass::new("step", [IMAGES, EPS])]
    }

    /// Minimises the sum over the batch, and reports means.
    fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let share = 1.0 / build.count() as f32;
        let x = self.records(build)?;
        let eps = build.field(EPS)?;
        let (graph, net) = build.net(VAE)?;
        let posterior = self.encode(graph, net, x)?;
        let z = draw(graph, posterior, eps)?;
        let decoded = self.decode(graph, net, z)?;
        let log_likelihood = self.log_given(graph, net, x, decoded)?;
        let log_likelihood = graph.sum_all(log_likelihood)?;
        let reconstruction = graph.neg(log_likelihood);
        let kl = divergence(graph, posterior)?;
        let loss = graph.add(reconstruction, kl)?;
        for (name, sum) in [(LOSS, loss), (RECONSTRUCTION, reconstruction), (KL, kl)] {
            let mean = build.graph.scale(sum, share);
            build.report(name, mean);
        }
        build.minimise(loss, &[VAE]);
        Ok(())
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["step"]
    }

    fn views(&self) -> Vec<View> {
        let medium = Medium::Images {
            shape: self.image,
            range: Output::Sigmoid,
        };
        let samples = Some(self.model.bound_samples);
        vec![
            View::new(SAMPLE, vec![self.normal(Z, None)], &[IMAGES], medium),
            View::new(
                RECONSTRUCT,
                vec![self.images(), self.normal(EPS, None)],
                &["reconstructions", "mean", "log_variance"],
                medium,
            ),
            View::new(
                LIKELIHOOD,
                vec![self.images(), self.normal(EPS, samples)],
                &["log_likelihood", "elbo"],
                Medium::Numbers,
            ),
        ]
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        match view {
            SAMPLE => {
                let z = build.field(Z)?;
                let images = self.show(build, z)?;
                build.output(IMAGES, images);
            }
            RECONSTRUCT => {
                let x = self.records(build)?;
                let eps = build.field(EPS)?;
                let (graph, net) = build.net(VAE)?;
                let posterior = self.encode(graph, net, x)?;
                let z = draw(graph, posterior, eps)?;
                let images = self.show(build, z)?;
                build.output("reconstructions", images);
                build.output("mean", posterior.mean);
                build.output("log_variance", posterior.log_variance);
            }
            LIKELIHOOD => {
                let [weighted, elbo] = self.bounds(build)?;
                build.output("log_likelihood", weighted);
                build.output("elbo", elbo);
            }
            _ => return Err(Error::shape("view", format!("there is no view {view}"))),
        }
        Ok(())
    }

    /// What the last batch's noise is decoded to, beside its images.
    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let eps = build.field(EPS)?;
        let made = self.show(build, eps)?;
        let [c, h, w] = self.image;
        let real = self.records(build)?;
        let count = build.count();
        let real = build.graph.reshape(real, [count, c, h, w])?;
        Ok(Observed {
            judged: None,
            records: Some([made, real]),
        })
    }

    /// Of grey pixels it bounds the density of continuous Bernoulli variables too,
    /// whose normaliser is 1 at least (Loaiza-Ganem and Cunningham 2019, 1907.06845).
    fn likelihood(&self) -> Option<Likelihood> {
        Some(Likelihood {
            view: LIKELIHOOD,
            known: Known::AsBound,
        })
    }
}
