//! Networks of images to images: their sizes and names, and what they compute against
//! PyTorch (tests/torch/networks.py made the fixture).

mod counts;
mod golden;
mod inception;

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f64,
    elements: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    output: Digest,
    gradients: BTreeMap<String, Digest>,
    second: Option<Digest>,
}

#[derive(Deserialize)]
struct Fixture {
    names: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    cases: BTreeMap<String, Case>,
}

fn fixture() -> Fixture {
    let path = "tests/torch/fixtures/networks.json";
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
