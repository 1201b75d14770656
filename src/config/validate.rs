//! Which values of a configuration go together.

use super::{
    Architecture, Config, Loss, LossKind, Norm, OnCollapse, Penalty, Size, Stem, Train, Update,
};
use crate::error::{Error, Result};

impl Config {
    /// Checks the rules that bind several keys together.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the keys and what to set.
    pub fn validate(&self) -> Result<()> {
        self.validate_sizes()?;
        self.validate_updates()?;
        self.validate_groups()?;
        self.validate_bounds()?;
        self.validate_loss()?;
        self.validate_composition()
    }

    /// Largest weight of the discriminator, where it is bounded.
    pub fn weight_clip(&self) -> Option<f64> {
        (self.loss.weight_clip > 0.0).then_some(self.loss.weight_clip)
    }

    /// Images and networks.
    fn validate_sizes(&self) -> Result<()> {
        let Size { height, width } = self.data.size;
        let stack = self.data.stack;
        self.data.reading()?;
        if let Some(channels) = self.data.channels
            && stack > 1
            && channels > 1
        {
            return Err(Error::usage(
                format!(
                    "data.stack = {stack} makes a channel of each grey image, and data.channels = {channels}"
                ),
                "use data.channels = 1, which reads all images as grey, or data.stack = 1",
            ));
        }
        if self.model.architecture == Architecture::Dcgan {
            match self.model.stem {
                Stem::Conv if height != width || height < 16 || !height.is_power_of_two() => {
                    return Err(Error::usage(
                        format!(
                            "data.size = {} does not fit model.stem = conv, which doubles 4x4 up to a square of 16, 32, 64, ...",
                            self.data.size
                        ),
                        format!(
                            "use data.size = {}, or model.stem = linear for sides that are multiples of 4",
                            height.max(width).max(16).next_power_of_two()
                        ),
                    ));
                }
                Stem::Linear if height % 4 != 0 || width % 4 != 0 => {
                    let up = |side: usize| side.next_multiple_of(4);
                    return Err(Error::usage(
                        format!(
                            "data.size = {} does not fit model.stem = linear, which doubles a quarter of it twice",
                            self.data.size
                        ),
                        format!(
                            "use multiples of 4, as data.size = {}",
                            Size {
                                height: up(height),
                                width: up(width)
                            }
                        ),
                    ));
                }
                _ => {}
            }
        }
        let halved_twice = |side: usize| side >= 16 && side.is_multiple_of(4);
        if self.model.architecture == Architecture::Resnet
            && !(halved_twice(height) && halved_twice(width))
        {
            let up = |side: usize| side.max(16).next_multiple_of(4);
            return Err(Error::usage(
                format!(
                    "data.size = {} does not fit model.architecture = resnet, which halves it at least twice",
                    self.data.size
                ),
                format!(
                    "use multiples of 4 from 16, as data.size = {}",
                    Size {
                        height: up(height),
                        width: up(width)
                    }
                ),
            ));
        }
        Ok(())
    }

    /// The order and the rates of updates.
    fn validate_updates(&self) -> Result<()> {
        if self.train.on_collapse != OnCollapse::Warn && !self.train.health {
            return Err(Error::usage(
                format!(
                    "train.on_collapse = {} needs train.health = true, which measures what it acts on",
                    self.train.on_collapse.word()
                ),
                "use train.on_collapse = warn, or leave train.health out",
            ));
        }
        if self.train.update == Update::Simultaneous && self.train.d_steps != 1 {
            return Err(Error::usage(
                format!(
                    "train.d_steps = {} does not fit train.update = simultaneous, which steps both networks once from one batch",
                    self.train.d_steps
                ),
                "use train.d_steps = 1 or train.update = alternating",
            ));
        }
        for (name, optimizer) in [("g", &self.optimizer.g), ("d", &self.optimizer.d)] {
            if optimizer.lr_min > optimizer.lr {
                return Err(Error::usage(
                    format!(
                        "optimizer.{name}.lr_min = {:?} is above optimizer.{name}.lr = {:?}",
                        optimizer.lr_min, optimizer.lr
                    ),
                    "use a floor that is not above the rate it starts from",
                ));
            }
        }
        if self.train.update == Update::Simultaneous {
            let alone = [
                ("train.unroll", self.train.unroll > 0, "0"),
                ("loss.penalty_every", self.loss.penalty_every > 1, "1"),
                ("train.d_steps_first", self.train.d_steps_first > 0, "0"),
                ("train.d_steps_every", self.train.d_steps_every > 0, "0"),
            ];
            if let Some((key, _, value)) = alone.iter().find(|(_, set, _)| *set) {
                return Err(Error::usage(
                    format!(
                        "{key} does not fit train.update = simultaneous, which takes both gradients from one pass"
                    ),
                    format!("use {key} = {value} or train.update = alternating"),
                ));
            }
        }
        Ok(())
    }

