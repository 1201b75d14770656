//! Critics: the exact optimum of the gradient penalty in one dimension, clipped
//! weights, and gradients where data and generator share no point.

use gpugan::adversarial::{LossKind, loss};
use gpugan::random;

use super::game::{Game, Normal, STEP, grid};

const STANDARD: Normal = Normal {
    mean: 0.0,
    deviation: 1.0,
};

/// Real N(2, 1), fake N(0, 1), independent pairs: the optimal critic has slope
/// `1 + D(x) / (2 lambda p(x))`, D the difference of the distribution functions
/// and p the density of the points between; so a gap of 2.2103, not the
/// Wasserstein distance of 2.
#[test]
fn the_gradient_penalty_has_its_exact_optimum() {
    let data = Normal {
        mean: 2.0,
        deviation: 1.0,
    };
    let steps = 700;
    let decay = 100f64.powf(1.0 / steps as f64);
    let mut game = Game::new(&[
        "batch=1024",
        "model.hidden_d=[64, 64]",
        "loss.kind=wasserstein",
        "loss.penalty=gradient",
        "loss.penalty_weight=10",
        "optimizer.d.lr=4e-3",
        "optimizer.d.beta2=0.9",
        &format!("optimizer.d.lr_decay={decay:?}"),
    ]);
    game.spread_bends(-3.0, 6.0);
    game.fix_generator(STANDARD);
    for _ in 0..steps {
        game.discriminator_step(data);
    }
    let scores = game.logits(&grid());
    let mean = |normal: Normal| -> f64 {
        let points = grid().into_iter().zip(&scores);
        points.map(|(x, f)| STEP * normal.density(x) * f).sum()
    };
    let gap = mean(data) - mean(STANDARD);
    // Differences over one step of the grid, where interpolates lie.
    let mut penalty = 0.0;
    for (x, pair) in grid().into_iter().zip(scores.windows(2)) {
        let slope = (pair[1] - pair[0]) / STEP;
        penalty += STEP * between(x + STEP / 2.0) * (slope.abs() - 1.0).powi(2);
    }
    penalty *= 10.0;
    let at = |x: f64| game.logits(&[x - 0.25, x + 0.25]);
    let slope = (at(1.0)[1] - at(1.0)[0]) / 0.5;
    println!("gap {gap:.4}, penalty {penalty:.4}, slope at 1 {slope:.4}");
    assert!((gap - 2.2103).abs() < 0.08, "{gap}");
    assert!((penalty - 0.1052).abs() < 0.03, "{penalty}");
    assert!((slope - 1.083).abs() < 0.04, "{slope}");
}

/// Density of `(1 - a) r + a f`, r of N(2, 1), f of N(0, 1), a uniform.
fn between(x: f64) -> f64 {
    let parts = 200;
    let part = |i| {
        let a = (f64::from(i) + 0.5) / f64::from(parts);
        Normal {
            mean: 2.0 * (1.0 - a),
            deviation: (a * a + (1.0 - a) * (1.0 - a)).sqrt(),
        }
        .density(x)
    };
    (0..parts).map(part).sum::<f64>() / f64::from(parts)
}

/// No weight leaves the box, after any update, from the first.
#[test]
fn clipped_weights_stay_clipped() {
    let clip = 0.01;
    let mut game = Game::new(&[
        "batch=32",
        "loss.kind=wasserstein",
        &format!("loss.weight_clip={clip:?}"),
        "optimizer.d.kind=rmsprop",
        "optimizer.d.lr=5e-3",
    ]);
    game.fix_generator(STANDARD);
    let names = [
        "main.0.weight",
        "main.0.bias",
        "main.2.weight",
        "main.4.weight",
    ];
    let largest = |game: &Game| -> f32 {
        let weights = names
            .iter()
            .flat_map(|name| game.session.read(&format!("D.{name}")).unwrap());
        weights.fold(0.0, |most, w| most.max(w.abs()))
    };
    assert!(largest(&game) <= clip as f32);
    for step in 0..30 {
        game.discriminator_step(Normal {
            mean: 4.0,
            deviation: 0.5,
        });
        let largest = largest(&game);
        assert!(largest <= clip as f32, "step {step}: {largest}");
        // Without the bound they would be larger: it is reached.
        assert_eq!(largest, clip as f32, "step {step}");
    }
}

/// Points near 1 and points near 0 share nothing. A discriminator that knows
/// them apart teaches a minimax generator nothing, a non-saturating one as
/// before; a critic pulls as strongly from everywhere.
#[test]
fn only_the_minimax_gradient_dies_where_supports_are_disjoint() {
    let narrow = Normal {
        mean: 0.0,
        deviation: 0.05,
    };
    let near_one = |z: f64| 1.0 + 0.05 * z;
    let latents: Vec<f32> = (0..256)
        .map(|i| random::normal(i, 0, 0, 3) as f32)
        .collect();
    let pull = |game: &Game, kind: LossKind| {
        game.pull(&latents, |graph, logits| {
            loss::generator(graph, kind, logits.into(), None).unwrap()
        })
        .abs()
    };

    let mut game = Game::new(&["optimizer.d.lr=1e-2"]);
    game.fix_generator(narrow);
    let start = pull(&game, LossKind::Minimax) / pull(&game, LossKind::NonSaturating);
    for _ in 0..300 {
        let real = game.real(near_one);
        game.discriminator_step_on(&real);
    }
    let [minimax, other] =
        [LossKind::Minimax, LossKind::NonSaturating].map(|kind| pull(&game, kind));
    println!("minimax {minimax:.2e}, non-saturating {other:.3}, ratio at the start {start:.2}");
    assert!(start > 0.3, "{start}");
    assert!(minimax < 1e-3 * other, "{minimax}, {other}");
    assert!(other > 1.0, "{other}");

    let decay = 100f64.powf(1.0 / 400.0);
    let mut game = Game::new(&[
        "loss.kind=wasserstein",
        "loss.penalty=gradient",
        "optimizer.d.lr=4e-3",
        "optimizer.d.beta2=0.9",
        &format!("optimizer.d.lr_decay={decay:?}"),
    ]);
    game.spread_bends(-0.5, 1.5);
    game.fix_generator(narrow);
    for _ in 0..400 {
        let real = game.real(near_one);
        game.discriminator_step_on(&real);
    }
    for mean in [0.0, 0.25, 0.5, 0.75] {
        game.fix_generator(Normal { mean, ..narrow });
        let pull = pull(&game, LossKind::Wasserstein);
        println!("wasserstein at {mean}: {pull:.4}");
        assert!((pull - 1.05).abs() < 0.1, "at {mean}: {pull}");
    }
}
