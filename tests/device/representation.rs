//! The discriminator's features and the machine that compares them with pixels:
//! against PyTorch and scikit-learn (representation.py) and by hand.

use std::path::{Path, PathBuf};

use gpugan::classify::LinearSvm;
use gpugan::config::{Config, assignment};
use gpugan::eval::Representation;
use gpugan::metrics::Rows;
use gpugan::ops::Facts;
use gpugan::run::blueprint::Blueprint;
use gpugan::store::checkpoint::Checkpoint;

use crate::adapter::open;
use crate::near::assert_near;
use crate::preset::{changed, system};

fn golden() -> (PathBuf, Checkpoint) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device/representation.safetensors");
    let file = Checkpoint::load(&path).unwrap();
    (path, file)
}

fn features(config: &Config, path: &Path, file: &Checkpoint, images: &[f32]) -> Rows {
    let gpu = open();
    Representation::new(&gpu, &*system(config, 1), file, path)
        .unwrap()
        .look(images)
        .unwrap()
}

#[test]
fn features_are_pytorchs_hidden_layers_pooled() {
    let (path, file) = golden();
    let small = changed("dcgan28", &["data.size=[24, 12]", "model.width=4"]);
    let images = &file.tensors["images"].1;
    // To networks of [0, 1], these are the same.
    let unit = small.with([assignment("model.output=sigmoid").unwrap()]);
    let shifted: Vec<f32> = images.iter().map(|x| 2.0 * x - 1.0).collect();
    let (shape, wanted) = &file.tensors["features"];
    for (config, images) in [(&small, images), (&unit.unwrap(), &shifted)] {
        let found = features(config, &path, &file, images);
        assert_eq!([found.count(), found.width], shape[..]);
        assert_eq!(found.width, 4 * 4 * 4 + 8 * 4 * 3);
        for (found, wanted) in found.values.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-4, "{found}, not {wanted}");
        }
    }
}

/// Pixels that are left of each layer, times its channels, or its units.
#[test]
fn every_architecture_has_layers_to_show() {
    for (preset, changes, wanted) in [
        ("mlp", &[][..], &[240, 240][..]),
        ("dcgan64", &[], &[64 * 16, 128 * 16, 256 * 16, 512 * 16]),
        ("dcgan28", &["loss.pack=2"], &[32 * 16, 64 * 16]),
        ("dcgan28", &["model.minibatch_std=4"], &[32 * 16, 64 * 16]),
        ("wgan-gp", &["model.architecture=resnet"], &[32 * 16; 4]),
    ] {
        let config = changed(
            preset,
            &[changes, &["batch=8", "train.health=false"]].concat(),
        );
        let facts = &Facts::SOFTWARE;
        let more = &["representation"];
        let run = Blueprint::with_views(&config, &*system(&config, 1), facts, more, 8).unwrap();
        let view = &run.views[1];
        assert_eq!(view.count, 8);
        let layers: Vec<usize> = view
            .view
            .outputs
            .iter()
            .map(|layer| {
                let (shape, _) = run.places.get(&format!("representation.{layer}")).unwrap();
                assert_eq!((shape.rank(), shape[0]), (2, 8), "{preset} {changes:?}");
                shape[1]
            })
            .collect();
        assert_eq!(layers, wanted, "{preset} {changes:?}");
    }
}

#[test]
fn linear_machines_are_scikit_learns() {
    let (_, file) = golden();
    let (shape, values) = &file.tensors["rows"];
    let rows: Vec<Vec<f64>> = values
        .chunks_exact(shape[1])
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    let labels: Vec<u32> = file.tensors["labels"].1.iter().map(|&x| x as u32).collect();
    let machine = LinearSvm::train(&rows, &labels, 3, 0.7);
    // A decision value at 0 is the bias, at a unit vector a weight more.
    let zero = vec![0.0; shape[1]];
    let biases: Vec<f64> = machine.scores(&zero).collect();
    for (class, bias) in biases.iter().enumerate() {
        let wanted = f64::from(file.tensors["bias"].1[class]);
        assert_near("bias", *bias, wanted, 1e-3);
        for place in 0..shape[1] {
            let mut unit = zero.clone();
            unit[place] = 1.0;
            let weight = machine.scores(&unit).nth(class).unwrap() - bias;
            let wanted = f64::from(file.tensors["weights"].1[class * shape[1] + place]);
            assert_near("weight", weight, wanted, 1e-3);
        }
    }
}

/// Of one point on each side at distance 1, the bias is 0 and the weight the
/// minimum of `w^2 / 2 + 2 c (1 - w)^2`.
#[test]
fn a_machine_of_two_points_is_the_one_on_paper() {
    for c in [0.25, 1.0, 100.0] {
        let machine = LinearSvm::train(&[vec![1.0], vec![-1.0]], &[0, 1], 2, c);
        let w = 4.0 * c / (1.0 + 4.0 * c);
        for (x, wanted) in [
            (0.0, [0.0, 0.0]),
            (1.0, [w, -w]),
            (-3.0, [-3.0 * w, 3.0 * w]),
        ] {
            let found: Vec<f64> = machine.scores(&[x]).collect();
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(
                    (found - wanted).abs() < 1e-6,
                    "{c} at {x}: {found}, not {wanted}"
                );
            }
        }
        assert_eq!([machine.class(&[0.1]), machine.class(&[-0.1])], [0, 1]);
    }
}
