//! GANs of numbers: one-dimensional data, dense networks, a fixed or a trained
//! generator. Everything that trains is a [`Session`] on the adapter; what is
//! read off it is computed in f64 from its weights.

use std::collections::HashMap;
use std::sync::Arc;

use gpugan::config::{Config, Override, assignment};
use gpugan::graph::{Graph, NodeId, Program, Role, StateId};
use gpugan::nn::{Mode, Net};
use gpugan::random;
use gpugan::reference::{Tensor, evaluate};
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::systems::gan::{Gan, Settings};
use gpugan::systems::{Given, read_config};

use super::{compute, gpu};
use crate::batch;

/// A normal distribution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normal {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

impl Normal {
    pub(crate) fn density(self, x: f64) -> f64 {
        let z = (x - self.mean) / self.deviation;
        (-0.5 * z * z).exp() / (self.deviation * std::f64::consts::TAU.sqrt())
    }
}

/// Points of `[-6, 8]` for integrals, and their distance.
pub(crate) const STEP: f64 = 0.02;
pub(crate) fn grid() -> Vec<f64> {
    (-300..=400).map(|i| f64::from(i) * STEP).collect()
}

pub(crate) fn log_sigmoid(a: f64) -> f64 {
    -((-a).max(0.0) + (-a.abs()).exp().ln_1p())
}

/// The value `V = E log D(x) + E log(1 - D(G(z)))` of logits on the [`grid`].
pub(crate) fn value(logits: &[f64], data: Normal, model: Normal) -> f64 {
    let points = grid().into_iter().zip(logits);
    points
        .map(|(x, &a)| {
            STEP * (data.density(x) * log_sigmoid(a) + model.density(x) * log_sigmoid(-a))
        })
        .sum()
}

/// The logits of `D* = p / (p + q)` on the [`grid`].
pub(crate) fn optimal(data: Normal, model: Normal) -> Vec<f64> {
    let logit = |x| {
        let log = |normal: Normal| {
            let z = (x - normal.mean) / normal.deviation;
            -0.5 * z * z - normal.deviation.ln()
        };
        log(data) - log(model)
    };
    grid().into_iter().map(logit).collect()
}

/// Two networks of numbers in training.
pub(crate) struct Game {
    pub(crate) session: Session,
    pub(crate) config: Config,
    gan: Arc<Gan>,
    /// Real batches drawn.
    batches: u32,
}

impl Game {
    /// Dense networks, one latent number; `changes` say the rest. A generator is
    /// a line unless they give it hidden layers.
    pub(crate) fn new(changes: &[&str]) -> Self {
        let dense = [
            "batch=256",
            "model.architecture=dense",
            "model.output=linear",
            "model.latent=1",
            "model.latent_distribution=normal",
            "model.hidden_d=[32, 32]",
            "train.ema_decay=0",
        ];
        let all = dense.iter().chain(changes);
        let all = all.map(|change| assignment(change).unwrap());
        let mut config = read_config("", []).unwrap().with(all).unwrap();
        if !changes
            .iter()
            .any(|change| change.starts_with("model.hidden_g"))
        {
            let none = Override::new("model.hidden_g", Vec::<i64>::new());
            config = config.with_unchecked(&[none]).unwrap();
        }
        let gan = Arc::new(Gan::new(&config, &Given::images([1; 3])).unwrap());
        let gpu = gpu();
        let blueprint = Blueprint::new(&config, &*gan, &gpu.facts.kernel_facts()).unwrap();
        let session = Session::new(gpu, &config, gan.clone(), blueprint).unwrap();
        Self {
            session,
            config,
            gan,
            batches: 0,
        }
    }

    /// Moves the bends of the discriminator's first layer, all at 0 where biases
    /// start at 0, over a range of points.
    pub(crate) fn spread_bends(&self, low: f32, high: f32) {
        let weights = self.session.read("D.main.0.weight").unwrap();
        let count = weights.len() as f32;
        let bends = (0..).map(|i| low + (high - low) * (i as f32 + 0.5) / count);
        let biases: Vec<f32> = weights.iter().zip(bends).map(|(w, at)| -w * at).collect();
        self.session.write("D.main.0.bias", &biases).unwrap();
    }

    /// Makes the generator, a line, `mean + deviation z`.
    pub(crate) fn fix_generator(&self, model: Normal) {
        let line = [("weight", model.deviation), ("bias", model.mean)];
        for (tensor, value) in line {
            let name = format!("G.main.0.{tensor}");
            self.session.write(&name, &[value as f32]).unwrap();
        }
    }

