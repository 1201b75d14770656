//! Garments and the negatives of other garments (systems of two sides that do not
//! pair): is an image turned into its own negative, though no pair was seen?

use std::sync::Arc;

use gpugan::data::{Dataset, Loaders, Streams, to_floats};
use gpugan::gpu::Gpu;

use super::{applied, l1, shown, told};
use crate::adapter::open;
use crate::preset::changed;

/// What was found of a training, on images that it has not seen.
#[derive(Debug)]
struct Found {
    /// Mean distance of what comes back through both generators, of each side.
    cycle: [f64; 2],
    /// Mean distance of outputs from the true negatives.
    output: f64,
    /// Of the inputs from them.
    identity: f64,
    /// Share of outputs that a classifier of negatives tells, over its share of true
    /// ones; 0 where none is asked.
    told: f64,
    /// Mean of the last step's losses of both discriminators.
    judged: f64,
}

/// Garments on black, and the negatives of others; test images of both kinds.
struct Sides {
    a: Arc<Dataset>,
    b: Arc<Dataset>,
    test: Dataset,
}

fn negative(set: &Dataset) -> Dataset {
    let (mut pixels, labels) = set.pixels(0..set.len());
    for pixel in &mut pixels {
        *pixel = 255 - *pixel;
    }
    let classes = set.class_names().to_vec();
    Dataset::of_pixels("negatives", set.shape(), &pixels, labels, classes).unwrap()
}

fn sides(side: usize) -> Sides {
    let all = Dataset::open("fashion", side, side, Some(1)).unwrap();
    let (train, test) = all.hold_out(10);
    let (a, b) = train.hold_out(2);
    Sides {
        a: Arc::new(a),
        b: Arc::new(negative(&b)),
        test,
    }
}

struct Setting<'a> {
    side: usize,
    /// Epochs of the classifier; with 0 none is asked.
    epochs: f64,
    changes: &'a [&'a str],
    tested: usize,
}

fn found(gpu: &Gpu, setting: &Setting<'_>, more: &[&str]) -> Found {
    let Setting {
        side,
        epochs,
        changes,
        tested,
    } = *setting;
    let Sides { a, b, test } = sides(side);
    let config = changed("cyclegan32", &[changes, more].concat());
    let data = Streams::unpaired(a, Arc::clone(&b));
    let mut loaders = Loaders::new(&data, config.batch, config.seed, &[], false).unwrap();
    let mut session = shown(gpu, &config, &data, &mut loaders);
    let (pixels, labels) = test.pixels(test.evenly(tested));
    let images = to_floats(&pixels);
    let count = labels.len();
    let negatives: Vec<f32> = images.iter().map(|x| -x).collect();
    let made = applied(&mut session, "a-to-b", &images, count);
    let back = applied(&mut session, "b-to-a", &made, count);
    let made_a = applied(&mut session, "b-to-a", &negatives, count);
    let back_b = applied(&mut session, "a-to-b", &made_a, count);
    let reports = session.latest_reports().unwrap();
    let of = |name: &str| {
        let place = session
            .reports()
            .iter()
            .position(|report| report.name == name);
        f64::from(reports[place.unwrap()])
    };
    let found = Found {
        cycle: [l1(&back, &images), l1(&back_b, &negatives)],
        output: l1(&made, &negatives),
        identity: l1(&images, &negatives),
        told: told(gpu, (&b, epochs), [&made, &negatives], &labels),
        judged: (of("loss_d_a") + of("loss_d_b")) / 2.0,
    };
    println!("{more:?}: {found:.3?}");
    found
}

/// The seed is the preset's; a training of seconds.
#[test]
fn a_short_training_finds_the_negative_of_an_image() {
    let setting = Setting {
        side: 16,
        epochs: 0.0,
        changes: &[
            "data.size=16",
            "batch=4",
            "model.width=8",
            "model.blocks=1",
            "model.d_layers=1",
            "steps=600",
            "optimizer.g.lr=1e-3",
            "optimizer.d.lr=1e-3",
            // It would teach to keep what is dark and what is light.
            "loss.identity=0",
        ],
        tested: 48,
    };
    let gpu = open();
    let right = found(&gpu, &setting, &[]);
    assert!(right.output < 0.35 * right.identity);
    assert!(right.cycle.iter().all(|distance| *distance < 0.3));
    let without = found(&gpu, &setting, &["loss.cycle=0"]);
    assert!(without.cycle.iter().sum::<f64>() > 2.0 * right.cycle.iter().sum::<f64>());
}

/// T5b to T5f at full size, over three seeds.
#[test]
#[ignore = "a training of minutes for each of three seeds, with and without the cycle"]
fn garments_become_their_own_negatives() {
    let setting = Setting {
        side: 32,
        epochs: 6.0,
        changes: &["steps=3000", "loss.identity=0"],
        tested: 200,
    };
    let gpu = open();
    for seed in ["seed=0", "seed=1", "seed=2"] {
        let right = found(&gpu, &setting, &[seed]);
        assert!(right.cycle.iter().all(|distance| *distance < 0.1));
        assert!(right.output < 0.5 * right.identity);
        assert!(right.told > 0.9);
        // Least squares of a discriminator that knows nothing, and of one that does.
        assert!(right.judged > 0.02 && right.judged < 0.25);
        let without = found(&gpu, &setting, &[seed, "loss.cycle=0"]);
        assert!(without.told < right.told - 0.2);
    }
}
