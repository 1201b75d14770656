//! Training of restricted Boltzmann machines against NumPy: the golden files hold
//! what `torch/replay_rbm.py` computed from the traces of these runs with the same
//! random numbers.

use std::collections::BTreeMap;
use std::process::Command;

use gpugan::store::checkpoint::Checkpoint;
use serde::Deserialize;

/// Largest error: of a report relative to NumPy's, of an element relative to its
/// tensor's largest.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Fixture {
    arguments: Vec<String>,
    /// The reports of each step.
    metrics: Vec<Vec<f64>>,
    tensors: BTreeMap<String, Digest>,
}

/// A tensor after the last step.
#[derive(Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f64,
    /// Element `i` of `n` is number `i * numel / n` of the tensor.
    elements: Vec<f64>,
}

fn agrees_with_numpy(name: &str) {
    let path = format!("tests/torch/fixtures/{name}.json");
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let outdir = tempfile::tempdir().unwrap();
    let steps = fixture.metrics.len().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_gpugan"))
        .args(["train", "--quiet", "--steps", &steps, "--trace", &steps])
        .arg("--outdir")
        .arg(outdir.path())
        .args(&fixture.arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let run = std::fs::read_dir(outdir.path()).unwrap().next().unwrap();
    let trace = run.unwrap().path().join("trace.safetensors");
    let trace = Checkpoint::load(&trace).unwrap();

    assert_eq!(fixture.metrics.len(), 20);
    for (step, expected) in fixture.metrics.iter().enumerate() {
        let (_, reports) = &trace.tensors[&format!("step{step:05}.metrics")];
        assert_eq!(reports.len(), expected.len());
        for (&x, &y) in reports.iter().zip(expected) {
            let error = (f64::from(x) - y).abs() / y.abs();
            assert!(
                error <= TOLERANCE,
                "{name}: step {step} is {x}, NumPy's {y}"
            );
        }
    }
    for (tensor, expected) in &fixture.tensors {
        let (shape, values) = &trace.tensors[&format!("after.{tensor}")];
        assert_eq!(*shape, expected.shape, "{name}: {tensor}");
        let (_, before) = &trace.tensors[&format!("before.{tensor}")];
        assert_ne!(before, values, "{name}: {tensor} has not moved");
        for (index, &y) in expected.elements.iter().enumerate() {
            let place = index * values.len() / expected.elements.len();
            let error = (f64::from(values[place]) - y).abs() / expected.largest;
            assert!(
                error <= TOLERANCE,
                "{name}: {tensor}[{place}] is {}, NumPy's {y}",
                values[place]
            );
        }
    }
}

/// Chains that go on, momentum.
#[test]
fn twenty_steps_of_persistent_divergence_are_those_of_numpy() {
    agrees_with_numpy("rbm");
}

/// Chains from the data, weight decay, a falling rate.
#[test]
fn twenty_steps_of_contrastive_divergence_are_those_of_numpy() {
    agrees_with_numpy("rbm-cd");
}
