//! Systems that say how probable an image is, trained on the device.

use gpugan::Result;
use gpugan::config::Config;
use gpugan::data::{Columns, Dataset, Feed, IMAGE, Same, normalized};
use gpugan::metrics::mean_and_deviation;
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::run::shown::Asked;
use gpugan::systems::{self, Given};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::adapter::open;
use crate::preset::changed;

/// Images drawn with replacement.
struct Drawn<'a> {
    images: &'a [Vec<f32>],
    batch: usize,
    rng: StdRng,
}

impl Feed for Drawn<'_> {
    fn next_columns(&mut self, _: usize) -> Result<Columns> {
        let one = |_| &self.images[self.rng.random_range(0..self.images.len())];
        let batch: Vec<&Vec<f32>> = (0..self.batch).map(one).collect();
        Ok(vec![(
            IMAGE,
            batch.into_iter().flatten().copied().collect(),
        )])
    }
}

fn session(config: &Config, [height, width]: [usize; 2], least: usize) -> Session {
    let gpu = open();
    let system = systems::open(config, &Given::images([1, height, width])).unwrap();
    let facts = gpu.facts.kernel_facts();
    let views = ["likelihood"];
    let blueprint = Blueprint::with_views(config, &*system, &facts, &views, least).unwrap();
    Session::new(&gpu, config, system, blueprint).unwrap()
}

/// A session after so many steps on images in [-1, 1].
fn trained(config: &Config, size: [usize; 2], images: &[Vec<f32>], steps: usize) -> Session {
    let mut session = session(config, size, 1);
    let mut feed = Drawn {
        images,
        batch: config.batch,
        rng: StdRng::seed_from_u64(3),
    };
    for _ in 0..steps {
        session.step(&mut feed).unwrap();
    }
    session
}

/// What the view `likelihood` says first of images in [-1, 1].
fn log_likelihoods(session: &mut Session, images: &[Vec<f32>]) -> Vec<f64> {
    let asked = Asked::given("images", images.concat(), images.len());
    let outputs = session.look("likelihood", &asked).unwrap();
    outputs[0].iter().map(|&x| f64::from(x)).collect()
}

fn mean(values: &[f64]) -> f64 {
    mean_and_deviation(values).0
}

/// All images of so many pixels, -1 or 1; pixel `p` of image `i` is bit `p` of `i`.
fn all_images(pixels: usize) -> Vec<Vec<f32>> {
    let pixel = |i: usize, p: usize| if i >> p & 1 == 1 { 1.0 } else { -1.0 };
    let image = |i: usize| (0..pixels).map(|p| pixel(i, p)).collect();
    (0..1 << pixels).map(image).collect()
}

#[test]
fn a_trained_made_draws_images_as_often_as_it_says() {
    let changes = [
        "batch=64",
        "model.hidden=[24]",
        "optimizer.made.lr=2e-2",
        "optimizer.made.lr_steps=0",
        "optimizer.made.weight_decay=0",
    ];
    let all = all_images(6);
    // Those whose rows are equal; independent pixels with their marginals are any.
    let learned: Vec<Vec<f32>> = all.iter().step_by(9).cloned().collect();
    let mut session = trained(&changed("made", &changes), [2, 3], &learned, 400);
    let probabilities: Vec<f64> = log_likelihoods(&mut session, &all)
        .into_iter()
        .map(f64::exp)
        .collect();
    let sum: f64 = probabilities.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let share: f64 = probabilities.iter().step_by(9).sum();
    assert!(share > 0.9, "{share} of the images are learned ones");

    let count = 2048;
    let samples = session.show(&Asked::seeds(0..count)).unwrap();
    let mut found = [0.0; 64];
    for image in samples.chunks(6) {
        assert!(image.iter().all(|x| x.abs() == 1.0), "{image:?}");
        let bits = image.iter().enumerate();
        let number: usize = bits.map(|(p, x)| usize::from(*x > 0.0) << p).sum();
        found[number] += 1.0 / count as f64;
    }
    let pairs = found.iter().zip(&probabilities);
    let distance = 0.5 * pairs.map(|(f, p)| (f - p).abs()).sum::<f64>();
    // Its mean for fair draws, each deviation being normal, and four times the most that
    // its own deviation can be.
    let roots = probabilities.iter().map(|p| (p * (1.0 - p)).sqrt());
    let fair = roots.sum::<f64>() / (std::f64::consts::TAU * count as f64).sqrt();
    let limit = fair + 4.0 / (count as f64).sqrt() / 2.0;
    assert!(
        distance < limit,
        "total variation {distance}, not below {limit}"
    );
    let pairs = found.iter().map(|f| (f - 1.0 / 64.0).abs());
    let far = 0.5 * pairs.sum::<f64>();
    println!("total variation {distance:.3}, limit {limit:.3}, from independent pixels {far:.3}");
    assert!(far > 0.5);
}