    /// What looks at several images, or groups of channels, together.
    fn validate_groups(&self) -> Result<()> {
        let Loss { pack, .. } = self.loss;
        if !self.batch.is_multiple_of(pack) {
            return Err(Error::usage(
                format!("loss.pack = {pack} does not divide batch = {}", self.batch),
                format!(
                    "use a multiple, as batch = {}",
                    self.batch.next_multiple_of(pack)
                ),
            ));
        }
        let judged = self.batch / pack;
        let model = &self.model;
        if model.minibatch_std > 0 && !judged.is_multiple_of(model.minibatch_std) {
            return Err(Error::usage(
                format!(
                    "model.minibatch_std = {} does not divide the {judged} inputs of the discriminator",
                    model.minibatch_std
                ),
                format!(
                    "use a batch of {}",
                    pack * judged.next_multiple_of(model.minibatch_std)
                ),
            ));
        }
        let place = match model.architecture {
            Architecture::Dcgan | Architecture::Resnet => [true, true],
            Architecture::Dense => [true, false],
            Architecture::Mlp => [false, false],
        };
        let misplaced = [
            (
                "model.minibatch_std",
                model.minibatch_std > 0 && !place[0],
                "dcgan, resnet or dense",
            ),
            (
                "model.minibatch_features",
                model.minibatch_features > 0 && !place[0],
                "dcgan, resnet or dense",
            ),
            (
                "model.norm_d",
                model.norm_d != Norm::Batch && !place[1],
                "dcgan or resnet",
            ),
        ];
        if let Some((key, _, architectures)) = misplaced.iter().find(|(_, set, _)| *set) {
            return Err(Error::usage(
                format!(
                    "model.architecture = {} has no place for {key}",
                    model.architecture.word()
                ),
                format!("leave {key} out or use model.architecture = {architectures}"),
            ));
        }
        if model.norm_d == Norm::Group && !model.width.is_multiple_of(model.norm_groups) {
            return Err(Error::usage(
                format!(
                    "model.norm_groups = {} does not divide model.width = {}",
                    model.norm_groups, model.width
                ),
                "use a divisor of the width",
            ));
        }
        Ok(())
    }

    /// What bounds the slope of the discriminator: one way, and one that works.
    fn validate_bounds(&self) -> Result<()> {
        let convolutional = matches!(
            self.model.architecture,
            Architecture::Dcgan | Architecture::Resnet
        );
        let batch_norm = convolutional && self.model.norm_d == Norm::Batch;
        let Loss { kind, penalty, .. } = self.loss;
        let clipped = self.loss.weight_clip > 0.0;
        let spectral = self.model.spectral_norm;
        if penalty != Penalty::None && batch_norm {
            return Err(Error::usage(
                "loss.penalty does not fit model.norm_d = batch: batch normalisation makes an image's score depend on all others, so that there is no gradient of one image to bound",
                "use model.norm_d = layer, instance, group or none",
            ));
        }
        if spectral && convolutional && self.model.norm_d != Norm::None {
            return Err(Error::usage(
                format!(
                    "model.spectral_norm does not fit model.norm_d = {}: a division by the deviation undoes the bound on the weights",
                    self.model.norm_d.word()
                ),
                "use model.norm_d = none",
            ));
        }
        if clipped && (self.loss.bounds_slope() || spectral) {
            let other = if spectral {
                "model.spectral_norm"
            } else {
                "loss.penalty"
            };
            return Err(Error::usage(
                format!(
                    "loss.weight_clip and {other} both bound the discriminator's slope, each to its own"
                ),
                "use one of them; the penalty and spectral normalisation train better than clipping",
            ));
        }
        if kind == LossKind::Wasserstein && !clipped && !spectral && penalty == Penalty::None {
            return Err(Error::usage(
                "loss.kind = wasserstein has no optimum for a critic of unbounded slope",
                "use loss.penalty = gradient, model.spectral_norm = true or loss.weight_clip = 0.01",
            ));
        }
        Ok(())
    }

    /// Keys of the loss that others leave without meaning.
    fn validate_loss(&self) -> Result<()> {
        let Loss {
            kind, real_label, ..
        } = self.loss;
        let targets = matches!(
            kind,
            LossKind::NonSaturating
                | LossKind::Minimax
                | LossKind::FeatureMatching
                | LossKind::LeastSquares
        );
        if real_label != 1.0 && !targets {
            return Err(Error::usage(
                format!(
                    "loss.real_label = {real_label:?} is a target, and loss.kind = {} has none",
                    kind.word()
                ),
                "use loss.real_label = 1.0, or a loss with targets, as non-saturating or least-squares",
            ));
        }
        Ok(())
    }
}

impl Loss {
    /// Standard deviation of the instance noise at a generator step (from 0).
    pub fn noise(&self, step: u64) -> f64 {
        match self.instance_noise_steps {
            0 => self.instance_noise,
            steps => self.instance_noise * (1.0 - (step as f64 / steps as f64).min(1.0)),
        }
    }
}

impl Train {
    /// Discriminator steps of a generator step (from 0). With a first 25, an
    /// every 500 and a boost of 100 this is the rule of the program that comes
    /// with Arjovsky et al. 2017: a critic near its optimum from the start.
    pub fn d_steps_at(&self, step: u64) -> usize {
        let boosted = step < self.d_steps_first
            || (self.d_steps_every > 0 && step.is_multiple_of(self.d_steps_every));
        if boosted {
            self.d_steps_boost
        } else {
            self.d_steps
        }
    }
}
