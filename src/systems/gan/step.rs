//! What is computed in a pass, up to the gradients.

use super::{D, D_FAKE, D_REAL, G, Gan, LABELS, LOSS_D, LOSS_G, penalised};
use crate::adversarial::{augment, loss, penalty};
use crate::error::Result;
use crate::graph::{NodeId, StateId, Unary};
use crate::nets::Judgement;
use crate::nn::cross_entropy;
use crate::systems::Build;

impl Gan {
    /// The gradients that `networks` need from one pass, with their reports.
    pub(super) fn step(
        &self,
        build: &mut Build<'_>,
        networks: &[&'static str],
        with_penalty: bool,
    ) -> Result<()> {
        let fake = self.generated(build)?;
        let fake = self.pair.packed(&mut build.graph, fake)?;
        if networks.contains(&D) {
            let real = self.real_batch(build)?;
            // Real and fake images are normalised apart, as two batches.
            let on_real = self.judge(build, real)?;
            let on_fake = self.judge(build, fake)?;
            let mut loss = self.discriminator_loss(build, on_real.logits, on_fake.logits)?;
            loss = self.class_loss(build, loss, D, &[&on_real, &on_fake])?;
            let config = &self.settings.loss;
            if config.adapts_augment() {
                let old = self.strength(build)?;
                let graph = &mut build.graph;
                let new = augment::adapt(graph, config, self.settings.batch, old, on_real.logits)?;
                for (name, value) in augment::STATE.into_iter().zip(new) {
                    build.remember(name, value)?;
                }
            }
            if penalised(with_penalty, config.penalty) {
                loss = self.penalised(build, loss, real, fake)?;
            }
            build.minimise(loss, &[D]);
            if networks.contains(&G) {
                let loss = self.taught(build, on_fake, Some(on_real))?;
                build.minimise(loss, &[G]);
            }
        } else if self.settings.play.unroll > 0 {
            let loss = self.unrolled_loss(build, fake)?;
            build.minimise(loss, &[G]);
        } else {
            let on_fake = self.judge(build, fake)?;
            let loss = self.taught(build, on_fake, None)?;
            build.minimise(loss, &[G]);
        }
        Ok(())
    }

    /// The classes of the batch, `[N, 1]`, where images are made of classes. Those of
    /// real images are those of the generated ones too, so that both are as frequent.
    pub(super) fn labels(&self, build: &mut Build<'_>) -> Result<Option<NodeId>> {
        match self.pair.classes() {
            0 => Ok(None),
            _ => build.field(LABELS).map(Some),
        }
    }

    /// Generated images `[N, C, H, W]`.
    pub(super) fn generated(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let z = build.field("z")?;
        let labels = self.labels(build)?;
        let (graph, net) = build.net(G)?;
        self.pair.generator(graph, net, z, labels)
    }

    /// The real batch as the discriminator takes it.
    pub(super) fn real_batch(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let real = build.field("real")?;
        self.pair.packed(&mut build.graph, real)
    }

    /// What an adaptive augmentation remembers, in the order of [`augment::STATE`].
    fn strength(&self, build: &mut Build<'_>) -> Result<[NodeId; 3]> {
        let [p, signs, updates] = augment::STATE.map(|name| build.memory(name));
        Ok([p?, signs?, updates?])
    }

    /// What the discriminator says of packed images, noisy and augmented as the
    /// configuration says.
    pub(super) fn judge(&self, build: &mut Build<'_>, images: NodeId) -> Result<Judgement> {
        let config = &self.settings.loss;
        let adaptive = match config.adapts_augment() {
            true => Some(build.memory(augment::PROBABILITY)?),
            false => None,
        };
        let graph = &mut build.graph;
        let probability = augment::probability(graph, config, adaptive);
        // Each image is changed by its own draws, not the pack as one.
        let apart = self.pair.unpacked(graph, images)?;
        let changed = augment::augment(graph, config.augment, probability, apart)?;
        let mut x = self.pair.packed(graph, changed)?;
        if config.instance_noise > 0.0 {
            let std = build.field("noise")?;
            x = augment::noise(&mut build.graph, x, std)?;
        }
        let labels = self.labels(build)?;
        let (graph, net) = build.net(D)?;
        self.pair.discriminator(graph, net, x, labels)
    }

    /// A loss plus that of telling classes, of the images that were judged (Odena et
    /// al. 2017, equation 3), with the weight of a network.
    fn class_loss(
        &self,
        build: &mut Build<'_>,
        mut loss: NodeId,
        network: &str,
        judged: &[&Judgement],
    ) -> Result<NodeId> {
        let config = &self.settings.loss;
        let weight = match network == D {
            true => config.class_weight_d,
            false => config.class_weight_g,
        };
        let Some(labels) = self.labels(build)?.filter(|_| weight > 0.0) else {
            return Ok(loss);
        };
        for classes in judged.iter().filter_map(|judged| judged.classes) {
            let graph = &mut build.graph;
            let of_classes = cross_entropy(graph, classes, labels)?;
            let of_classes = graph.scale(of_classes, weight as f32);
            loss = graph.add(loss, of_classes)?;
        }
        Ok(loss)
    }

    /// The generator's loss with that of the classes of its images.
    fn taught(
        &self,
        build: &mut Build<'_>,
        fake: Judgement,
        real: Option<Judgement>,
    ) -> Result<NodeId> {
        let loss = self.generator_loss(build, fake.clone(), real)?;
        self.class_loss(build, loss, G, &[&fake])
    }

    fn discriminator_loss(
        &self,
        build: &mut Build<'_>,
        real: NodeId,
        fake: NodeId,
    ) -> Result<NodeId> {
        let config = &self.settings.loss;
        let loss = loss::discriminator(&mut build.graph, config, real, fake)?;
        build.report(LOSS_D, loss);
        for (report, logits) in [(D_REAL, real), (D_FAKE, fake)] {
            let graph = &mut build.graph;
            let score = if config.kind.facts().form.is_probability() {
                graph.unary(Unary::Sigmoid, logits)
            } else {
                logits
            };
            let mean = graph.mean_all(score)?;
            build.report(report, mean);
        }
        Ok(loss)
    }

    /// The generator's loss; `real` where the pass has judged the real batch
    /// already, else that of the last discriminator update is judged for losses
    /// that need it.
    pub(super) fn generator_loss(
        &self,
        build: &mut Build<'_>,
        fake: Judgement,
        real: Option<Judgement>,
    ) -> Result<NodeId> {
        let kind = self.settings.loss.kind;
        let real = match real {
            Some(real) => Some(real),
            None if kind.facts().compares_batches => {
                let real = self.real_batch(build)?;
                Some(self.judge(build, real)?)
            }
            None => None,
        };
        let loss = loss::generator(&mut build.graph, kind, fake, real)?;
        build.report(LOSS_G, loss);
        Ok(loss)
    }

    /// The loss plus its penalty; a rare one counts for those left out.
    fn penalised(
        &self,
        build: &mut Build<'_>,
        loss: NodeId,
        real: NodeId,
        fake: NodeId,
    ) -> Result<NodeId> {
        let config = &self.settings.loss;
        let labels = self.labels(build)?;
        let (graph, net) = build.net(D)?;
        let penalty = penalty::penalty(graph, config.penalty, real, fake, |graph, x| {
            Ok(self.pair.discriminator(graph, net, x, labels)?.logits)
        })?;
        let weight = config.penalty_weight * config.penalty_every as f64;
        let penalty = build.graph.scale(penalty, weight as f32);
        build.graph.add(loss, penalty)
    }

    /// The generator's loss against the discriminator that some updates lead to:
    /// the discriminator's with the other sign (Metz et al. 2017, equations 7 to
    /// 10). Its real term depends on the generator through those updates, and
    /// without it the generator would only move the discriminator, not match the
    /// data.
    fn unrolled_loss(&self, build: &mut Build<'_>, fake: NodeId) -> Result<NodeId> {
        let real = self.real_batch(build)?;
        self.look_ahead(build, real, fake)?;
        let on_real = self.judge(build, real)?.logits;
        let on_fake = self.judge(build, fake)?.logits;
        let graph = &mut build.graph;
        let loss = loss::discriminator(graph, &self.settings.loss, on_real, on_fake)?;
        let loss = graph.neg(loss);
        build.report(LOSS_G, loss);
        Ok(loss)
    }

    /// Puts the discriminator's parameters after some updates of its own in
    /// their place, as functions of the generator's.
    fn look_ahead(&self, build: &mut Build<'_>, real: NodeId, fake: NodeId) -> Result<()> {
        let play = &self.settings.play;
        let mut moved: Vec<(StateId, NodeId)> = Vec::new();
        for _ in 0..play.unroll {
            let on_real = self.judge(build, real)?.logits;
            let on_fake = self.judge(build, fake)?.logits;
            let (graph, net) = build.net(D)?;
            let loss = loss::discriminator(graph, &self.settings.loss, on_real, on_fake)?;
            if moved.is_empty() {
                moved = net.trained().map(|(_, id)| (id, graph.state(id))).collect();
            }
            let targets: Vec<NodeId> = moved.iter().map(|&(_, node)| node).collect();
            let gradients = graph.gradient(loss, &targets)?;
            for ((_, node), gradient) in moved.iter_mut().zip(gradients) {
                let change = graph.scale(gradient, play.unroll_lr as f32);
                *node = graph.sub(*node, change)?;
            }
            net.replace(moved.clone());
        }
        Ok(())
    }

    /// The discriminator seen from outside: `scores [count, 1]` of `images [count,
    /// C, H, W]` and the gradient of their scores. One that judges packs sees each
    /// image `pack` times.
    pub(super) fn probe(&self, build: &mut Build<'_>) -> Result<()> {
        let (images, judged) = self.judged(build)?;
        let graph = &mut build.graph;
        let sum = graph.sum_all(judged.logits)?;
        let gradient = graph.gradient(sum, &[images])?[0];
        build.output("scores", judged.logits);
        build.output("gradient", gradient);
        Ok(())
    }

    /// What the discriminator makes of the images of a view, as of no class.
    pub(super) fn judged(&self, build: &mut Build<'_>) -> Result<(NodeId, Judgement)> {
        let images = build.field("images")?;
        let (graph, net) = build.net(D)?;
        let pack = graph.concat(&vec![images; self.pair.pack()], 1)?;
        Ok((images, self.pair.discriminator(graph, net, pack, None)?))
    }
}
