//! Restricted Boltzmann machines that are small enough to enumerate: what training
//! and sampling on the adapter do, against the exact distribution in f64.

mod exact;

use std::sync::Arc;

use gpugan::config::Config;
use gpugan::data::{Dataset, IMAGE, Same, normalized};
use gpugan::error::Result;
use gpugan::gpu::Gpu;
use gpugan::metrics::mean_and_deviation;
use gpugan::nn::{self, Init};
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::run::shown::Asked;
use gpugan::systems::{
    self, Build, Counters, Field, Given, Known, Network, Pass, Report, System, View,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::adapter::open;
use crate::preset::changed;
use exact::{Exact, HIDDEN, STATES, TENSORS, VISIBLE};

const IMAGE_SHAPE: [usize; 3] = [1, 2, 3];
/// A machine of 6 visible and 4 hidden units.
fn config(changes: &[&str]) -> Config {
    let hidden = format!("model.hidden={HIDDEN}");
    let always = [hidden.as_str(), "train.health=false"];
    changed("rbm", &[&always[..], changes].concat())
}

fn system(config: &Config) -> Arc<dyn System> {
    systems::open(config, &Given::images(IMAGE_SHAPE)).unwrap()
}

fn session(gpu: &Gpu, config: &Config, system: Arc<dyn System>, views: &[&str]) -> Session {
    let facts = gpu.facts.kernel_facts();
    let blueprint = Blueprint::with_views(config, &*system, &facts, views, STATES).unwrap();
    Session::new(gpu, config, system, blueprint).unwrap()
}

/// The number's bits as pixels in [-1, 1].
fn pixels(state: usize) -> impl Iterator<Item = f32> {
    (0..VISIBLE).map(move |bit| if state >> bit & 1 == 1 { 1.0 } else { -1.0 })
}

fn images(states: impl IntoIterator<Item = usize>) -> Vec<f32> {
    states.into_iter().flat_map(pixels).collect()
}

/// The batch that these states are.
fn batch(states: impl IntoIterator<Item = usize>) -> Same {
    Same(vec![(IMAGE, images(states))])
}

/// The directions of the last update, in the order of [`Exact::statistics`].
fn directions(session: &Session) -> Vec<f64> {
    let read = |name: &&str| session.read(&format!("gradient.{name}")).unwrap();
    TENSORS.iter().flat_map(read).map(f64::from).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Rows or columns of 2 x 3 pixels that are white throughout: what no independent
/// pixels make.
const BARS: [usize; 8] = [
    0, 0b000_111, 0b111_000, 0b111_111, 0b001_001, 0b010_010, 0b100_100, 0,
];

#[test]
fn energies_and_probabilities_are_those_of_enumeration() {
    let config = config(&[]);
    let system = system(&config);
    assert_eq!(system.likelihood().unwrap().known, Known::Exactly);
    let mut session = session(&open(), &config, system, &["energy", "likelihood"]);
    let exact = Exact::drawn(1.2);
    exact.write(&session);
    let asked = Asked::given("images", images(0..STATES), STATES);
    let energies = session.look("energy", &asked).unwrap().swap_remove(0);
    let logs = session.look("likelihood", &asked).unwrap().swap_remove(0);
    let want = exact.log_probabilities();
    for v in 0..STATES {
        let energy = (f64::from(energies[v]) - exact.free_energy(v)).abs();
        let log = (f64::from(logs[v]) - want[v]).abs();
        assert!(energy < 1e-5 && log < 1e-5, "state {v}: {energy} {log}");
    }
    let sum: f64 = logs.iter().map(|&log| f64::from(log).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to {sum}");
}

#[test]
fn hundreds_of_units_have_no_exact_likelihood() {
    let config = changed("rbm", &[]);
    let system = systems::open(&config, &Given::images([1, 28, 28])).unwrap();
    assert_eq!(system.likelihood(), None);
    let networks = system.networks().unwrap();
    assert_eq!(networks[0].count(), 393_284);
}

/// The chains of a machine that does not move sample its distribution. Their 128 * 200
/// states, five Gibbs steps apart, leave a standard error of at most 0.5 / 160 if they
/// are independent; the bound is five of them.
#[test]
fn persistent_chains_have_the_statistics_of_the_model() {
    const STEPS: usize = 200;
    let changes = ["batch=128", "model.k=5", "optimizer.r.lr=0"];
    let config = config(&changes);
    let mut session = session(&open(), &config, system(&config), &[]);
    let exact = Exact::drawn(1.2);
    exact.write(&session);
    let data: Vec<usize> = BARS.iter().copied().cycle().take(128).collect();
    let of_data = exact.data_means(&data);
    let mut feed = batch(data.iter().copied());
    // The chains start at 0.
    for _ in 0..10 {
        session.step(&mut feed).unwrap();
    }
    let mut means = vec![0.0; of_data.len()];
    for _ in 0..STEPS {
        session.step(&mut feed).unwrap();
        for (mean, (direction, data)) in means
            .iter_mut()
            .zip(directions(&session).iter().zip(&of_data))
        {
            *mean += (direction + data) / STEPS as f64;
        }
    }
    let want = exact.expectations();
    let worst = |found: &[f64]| {
        let errors = found.iter().zip(&want).map(|(a, b)| (a - b).abs());
        errors.fold(0.0, f64::max)
    };
    println!("worst error of {} means: {:.4}", means.len(), worst(&means));
    assert!(worst(&means) < 5.0 * 0.5 / 160.0);
    // Data whose statistics differ would be seen.
    assert!(worst(&of_data) > 0.1, "{}", worst(&of_data));
}

/// The direction of CD with many steps is that of the exact gradient, within the error
/// of 1024 samples; that of a negative phase that is left out is not.
#[test]
fn many_gibbs_steps_give_the_gradient_of_the_likelihood() {
    let changes = [
        "batch=1024",
        "model.k=30",
        "model.persistent=false",
        "optimizer.r.lr=0",
    ];
    let config = config(&changes);
    let mut session = session(&open(), &config, system(&config), &[]);
    let exact = Exact::drawn(1.2);
    exact.write(&session);
    let data: Vec<usize> = BARS.iter().copied().cycle().take(1024).collect();
    session.step(&mut batch(data.iter().copied())).unwrap();
    let (of_data, of_model) = (exact.data_means(&data), exact.expectations());
    let gradient: Vec<f64> = of_model.iter().zip(&of_data).map(|(a, b)| a - b).collect();
    let found = cosine(&directions(&session), &gradient);
    let positive: Vec<f64> = of_data.iter().map(|x| -x).collect();
    println!(
        "cosine {found:.4}, of the positive phase alone {:.4}",
        cosine(&positive, &gradient)
    );
    assert!(found > 0.98, "{found}");
    assert!(cosine(&positive, &gradient) < 0.9);
}

/// Mean log-likelihood of the bars before and after 600 updates.
fn trained(gpu: &Gpu, config: &Config, system: Arc<dyn System>) -> [f64; 2] {
    let mut session = session(gpu, config, system, &[]);
    let before = Exact::of(&session).log_likelihood(&BARS);
    let states = BARS.iter().copied().cycle().take(config.batch);
    let mut feed = batch(states);
    for _ in 0..600 {
        session.step(&mut feed).unwrap();
    }
    [before, Exact::of(&session).log_likelihood(&BARS)]
}

/// Independent pixels reach -3.97 nats on the bars, each of which is white in 3 of 8, and
/// a model at most minus the entropy of the data, -(6 ln 8 + 2 ln 4) / 8 = -1.91.
#[test]
fn training_raises_the_exact_likelihood_above_independent_pixels() {
    let gpu = open();
    for persistent in [true, false] {
        let mut after = Vec::new();
        for seed in 0..3 {
            let config = config(&[
                "batch=64",
                "model.k=5",
                &format!("model.persistent={persistent}"),
                &format!("seed={seed}"),
            ]);
            let [before, now] = trained(&gpu, &config, system(&config));
            println!("persistent {persistent}, seed {seed}: {before:.3} to {now:.3}");
            assert!(now > before + 0.5, "{before} {now}");
            after.push(now);
        }
        let (mean, deviation) = mean_and_deviation(&after);
        let deviation = deviation.unwrap();
        println!("persistent {persistent}: {mean:.3} +- {deviation:.3}");
        assert!(
            mean - 2.0 * deviation > independent(&BARS),
            "{mean} {deviation}"
        );
    }
}

/// Mean log-likelihood of states under their own independent pixels.
fn independent(states: &[usize]) -> f64 {
    let share = |i: usize| {
        let on = states.iter().filter(|&&v| v >> i & 1 == 1).count();
        on as f64 / states.len() as f64
    };
    let entropy = |p: f64| -(p * p.ln() + (1.0 - p) * (1.0 - p).ln());
    -(0..VISIBLE).map(share).map(entropy).sum::<f64>()
}

/// The same machine without a negative phase.
struct PositivePhase(Arc<dyn System>);

impl System for PositivePhase {
    fn networks(&self) -> Result<Vec<Network>> {
        self.0.networks()
    }

    fn fields(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn reports(&self) -> Vec<Report> {
        self.0.reports()[..1].to_vec()
    }

    fn passes(&self) -> Vec<Pass> {
        self.0.passes()
    }

    fn schedule(&self, done: &Counters) -> Vec<&'static str> {
        self.0.schedule(done)
    }

    fn views(&self) -> Vec<View> {
        Vec::new()
    }

    fn look(&self, _: &str, _: &mut Build<'_>) -> Result<()> {
        Ok(())
    }

    fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = build.field("images")?;
        let count = build.count() as f32;
        let (graph, net) = build.net("R")?;
        let visible = nn::flatten(graph, images)?;
        let zero = || Init::Constant(0.0);
        let weight = net.parameter(graph, "weight", [HIDDEN, VISIBLE], zero())?;
        net.parameter(graph, "bias_visible", [VISIBLE], zero())?;
        let bias = net.parameter(graph, "bias_hidden", [HIDDEN], zero())?;
        let trained: Vec<_> = net.trained().map(|(_, id)| id).collect();
        let logits = graph.matmul(visible, weight, false, true)?;
        let logits = graph.add(logits, bias)?;
        let hidden = graph.unary(gpugan::graph::Unary::Sigmoid, logits);
        let products = graph.matmul(hidden, visible, true, false)?;
        let products = graph.scale(products, 1.0 / count);
        let graph = &mut build.graph;
        let mut mean = |units, length: usize| {
            let mean = graph.mean(units, &[0])?;
            graph.reshape(mean, [length])
        };
        let means = [products, mean(visible, VISIBLE)?, mean(hidden, HIDDEN)?];
        let downhill = means.map(|mean| build.graph.neg(mean));
        build.descend("R", trained.into_iter().zip(downhill).collect());
        let size = build.graph.mean_all(means[0])?;
        build.report("loss", size);
        Ok(())
    }
}

#[test]
fn without_a_negative_phase_the_likelihood_falls() {
    let config = config(&["batch=64"]);
    let system = Arc::new(PositivePhase(system(&config)));
    let [before, after] = trained(&open(), &config, system);
    println!("without a negative phase: {before:.3} to {after:.3}");
    assert!(after < before - 1.0, "{before} {after}");
}

/// Total variation between the samples of 1500 seeds and the exact distribution. That
/// of independent samples is about `sum sqrt(p (1 - p) / (2 pi n))`, the mean absolute
/// deviations of 64 binomials halved; the bound is 1.5 times this. Independent pixels
/// of the same means are farther away.
#[test]
fn samples_have_the_distribution_of_the_model() {
    const SEEDS: usize = 1500;
    let config = config(&["model.k=10", "model.sample_rounds=3"]);
    let mut session = session(&open(), &config, system(&config), &[]);
    let exact = Exact::drawn(3.0);
    exact.write(&session);
    let shown = session
        .look("sample", &Asked::seeds(0..SEEDS as u64))
        .unwrap();
    let mut counts = vec![0.0; STATES];
    for visible in shown[1].chunks(VISIBLE) {
        let state = visible
            .iter()
            .enumerate()
            .map(|(i, &on)| (on as usize) << i)
            .sum::<usize>();
        counts[state] += 1.0 / SEEDS as f64;
    }
    let log = exact.log_probabilities().into_iter();
    let want: Vec<f64> = log.map(f64::exp).collect();
    let distance = |found: &[f64]| {
        let errors = found.iter().zip(&want).map(|(a, b)| (a - b).abs());
        errors.sum::<f64>() / 2.0
    };
    let count = 2.0 * std::f64::consts::PI * SEEDS as f64;
    let expected: f64 = want.iter().map(|p| (p * (1.0 - p) / count).sqrt()).sum();
    let means = &exact.expectations()[VISIBLE * HIDDEN..][..VISIBLE];
    let product = |v: usize| -> f64 {
        let of = |(i, &p): (usize, &f64)| if v >> i & 1 == 1 { p } else { 1.0 - p };
        means.iter().enumerate().map(of).product()
    };
    let apart: Vec<f64> = (0..STATES).map(product).collect();
    println!(
        "total variation {:.4}, expected {expected:.4}, of independent pixels {:.4}",
        distance(&counts),
        distance(&apart)
    );
    assert!(distance(&counts) < 1.5 * expected);
    assert!(distance(&apart) > 1.5 * expected);
    // Probabilities of the last step, from which the states were drawn.
    assert!(shown[0].iter().all(|p| (0.0..=1.0).contains(p)));
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert!((mean(&shown[0]) - mean(&shown[1])).abs() < 0.03);
}

/// Each of four hidden units is a copy of a pixel, and the pixel of it.
#[test]
fn chains_start_at_those_of_training_or_at_images() {
    let config = config(&["model.k=3", "model.sample_rounds=2", "batch=4"]);
    let mut session = session(&open(), &config, system(&config), &[]);
    let copies = (0..HIDDEN * VISIBLE).map(|at| {
        if at / VISIBLE == at % VISIBLE {
            60.0
        } else {
            0.0
        }
    });
    session
        .write(TENSORS[0], &copies.collect::<Vec<f32>>())
        .unwrap();
    session.write(TENSORS[1], &[-30.0; VISIBLE]).unwrap();
    session.write(TENSORS[2], &[-30.0; HIDDEN]).unwrap();
    // In [-1, 1], as `images` has them.
    let mut ends = |asked: &Asked| -> Vec<f32> {
        let ends = session.look("sample", asked).unwrap().swap_remove(1);
        ends.iter().map(|on| 2.0 * on - 1.0).collect()
    };

    let states = 0..1 << HIDDEN;
    let start = images(states.clone());
    let mut asked = Asked::given("visible", start.clone(), states.len());
    asked.given.push(("round", vec![1.0; states.len()]));
    assert_eq!(ends(&asked), start);

    let chains = [1, 6, 11, 12];
    let on = |chain: usize| (0..HIDDEN).map(move |bit| (chain >> bit & 1) as f32);
    let hidden: Vec<f32> = chains.iter().flat_map(|&chain| on(chain)).collect();
    session.write("chains.hidden", &hidden).unwrap();
    let ends = session
        .look("sample", &Asked::seeds(0..40))
        .unwrap()
        .swap_remove(1);
    let met = |chain: usize| {
        let ends = ends.chunks(VISIBLE);
        ends.filter(|end| end[..HIDDEN].iter().copied().eq(on(chain)))
            .count()
    };
    let met = chains.map(met);
    println!("starts at each of four chains: {met:?}");
    assert_eq!(met.iter().sum::<usize>(), 40);
    assert!(met.iter().all(|&count| count > 2));
}

#[test]
fn chains_go_on_where_a_saved_run_left_them() {
    let config = config(&["batch=16"]);
    let gpu = open();
    let mut feed = batch(BARS.iter().copied().cycle().take(16));
    let mut whole = session(&gpu, &config, system(&config), &[]);
    let mut first = session(&gpu, &config, system(&config), &[]);
    let mut second = session(&gpu, &config, system(&config), &[]);
    for _ in 0..2 {
        first.step(&mut feed).unwrap();
    }
    let state = first.state();
    assert!(state.iter().any(|(name, _)| name == "chains.hidden"));
    for (name, _) in &state {
        second.write(name, &first.read(name).unwrap()).unwrap();
    }
    second.counters = first.counters.clone();
    for _ in 0..2 {
        whole.step(&mut feed).unwrap();
        second.step(&mut feed).unwrap();
    }
    for _ in 0..2 {
        whole.step(&mut feed).unwrap();
    }
    for (name, _) in &state {
        assert_eq!(
            whole.read(name).unwrap(),
            second.read(name).unwrap(),
            "{name}"
        );
    }
}

/// T12d: nats of held-out 8x8 digits, pixels rounded to 0 or 1.
#[test]
fn digits_are_likelier_than_as_independent_pixels() {
    const PIXELS: usize = 64;
    const TRAINED: usize = 1400;
    let digits = Dataset::open("digits", 8, 8, None).unwrap();
    let pixels = (0..digits.len()).flat_map(|item| digits.decode(item).unwrap());
    // Halves are white, as rounding to even would not have them.
    let pixels: Vec<f32> = pixels
        .map(|p| if normalized(p) >= 0.0 { 1.0 } else { -1.0 })
        .collect();
    let (seen, held_out) = pixels.split_at(TRAINED * PIXELS);
    let held_out = &held_out[..256 * PIXELS];
    let config = changed(
        "rbm",
        &[
            "batch=100",
            "model.hidden=16",
            "model.k=5",
            "train.health=false",
            "optimizer.r.lr=0.05",
        ],
    );
    let system = systems::open(&config, &Given::images([1, 8, 8])).unwrap();
    let mut session = session(&open(), &config, system, &["likelihood"]);
    let nats = |session: &mut Session| {
        let asked = Asked::given("images", held_out.to_vec(), 256);
        let logs = session.look("likelihood", &asked).unwrap().swap_remove(0);
        logs.iter().map(|&x| f64::from(x)).sum::<f64>() / 256.0
    };
    let before = nats(&mut session);
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..1500 {
        let chosen = (0..100).map(|_| random.random_range(0..TRAINED));
        let images = chosen
            .flat_map(|i| &seen[i * PIXELS..][..PIXELS])
            .copied()
            .collect();
        session.step(&mut Same(vec![(IMAGE, images)])).unwrap();
    }
    let after = nats(&mut session);
    let share = |i: usize| {
        let on = seen.chunks(PIXELS).filter(|image| image[i] > 0.0).count();
        // Laplace's rule: some pixels are never white.
        (on as f64 + 1.0) / (TRAINED as f64 + 2.0)
    };
    let shares: Vec<f64> = (0..PIXELS).map(share).collect();
    let log = |(at, &pixel): (usize, &f32)| match pixel > 0.0 {
        true => shares[at % PIXELS].ln(),
        false => (1.0 - shares[at % PIXELS]).ln(),
    };
    let alone = held_out.iter().enumerate().map(log).sum::<f64>() / 256.0;
    println!("held-out nats: {before:.2} to {after:.2}, independent pixels {alone:.2}");
    assert!(after > alone + 2.0, "{after} {alone}");
}
