//! The programs of a run and the layout of their persistent tensors.

use super::loss;
use crate::config::{Config, OptimizerKind, Update};
use crate::error::Result;
use crate::graph::{Graph, NodeId, Places, Program, Role as StateRole, Shape, StateId, Unary};
use crate::models::Model;
use crate::nn::{Mode, Net, Parameter};

/// One of the two players.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `G`
    Generator,
    /// `D`
    Discriminator,
}

/// A number that a step reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metric {
    /// The discriminator's loss.
    LossD,
    /// The generator's loss.
    LossG,
    /// Mean D(x) on the real batch.
    DReal,
    /// Mean D(G(z)) in the discriminator step.
    DFake,
}

/// All metrics in the order of their places.
pub const METRICS: [Metric; 4] = [Metric::LossD, Metric::LossG, Metric::DReal, Metric::DFake];

impl Metric {
    /// Its tensor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LossD => "loss_d",
            Self::LossG => "loss_g",
            Self::DReal => "d_real",
            Self::DFake => "d_fake",
        }
    }
}

impl Role {
    /// Prefix of its tensors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "G",
            Self::Discriminator => "D",
        }
    }
}

/// Where every persistent tensor of a run lies. Groups, each with the offsets
/// of the network's own: `G` (trained), `G.buffers` (running statistics),
/// `G.gradient`, `G.moment1`, `G.moment2`, `G.ema`, `G.ema.buffers`, the same
/// for `D` without the average, then `input` and `metrics`.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Names, shapes and places.
    pub places: Places,
    /// Tensors of G and D with how they start.
    pub parameters: [Vec<Parameter>; 2],
}

impl Layout {
    /// Lays out a run.
    ///
    /// # Errors
    /// Where the model's sizes do not fit together or a tensor is too long.
    pub fn new(config: &Config, model: &Model) -> Result<Self> {
        let nets = model.networks()?;
        let parameters = nets
            .each_ref()
            .map(|net| net.parameters().cloned().collect::<Vec<_>>());
        let mut places = Places::default();
        for (net, kind) in nets
            .iter()
            .zip([config.optimizer.g.kind, config.optimizer.d.kind])
        {
            let list = |role: StateRole| {
                let tensors = net
                    .parameters()
                    .filter(move |parameter| parameter.role == role);
                tensors
                    .map(|parameter| (parameter.name.clone(), parameter.shape.clone()))
                    .collect::<Vec<_>>()
            };
            let (trained, buffers) = (list(StateRole::Parameter), list(StateRole::Buffer));
            let Some((name, _)) = trained.first() else {
                continue;
            };
            let net = name.split('.').next().unwrap_or_default().to_owned();
            places.add_group(&net, &trained)?;
            places.add_group(&format!("{net}.buffers"), &buffers)?;
            places.add_group(&format!("{net}.gradient"), &prefixed("gradient", &trained))?;
            for moment in ["moment1", "moment2"].iter().take(moments(kind)) {
                places.add_group(&format!("{net}.{moment}"), &prefixed(moment, &trained))?;
            }
            if net == Role::Generator.name() && config.train.ema_decay > 0.0 {
                places.add_group("G.ema", &averaged(&trained))?;
                places.add_group("G.ema.buffers", &averaged(&buffers))?;
            }
        }
        let [c, h, w] = model.image();
        places.add_group(
            "input",
            &[
                ("real".to_owned(), [config.batch, c, h, w].into()),
                ("z".to_owned(), [config.batch, model.latent()].into()),
            ],
        )?;
        places.add_group(
            "metrics",
            &METRICS.map(|metric| (metric.name().to_owned(), Shape::scalar())),
        )?;
        Ok(Self { places, parameters })
    }
}

/// Tensors an optimiser keeps for each parameter.
fn moments(kind: OptimizerKind) -> usize {
    match kind {
        OptimizerKind::Sgd | OptimizerKind::Rmsprop => 1,
        OptimizerKind::Adam => 2,
    }
}

fn prefixed(prefix: &str, tensors: &[(String, Shape)]) -> Vec<(String, Shape)> {
    tensors
        .iter()
        .map(|(name, shape)| (format!("{prefix}.{name}"), shape.clone()))
        .collect()
}

/// `G.x` as `G_ema.x`, so that the average is a network of its own in files.
fn averaged(tensors: &[(String, Shape)]) -> Vec<(String, Shape)> {
    tensors
        .iter()
        .map(|(name, shape)| (name.replacen("G.", "G_ema.", 1), shape.clone()))
        .collect()
}