    /// What a generator that is a line samples from.
    pub(crate) fn generator(&self) -> Normal {
        let [weight, bias] = ["weight", "bias"]
            .map(|tensor| f64::from(self.session.read(&format!("G.main.0.{tensor}")).unwrap()[0]));
        Normal {
            mean: bias,
            deviation: weight.abs(),
        }
    }

    /// A real batch of `point(z)`, `z` standard normal.
    pub(crate) fn real(&mut self, point: impl Fn(f64) -> f64) -> Vec<f32> {
        self.batches += 1;
        let draw = |element| point(random::normal(element, 0, self.batches, 1)) as f32;
        (0..self.config.batch as u32).map(draw).collect()
    }

    pub(crate) fn discriminator_step(&mut self, data: Normal) {
        let real = self.real(|z| data.mean + data.deviation * z);
        self.discriminator_step_on(&real);
    }

    pub(crate) fn discriminator_step_on(&mut self, real: &[f32]) {
        self.session.pass("d", &mut batch(real)).unwrap();
    }

    /// The rest of a step whose discriminator has had its updates.
    pub(crate) fn generator_step(&mut self) {
        self.session.pass("g", &mut batch(&[])).unwrap();
        self.session.end_step().unwrap();
    }

    /// What a network gives for `count` inputs, from the weights of this moment.
    fn outputs(
        &self,
        inputs: &[f64],
        build: impl FnOnce(&mut Graph, NodeId) -> NodeId,
    ) -> Vec<f64> {
        let mut graph = Graph::new();
        let count = inputs.len();
        let id = graph.declare("x", [count, 1, 1, 1], Role::Input).unwrap();
        let x = graph.state(id);
        let y = build(&mut graph, x);
        let states: HashMap<StateId, Tensor> = graph
            .states()
            .iter()
            .enumerate()
            .map(|(index, state)| {
                let values = if state.name == "x" {
                    inputs.to_vec()
                } else {
                    let values = self.session.read(&state.name).unwrap();
                    values.into_iter().map(f64::from).collect()
                };
                let tensor = Tensor::new(state.shape.clone(), values).unwrap();
                (StateId(index), tensor)
            })
            .collect();
        evaluate(&graph, &[y], &states, 0, 0)
            .unwrap()
            .remove(0)
            .data
    }

    /// Logits, or a critic's scores, of points.
    pub(crate) fn logits(&self, points: &[f64]) -> Vec<f64> {
        self.outputs(points, |graph, x| {
            let mut net = Net::new("D", Mode::EVAL);
            let pair = self.gan.pair();
            pair.discriminator(graph, &mut net, x, None).unwrap().logits
        })
    }

    /// Points of latents, from the averaged generator where there is one.
    pub(crate) fn points(&self, latents: &[f64]) -> Vec<f64> {
        let averaged = Settings::of(&self.config).unwrap().play.ema_decay > 0.0;
        self.outputs(latents, |graph, z| {
            let z = graph.reshape(z, [latents.len(), 1]).unwrap();
            let mut net = Net::new(if averaged { "G_ema" } else { "G" }, Mode::EVAL);
            self.gan.pair().generator(graph, &mut net, z, None).unwrap()
        })
    }

    /// What `build` makes of the generator's logits, differentiated on the
    /// adapter with respect to the last bias of the generator.
    pub(crate) fn pull(
        &self,
        latents: &[f32],
        build: impl FnOnce(&mut Graph, NodeId) -> NodeId,
    ) -> f64 {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let count = latents.len();
        let id = graph.declare("z", [count, 1], Role::Input).unwrap();
        let z = graph.state(id);
        let pair = self.gan.pair();
        let mut net_g = pair.net("G", Mode::EVAL, false);
        let mut net_d = pair.net("D", Mode::EVAL, true);
        let points = pair.generator(graph, &mut net_g, z, None).unwrap();
        let judged = pair.discriminator(graph, &mut net_d, points, None).unwrap();
        let loss = build(graph, judged.logits);
        let (_, bias) = net_g.trained().last().unwrap();
        let bias = graph.state(bias);
        let gradient = graph.gradient(loss, &[bias]).unwrap()[0];
        let id = graph.declare("pull", [1], Role::Output).unwrap();
        program.assign(id, gradient).unwrap();
        let computed = compute(&program, |name, _| match name {
            "z" => latents.to_vec(),
            _ => self.session.read(name).unwrap(),
        });
        f64::from(computed["pull"][0])
    }
}
