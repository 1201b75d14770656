//! Optimisers over time: which kernel updates a network's parameters, and the
//! learning rate, momentum and corrections of each update.

use crate::config::{MomentumForm, Optimizer, OptimizerKind};
use crate::error::Result;
use crate::graph::{Group, Places};
use crate::ops::optimizer::{Momentum, Optimizer as Update, UpdateRule};
use crate::recording::{Binding, Command, Dispatch, Recording, Slice, StepValues};

/// The kernel's rule for a configuration.
pub fn rule(config: &Optimizer) -> UpdateRule {
    match config.kind {
        OptimizerKind::Adam => UpdateRule::Adam {
            beta1: config.beta1,
            beta2: config.beta2,
            eps: config.eps,
        },
        OptimizerKind::Rmsprop => UpdateRule::RmsProp {
            alpha: config.alpha,
            eps: config.eps,
        },
        OptimizerKind::Sgd => UpdateRule::Sgd(match config.momentum_form {
            MomentumForm::Torch => Momentum::Outside,
            MomentumForm::Pylearn2 => Momentum::Inside,
        }),
    }
}

/// What update number `t` (from 1) needs to know: learning rate, momentum and
/// Adam's bias corrections. Computed in f64, as PyTorch does.
pub fn schedule(config: &Optimizer, t: u64) -> StepValues {
    let done = t.saturating_sub(1) as f64;
    let mut learning_rate = config.lr * (-done * config.lr_decay.ln()).exp();
    if config.lr_steps > 0 {
        let fallen = (done - config.lr_hold as f64).max(0.0) / config.lr_steps as f64;
        let left = 1.0 - fallen.min(1.0);
        learning_rate = config.lr_min + (learning_rate - config.lr_min) * left;
    }
    let learning_rate = learning_rate.max(config.lr_min);
    let momentum = if config.momentum_steps == 0 {
        config.momentum
    } else {
        let way = (done / config.momentum_steps as f64).min(1.0);
        config.momentum + (config.momentum_final - config.momentum) * way
    };
    StepValues {
        learning_rate: learning_rate as f32,
        momentum: momentum as f32,
        correction1: (1.0 - config.beta1.powf(t as f64)) as f32,
        correction2: (1.0 - config.beta2.powf(t as f64)).sqrt() as f32,
        ..StepValues::default()
    }
}

/// Decay of the moving average at generator update `t` (from 1). It grows to
/// `decay`, so that the average forgets the initial weights first.
pub fn ema_decay(decay: f64, t: u64) -> f32 {
    decay.min(t as f64 / (t as f64 + 9.0)) as f32
}

/// One update of all weights of a network, kept between minus `clip` and `clip`,
/// and of its moving average where it has one.
///
/// # Errors
/// Where the network has no places.
pub fn recording(
    config: &Optimizer,
    clip: Option<f64>,
    places: &Places,
    net: &str,
) -> Result<Recording> {
    let update =
        |rule: UpdateRule, weight_decay: f64, groups: &[Group], label: &str| -> Vec<Command> {
            let slices: Vec<Vec<Slice>> = groups.iter().map(|group| places.group(group)).collect();
            (0..slices[0].len())
                .map(|chunk| {
                    let update = Update {
                        rule,
                        len: slices[0][chunk].len,
                        weight_decay,
                        clip: if rule == UpdateRule::Ema { None } else { clip },
                    };
                    let launch = update.launch();
                    let bindings = slices
                        .iter()
                        .zip(update.accesses())
                        .map(|(slices, access)| Binding {
                            slice: slices[chunk],
                            access,
                        })
                        .collect();
                    Command::Dispatch(Dispatch {
                        kernel: launch.kernel,
                        bindings,
                        workgroups: launch.workgroups,
                        label: format!("{label} {net}"),
                    })
                })
                .collect()
        };
    let rule = rule(config);
    let name = || net.to_owned();
    let mut groups = vec![Group::Weights(name()), Group::Gradient(name())];
    groups.extend((1..=rule.moments()).map(|moment| Group::Moment(name(), moment)));
    let mut commands = update(rule, config.weight_decay, &groups, "update");
    for (average, of) in [
        (Group::Average(name()), Group::Weights(name())),
        (Group::AverageBuffers(name()), Group::Buffers(name())),
    ] {
        if !places.group(&average).is_empty() {
            commands.extend(update(UpdateRule::Ema, 0.0, &[average, of], "average"));
        }
    }
    Ok(Recording {
        commands,
        temporaries: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_follow_their_closed_forms() {
        let mut config = Optimizer {
            lr: 0.1,
            lr_decay: 1.000004,
            lr_min: 1e-6,
            ..Optimizer::default()
        };
        config.momentum = 0.5;
        config.momentum_final = 0.7;
        config.momentum_steps = 100;
        assert_eq!(schedule(&config, 1).learning_rate, 0.1);
        let later = f64::from(schedule(&config, 10_001).learning_rate);
        assert!(
            (later - 0.1 / 1.000004_f64.powi(10_000)).abs() < 1e-7,
            "{later}"
        );
        assert_eq!(schedule(&config, u64::MAX / 2).learning_rate, 1e-6);
        assert!((schedule(&config, 51).momentum - 0.6).abs() < 1e-6);
        assert!((schedule(&config, 5000).momentum - 0.7).abs() < 1e-6);
        let adam = schedule(&Optimizer::default(), 3);
        assert!((f64::from(adam.correction1) - (1.0 - 0.125)).abs() < 1e-7);
        assert!((f64::from(adam.correction2) - (1.0 - 0.999_f64.powi(3)).sqrt()).abs() < 1e-7);
    }

    #[test]
    fn the_average_starts_by_following() {
        assert_eq!(ema_decay(0.999, 1), 0.1);
        assert_eq!(ema_decay(0.999, 1_000_000), 0.999);
        assert_eq!(ema_decay(0.5, 100), 0.5);
    }
}
