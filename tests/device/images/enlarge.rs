//! Super-resolution of garments, 8 pixels to 32: what SRResNet gains over bicubic
//! enlarging, and what SRGAN trades for it.

use std::sync::Arc;

use gpugan::classify::Classifier;
use gpugan::config::Config;
use gpugan::data::{Dataset, Input, Reading, Streams, bicubic, to_floats, to_pixels};
use gpugan::gpu::Gpu;
use gpugan::run::shown::Asked;

use super::{classifier, mean, trained};
use crate::adapter::open;
use crate::preset::changed;

const SIDE: usize = 32;
const SMALL: usize = SIDE / 4;
/// Pixels at each edge that scores leave out, as the literature does.
const BORDER: usize = 4;

/// Images that a training sees, and a tenth of each class that none does.
fn garments() -> [Arc<Dataset>; 2] {
    let reading = Reading::new(SIDE, SIDE)
        .channels(Some(1))
        .input(Input::Small);
    let (train, test) = reading.open("fashion").unwrap().hold_out(10);
    [train, test].map(Arc::new)
}

/// Small images and the true ones, 8-bit.
struct Held {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Held {
    fn of(data: &Dataset) -> Self {
        let pairs = (0..data.len()).map(|item| data.decode_pair(item).unwrap());
        let (small, large) = pairs.unzip();
        Self { small, large }
    }

    fn bicubic(&self) -> Vec<Vec<u8>> {
        let enlarge = |small: &Vec<u8>| bicubic(small, [SMALL; 2], [SIDE; 2]);
        self.small.iter().map(enlarge).collect()
    }

    /// What a training made of the small images.
    fn enlarged(&self, gpu: &Gpu, config: &Config, data: &Arc<Dataset>) -> Vec<Vec<u8>> {
        let mut session = trained(gpu, config, &Streams::one(Arc::clone(data)));
        let given = to_floats(&self.small.concat());
        let asked = Asked::given("input", given, self.small.len());
        let images = to_pixels(&session.show(&asked).unwrap());
        images.chunks(SIDE * SIDE).map(<[u8]>::to_vec).collect()
    }

    /// Mean peak signal-to-noise ratio of images, in dB.
    fn psnr(&self, made: &[Vec<u8>]) -> f64 {
        mean(self.large.iter().zip(made).map(|(real, made)| {
            let square = |(x, y)| (f64::from(x) - f64::from(y)).powi(2);
            let pixels = inner(real).zip(inner(made));
            10.0 * (255.0_f64.powi(2) / mean(pixels.map(square))).log10()
        }))
    }

    /// Mean squared distance of a classifier's features of images to those of the true
    /// ones, over the mean squared length of the latter.
    fn distance(&self, judge: &mut Classifier, made: &[Vec<u8>]) -> f64 {
        let [real, made] = [&self.large, made]
            .map(|images| judge.look(&to_floats(&images.concat())).unwrap().features);
        let square = |(x, y): (&f32, &f32)| f64::from(x - y).powi(2);
        let apart = mean(real.iter().zip(&made).map(square));
        apart / mean(real.iter().map(|x| f64::from(*x).powi(2)))
    }

    /// Mean squared step from pixel to pixel of images, over that of the true ones.
    fn sharpness(&self, made: &[Vec<u8>]) -> f64 {
        let energy = |images: &[Vec<u8>]| mean(images.iter().map(|image| steps(image)));
        energy(made) / energy(&self.large)
    }
}

/// Pixels that are not near an edge.
fn inner(image: &[u8]) -> impl Iterator<Item = u8> {
    let inside = BORDER..SIDE - BORDER;
    let rows = inside
        .clone()
        .map(move |y| &image[y * SIDE..][inside.clone()]);
    rows.flatten().copied()
}

fn steps(image: &[u8]) -> f64 {
    let at = |y: usize, x: usize| f64::from(image[y * SIDE + x]);
    let inside = BORDER..SIDE - BORDER;
    mean(inside.clone().flat_map(|y| {
        inside.clone().map(move |x| {
            let [dy, dx] = [at(y + 1, x) - at(y, x), at(y, x + 1) - at(y, x)];
            dy * dy + dx * dx
        })
    }))
}

/// A network of one block: 1 dB more than bicubic enlarging after seconds.
#[test]
fn least_squares_enlarge_better_than_bicubic() {
    let gpu = open();
    let [train, test] = garments();
    let held = Held::of(&test);
    let config = changed(
        "srgan32",
        &[
            "loss.content=0",
            "loss.adversarial=0",
            "loss.pixel=1",
            "loss.pretrain=0",
            "model.width=8",
            "model.blocks=1",
            "optimizer.g.lr=3e-3",
            "optimizer.g.lr_steps=400",
            "steps=400",
            "train.health=false",
        ],
    );
    let bicubic = held.psnr(&held.bicubic());
    let ours = held.psnr(&held.enlarged(&gpu, &config, &train));
    println!("bicubic {bicubic:.2} dB, a small network {ours:.2} dB");
    assert!(ours >= bicubic + 1.0, "{ours} dB, bicubic {bicubic}");
}

/// What is measured of an enlarging.
#[derive(Debug)]
struct Score {
    psnr: f64,
    distance: f64,
    sharpness: f64,
}

/// T9b and T9c, with the ablation of features and discriminator: least squares for all
/// steps.
#[test]
#[ignore = "takes minutes: make test-long"]
fn srgan_trades_decibels_for_features_and_edges() {
    let gpu = open();
    let [train, test] = garments();
    let held = Held::of(&test);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.safetensors");
    classifier(&gpu, &train, 6.0, 0, &file);
    // One that no training has looked through.
    let other = folder.path().join("judge.safetensors");
    let mut judge = classifier(&gpu, &train, 6.0, 1, &other);
    let mut score = |made: &[Vec<u8>]| Score {
        psnr: held.psnr(made),
        distance: held.distance(&mut judge, made),
        sharpness: held.sharpness(made),
    };
    let bicubic = score(&held.bicubic());
    println!("bicubic {bicubic:.3?}");
    for seed in 0..3 {
        let seed = format!("seed={seed}");
        let features = format!("loss.features={}", file.display());
        let game = changed("srgan32", &[&seed, &features, "train.health=false"]);
        let same = ["loss.content=0", "loss.pixel=1", "loss.adversarial=0"];
        let squares = changed(
            "srgan32",
            &[&[&*seed, "train.health=false"], &same[..]].concat(),
        );
        let srresnet = score(&held.enlarged(&gpu, &squares, &train));
        println!("{seed}: SRResNet {srresnet:.3?}");
        let srgan = score(&held.enlarged(&gpu, &game, &train));
        println!("{seed}: SRGAN {srgan:.3?}");
        assert!(srresnet.psnr >= bicubic.psnr + 1.0);
        assert!(srgan.psnr < srresnet.psnr);
        assert!(srgan.distance < srresnet.distance);
        let off = |score: &Score| score.sharpness.ln().abs();
        assert!(off(&srgan) < off(&srresnet));
    }
}