/// Mean log-likelihoods of held-out digits, in nats: by a MADE, an FVBN, a VAE's bound,
/// and independent pixels.
fn held_out(seed: u64) -> [f64; 4] {
    let seed = format!("seed={seed}");
    let digits = Dataset::open("digits", 8, 8, None).unwrap();
    let [mut train, mut held] = [Vec::new(), Vec::new()];
    for item in 0..digits.len() {
        let image = digits.decode(item).unwrap().into_iter().map(normalized);
        let image: Vec<f32> = image.map(|x| if x > 0.0 { 1.0 } else { -1.0 }).collect();
        if item % 5 == 0 { &mut held } else { &mut train }.push(image);
    }
    let marginal = |pixel: usize| {
        let white = train.iter().filter(|image| image[pixel] > 0.0).count();
        (white as f64 + 0.5) / (train.len() as f64 + 1.0)
    };
    let marginals: Vec<f64> = (0..64).map(marginal).collect();
    let of_image = |image: &Vec<f32>| -> f64 {
        let pixels = image.iter().zip(&marginals);
        pixels
            .map(|(x, p)| if *x > 0.0 { p.ln() } else { (1.0 - p).ln() })
            .sum()
    };
    let independent = mean(&held.iter().map(of_image).collect::<Vec<_>>());
    let of = |preset: &str, changes: &[&str]| {
        let config = changed(preset, &[&["batch=100", seed.as_str()], changes].concat());
        let mut session = trained(&config, [8, 8], &train, 300);
        mean(&log_likelihoods(&mut session, &held))
    };
    let vae = [
        "model.hidden=128",
        "model.latent=8",
        "model.binary=threshold",
        "optimizer.vae.lr=3e-3",
    ];
    let made = ["model.hidden=[256]", "optimizer.made.lr=3e-3"];
    let fvbn = ["optimizer.fvbn.lr=1e-2"];
    let found = [of("made", &made), of("fvbn", &fvbn), of("vae", &vae)];
    println!("MADE, FVBN, VAE's bound {found:.2?}, independent pixels {independent:.2} nats");
    let [made, fvbn, vae] = found;
    [made, fvbn, vae, independent]
}

/// Held-out digits are the more probable, the more a model knows of how pixels go
/// together.
fn assert_held_out([made, fvbn, vae, independent]: [f64; 4]) {
    assert!([made, fvbn, vae].iter().all(|log| *log > independent + 2.0));
    assert!(made > vae);
}

#[test]
fn held_out_digits_are_least_probable_to_independent_pixels() {
    assert_held_out(held_out(0));
}

#[test]
#[ignore = "long: make test-long"]
fn held_out_digits_are_least_probable_to_independent_pixels_whatever_the_seed() {
    let found: Vec<[f64; 4]> = (0..3).map(held_out).collect();
    for (model, name) in ["MADE", "FVBN", "VAE's bound"].iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|of| of[model]).collect();
        let (mean, deviation) = mean_and_deviation(&values);
        println!("{name}: {mean:.2} +- {:.2} nats", deviation.unwrap());
    }
    found.into_iter().for_each(assert_held_out);
}

