//! Training reaches what Goodfellow et al. 2014 prove: the optimal discriminator
//! of a fixed generator, and the equilibrium.

use gpugan::random;

use super::game::{Game, Normal, grid, log_sigmoid, optimal, value};

const STANDARD: Normal = Normal {
    mean: 0.0,
    deviation: 1.0,
};
const DATA: Normal = Normal {
    mean: 4.0,
    deviation: 0.5,
};

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// Trains D alone; the largest |D - D*| where there are points, and V.
fn trained_discriminator(data: Normal) -> (f64, f64) {
    let steps = 700;
    let decay = 100f64.powf(1.0 / steps as f64);
    let mut game = Game::new(&[
        "batch=1024",
        "optimizer.d.lr=1e-2",
        &format!("optimizer.d.lr_decay={decay:?}"),
    ]);
    game.spread_bends(-3.0, 6.0);
    game.fix_generator(STANDARD);
    for _ in 0..steps {
        game.discriminator_step(data);
    }
    let logits = game.logits(&grid());
    let best = optimal(data, STANDARD);
    let farthest = grid()
        .into_iter()
        .zip(logits.iter().zip(&best))
        .filter(|&(x, _)| (data.density(x) + STANDARD.density(x)) / 2.0 > 1e-3)
        .map(|(_, (&a, &b))| (sigmoid(a) - sigmoid(b)).abs())
        .fold(0.0, f64::max);
    (farthest, value(&logits, data, STANDARD))
}

#[test]
fn a_trained_discriminator_is_the_optimal_one() {
    let other = Normal {
        mean: 1.0,
        deviation: 1.0,
    };
    for (data, optimum) in [(DATA, -0.02255), (other, -1.16345)] {
        let best = value(&optimal(data, STANDARD), data, STANDARD);
        assert!((best - optimum).abs() < 1e-5, "{best}");
        let (farthest, v) = trained_discriminator(data);
        println!("{data:?}: max |D - D*| {farthest:.4}, V {v:.5} of {optimum}");
        assert!(farthest < 0.05, "{data:?}: {farthest}");
        assert!((v - optimum).abs() < 0.02, "{data:?}: V = {v}");
    }
}

/// Both networks trained: V is -log 4, D undecided, G the data.
#[test]
fn joint_training_ends_at_the_equilibrium() {
    let steps = 1500;
    let decay = 10f64.powf(1.0 / steps as f64);
    let mut game = Game::new(&[
        "model.hidden_g=[16, 16]",
        "train.ema_decay=0.99",
        // A discriminator that keeps up with its generator (two time scales).
        "optimizer.g.lr=2e-3",
        "optimizer.d.lr=2e-2",
        &format!("optimizer.g.lr_decay={decay:?}"),
        &format!("optimizer.d.lr_decay={decay:?}"),
    ]);
    game.spread_bends(-3.0, 6.0);
    for _ in 0..steps {
        game.discriminator_step(DATA);
        game.generator_step();
    }
    let latents: Vec<f64> = (0..4000).map(|i| random::normal(i, 0, 0, 2)).collect();
    let points = game.points(&latents);
    let count = points.len() as f64;
    let mean = points.iter().sum::<f64>() / count;
    let deviation = (points.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    let near: Vec<f64> = grid()
        .into_iter()
        .filter(|x| (x - DATA.mean).abs() <= 2.0 * DATA.deviation)
        .collect();
    let undecided = game.logits(&near).into_iter();
    let undecided = undecided.map(|a| (sigmoid(a) - 0.5).abs()).sum::<f64>() / near.len() as f64;
    let data: Vec<f64> = latents
        .iter()
        .map(|z| DATA.mean + DATA.deviation * z)
        .collect();
    let on_real = game.logits(&data).into_iter().map(log_sigmoid).sum::<f64>();
    let on_fake = game
        .logits(&points)
        .into_iter()
        .map(|a| log_sigmoid(-a))
        .sum::<f64>();
    let v = (on_real + on_fake) / count;
    println!("V {v:.4}, mean |D - 1/2| {undecided:.4}, mean {mean:.4}, deviation {deviation:.4}");
    assert!((v + 4f64.ln()).abs() < 0.05, "V = {v}");
    assert!(undecided < 0.1, "{undecided}");
    assert!((mean - DATA.mean).abs() < 0.15, "{mean}");
    assert!((deviation - DATA.deviation).abs() < 0.15, "{deviation}");
}

/// How far V is below its optimum for the generator of the moment, on average
/// over training; the generator is a line, so its density is known.
fn shortfall(d_steps: usize) -> f64 {
    let steps = 150;
    let mut game = Game::new(&[
        "optimizer.g.lr=1e-2",
        "optimizer.d.lr=2e-3",
        &format!("train.d_steps={d_steps}"),
    ]);
    game.spread_bends(-3.0, 6.0);
    game.fix_generator(STANDARD);
    let mut sum = 0.0;
    let mut seen = 0;
    for step in 0..steps {
        for _ in 0..d_steps {
            game.discriminator_step(DATA);
        }
        if step % 10 == 9 {
            let model = game.generator();
            let best = value(&optimal(DATA, model), DATA, model);
            sum += best - value(&game.logits(&grid()), DATA, model);
            seen += 1;
        }
        game.generator_step();
    }
    sum / f64::from(seen)
}

#[test]
fn more_discriminator_steps_bring_v_nearer_to_its_optimum() {
    let [one, five] = [1, 5].map(shortfall);
    println!("V below V(D*) by {one:.4} with k = 1, {five:.4} with k = 5");
    assert!(five > 0.0 && five < 0.5 * one, "{one}, {five}");
}
