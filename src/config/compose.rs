//! Which losses, penalties and stabilisers go together. Those that only add up
//! are allowed: spectral normalisation with a penalty, packing with minibatch
//! discrimination, R1 with any loss.

use super::{Architecture, Augment, Config, Loss, LossKind, Norm, Penalty, Train, Update};
use crate::error::{Error, Result};

/// A combination without meaning: whether it is asked for, what is wrong, and
/// what to use instead.
type Refusal = (bool, String, &'static str);

impl Config {
    /// Refuses the first combination that makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`] with the reason and what to use instead.
    pub(super) fn validate_composition(&self) -> Result<()> {
        let refusals = [
            self.unused_keys(),
            self.augmentation(),
            self.minibatches(),
            self.bounds(),
            self.unrolling(),
        ];
        match refusals.into_iter().flatten().find(|(asked, ..)| *asked) {
            Some((_, what, mend)) => Err(Error::usage(what, mend)),
            None => Ok(()),
        }
    }

    /// Keys that another key leaves without effect.
    fn unused_keys(&self) -> Vec<Refusal> {
        let Loss {
            penalty,
            penalty_weight,
            penalty_every,
            instance_noise,
            instance_noise_steps,
            ..
        } = self.loss;
        let Train {
            update,
            d_steps,
            d_steps_boost,
            d_steps_first,
            d_steps_every,
            ..
        } = self.train;
        let boosts = d_steps_first > 0 || d_steps_every > 0;
        vec![
            (
                penalty == Penalty::None && penalty_every > 1,
                format!("loss.penalty_every = {penalty_every} has no loss.penalty to take rarely"),
                "use loss.penalty_every = 1, or a penalty, as loss.penalty = r1",
            ),
            (
                penalty != Penalty::None && penalty_weight == 0.0,
                format!(
                    "loss.penalty = {} costs a pass and loss.penalty_weight = 0.0 takes nothing of it",
                    penalty.word()
                ),
                "use loss.penalty = none, or a weight, as loss.penalty_weight = 10.0",
            ),
            (
                instance_noise == 0.0 && instance_noise_steps > 0,
                format!(
                    "loss.instance_noise_steps = {instance_noise_steps} has no noise to let fall"
                ),
                "use loss.instance_noise_steps = 0, or a noise, as loss.instance_noise = 0.1",
            ),
            (
                boosts && update == Update::Alternating && d_steps_boost < d_steps,
                format!(
                    "train.d_steps_boost = {d_steps_boost} is fewer than train.d_steps = {d_steps}"
                ),
                "use a boost above train.d_steps, or train.d_steps_first = 0 and train.d_steps_every = 0",
            ),
        ]
    }

    fn augmentation(&self) -> Vec<Refusal> {
        let Loss {
            kind,
            augment,
            augment_p,
            augment_target,
            ..
        } = self.loss;
        let size = self.data.size;
        let adaptive = augment_target > 0.0;
        let moves = matches!(augment, Augment::Translation | Augment::All);
        vec![
            (
                augment == Augment::None && augment_p < 1.0,
                format!("loss.augment_p = {augment_p:?} is a probability of loss.augment = none"),
                "use loss.augment = all, or leave loss.augment_p out",
            ),
            (
                augment == Augment::None && adaptive,
                format!(
                    "loss.augment_target = {augment_target:?} has no augmentation to adapt: loss.augment = none"
                ),
                "use loss.augment = all, or leave loss.augment_target out",
            ),
            (
                adaptive && matches!(kind, LossKind::Wasserstein | LossKind::Relativistic),
                format!(
                    "loss.augment_target looks at the sign of D, and loss.kind = {} sees differences of scores only, so that their zero is anywhere",
                    kind.word()
                ),
                "use a fixed probability, as loss.augment_p = 0.3, or loss.kind = hinge or non-saturating",
            ),
            (
                augment != Augment::None && self.model.architecture == Architecture::Dense,
                format!(
                    "loss.augment = {} is for images, and model.architecture = dense is for points",
                    augment.word()
                ),
                "use loss.augment = none; loss.instance_noise works on points",
            ),
            (
                moves && size.height.min(size.width) < 8,
                format!(
                    "loss.augment = {} shifts by up to an eighth of the image, which is less than a pixel of data.size = {size}",
                    augment.word()
                ),
                "use loss.augment = color or cutout, or images of at least 8 pixels",
            ),
        ]
    }

    /// What compares the images of a batch.
    fn minibatches(&self) -> Vec<Refusal> {
        let model = &self.model;
        let (std, features) = (model.minibatch_std, model.minibatch_features);
        let judged = self.batch / self.loss.pack;
        let kind = self.loss.kind;
        let slope = self.loss.bounds_slope();
        vec![
            (
                std == 1,
                "model.minibatch_std = 1 is the deviation of one image from itself".into(),
                "use groups of 2 or more, as model.minibatch_std = 4, or 0 for none",
            ),
            (
                features > 0 && judged < 2,
                format!("model.minibatch_features = {features} compares the discriminator's inputs, of which batch = {} and loss.pack = {} leave one", self.batch, self.loss.pack),
                "use a batch of at least 2 packs, or model.minibatch_features = 0",
            ),
            (
                features > 0 && slope,
                format!("model.minibatch_features does not fit loss.penalty = {}: every image's score depends on how near all others are, so that there is no norm of one image's gradient to hold at 1", self.loss.penalty.word()),
                "use model.minibatch_std, which the others move little, or loss.penalty = r1",
            ),
            (
                kind == LossKind::FeatureMatching && (std > 0 || features > 0),
                "loss.kind = feature-matching teaches the generator by features of single images; what model.minibatch_std and model.minibatch_features add after them does not reach it".into(),
                "use loss.kind = non-saturating, or leave the two out",
            ),
        ]
    }

    fn bounds(&self) -> Vec<Refusal> {
        let Loss {
            kind, weight_clip, ..
        } = self.loss;
        let model = &self.model;
        let side = self.data.size.height.min(self.data.size.width);
        vec![
            (
                weight_clip > 0.0 && kind != LossKind::Wasserstein,
                format!(
                    "loss.weight_clip = {weight_clip:?} does not fit loss.kind = {}: clipped weights bound the scores of a critic, and cannot reach the targets or margins of other losses",
                    kind.word()
                ),
                "use loss.kind = wasserstein, or model.spectral_norm = true, which bounds the slope for every loss",
            ),
            (
                model.architecture == Architecture::Dcgan
                    && model.norm_d == Norm::Instance
                    && side < 8,
                format!(
                    "model.norm_d = instance makes zero of the single pixel that data.size = {} leaves of a channel",
                    self.data.size
                ),
                "use model.norm_d = layer, or images of at least 8 pixels",
            ),
        ]
    }

    /// The updates that the generator looks through are those of the plain loss.
    fn unrolling(&self) -> Vec<Refusal> {
        let unroll = self.train.unroll;
        let Loss {
            kind,
            penalty,
            weight_clip,
            ..
        } = self.loss;
        vec![
            (
                unroll > 0 && kind != LossKind::Minimax,
                format!(
                    "train.unroll = {unroll} plays for the value of the minimax game, and loss.kind = {} is another",
                    kind.word()
                ),
                "use loss.kind = minimax, or train.unroll = 0",
            ),
            (
                unroll > 0 && penalty != Penalty::None,
                format!(
                    "train.unroll = {unroll} looks ahead along the loss alone, without loss.penalty = {}",
                    penalty.word()
                ),
                "use train.unroll = 0, or bound the slope by model.spectral_norm = true and leave the penalty out",
            ),
            (
                unroll > 0 && weight_clip > 0.0,
                format!(
                    "train.unroll = {unroll} looks ahead through gradient descent, which loss.weight_clip = {weight_clip:?} would interrupt"
                ),
                "use train.unroll = 0, or model.spectral_norm = true instead of clipping",
            ),
        ]
    }
}

impl Loss {
    /// Whether the probability of the augmentation follows the discriminator.
    pub fn adapts_augment(&self) -> bool {
        self.augment != Augment::None && self.augment_target > 0.0
    }

    /// Whether the penalty holds the norm of each image's gradient at 1.
    pub(super) fn bounds_slope(&self) -> bool {
        matches!(
            self.penalty,
            Penalty::Gradient | Penalty::GradientOneSided | Penalty::Dragan
        )
    }
}