/// What is computed in each step, up to the gradients; the optimisers follow.
#[derive(Clone, Debug)]
pub enum Programs {
    /// The discriminator's gradients, and the generator's after its update.
    Alternating {
        /// Gradients of D, `loss_d`, `d_real`, `d_fake`.
        d: Box<Program>,
        /// Gradients of G, `loss_g`.
        g: Box<Program>,
    },
    /// All gradients from one batch, its latents and its dropout.
    Simultaneous {
        /// Gradients of both and all metrics.
        both: Box<Program>,
        /// Gradients of D alone, for pre-training.
        d: Box<Program>,
    },
}

impl Programs {
    /// Builds the programs of a configuration.
    ///
    /// # Errors
    /// Where the model's sizes do not fit together.
    pub fn new(config: &Config, model: &Model) -> Result<Self> {
        let build = |roles: &[Role]| step(config, model, roles).map(Box::new);
        Ok(match config.train.update {
            Update::Alternating => Self::Alternating {
                d: build(&[Role::Discriminator])?,
                g: build(&[Role::Generator])?,
            },
            Update::Simultaneous => Self::Simultaneous {
                both: build(&[Role::Discriminator, Role::Generator])?,
                d: build(&[Role::Discriminator])?,
            },
        })
    }
}

/// The gradients that `roles` need from one pass, with their metrics.
fn step(config: &Config, model: &Model, roles: &[Role]) -> Result<Program> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let [mut net_g, mut net_d] = ["G", "D"].map(|name| Net::new(name, Mode::Train));
    let [c, h, w] = model.image();
    let z = input(graph, "z", [config.batch, model.latent()])?;
    let fake = model.generator(graph, &mut net_g, z)?;
    let mut losses: Vec<(Role, NodeId)> = Vec::new();
    let mut metrics: Vec<(Metric, NodeId)> = Vec::new();

    let with_d = roles.contains(&Role::Discriminator);
    let logits_real = if with_d {
        let real = input(graph, "real", [config.batch, c, h, w])?;
        // Real and fake images are normalised apart, as two batches.
        Some(model.discriminator(graph, &mut net_d, real)?)
    } else {
        None
    };
    let logits_fake = model.discriminator(graph, &mut net_d, fake)?;
    if let Some(logits_real) = logits_real {
        let label = config.loss.real_label as f32;
        let loss = loss::discriminator(
            graph,
            logits_real,
            logits_fake,
            label,
            config.loss.d_weight as f32,
        )?;
        losses.push((Role::Discriminator, loss));
        metrics.push((Metric::LossD, loss));
        for (metric, logits) in [(Metric::DReal, logits_real), (Metric::DFake, logits_fake)] {
            let probability = graph.unary(Unary::Sigmoid, logits);
            metrics.push((metric, graph.mean_all(probability)?));
        }
    }
    if roles.contains(&Role::Generator) {
        let loss = loss::generator(graph, logits_fake, config.loss.kind)?;
        losses.push((Role::Generator, loss));
        metrics.push((Metric::LossG, loss));
    }

    let mut assigns: Vec<(StateId, NodeId)> = Vec::new();
    for (role, loss) in losses {
        let net = if role == Role::Generator {
            &net_g
        } else {
            &net_d
        };
        let trained: Vec<(String, Shape, StateId)> = net
            .trained()
            .map(|(p, id)| (p.name.clone(), p.shape.clone(), id))
            .collect();
        let targets: Vec<NodeId> = trained.iter().map(|&(_, _, id)| graph.state(id)).collect();
        let gradients = graph.gradient(loss, &targets)?;
        for ((name, shape, _), gradient) in trained.into_iter().zip(gradients) {
            let state = graph.declare(format!("gradient.{name}"), shape, StateRole::Output)?;
            assigns.push((state, gradient));
        }
    }
    for (metric, node) in metrics {
        let state = graph.declare(metric.name(), Shape::scalar(), StateRole::Output)?;
        assigns.push((state, node));
    }
    assigns.extend_from_slice(net_g.running());
    assigns.extend_from_slice(net_d.running());
    for (state, node) in assigns {
        program.assign(state, node)?;
    }
    Ok(program)
}

fn input(graph: &mut Graph, name: &str, shape: impl Into<Shape>) -> Result<NodeId> {
    let id = graph.declare(name, shape, StateRole::Input)?;
    Ok(graph.state(id))
}

/// `sample.images [count, C, H, W]` from `sample.z [count, latent]` with the
/// weights named `<prefix>.` (`G` or `G_ema`) and running statistics.
///
/// # Errors
/// Where the model's sizes do not fit together.
pub fn sampling(model: &Model, prefix: &str, count: usize) -> Result<Program> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let mut net = Net::new(prefix, Mode::Eval);
    let z = input(graph, "sample.z", [count, model.latent()])?;
    let images = model.generator(graph, &mut net, z)?;
    let state = graph.declare(
        "sample.images",
        graph.shape(images).clone(),
        StateRole::Output,
    )?;
    program.assign(state, images)?;
    Ok(program)
}
