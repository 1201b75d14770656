//! Edges into garments and faces (systems of pairs): is the right image made of an input,
//! does it depend on the input, and what does each part of the loss do?

use std::sync::Arc;

use gpugan::Error;
use gpugan::data::{Columns, Feed, IMAGE, Input, Loaders, Reading, Streams};
use gpugan::gpu::Gpu;

use super::{applied, l1, shown, told};
use crate::adapter::open;
use crate::fetched::fetched;
use crate::preset::changed;

/// What a training is shown.
#[derive(Clone, Copy, PartialEq)]
enum Pairing {
    True,
    /// The inputs of other images of the batch.
    Shuffled,
}

struct Paired(Loaders, Pairing);

impl Feed for Paired {
    fn next_columns(&mut self, stream: usize) -> Result<Columns, Error> {
        let mut columns = self.0.next_columns(stream)?;
        for (name, values) in &mut columns {
            if *name == IMAGE && self.1 == Pairing::Shuffled {
                let half = values.len() / 2;
                values.rotate_right(half);
            }
        }
        Ok(columns)
    }
}

/// Mean squared difference of neighbouring pixels of images `[N, C, side, side]`.
fn edge_energy(images: &[f32], side: usize) -> f64 {
    let rows = images.chunks_exact(side);
    let along = rows.flat_map(|row| row.windows(2).map(|pair| f64::from(pair[1] - pair[0])));
    along.map(|x| x * x).sum::<f64>() / images.len() as f64
}

/// What was found of a training, on pairs that it has not seen.
#[derive(Debug)]
struct Found {
    /// Mean distance of outputs from the true images.
    output: f64,
    /// Of the inputs themselves, and of the mean true image.
    copied: f64,
    mean: f64,
    /// Of the outputs for other inputs.
    permuted: f64,
    /// Share of outputs that a classifier tells, over its share of true images; 0 where
    /// none is asked.
    told: f64,
    /// Differences of neighbouring pixels, over those of true images.
    sharpness: f64,
}

struct Setting<'a> {
    data: &'a str,
    side: usize,
    /// Epochs of the classifier; with 0 none is asked.
    epochs: f64,
    changes: &'a [&'a str],
    tested: usize,
}

fn found(gpu: &Gpu, setting: &Setting<'_>, more: &[&str], pairing: Pairing) -> Found {
    let Setting {
        data,
        side,
        epochs,
        changes,
        tested,
    } = *setting;
    let reading = Reading::new(side, side)
        .channels(Some(1))
        .input(Input::Edges);
    let (train, test) = reading.open(data).unwrap().hold_out(10);
    let (train, test) = (Arc::new(train), Arc::new(test));
    let config = changed("pix2pix32", &[changes, more].concat());
    let data = Streams::one(Arc::clone(&train));
    let loaders = Loaders::new(&data, config.batch, config.seed, &[], false).unwrap();
    let mut session = shown(gpu, &config, &data, &mut Paired(loaders, pairing));
    let records = Streams::one(Arc::clone(&test)).records(0, tested).unwrap();
    let (inputs, truth) = (&records.inputs, &records.images);
    let made = applied(&mut session, "translate", inputs, records.count);
    let pixels = side * side;
    let mut others = made.clone();
    others.rotate_right(pixels * (records.count / 2));
    let mut mean = vec![0.0; pixels];
    for (index, x) in truth.iter().enumerate() {
        mean[index % pixels] += x / records.count as f32;
    }
    let step = test.len() / records.count;
    let labels: Vec<u32> = (0..records.count)
        .map(|i| test.label(i * step).unwrap())
        .collect();
    let found = Found {
        output: l1(&made, truth),
        copied: l1(inputs, truth),
        mean: l1(&mean.repeat(records.count), truth),
        permuted: l1(&others, truth),
        told: told(gpu, (&train, epochs), [&made, truth], &labels),
        sharpness: edge_energy(&made, side) / edge_energy(truth, side),
    };
    println!("{more:?}: {found:.3?}");
    found
}

/// The seed is the preset's; a training of seconds.
#[test]
fn a_short_training_makes_the_image_of_its_input() {
    let setting = Setting {
        data: "fashion",
        side: 16,
        epochs: 0.0,
        changes: &[
            "data.size=16",
            "model.width=8",
            "model.d_layers=1",
            "steps=250",
            "optimizer.g.lr=2e-3",
        ],
        tested: 50,
    };
    let gpu = open();
    let of = |pairing| found(&gpu, &setting, &[], pairing);
    let right = of(Pairing::True);
    assert!(right.output < 0.5 * right.copied && right.output < right.mean);
    assert!(right.permuted > 1.5 * right.output);
    // Pairs that are none teach the mean image.
    let wrong = of(Pairing::Shuffled);
    assert!(wrong.output > 1.3 * right.output && wrong.permuted < 1.2 * wrong.output);
}

/// T4b to T4e at full size, over three seeds.
fn edges_are_completed(setting: &Setting<'_>) {
    let gpu = open();
    for seed in ["seed=0", "seed=1", "seed=2"] {
        let of =
            |changes: &[&str], pairing| found(&gpu, setting, &[&[seed], changes].concat(), pairing);
        let both = of(&[], Pairing::True);
        assert!(both.output < 0.5 * both.copied && both.output < both.mean);
        assert!(both.permuted > 1.5 * both.output);
        assert!(both.told > 0.9);
        let l1_alone = of(&["loss.adversarial=0"], Pairing::True);
        assert!((1.0 - both.sharpness).abs() < (1.0 - l1_alone.sharpness).abs());
        let adversarial_alone = of(&["loss.l1=0"], Pairing::True);
        assert!(both.told >= adversarial_alone.told);
        // Pairs that are none teach nothing of the input.
        let wrong = of(&[], Pairing::Shuffled);
        assert!(wrong.output > 1.3 * both.output && wrong.told < 0.5);
    }
}

#[test]
#[ignore = "a training of minutes for each of three seeds and four losses"]
fn edges_become_the_garments_they_are_of() {
    edges_are_completed(&Setting {
        data: "fashion",
        side: 32,
        epochs: 6.0,
        changes: &["steps=1500"],
        tested: 200,
    });
}

/// Whose face it is can be told of what is made of its edges.
#[test]
#[ignore = "a training of minutes for each of three seeds and four losses"]
fn edges_become_the_faces_they_are_of() {
    edges_are_completed(&Setting {
        data: fetched("faces").to_str().unwrap(),
        side: 32,
        epochs: 60.0,
        changes: &["steps=1500"],
        tested: 40,
    });
}
