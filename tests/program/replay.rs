//! Training against PyTorch: the golden files in `torch/fixtures` hold what
//! PyTorch, and NumPy for Boltzmann machines, computed from the traces of these runs
//! (`make fixtures`).

use std::path::{Path, PathBuf};

use gpugan::store::checkpoint::{self, Checkpoint};
use gpugan::systems::presets;
use serde::Deserialize;

use crate::preset::system;
use crate::run::program;

/// Largest error: of a loss relative to PyTorch's, of an element relative to
/// its tensor's largest.
const TOLERANCE: f64 = 1e-3;

const MEND: &str = "if initial weights or batches changed on purpose, run `make fixtures`";

#[derive(Deserialize)]
struct Fixture {
    arguments: Vec<String>,
    /// The reports of each step, in the order of their system.
    metrics: Vec<Vec<f64>>,
    /// Tensors that no output depends on, whose values are rounding.
    #[serde(default)]
    free: Vec<String>,
    tensors: std::collections::BTreeMap<String, Digest>,
}

/// A tensor after the last step.
#[derive(Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f64,
    /// Element `i` of `n` is number `i * numel / n` of the tensor.
    elements: Vec<f64>,
}

/// The folder of a run with all its steps traced.
fn train(outdir: &Path, arguments: &[&str], steps: usize) -> PathBuf {
    let steps = steps.to_string();
    let output = program()
        .args(["train", "--quiet", "--steps", &steps, "--trace", &steps])
        .arg("--outdir")
        .arg(outdir)
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let runs = std::fs::read_dir(outdir).unwrap();
    // Runs are numbered, so the newest is the last by name.
    let runs = runs.map(|entry| entry.unwrap().path());
    runs.filter(|path| path.is_dir()).max().unwrap()
}

fn trace(run: &Path) -> Checkpoint {
    Checkpoint::load(&run.join("trace.safetensors")).unwrap()
}

fn metrics(trace: &Checkpoint, step: usize) -> &[f32] {
    &trace.tensors[&format!("step{step:05}.metrics")].1
}

fn agrees_with_pytorch(name: &str) {
    let path = format!("tests/torch/fixtures/{name}.json");
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let arguments: Vec<&str> = fixture.arguments.iter().map(String::as_str).collect();
    let outdir = tempfile::tempdir().unwrap();
    let run = train(outdir.path(), &arguments, fixture.metrics.len());
    let trace = trace(&run);

    assert!(fixture.metrics.len() >= 5);
    let config = presets::read(&run.join("config.toml")).unwrap();
    let channels = config.data.channels.unwrap_or(1);
    let reports = system(&config, channels).reports();
    assert!(
        fixture
            .metrics
            .iter()
            .all(|step| step.len() == reports.len())
    );
    for (step, expected) in fixture.metrics.iter().enumerate() {
        let metrics = metrics(&trace, step);
        for ((&x, &y), metric) in metrics.iter().zip(expected).zip(&reports) {
            let error = (f64::from(x) - y).abs() / y.abs();
            let metric = metric.name;
            assert!(
                error <= TOLERANCE,
                "{name}: {metric} of step {step} is {x}, PyTorch's {y}; {MEND}"
            );
        }
    }

    // Moments are seen by what they lead to.
    let ours = trace.tensors.keys();
    let ours: Vec<_> = ours
        .filter(|name| name.starts_with("after."))
        .filter(|name| !name.starts_with("after.moment"))
        .map(|name| name["after.".len()..].to_owned())
        .collect();
    assert_eq!(ours, fixture.tensors.keys().cloned().collect::<Vec<_>>());
    for (tensor, expected) in &fixture.tensors {
        let (shape, values) = &trace.tensors[&format!("after.{tensor}")];
        assert_eq!(*shape, expected.shape, "{name}: {tensor}");
        if fixture.free.contains(tensor) {
            continue;
        }
        let near = |x: f32, y: f64| (f64::from(x) - y).abs() <= TOLERANCE * expected.largest;
        let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(
            near(largest, expected.largest),
            "{name}: {tensor} reaches {largest}, PyTorch's {}; {MEND}",
            expected.largest
        );
        for (index, &y) in expected.elements.iter().enumerate() {
            let place = index * values.len() / expected.elements.len();
            let x = values[place];
            assert!(
                near(x, y),
                "{name}: {tensor}[{place}] is {x}, PyTorch's {y}; {MEND}"
            );
        }
    }
}

