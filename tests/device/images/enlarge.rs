//! Super-resolution of garments, faces and photographs, 8 pixels to 32: what SRResNet
//! gains over bicubic enlarging, and what SRGAN trades for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use gpugan::classify::Classifier;
use gpugan::data::{Dataset, Input, Loaders, Reading, Streams, bicubic, to_floats, to_pixels};
use gpugan::run::session::Session;
use gpugan::run::shown::Asked;
use image::imageops::{FilterType, crop_imm, resize};

use super::{SEEDS, Spread, classifier, mean, recipe, staged, trained};
use crate::adapter::open;
use crate::fetched::fetched;
use crate::preset::changed;

const SIDE: usize = 32;
const SMALL: usize = SIDE / 4;
/// Pixels at each edge that scores leave out, as the literature does.
const BORDER: usize = 4;

/// How pictures of so many channels are read.
fn reading(channels: usize) -> Reading {
    Reading::new(SIDE, SIDE)
        .channels(Some(channels))
        .input(Input::Small)
}

/// Images that a training sees, and a tenth of each class that none does.
fn parted(data: &str) -> [Arc<Dataset>; 2] {
    let (train, test) = reading(1).open(data).unwrap().hold_out(10);
    [train, test].map(Arc::new)
}

/// Parts of photographs at half their size: those of the left three quarters, which
/// overlap, and those of the right quarter. The photograph is the class.
fn parts_of_photographs(folder: &Path) -> [Arc<Dataset>; 2] {
    for file in fs::read_dir(fetched("photographs")).unwrap() {
        let path = file.unwrap().path();
        let picture = image::open(&path).unwrap().to_rgb8();
        let [width, height] = [picture.width() / 2, picture.height() / 2];
        let half = resize(&picture, width, height, FilterType::Triangle);
        let (side, border) = (SIDE as u32, width / 4 * 3);
        let parts = [
            ("train", 0..border, SIDE / 2),
            ("test", border..width, SIDE),
        ];
        for (part, columns, stride) in parts {
            let to = folder.join(part).join(path.file_stem().unwrap());
            fs::create_dir_all(&to).unwrap();
            for y in (0..=height - side).step_by(stride) {
                for x in (columns.start..=columns.end - side).step_by(stride) {
                    let part = crop_imm(&half, x, y, side, side).to_image();
                    part.save(to.join(format!("{y:03}-{x:03}.png"))).unwrap();
                }
            }
        }
    }
    ["train", "test"].map(|part| {
        let path = folder.join(part);
        Arc::new(reading(3).open(path.to_str().unwrap()).unwrap())
    })
}

/// Small images and the true ones, 8-bit, and the picture that each is a part of.
struct Held {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    pictures: Vec<u32>,
}

impl Held {
    /// Images that are pictures of their own.
    fn of(data: &Dataset) -> Self {
        let pairs = (0..data.len()).map(|item| data.decode_pair(item).unwrap());
        let (small, large) = pairs.unzip();
        Self {
            small,
            large,
            pictures: (0..data.len() as u32).collect(),
        }
    }

    /// Images that are parts of the picture that their class is. Parts of a clear sky have
    /// a signal-to-noise ratio of their own that no network keeps, so as everywhere it is
    /// that of whole pictures that is averaged.
    fn of_parts(data: &Dataset) -> Self {
        Self {
            pictures: data.pixels(0..data.len()).1,
            ..Self::of(data)
        }
    }

    fn bicubic(&self) -> Vec<Vec<u8>> {
        let enlarge = |plane: &[u8]| bicubic(plane, [SMALL; 2], [SIDE; 2]);
        let image = |small: &Vec<u8>| small.chunks(SMALL * SMALL).flat_map(enlarge).collect();
        self.small.iter().map(image).collect()
    }

    /// What a training makes of the small images.
    fn enlarged(&self, session: &mut Session) -> Vec<Vec<u8>> {
        let given = to_floats(&self.small.concat());
        let asked = Asked::given("input", given, self.small.len());
        let images = to_pixels(&session.show(&asked).unwrap());
        let length = images.len() / self.small.len();
        images.chunks(length).map(<[u8]>::to_vec).collect()
    }

