//! What two players minimise: losses, penalties on gradients, and what happens to
//! images before the discriminator sees them.

pub mod augment;
pub mod loss;
mod patch_loss;
pub mod penalty;
pub mod pool;

pub use augment::Augment;
pub use loss::{Form, Level, LossKind};
pub use patch_loss::PatchLoss;
pub use penalty::Penalty;

use crate::config::{Allowed, section};

section! {
    /// What the networks minimise.
    Loss {
        /// With D = sigmoid(a) of a logit a: `non-saturating` (the generator's loss is -log D(G(z))), `minimax` (log(1 - D(G(z)))), `relativistic` (each logit against the other batch's mean). On a itself: `least-squares` (targets 1 and 0), `hinge`, `wasserstein` (a critic, which needs a bound: `penalty`, `weight_clip` or `model.spectral_norm`). `feature-matching`: D as in `non-saturating`, G matches the means of D's last features.
        kind: LossKind = LossKind::NonSaturating, Allowed::Choice(&["non-saturating", "minimax", "relativistic", "least-squares", "hinge", "wasserstein", "feature-matching"]);
        /// Penalty on the norm of the gradient of D's output with respect to an image: `gradient` towards 1 between real and fake images (WGAN-GP), `gradient-one-sided` only above 1, `dragan` towards 1 around real images, `r1` half its square on real images, `r2` half its square on fake ones.
        penalty: Penalty = Penalty::None, Allowed::Choice(&["none", "gradient", "gradient-one-sided", "dragan", "r1", "r2"]);
        /// Factor of the penalty.
        penalty_weight: f64 = 10.0, Allowed::NOT_NEGATIVE;
        /// The penalty is applied only in every n-th update of the discriminator, with n times the weight.
        penalty_every: u64 = 1, Allowed::Whole(1, 1_000_000);
        /// After each update the discriminator's weights are clipped to between minus this and this (WGAN); 0 is off.
        weight_clip: f64 = 0.0, Allowed::NOT_NEGATIVE;
        /// Standard deviation of normal noise that is added to every image that the discriminator sees; 0 is off.
        instance_noise: f64 = 0.0, Allowed::NOT_NEGATIVE;
        /// Steps in which `instance_noise` falls linearly to 0; with 0 it stays.
        instance_noise_steps: u64 = 0, Allowed::Whole(0, crate::config::LONGEST);
        /// Differentiable augmentation of every image that the discriminator sees (Zhao et al. 2020).
        augment: Augment = Augment::None, Allowed::Choice(&["none", "color", "translation", "cutout", "all"]);
        /// Probability with which each kind of `augment` changes an image; the largest with `augment_target`.
        augment_p: f64 = 1.0, Allowed::Number(std::ops::Bound::Excluded(0.0), std::ops::Bound::Included(1.0));
        /// Adaptive strength (Karras et al. 2020): the probability starts at 0 and follows the mean sign of D on real images, up while it is above this and down while it is below; 0.6 is usual, 0 keeps the probability at `augment_p`.
        augment_target: f64 = 0.0, Allowed::BELOW_ONE;
        /// Real images that an adaptive probability takes at least to go from 0 to 1.
        augment_images: u64 = 500_000, Allowed::Whole(1, crate::config::LONGEST);
        /// Discriminator updates between changes of an adaptive probability.
        augment_every: u64 = 4, Allowed::Whole(1, 1_000_000);
        /// Images that the discriminator judges together, stacked along the channels (PacGAN); divides the batch.
        pack: usize = 1, Allowed::Whole(1, 64);
        /// Target of the discriminator on real images; 0.9 is one-sided label smoothing.
        real_label: f64 = 1.0, Allowed::Number(std::ops::Bound::Excluded(0.0), std::ops::Bound::Included(1.0));
        /// Factor of the discriminator's loss; 0.5 makes it the mean over real and fake images instead of the sum.
        d_weight: f64 = 1.0, Allowed::POSITIVE;
        /// Weight of classifying real and generated images in the discriminator's loss (AC-GAN, Odena et al. 2017, where it is 1); needs `model.condition`; 0 is off.
        class_weight_d: f64 = 0.0, Allowed::NOT_NEGATIVE;
        /// Weight, in the generator's loss, of how the discriminator classifies generated images; 1 in Odena et al. 2017, 0.1 in Gulrajani et al. 2017; 0 is off.
        class_weight_g: f64 = 0.0, Allowed::NOT_NEGATIVE;
    }
}

impl Loss {
    /// Whether the probability of the augmentation follows the discriminator.
    pub fn adapts_augment(&self) -> bool {
        self.augment != Augment::None && self.augment_target > 0.0
    }

    /// Whether the discriminator tells classes too.
    pub fn classifies(&self) -> bool {
        self.class_weight_d > 0.0 || self.class_weight_g > 0.0
    }

    /// Whether the penalty holds the norm of each image's gradient at 1.
    pub fn bounds_slope(&self) -> bool {
        matches!(
            self.penalty,
            Penalty::Gradient | Penalty::GradientOneSided | Penalty::Dragan
        )
    }

    /// Largest weight of the discriminator, where it is bounded.
    pub fn clip(&self) -> Option<f64> {
        (self.weight_clip > 0.0).then_some(self.weight_clip)
    }

    /// Whether only some of the discriminator's updates have the penalty.
    pub fn penalises_rarely(&self) -> bool {
        self.penalty != Penalty::None && self.penalty_every > 1
    }

    /// Standard deviation of the instance noise at a step (from 0).
    pub fn noise(&self, step: u64) -> f64 {
        match self.instance_noise_steps {
            0 => self.instance_noise,
            steps => self.instance_noise * (1.0 - (step as f64 / steps as f64).min(1.0)),
        }
    }
}