/// Maxout, dropout, simultaneous updates, momentum inside the velocity.
#[test]
fn twenty_steps_of_the_mlp_are_those_of_pytorch() {
    agrees_with_pytorch("mlp");
}

/// RMSprop and Adam, two discriminator steps, dropout drawn anew in each.
#[test]
fn twenty_alternating_steps_of_the_mlp_are_those_of_pytorch() {
    agrees_with_pytorch("mlp-alternating");
}

/// Convolutions, batch normalisation, Adam, the moving average.
#[test]
fn twenty_steps_of_the_dcgan_are_those_of_pytorch() {
    agrees_with_pytorch("dcgan32");
}

/// The linear stem, pre-training, the minimax loss, smoothed labels, momentum
/// outside the velocity with schedules, weight decay.
#[test]
fn twenty_steps_of_the_small_dcgan_are_those_of_pytorch() {
    agrees_with_pytorch("dcgan28");
}

/// Classes beside every layer, batch normalisation without gains, output padding, a
/// batch with labels of the generator's own.
#[test]
fn twenty_conditional_steps_are_those_of_pytorch() {
    agrees_with_pytorch("cdcgan28");
}

/// Gains and offsets of classes, a projection under spectral normalisation, an
/// auxiliary classifier.
#[test]
fn twenty_residual_steps_of_classes_are_those_of_pytorch() {
    agrees_with_pytorch("resnet-classes");
}

/// Weights that are clipped, five critic steps, RMSprop.
#[test]
fn twenty_steps_of_the_wgan_are_those_of_pytorch() {
    agrees_with_pytorch("wgan");
}

/// The gradient penalty: PyTorch's `create_graph`.
#[test]
fn twenty_steps_of_the_wgan_gp_are_those_of_pytorch() {
    agrees_with_pytorch("wgan-gp");
}

/// Spectral normalisation, the hinge loss.
#[test]
fn twenty_steps_of_the_sngan_are_those_of_pytorch() {
    agrees_with_pytorch("sngan");
}

/// R1 in every fourth update through layer normalisation and the minibatch's
/// deviation, pairs judged together.
#[test]
fn twenty_relativistic_steps_are_those_of_pytorch() {
    agrees_with_pytorch("relativistic");
}

/// Augmentation, fading instance noise, group normalisation.
#[test]
fn twenty_steps_of_feature_matching_are_those_of_pytorch() {
    agrees_with_pytorch("feature-matching");
}

/// A penalty around real images through instance normalisation, in steps of
/// both networks at once.
#[test]
fn twenty_steps_of_the_dragan_are_those_of_pytorch() {
    agrees_with_pytorch("dragan");
}

/// Least squares with smoothed labels, R2.
#[test]
fn twenty_steps_with_r2_are_those_of_pytorch() {
    agrees_with_pytorch("r2");
}

/// Gradients through three updates of the discriminator.
#[test]
fn twenty_unrolled_steps_are_those_of_pytorch() {
    agrees_with_pytorch("unrolled");
}

/// Residual blocks, minibatch discrimination, augmentation of every second image,
/// a schedule of discriminator steps.
#[test]
fn twenty_steps_of_the_resnet_are_those_of_pytorch() {
    agrees_with_pytorch("resnet");
}

/// Residual blocks under spectral normalisation, augmentation whose probability
/// follows the discriminator.
#[test]
fn twenty_steps_with_adaptive_augmentation_are_those_of_pytorch() {
    agrees_with_pytorch("resnet-adaptive");
}

/// A variational autoencoder, with the noise that was drawn on the host.
#[test]
fn twenty_steps_of_the_autoencoder_are_those_of_pytorch() {
    agrees_with_pytorch("vae");
}

/// Pixels that are black or white, RMSprop.
#[test]
fn twenty_steps_of_the_binary_autoencoder_are_those_of_pytorch() {
    agrees_with_pytorch("vae-binary");
}

/// Masked layers.
#[test]
fn twenty_steps_of_made_are_those_of_pytorch() {
    agrees_with_pytorch("made");
}

