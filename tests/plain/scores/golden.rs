//! Against the packages that golden.py ran.

use std::collections::HashMap;
use std::path::Path;

use gpugan::metrics::{Rows, frechet, inception, kernel, memory, neighbours, ssim, wasserstein};
use gpugan::store::checkpoint::Checkpoint;

use crate::near::assert_near;

/// What every score must agree within.
const TOLERANCE: f64 = 1e-3;

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Expected {
    One(f64),
    Many(Vec<f64>),
}

struct Golden {
    arrays: Checkpoint,
    expected: HashMap<String, Expected>,
}

impl Golden {
    fn load() -> Self {
        #[derive(serde::Deserialize)]
        struct File {
            expected: HashMap<String, Expected>,
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plain/scores");
        let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
        Self {
            arrays: Checkpoint::load(&folder.join("golden.safetensors")).unwrap(),
            expected: serde_json::from_str::<File>(&text).unwrap().expected,
        }
    }

    fn one(&self, name: &str) -> f64 {
        match &self.expected[name] {
            Expected::One(value) => *value,
            Expected::Many(_) => panic!("{name} is several values"),
        }
    }

    fn many(&self, name: &str) -> &[f64] {
        match &self.expected[name] {
            Expected::Many(values) => values,
            Expected::One(_) => panic!("{name} is one value"),
        }
    }

    fn rows(&self, name: &str) -> Rows {
        let (shape, values) = &self.arrays.tensors[name];
        Rows {
            values: values.clone(),
            width: shape[1],
        }
    }

    fn pixels(&self, name: &str) -> Vec<u8> {
        let (_, values) = &self.arrays.tensors[name];
        values.iter().map(|&x| x as u8).collect()
    }
}

fn frechet_of(real: &Rows, fake: &Rows) -> f64 {
    let [real, fake] = [real, fake].map(|rows| frechet::Moments::of(rows).unwrap());
    frechet::distance(&real, &fake)
}

#[test]
fn frechet_distances_are_scipys() {
    let golden = Golden::load();
    for (name, real, fake) in [
        ("frechet", "real", "fake"),
        ("frechet_singular", "flat_real", "flat_fake"),
    ] {
        let found = frechet_of(&golden.rows(real), &golden.rows(fake));
        assert_near(name, found, golden.one(name), TOLERANCE);
    }
}

#[test]
fn kernel_distances_are_torch_fidelitys() {
    let golden = Golden::load();
    let found = kernel::distance(&golden.rows("real"), &golden.rows("fake")).unwrap();
    assert_near("kernel", found.value, golden.one("kernel"), TOLERANCE);
    let error = found.spread.unwrap();
    assert_near("its error", error, golden.one("kernel_error"), TOLERANCE);
}

#[test]
fn neighbourhoods_are_those_of_torch_fidelity_and_scikit_learn() {
    let golden = Golden::load();
    let found = neighbours::compare(&golden.rows("real"), &golden.rows("fake")).unwrap();
    for (name, value) in [
        ("precision", found.precision),
        ("recall", found.recall),
        ("density", found.density),
        ("coverage", found.coverage),
    ] {
        assert_near(name, value, golden.one(name), TOLERANCE);
    }
}

#[test]
fn inception_style_scores_are_torch_fidelitys() {
    let golden = Golden::load();
    let logits = golden.rows("logits");
    let mut probabilities = Vec::new();
    for row in logits.values.chunks_exact(logits.width) {
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        probabilities.extend(row.iter().map(|&x| f64::from(x).exp() / sum));
    }
    let found = inception::score(&probabilities, logits.width).unwrap();
    assert_near("score", found.value, golden.one("inception"), TOLERANCE);
    let deviation = found.spread.unwrap();
    assert_near(
        "deviation",
        deviation,
        golden.one("inception_deviation"),
        TOLERANCE,
    );
}

#[test]
fn structural_similarities_are_those_of_scipys_filters() {
    let golden = Golden::load();
    let (x, y) = (golden.pixels("coarse"), golden.pixels("mixed"));
    let pairs = x.chunks_exact(784).zip(y.chunks_exact(784));
    for ((x, y), &wanted) in pairs.zip(golden.many("similarity")) {
        assert_near(
            "similarity",
            ssim::similarity(x, y, [1, 28, 28]),
            wanted,
            TOLERANCE,
        );
    }
}

#[test]
fn nearest_images_are_scikit_learns() {
    let golden = Golden::load();
    let [train, fine, generated] = ["coarse", "fine", "generated"].map(|name| golden.pixels(name));
    let found = memory::compare(&generated, memory::Unseen::Images(&fine), &train, 784).unwrap();
    assert_near("ratio", found.ratio, golden.one("memorisation"), TOLERANCE);
}

/// The script has the places of the patches and the directions from the same random
/// numbers.
#[test]
fn sliced_distances_are_numpys() {
    let golden = Golden::load();
    let (real, fake) = (golden.pixels("coarse"), golden.pixels("fine"));
    let found = wasserstein::distances(&real, &fake, [1, 28, 28]).unwrap();
    let wanted = golden.many("swd");
    assert_eq!(found.len(), wanted.len());
    for (level, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_near(&format!("level {level}"), *found, *wanted, TOLERANCE);
    }
}
