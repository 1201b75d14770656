//! One step of an optimiser over all parameters of a network at once
//! (`shaders/optimizer.wgsl`). Learning rate, momentum, Adam's corrections and
//! the averaging weight come from the step buffer.

use super::scalar::literal;
use super::{Launch, workgroups_of};
use crate::recording::{Access, Kernel};

/// Where the learning rate stands in gradient descent with momentum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Momentum {
    /// No velocity is kept: `p -= lr g`.
    None,
    /// PyTorch: `v = momentum v + g; p -= lr v`.
    Outside,
    /// Sutskever et al. 2013, pylearn2: `v = momentum v - lr g; p += v`.
    Inside,
}

/// How parameters move. The numbers are f64 so that `1 - beta` rounds once, as
/// in PyTorch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum UpdateRule {
    /// Gradient descent; 1 moment with momentum, else none.
    Sgd(Momentum),
    /// `s = alpha s + (1 - alpha) g^2; p -= lr g / (sqrt(s) + eps)`; 1 moment.
    RmsProp {
        /// decay of the squares, in [0, 1)
        alpha: f64,
        /// added outside the root, positive
        eps: f64,
    },
    /// `m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    /// p -= lr (m / correction1) / (sqrt(v) / correction2 + eps)`; 2 moments.
    Adam {
        /// decay of the mean, in [0, 1)
        beta1: f64,
        /// decay of the squares, in [0, 1)
        beta2: f64,
        /// added outside the root, positive
        eps: f64,
    },
    /// No optimiser: `p = ema_decay p + (1 - ema_decay) q`, an exponential
    /// moving average `p` of parameters `q`.
    Ema,
}

/// The update of `len` parameters. Bindings: 0 the parameters, 1 their
/// gradients (for [`UpdateRule::Ema`] the parameters to average), then the rule's
/// moments, all slices of `len` elements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Optimizer {
    /// How parameters move.
    pub rule: UpdateRule,
    /// Number of parameters.
    pub len: usize,
    /// L2 penalty: `weight_decay p` is added to the gradient first.
    pub weight_decay: f64,
    /// Parameters are clamped to `[-clip, clip]` afterwards (WGAN).
    pub clip: Option<f64>,
}

const WORKGROUP: u32 = 64;

impl UpdateRule {
    /// Number of moments it keeps, each as long as the parameters and zero at
    /// the start.
    pub fn moments(self) -> usize {
        match self {
            Self::Sgd(Momentum::None) | Self::Ema => 0,
            Self::Sgd(_) | Self::RmsProp { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }
}

impl Optimizer {
    /// What is done with each binding.
    pub fn accesses(&self) -> Vec<Access> {
        let mut accesses = vec![Access::Write, Access::Read];
        accesses.resize(2 + self.rule.moments(), Access::Write);
        accesses
    }

    /// The kernel; variant `vec4` where the length is a multiple of 4.
    pub fn launch(&self) -> Launch {
        let width = if self.len.is_multiple_of(4) { 4 } else { 1 };
        let threads = self.len / width;
        let workgroups = workgroups_of(threads, WORKGROUP);
        let number = |value: f64| literal(value as f32);
        let value = if width == 4 { "vec4<f32>" } else { "f32" };
        let mut snippets = vec![("value", value.to_owned())];
        let rule = match self.rule {
            UpdateRule::Sgd(Momentum::None) => "SGD",
            UpdateRule::Sgd(Momentum::Outside) => "SGD_OUTSIDE",
            UpdateRule::Sgd(Momentum::Inside) => "SGD_INSIDE",
            UpdateRule::RmsProp { alpha, eps } => {
                snippets.push(("alpha", number(alpha)));
                snippets.push(("one_minus_alpha", number(1.0 - alpha)));
                snippets.push(("eps", number(eps)));
                "RMSPROP"
            }
            UpdateRule::Adam { beta1, beta2, eps } => {
                snippets.push(("beta1", number(beta1)));
                snippets.push(("one_minus_beta1", number(1.0 - beta1)));
                snippets.push(("beta2", number(beta2)));
                snippets.push(("one_minus_beta2", number(1.0 - beta2)));
                snippets.push(("eps", number(eps)));
                "ADAM"
            }
            UpdateRule::Ema => "EMA",
        };
        let mut constants = vec![
            ("WORKGROUP", WORKGROUP),
            ("GRID_X", workgroups[0]),
            ("COUNT", threads as u32),
            ("MOMENTS", self.rule.moments() as u32),
            (rule, 1),
        ];
        if self.weight_decay != 0.0 {
            constants.push(("WEIGHT_DECAY", 1));
            snippets.push(("weight_decay", number(self.weight_decay)));
        }
        if let Some(clip) = self.clip {
            constants.push(("CLIP", 1));
            snippets.push(("clip", number(clip)));
        }
        Launch {
            kernel: Kernel {
                file: "optimizer.wgsl",
                variant: if width == 4 { "vec4" } else { "plain" },
                constants,
                snippets,
                reads_step: true,
            },
            workgroups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::validate::validate;

    #[test]
    fn every_rule_makes_a_valid_shader() {
        let rules = [
            UpdateRule::Sgd(Momentum::None),
            UpdateRule::Sgd(Momentum::Outside),
            UpdateRule::Sgd(Momentum::Inside),
            UpdateRule::RmsProp {
                alpha: 0.99,
                eps: 1e-8,
            },
            UpdateRule::Adam {
                beta1: 0.5,
                beta2: 0.999,
                eps: 1e-8,
            },
            UpdateRule::Ema,
        ];
        for rule in rules {
            for len in [64, 7] {
                for (weight_decay, clip) in [(0.0, None), (1e-4, Some(0.01))] {
                    let optimizer = Optimizer {
                        rule,
                        len,
                        weight_decay,
                        clip,
                    };
                    validate(&optimizer.launch());
                    assert_eq!(optimizer.accesses().len(), 2 + rule.moments());
                }
            }
        }
    }

    #[test]
    fn one_minus_beta_rounds_once() {
        let adam = Optimizer {
            rule: UpdateRule::Adam {
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
            },
            len: 4,
            weight_decay: 0.0,
            clip: None,
        };
        let snippets = adam.launch().kernel.snippets;
        assert!(snippets.contains(&("one_minus_beta2", "0.001f".to_owned())));
    }
}
