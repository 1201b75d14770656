//! The Inception network of the Fréchet Inception distance on the device against PyTorch.

use gpugan::classify::{Kind, Stored};

use crate::adapter::open;
use crate::inception_file::{uniform, weights};
use crate::near::assert_elements;

/// What tests/torch/inception.py computes: evenly spaced numbers of each image.
#[derive(serde::Deserialize)]
struct Golden {
    images: Vec<Seen>,
}

#[derive(serde::Deserialize)]
struct Seen {
    features: Vec<f64>,
    probabilities: Vec<f64>,
}

/// `[C, H, W]` of the images.
const IMAGE: [usize; 3] = [3, 24, 20];

/// tests/plain/networks has the short form, in f64.
#[test]
#[ignore = "long: make test-long"]
fn inception_sees_in_images_what_pytorch_sees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inception.safetensors");
    weights().save(&path).unwrap();
    let stored = Stored::read(&path, IMAGE, "none").unwrap();
    assert_eq!(stored.kind(), &Kind::Inception);
    let golden = std::fs::read("tests/torch/fixtures/inception.json").unwrap();
    let golden: Golden = serde_json::from_slice(&golden).unwrap();
    let count = golden.images.len();
    let images = uniform(count * IMAGE.iter().product::<usize>(), 0);
    let mut network = stored.on(&open()).unwrap();
    let [features, classes] = network.widths();
    assert_eq!([features, classes], [2048, 1008]);
    let seen = network.look(&images).unwrap();
    let probabilities = seen.probabilities(classes);
    for (image, wanted) in golden.images.iter().enumerate() {
        let found = &seen.features[image * features..][..features];
        let found: Vec<f64> = found.iter().map(|&x| f64::from(x)).collect();
        assert_elements("features", &found, &wanted.features, 1e-4);
        let found = &probabilities[image * classes..][..classes];
        assert_elements("probabilities", found, &wanted.probabilities, 1e-4);
    }
}