#[test]
fn a_variational_autoencoder_learns_to_reconstruct_a_batch() {
    let changes = [
        "batch=16",
        "model.hidden=32",
        "model.latent=4",
        "optimizer.vae.lr=1e-2",
    ];
    let config = changed("vae", &changes);
    let mut session = session(&config, [4, 4], 16);
    let images: Vec<f32> = (0..16 * 16).map(|i| (i as f32 * 0.37).sin()).collect();
    let mut feed = Same(vec![(IMAGE, images)]);
    for _ in 0..60 {
        session.step(&mut feed).unwrap();
    }
    let reports = session.finish().unwrap();
    let [first, last] = [&reports[0].1, &reports[59].1];
    assert!(last[0] < first[0] - 0.5, "{first:?} {last:?}");
    for (_, report) in &reports {
        assert!((report[0] - report[1] - report[2]).abs() < 1e-3 && report[2] >= 0.0);
    }
    let asked = Asked::given("images", feed.0[0].1.clone(), 16);
    let outputs = session.look("likelihood", &asked).unwrap();
    for (weighted, elbo) in outputs[0].iter().zip(&outputs[1]) {
        assert!(
            *elbo <= weighted + 1e-4 && *weighted < 0.0,
            "{elbo} {weighted}"
        );
    }
}

/// Eight pixels whose covariance has known eigenvalues: each image is a sum of the eight
/// vectors of Hadamard's matrix, every one with every sign, so that its parts are
/// uncorrelated. Values are in [-1, 1], which the model sees as [0, 1].
fn of_known_covariance(deviations: [f64; 8]) -> Vec<Vec<f32>> {
    let sign = |bits: usize| 1.0 - 2.0 * f64::from(bits.count_ones() & 1);
    let image = |signs: usize| {
        let pixel = |p: usize| -> f64 {
            let parts = deviations.iter().enumerate();
            parts
                .map(|(k, deviation)| sign(signs >> k & 1) * sign(k & p) * deviation)
                .sum()
        };
        (0..8).map(|p| (2.0 * pixel(p)) as f32).collect()
    };
    (0..256).map(image).collect()
}

/// The greatest mean log-likelihood of probabilistic PCA with so many directions (Tipping
/// and Bishop 1999, equations 4 and 8), for the eigenvalues of the data's covariance from
/// the largest on.
fn principal_components(eigenvalues: &[f64], directions: usize) -> f64 {
    let (kept, left) = eigenvalues.split_at(directions);
    let variance = mean(left);
    let logs = kept.iter().map(|value| value.ln()).sum::<f64>();
    let count = eigenvalues.len() as f64;
    -0.5 * (count * std::f64::consts::TAU.ln() + logs + left.len() as f64 * variance.ln() + count)
}

/// T12c: a linear decoder with normal pixels is probabilistic PCA, whose posterior a
/// linear encoder can be (Lucas et al. 2019, 1911.02469).
#[test]
fn a_linear_gaussian_autoencoder_reaches_principal_components() {
    let deviations = [0.15, 0.1, 0.06, 0.02, 0.02, 0.02, 0.02, 0.02];
    let images = of_known_covariance(deviations);
    // A vector of Hadamard's matrix has the square 8.
    let eigenvalues = deviations.map(|deviation| 8.0 * deviation * deviation);
    let reached = |latent: usize| {
        let latent = format!("model.latent={latent}");
        let changes = [
            &*latent,
            "batch=256",
            "steps=3000",
            "model.hidden=0",
            "model.pixels=gaussian",
            "optimizer.vae.lr=1e-2",
            "optimizer.vae.lr_steps=3000",
        ];
        let config = changed("vae", &changes);
        let mut session = session(&config, [2, 4], 256);
        let mut feed = Same(vec![(IMAGE, images.concat())]);
        for _ in 0..config.steps {
            session.step(&mut feed).unwrap();
        }
        mean(&log_likelihoods(&mut session, &images))
    };
    let best = [2, 3].map(|directions| principal_components(&eigenvalues, directions));
    let found = [2, 3].map(reached);
    println!("reached {found:.3?} nats, probabilistic PCA {best:.3?}");
    for (found, best) in found.into_iter().zip(best) {
        // More than the best is the noise of the importance weights.
        assert!((best - found).abs() < 0.05, "{found}, not {best}");
    }
    assert!(best[1] > best[0] + 0.5);
}
