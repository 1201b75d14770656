//! The Dirac-GAN (Mescheder et al. 2018): the data are all 0, the generator's
//! all theta, the logit of x is `-psi x`.

use gpugan::adversarial::{Loss, LossKind, Penalty};

/// A loss, and the distance from the equilibrium at 0 after 500 steps of size
/// 0.1 from (1, 1): where both move at once, and where theta moves first.
pub(crate) type End = (Loss, f64, f64);

/// Where theory says the game ends, to 4 decimals or 2 digits.
pub(crate) fn ends() -> [End; 4] {
    let of = |kind| Loss {
        kind,
        ..Loss::default()
    };
    let penalised = Loss {
        penalty: Penalty::R1,
        penalty_weight: 1.0,
        ..of(LossKind::NonSaturating)
    };
    let clipped = Loss {
        weight_clip: 1.0,
        ..of(LossKind::Wasserstein)
    };
    [
        (of(LossKind::Minimax), 2.2536, 1.4154),
        (of(LossKind::NonSaturating), 0.5211, 0.3902),
        (penalised, 8.3e-12, 7.6e-10),
        (clipped, 1.0517, 1.0160),
    ]
}
