//! The programs of a run and the layout of their persistent tensors.

use super::{augment, loss, penalty};
use crate::config::{Config, OptimizerKind, Penalty, Update};
use crate::error::Result;
use crate::graph::{Graph, NodeId, Places, Program, Role as StateRole, Shape, StateId, Unary};
use crate::models::{Judgement, Model};
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
    /// The discriminator's loss without its penalty.
    LossD,
    /// The generator's loss.
    LossG,
    /// Mean D(x) on the real batch; a critic's score where it is no probability.
    DReal,
    /// Mean D(G(z)) in the discriminator step, as `DReal`.
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
/// for `D` without the average, `augment` where its strength adapts, then `input`
/// and `metrics`.
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
        if config.loss.adapts_augment() {
            let state = augment::STATE.map(|name| (name.to_owned(), Shape::scalar()));
            places.add_group("augment", &state)?;
        }
        let [c, h, w] = model.image();
        places.add_group(
            "input",
            &[
                ("real".to_owned(), [config.batch, c, h, w].into()),
                ("z".to_owned(), [config.batch, model.latent()].into()),
                ("noise".to_owned(), [1; 4].into()),
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
///
/// | name | gradients and metrics |
/// |---|---|
/// | `d` | of D: `loss_d`, `d_real`, `d_fake`; for alternating updates and pre-training |
/// | `d penalty` | the same with the penalty, where only some updates have it |
/// | `g` | of G after D's update: `loss_g` |
/// | `both` | of both from one batch, its latents and its dropout |
///
/// # Errors
/// Where the model's sizes do not fit together.
pub fn programs(config: &Config, model: &Model) -> Result<Vec<(&'static str, Program)>> {
    let d = &[Role::Discriminator][..];
    let rarely = config.loss.penalty != Penalty::None && config.loss.penalty_every > 1;
    let mut programs = vec![("d", step(config, model, d, !rarely)?)];
    if rarely {
        programs.push(("d penalty", step(config, model, d, true)?));
    }
    match config.train.update {
        Update::Alternating => {
            programs.push(("g", step(config, model, &[Role::Generator], false)?));
        }
        Update::Simultaneous => {
            let both = &[Role::Discriminator, Role::Generator];
            programs.push(("both", step(config, model, both, true)?));
        }
    }
    Ok(programs)
}

/// A step while it is built.
pub(super) struct Step<'a> {
    config: &'a Config,
    model: &'a Model,
    pub(super) program: Program,
    pub(super) net_g: Net,
    net_d: Net,
    metrics: Vec<(Metric, NodeId)>,
    /// New values of the augmentation's strength.
    strength: Vec<(StateId, NodeId)>,
}

/// The gradients that `roles` need from one pass, with their metrics.
fn step(config: &Config, model: &Model, roles: &[Role], penalised: bool) -> Result<Program> {
    let mut step = Step::new(config, model);
    let z = input(&mut step.program.graph, "z", [config.batch, model.latent()])?;
    let fake = model.generator(&mut step.program.graph, &mut step.net_g, z)?;
    let mut losses: Vec<(Role, NodeId)> = Vec::new();
    let fake = model.packed(&mut step.program.graph, fake)?;
    if roles.contains(&Role::Discriminator) {
        let real = step.real()?;
        // Real and fake images are normalised apart, as two batches.
        let on_real = step.judge(real)?;
        let on_fake = step.judge(fake)?;
        let mut loss = step.discriminator_loss(on_real.logits, on_fake.logits)?;
        if config.loss.adapts_augment() {
            let graph = &mut step.program.graph;
            step.strength = augment::adapt(graph, &config.loss, config.batch, on_real.logits)?;
        }
        if penalised {
            loss = step.penalised(loss, real, fake)?;
        }
        losses.push((Role::Discriminator, loss));
        if roles.contains(&Role::Generator) {
            losses.push((
                Role::Generator,
                step.generator_loss(on_fake, Some(on_real))?,
            ));
        }
    } else if config.train.unroll > 0 {
        losses.push((Role::Generator, step.unrolled_loss(fake)?));
    } else {
        let on_fake = step.judge(fake)?;
        losses.push((Role::Generator, step.generator_loss(on_fake, None)?));
    }
    step.finish(losses)
}

impl<'a> Step<'a> {
    pub(super) fn new(config: &'a Config, model: &'a Model) -> Self {
        let [net_g, net_d] = model.nets(Mode::Train);
        Self {
            config,
            model,
            program: Program::default(),
            net_g,
            net_d,
            metrics: Vec::new(),
            strength: Vec::new(),
        }
    }

    /// The real batch as the discriminator takes it.
    pub(super) fn real(&mut self) -> Result<NodeId> {
        let [c, h, w] = self.model.image();
        let graph = &mut self.program.graph;
        let real = input(graph, "real", [self.config.batch, c, h, w])?;
        self.model.packed(graph, real)
    }

    /// What the discriminator says of packed images, noisy and augmented as the
    /// configuration says.
    pub(super) fn judge(&mut self, images: NodeId) -> Result<Judgement> {
        let graph = &mut self.program.graph;
        let loss = &self.config.loss;
        let probability = augment::probability(graph, loss)?;
        let mut x = augment::augment(graph, loss.augment, probability, images)?;
        if loss.instance_noise > 0.0 {
            let std = input(graph, "noise", [1, 1, 1, 1])?;
            x = augment::noise(graph, x, std)?;
        }
        self.model.discriminator(graph, &mut self.net_d, x)
    }

    fn discriminator_loss(&mut self, real: NodeId, fake: NodeId) -> Result<NodeId> {
        let graph = &mut self.program.graph;
        let config = &self.config.loss;
        let loss = loss::discriminator(graph, config, real, fake)?;
        self.metrics.push((Metric::LossD, loss));
        for (metric, logits) in [(Metric::DReal, real), (Metric::DFake, fake)] {
            let score = if loss::is_probability(config.kind) {
                graph.unary(Unary::Sigmoid, logits)
            } else {
                logits
            };
            self.metrics.push((metric, graph.mean_all(score)?));
        }
        Ok(loss)
    }

    /// The generator's loss; `real` where the pass has judged the real batch
    /// already, else that of the last discriminator update is judged for losses
    /// that need it.
    pub(super) fn generator_loss(
        &mut self,
        fake: Judgement,
        real: Option<Judgement>,
    ) -> Result<NodeId> {
        let kind = self.config.loss.kind;
        let real = match real {
            Some(real) => Some(real),
            None if loss::compares_batches(kind) => {
                let real = self.real()?;
                Some(self.judge(real)?)
            }
            None => None,
        };
        let loss = loss::generator(&mut self.program.graph, kind, fake, real)?;
        self.metrics.push((Metric::LossG, loss));
        Ok(loss)
    }

    /// The loss plus its penalty; a rare one counts for those left out.
    fn penalised(&mut self, loss: NodeId, real: NodeId, fake: NodeId) -> Result<NodeId> {
        let config = &self.config.loss;
        let (model, net) = (self.model, &mut self.net_d);
        let graph = &mut self.program.graph;
        if config.penalty == Penalty::None {
            return Ok(loss);
        }
        let penalty = penalty::penalty(graph, config.penalty, real, fake, |graph, x| {
            Ok(model.discriminator(graph, net, x)?.logits)
        })?;
        let weight = config.penalty_weight * config.penalty_every as f64;
        let penalty = graph.scale(penalty, weight as f32);
        graph.add(loss, penalty)
    }

    /// The generator's loss against the discriminator that some updates lead to:
    /// the discriminator's with the other sign (Metz et al. 2017, equations 7 to
    /// 10). Its real term depends on the generator through those updates, and
    /// without it the generator would only move the discriminator, not match the
    /// data.
    fn unrolled_loss(&mut self, fake: NodeId) -> Result<NodeId> {
        let real = self.real()?;
        self.look_ahead(real, fake)?;
        let [on_real, on_fake] = [real, fake].map(|images| self.judge(images));
        let graph = &mut self.program.graph;
        let config = &self.config.loss;
        let loss = loss::discriminator(graph, config, on_real?.logits, on_fake?.logits)?;
        let loss = graph.neg(loss);
        self.metrics.push((Metric::LossG, loss));
        Ok(loss)
    }

    /// Puts the discriminator's parameters after some updates of its own in
    /// their place, as functions of the generator's.
    fn look_ahead(&mut self, real: NodeId, fake: NodeId) -> Result<()> {
        let steps = self.config.train.unroll;
        let mut moved: Vec<(StateId, NodeId)> = Vec::new();
        for _ in 0..steps {
            let [on_real, on_fake] = [real, fake].map(|images| self.judge(images));
            let config = &self.config.loss;
            let graph = &mut self.program.graph;
            let loss = loss::discriminator(graph, config, on_real?.logits, on_fake?.logits)?;
            if moved.is_empty() {
                let trained = self.net_d.trained();
                moved = trained.map(|(_, id)| (id, graph.state(id))).collect();
            }
            let targets: Vec<NodeId> = moved.iter().map(|&(_, node)| node).collect();
            let gradients = graph.gradient(loss, &targets)?;
            for ((_, node), gradient) in moved.iter_mut().zip(gradients) {
                let change = graph.scale(gradient, self.config.train.unroll_lr as f32);
                *node = graph.sub(*node, change)?;
            }
            self.net_d.replace(moved.clone());
        }
        Ok(())
    }

    /// The program that assigns all gradients, metrics and running statistics.
    fn finish(mut self, losses: Vec<(Role, NodeId)>) -> Result<Program> {
        let graph = &mut self.program.graph;
        let mut assigns: Vec<(StateId, NodeId)> = Vec::new();
        for (role, loss) in losses {
            let net = match role {
                Role::Generator => &self.net_g,
                Role::Discriminator => &self.net_d,
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
        for (metric, node) in self.metrics {
            let state = graph.declare(metric.name(), Shape::scalar(), StateRole::Output)?;
            assigns.push((state, node));
        }
        assigns.extend_from_slice(self.net_g.running());
        assigns.extend_from_slice(self.net_d.running());
        assigns.extend(self.strength);
        for (state, node) in assigns {
            self.program.assign(state, node)?;
        }
        Ok(self.program)
    }
}

/// An input, declared at its first use.
pub(super) fn input(graph: &mut Graph, name: &str, shape: impl Into<Shape>) -> Result<NodeId> {
    let id = match graph.find_state(name) {
        Some(id) => id,
        None => graph.declare(name, shape, StateRole::Input)?,
    };
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

/// What the discriminator, in evaluation, makes of `count` images that are an input
/// of this name; one that judges packs sees each image `pack` times.
pub(super) fn judged(
    graph: &mut Graph,
    config: &Config,
    model: &Model,
    (name, count): (&str, usize),
) -> Result<(NodeId, Judgement)> {
    let [_, mut net] = model.nets(Mode::Eval);
    let [c, h, w] = model.image();
    let images = input(graph, name, [count, c, h, w])?;
    let pack = graph.concat(&vec![images; config.loss.pack], 1)?;
    Ok((images, model.discriminator(graph, &mut net, pack)?))
}

/// The discriminator seen from outside: `probe.scores [count, 1]` of images
/// `probe.images [count, C, H, W]` and the gradient of their scores,
/// `probe.gradient`. One that judges packs sees each image `pack` times.
///
/// # Errors
/// Where the model's sizes do not fit together.
pub fn probe(config: &Config, model: &Model, count: usize) -> Result<Program> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let (images, judged) = judged(graph, config, model, ("probe.images", count))?;
    let scores = judged.logits;
    let sum = graph.sum_all(scores)?;
    let gradient = graph.gradient(sum, &[images])?[0];
    for (name, node) in [("probe.scores", scores), ("probe.gradient", gradient)] {
        let shape = program.graph.shape(node).clone();
        let state = program.graph.declare(name, shape, StateRole::Output)?;
        program.assign(state, node)?;
    }
    Ok(program)
}
