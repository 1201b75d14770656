//! The keys of this system.

use crate::adversarial::LossKind;
use crate::config::{Allowed, section};
use crate::nets::ImageNorm;

section! {
    /// The networks.
    Model {
        /// Channels of a generator next to the images.
        width: usize = 64, Allowed::Whole(1, 1024);
        /// Residual blocks of a generator: 9 for images of 256 pixels in the paper, 6 for 128.
        blocks: usize = 9, Allowed::Whole(0, 64);
        /// Normalisation in all networks: `instance`, `batch` or `none`.
        norm: ImageNorm = ImageNorm::Instance, Allowed::Choice(&["instance", "batch", "none"]);
        /// Whether the generators' blocks drop half of their features in training.
        dropout: bool = false, Allowed::Flag;
        /// Channels of a discriminator's first layer.
        d_width: usize = 64, Allowed::Whole(1, 1024);
        /// Layers of a discriminator that halve the image: 1, 2, 3 or 4 judge patches of 16, 34, 70 or 142 pixels, 5 and 6 of 286 and 574; 0 judges single pixels.
        d_layers: usize = 3, Allowed::Whole(0, 6);
    }
}

section! {
    /// What the networks minimise.
    Terms {
        /// The adversarial loss: `least-squares` (the distance from 1 and 0), `non-saturating` (cross-entropy) or `hinge`.
        kind: LossKind = LossKind::LeastSquares, Allowed::Choice(&["least-squares", "non-saturating", "hinge"]);
        /// Weight of the mean absolute difference between an image and what comes back through both generators.
        cycle: f64 = 10.0, Allowed::NOT_NEGATIVE;
        /// Weight, as a fraction of `cycle`, of the mean absolute difference between an image and what the generator of its own side makes of it. It keeps colours; 0 is off.
        identity: f64 = 0.5, Allowed::NOT_NEGATIVE;
        /// Factor of the discriminators' losses; 0.5 makes them means over real and generated images.
        d_weight: f64 = 0.5, Allowed::POSITIVE;
        /// Earlier generated images kept for each side; the discriminators see one of them half of the time (Shrivastava et al. 2017). 0 shows only the newest.
        pool: usize = 50, Allowed::Whole(0, 4096);
    }
}