    /// Mean peak signal-to-noise ratio of pictures, in dB.
    fn psnr(&self, made: &[Vec<u8>]) -> f64 {
        let mut errors: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for ((real, made), &picture) in self.large.iter().zip(made).zip(&self.pictures) {
            let square = |([x, ..], [y, ..]): ([u8; 3], [u8; 3])| f64::from(x.abs_diff(y)).powi(2);
            let error = mean(inner(real).zip(inner(made)).map(square));
            errors.entry(picture).or_default().push(error);
        }
        let decibels = |errors: &Vec<f64>| {
            let error = mean(errors.iter().copied());
            10.0 * (255.0_f64.powi(2) / error).log10()
        };
        mean(errors.values().map(decibels))
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

/// Values of an image `[C, SIDE, SIDE]` that are not near an edge, each with the next
/// one below and beside it.
fn inner(image: &[u8]) -> impl Iterator<Item = [u8; 3]> {
    let inside = BORDER..SIDE - BORDER;
    image.chunks(SIDE * SIDE).flat_map(move |plane| {
        let columns = inside.clone();
        let places = inside
            .clone()
            .flat_map(move |y| columns.clone().map(move |x| (y, x)));
        places.map(|(y, x)| [(y, x), (y + 1, x), (y, x + 1)].map(|(y, x)| plane[y * SIDE + x]))
    })
}

fn steps(image: &[u8]) -> f64 {
    mean(inner(image).map(|values| {
        let [here, below, beside] = values.map(f64::from);
        (below - here).powi(2) + (beside - here).powi(2)
    }))
}

/// A network of one block: 1 dB more than bicubic enlarging after seconds.
#[test]
fn least_squares_enlarge_better_than_bicubic() {
    let gpu = open();
    let [train, test] = parted("fashion");
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
    let mut session = trained(&gpu, &config, &Streams::one(train));
    let ours = held.psnr(&held.enlarged(&mut session));
    println!("bicubic {bicubic:.2} dB, a small network {ours:.2} dB");
    assert!(ours >= bicubic + 1.0, "{ours} dB, bicubic {bicubic}");
}

/// What is measured of an enlarging, or of several.
#[derive(Debug)]
struct Score<T = f64> {
    psnr: T,
    distance: T,
    sharpness: T,
}

impl Score {
    fn over(scores: &[Self]) -> Score<Spread> {
        Score {
            psnr: Spread::of(scores, |score| score.psnr),
            distance: Spread::of(scores, |score| score.distance),
            sharpness: Spread::of(scores, |score| score.sharpness),
        }
    }
}

/// T9b and T9c, of the means over seeds: SRResNet is what SRGAN begins with, its first
/// stage of least squares, and so what remains of it without features and discriminator.
/// `gain` is in dB; classifiers are trained for so many epochs.
fn decibels_are_traded(
    [train, test]: [Arc<Dataset>; 2],
    held: fn(&Dataset) -> Held,
    gain: f64,
    epochs: f64,
    changes: &[&str],
) {
    let gpu = open();
    let held = held(&test);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.safetensors");
    classifier(&gpu, &train, &recipe(&train, epochs, 0), &file);
    // One that no training has looked through.
    let other = folder.path().join("judge.safetensors");
    let mut judge = classifier(&gpu, &train, &recipe(&train, epochs, 1), &other);
    let (pixels, labels) = test.pixels(0..test.len());
    let sure = judge.accuracy(&to_floats(&pixels), &labels).unwrap();
    let mut score = |made: &[Vec<u8>]| Score {
        psnr: held.psnr(made),
        distance: held.distance(&mut judge, made),
        sharpness: held.sharpness(made),
    };
    let bicubic = score(&held.bicubic());
    println!("judge {sure:.3}; bicubic {bicubic:.3?}");
    let scores = SEEDS.map(|seed| {
        let features = format!("loss.features={}", file.display());
        let config = changed(
            "srgan32",
            &[
                &[&*format!("seed={seed}"), &features, "train.health=false"],
                changes,
            ]
            .concat(),
        );
        let data = Streams::one(Arc::clone(&train));
        let mut feed = Loaders::new(&data, config.batch, seed, &[], config.data.mirror).unwrap();
        let mut first = None;
        let mut session = staged(&gpu, &config, &data, &mut feed, &mut |session| {
            first = Some(score(&held.enlarged(session)));
        });
        let srresnet = first.unwrap();
        println!("seed {seed}: SRResNet {srresnet:.3?}");
        let srgan = score(&held.enlarged(&mut session));
        println!("seed {seed}: SRGAN {srgan:.3?}");
        (srresnet, srgan)
    });
    let (srresnet, srgan): (Vec<_>, Vec<_>) = scores.into_iter().unzip();
    let [srresnet, srgan] = [srresnet, srgan].map(|scores| Score::over(&scores));
    println!("all seeds: SRResNet {srresnet:.3?}, SRGAN {srgan:.3?}");
    assert!(srresnet.psnr.mean >= bicubic.psnr + gain);
    assert!(srgan.psnr.mean < srresnet.psnr.mean);
    assert!(srgan.distance.mean < srresnet.distance.mean);
    let off = |score: &Score<Spread>| score.sharpness.mean.ln().abs();
    assert!(off(&srgan) < off(&srresnet));
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn srgan_trades_decibels_of_garments() {
    decibels_are_traded(parted("fashion"), Held::of, 1.0, 6.0, &[]);
}

/// With the preset's weight, the adversarial loss of so few faces draws details that are
/// sharp, but not the person's.
#[test]
#[ignore = "takes minutes: make test-long"]
fn srgan_trades_decibels_of_faces() {
    let faces = fetched("faces");
    decibels_are_traded(
        parted(faces.to_str().unwrap()),
        Held::of,
        1.0,
        60.0,
        &["loss.adversarial=1e-4"],
    );
}

/// A photograph's parts are told from those of others.
#[test]
#[ignore = "takes minutes: make test-long"]
fn srgan_trades_decibels_of_photographs() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts_of_photographs(folder.path());
    decibels_are_traded(parts, Held::of_parts, 0.3, 10.0, &[]);
}
