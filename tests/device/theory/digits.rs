//! Goodfellow et al. 2014, table 1, on the 8x8 digits: the log-likelihood of
//! held-out images under a Parzen window of samples.

use gpugan::data::{Dataset, normalized};
use gpugan::run::latent;
use gpugan::systems::gan::Settings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::gpu;
use crate::preset::changed;
use crate::{batch, session};

/// Images that a window is made of, and of each window's images.
const SAMPLES: usize = 1000;
const PIXELS: usize = 64;

/// Standard deviation of the window, of pixels in [0, 1]: fixed, so that all
/// samplers are measured alike.
const SIGMA: f64 = 0.2;

/// Mean over `images` of the log of the mean of normal densities around
/// `centres`; both `[N, PIXELS]` in [0, 1].
fn log_likelihood(images: &[f32], centres: &[f32]) -> f64 {
    let count = (centres.len() / PIXELS) as f64;
    let scale = count.ln() + PIXELS as f64 / 2.0 * (std::f64::consts::TAU * SIGMA * SIGMA).ln();
    let of_image = |image: &[f32]| {
        let exponents: Vec<f64> = centres
            .chunks_exact(PIXELS)
            .map(|centre| {
                let squares = image
                    .iter()
                    .zip(centre)
                    .map(|(a, b)| f64::from(a - b).powi(2));
                -squares.sum::<f64>() / (2.0 * SIGMA * SIGMA)
            })
            .collect();
        let most = exponents.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = exponents.iter().map(|x| (x - most).exp()).sum();
        most + sum.ln() - scale
    };
    let images = images.chunks_exact(PIXELS);
    let number = images.len() as f64;
    images.map(of_image).sum::<f64>() / number
}

/// Samples of the mlp of the preset after so many steps on `images` `[N, PIXELS]`
/// in [-1, 1]; in [0, 1].
fn generated(images: &[f32], steps: u64) -> Vec<f32> {
    let changes = [
        "data.size=8",
        "batch=100",
        "model.latent=64",
        "model.hidden_g=[256, 256]",
        "model.maxout_units=120",
        "model.output_bias=zero",
        // Adam and stronger initial weights learn in thousands of steps what
        // the published settings take a hundred thousand for.
        "model.irange_g=0.1",
        "model.irange_d=0.05",
        "optimizer.g.kind=adam",
        "optimizer.g.lr=2e-3",
        "optimizer.g.lr_decay=1",
        "optimizer.d.kind=adam",
        "optimizer.d.lr=1e-3",
        "optimizer.d.lr_decay=1",
        "train.ema_decay=0.999",
        "train.health=false",
    ];
    let config = changed("mlp", &changes);
    let model = Settings::of(&config).unwrap().model;
    let mut session = session(gpu(), &config);
    let mut rng = StdRng::seed_from_u64(1);
    let count = images.len() / PIXELS;
    for _ in 0..steps {
        let real: Vec<f32> = (0..config.batch)
            .flat_map(|_| {
                let start = rng.random_range(0..count) * PIXELS;
                images[start..start + PIXELS].iter().copied()
            })
            .collect();
        session.step(&mut batch(&real)).unwrap();
    }
    let z: Vec<f32> = (0..SAMPLES as u64)
        .flat_map(|seed| latent::of_seed(model.latent_distribution, 0, model.latent, seed))
        .collect();
    unit(&session.sample(&z).unwrap())
}

/// [-1, 1] to [0, 1].
fn unit(images: &[f32]) -> Vec<f32> {
    images.iter().map(|x| (x + 1.0) / 2.0).collect()
}

/// Log-likelihoods of held-out digits: under training images, samples after so
/// many steps, independent pixels with the right marginals, and noise.
fn compared(steps: u64) -> [f64; 4] {
    let digits = Dataset::open("digits", 8, 8, None).unwrap();
    let [mut train, mut held] = [Vec::new(), Vec::new()];
    for item in 0..digits.len() {
        let image = digits.decode(item).unwrap().into_iter().map(normalized);
        if item % 5 == 0 { &mut held } else { &mut train }.extend(image);
    }
    let fake = generated(&train, steps);
    let (train, held) = (unit(&train), unit(&held));

    let mut rng = StdRng::seed_from_u64(2);
    let noise: Vec<f32> = (0..SAMPLES * PIXELS).map(|_| rng.random()).collect();
    // Each pixel of another image: the right marginals, and nothing else.
    let count = train.len() / PIXELS;
    let marginals: Vec<f32> = (0..SAMPLES * PIXELS)
        .map(|place| train[rng.random_range(0..count) * PIXELS + place % PIXELS])
        .collect();
    let found = [&train[..SAMPLES * PIXELS], &fake, &marginals, &noise]
        .map(|centres| log_likelihood(&held, centres));
    println!("training images, samples, marginals, noise: {found:.2?}");
    found
}

#[test]
fn a_little_training_explains_digits_better_than_their_marginals() {
    let [_, samples, marginals, noise] = compared(500);
    assert!(noise < marginals && marginals < samples);
}

#[test]
#[ignore = "long: make test-long"]
fn samples_explain_held_out_digits_nearly_as_training_images_do() {
    let [best, samples, ..] = compared(6000);
    assert!(samples >= 0.8 * best, "{samples} is under 80 % of {best}");
}
