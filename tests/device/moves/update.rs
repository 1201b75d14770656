use gpugan::graph::{Distribution, Op, Scalar, Shape};
use gpugan::ops::optimizer::{Momentum, Optimizer, UpdateRule};
use gpugan::ops::random::Random;
use gpugan::ops::reduce::Stages;
use gpugan::recording::StepValues;
use gpugan::reference::apply;

use super::harness::{close, lay, noise, run_step, update};

#[test]
fn random_numbers_equal_the_reference() {
    let count = 10_007;
    let step = StepValues {
        seed: 0xdead_beef,
        counter: 41,
        ..StepValues::default()
    };
    for (distribution, tolerance) in [
        (Distribution::Uniform, 0.0),
        (Distribution::Bernoulli(Scalar(0.3)), 0.0),
        (Distribution::Normal, 2e-5),
    ] {
        let random = Random {
            distribution,
            stream: 3,
            count,
        };
        let op = Op::Random {
            distribution,
            stream: 3,
        };
        let expected = apply(&op, &[], &Shape::from([count]), step.seed, step.counter).unwrap();
        let found = run_step(&Stages::One(random.launch()), &[], count, &step);
        close(
            &found,
            &lay(&expected, &[0]),
            0.0,
            tolerance,
            &format!("{distribution:?}"),
        );
    }
}

/// PyTorch's definitions, element by element.
fn expected_step(
    optimizer: &Optimizer,
    step: &StepValues,
    p: &mut f64,
    gradient: f64,
    moments: &mut [f64; 2],
) {
    let lr = f64::from(step.learning_rate);
    let momentum = f64::from(step.momentum);
    let g = gradient + optimizer.weight_decay * *p;
    let [first, second] = moments;
    match optimizer.rule {
        UpdateRule::Sgd(Momentum::None) => *p -= lr * g,
        UpdateRule::Sgd(Momentum::Outside) => {
            *first = momentum * *first + g;
            *p -= lr * *first;
        }
        UpdateRule::Sgd(Momentum::Inside) => {
            *first = momentum * *first - lr * g;
            *p += *first;
        }
        UpdateRule::RmsProp { alpha, eps } => {
            *first = alpha * *first + (1.0 - alpha) * g * g;
            *p -= lr * g / (first.sqrt() + eps);
        }
        UpdateRule::Adam { beta1, beta2, eps } => {
            *first = beta1 * *first + (1.0 - beta1) * g;
            *second = beta2 * *second + (1.0 - beta2) * g * g;
            let mean = *first / f64::from(step.correction1);
            *p -= lr * mean / (second.sqrt() / f64::from(step.correction2) + eps);
        }
        UpdateRule::Ema => {
            let decay = f64::from(step.ema_decay);
            *p = decay * *p + (1.0 - decay) * gradient;
        }
    }
    if let Some(clip) = optimizer.clip {
        *p = p.clamp(-clip, clip);
    }
}

#[test]
fn optimisers_follow_their_definitions_for_several_steps() {
    for rule in [
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
    ] {
        for (len, weight_decay, clip) in [(128, 0.0, None), (67, 0.01, None), (64, 0.0, Some(0.5))]
        {
            let ema = rule == UpdateRule::Ema;
            let optimizer = Optimizer {
                rule,
                len,
                weight_decay: if ema { 0.0 } else { weight_decay },
                clip: if ema { None } else { clip },
            };
            let mut buffers = vec![vec![0.0; len]; 2 + rule.moments()];
            buffers[0] = lay(&noise([len], 19), &[0]);
            let mut p: Vec<f64> = noise([len], 19).data;
            let mut moments = vec![[0.0; 2]; len];
            for t in 1..=4 {
                let gradient = noise([len], 20 + t);
                buffers[1] = lay(&gradient, &[0]);
                let step = StepValues {
                    learning_rate: 0.01,
                    momentum: 0.9,
                    correction1: 1.0 - 0.5f32.powi(t as i32),
                    correction2: (1.0 - 0.999f64.powi(t as i32)).sqrt() as f32,
                    ema_decay: 0.99,
                    ..StepValues::default()
                };
                update(
                    &optimizer.launch(),
                    &optimizer.accesses(),
                    &mut buffers,
                    &step,
                );
                for k in 0..len {
                    expected_step(
                        &optimizer,
                        &step,
                        &mut p[k],
                        gradient.data[k],
                        &mut moments[k],
                    );
                }
            }
            let narrow = |values: Vec<f64>| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
            let what = format!("{optimizer:?}");
            close(&buffers[0], &narrow(p), 1e-6, 1e-6, &what);
            for moment in 0..rule.moments() {
                let expected = moments.iter().map(|m| m[moment]).collect();
                close(&buffers[2 + moment], &narrow(expected), 1e-5, 1e-7, &what);
            }
        }
    }
}