/// One triangular layer, weight decay.
#[test]
fn twenty_steps_of_the_belief_network_are_those_of_pytorch() {
    agrees_with_pytorch("fvbn");
}

/// Chains that go on, momentum.
#[test]
fn twenty_steps_of_persistent_divergence_are_those_of_numpy() {
    agrees_with_pytorch("rbm");
}

/// Chains from the data, weight decay, a falling rate.
#[test]
fn twenty_steps_of_contrastive_divergence_are_those_of_numpy() {
    agrees_with_pytorch("rbm-cd");
}

/// U-Net, dropout that is the same in both passes, patches judged with their inputs.
#[test]
fn steps_of_paired_translation_are_those_of_pytorch() {
    agrees_with_pytorch("pix2pix");
}

/// Whole squares, images judged alone, no normalisation.
#[test]
fn steps_of_paired_translation_by_squares_are_those_of_pytorch() {
    agrees_with_pytorch("pix2pix-squares");
}

/// Cycles, identities, and a pool that is full after a few steps.
#[test]
fn steps_of_unpaired_translation_are_those_of_pytorch() {
    agrees_with_pytorch("cyclegan");
}

/// Batch normalisation, cross-entropy, no pool.
#[test]
fn steps_of_unpaired_translation_without_a_pool_are_those_of_pytorch() {
    agrees_with_pytorch("cyclegan-batch");
}

/// Enlarging, with the features of a classifier, total variation and an adversarial
/// loss.
#[test]
fn five_steps_of_srgan_are_those_of_pytorch() {
    agrees_with_pytorch("srgan");
}

/// With the features of convolutions that a user gives.
#[test]
fn five_steps_of_srgan_with_given_convolutions_are_those_of_pytorch() {
    agrees_with_pytorch("srgan-convolutions");
}

/// Two streams, a discriminator with three answers, features that stay as they are.
#[test]
fn five_steps_of_domain_transfer_are_those_of_pytorch() {
    agrees_with_pytorch("dtn");
}

const SMALL: [&str; 6] = [
    "--preset",
    "dcgan28",
    "--batch",
    "4",
    "--set",
    "model.width=4",
];

#[test]
fn a_run_from_the_weights_of_another_starts_with_its_losses() {
    let outdir = tempfile::tempdir().unwrap();
    let first = trace(&train(outdir.path(), &SMALL, 1));
    let mut weights = Checkpoint::default();
    for (name, tensor) in &first.tensors {
        if let Some(name) = name.strip_prefix("before.")
            && (name.starts_with("G.") || name.starts_with("D."))
        {
            weights.tensors.insert(name.to_owned(), tensor.clone());
        }
    }
    let file = outdir.path().join("weights.safetensors");
    weights.save(&file).unwrap();

    // Other weights would be drawn.
    let other = [&SMALL[..], &["--set", "model.init_std=0.05"]].concat();
    let without = trace(&train(outdir.path(), &other, 1));
    assert_ne!(metrics(&first, 0), metrics(&without, 0));
    let with = [&other[..], &["--init", file.to_str().unwrap()]].concat();
    let with = trace(&train(outdir.path(), &with, 1));
    assert_eq!(metrics(&first, 0), metrics(&with, 0));
    for (name, tensor) in &first.tensors {
        assert_eq!(*tensor, with.tensors[name], "{name}");
    }
}

#[test]
fn a_run_from_a_checkpoint_takes_its_weights_and_not_its_moments() {
    let outdir = tempfile::tempdir().unwrap();
    let run = train(outdir.path(), &SMALL, 2);
    let file = run.join(checkpoint::file_name(2));
    let saved = Checkpoint::load(&file).unwrap();
    let with = [&SMALL[..], &["--init", file.to_str().unwrap()]].concat();
    let started = trace(&train(outdir.path(), &with, 1));
    for (name, (shape, values)) in &saved.tensors {
        let (_, before) = &started.tensors[&format!("before.{name}")];
        if name.starts_with("moment") {
            assert!(values.iter().any(|&x| x != 0.0), "{name}");
            assert!(before.iter().all(|&x| x == 0.0), "{name} {shape:?}");
        } else {
            assert_eq!(before, values, "{name}");
        }
    }
}
