//! Networks by the names of pytorch-CycleGAN-and-pix2pix, as `gpugan apply` loads them,
//! against PyTorch; images in parts against whole ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpugan::apply::{Model, Trained};
use gpugan::config::Config;
use gpugan::gpu::Gpu;
use gpugan::random;
use gpugan::store::checkpoint::Checkpoint;

use crate::adapter::open;
use crate::preset::changed;
use crate::state_dicts::{saved, start, state_dict};

/// Of a value in [-1, 1].
const TOLERANCE: f32 = 1e-4;

/// A case of apply.py: its name, the preset, what is changed, the network and the size
/// of its image.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    [usize; 2],
);

const SMALL: [Case; 4] = [
    (
        "residual, instance",
        "cyclegan",
        &["model.width=2", "model.blocks=2"],
        "G_A",
        [20, 12],
    ),
    (
        "residual, batch, dropout",
        "cyclegan",
        &[
            "model.width=2",
            "model.blocks=1",
            "model.norm=batch",
            "model.dropout=true",
        ],
        "G_A",
        [12, 20],
    ),
    (
        "unet, own statistics",
        "pix2pix",
        &["model.width=2", "data.size=32", "model.drop_layers=0"],
        "G",
        [32, 32],
    ),
    (
        "unet, running statistics",
        "pix2pix",
        &["model.width=2", "data.size=32", "model.at_test=fixed"],
        "G",
        [32, 32],
    ),
];

#[derive(serde::Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f32,
    elements: Vec<f32>,
}

fn model(gpu: &Gpu, path: &Path, config: &Config, direction: Option<&str>) -> Model {
    let trained = Trained::open(path, Some(config), direction, false);
    Model::new(gpu, trained.unwrap_or_else(|error| panic!("{error}")), None)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, x| m.max(x.abs()))
}

#[test]
fn small_networks_make_pytorchs_images() {
    let text = include_str!("../torch/fixtures/apply.json");
    let wanted: HashMap<String, Digest> = serde_json::from_str(text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gpu = open();
    assert_eq!(wanted.len(), SMALL.len());
    for (name, preset, changes, network, size) in SMALL {
        let config = changed(preset, changes);
        let mut tensors = state_dict(&config, network);
        let wrapped = name.contains("instance");
        if wrapped {
            // As old files, and such of models in several processes, have them.
            for tensor in ["running_mean", "running_var", "num_batches_tracked"] {
                tensors.insert(format!("model.2.{tensor}"), (vec![2], vec![9.0; 2]));
            }
            let all = tensors.into_iter();
            tensors = all
                .map(|(name, tensor)| (format!("module.{name}"), tensor))
                .collect();
        }
        let path = saved(folder.path(), preset, tensors);
        let image = start("image", &[1, 3, size[0], size[1]], 0);
        // Either network of two takes the file.
        let directions: &[Option<&str>] = if wrapped {
            &[None, Some("b-to-a")]
        } else {
            &[None]
        };
        for direction in directions {
            let made = model(&gpu, &path, &config, *direction)
                .image(&image, size, 0)
                .unwrap();
            let wanted = &wanted[name];
            assert_eq!(made.shape[..], wanted.shape[1..]);
            let mut worst = (largest(&made.values) - wanted.largest).abs();
            for (index, element) in wanted.elements.iter().enumerate() {
                let found = made.values[index * made.values.len() / wanted.elements.len()];
                worst = worst.max((found - element).abs());
            }
            println!("{name}: {worst:.1e}");
            assert!(worst < TOLERANCE, "{name} is {worst:.1e} off");
        }
    }
}

/// With running statistics an image in parts is the same as a whole one.
#[test]
fn parts_meet_without_seams() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = open();
    let cases: [(&str, &[&str], &str, usize); 2] = [
        (
            "cyclegan",
            &["model.width=2", "model.blocks=1", "model.norm=batch"],
            "G_A",
            56,
        ),
        (
            "pix2pix",
            &[
                "model.width=2",
                "data.size=32",
                "model.levels=2",
                "model.at_test=fixed",
            ],
            "G",
            32,
        ),
    ];
    for (preset, changes, network, tile) in cases {
        let config = changed(preset, changes);
        let path = saved(folder.path(), preset, state_dict(&config, network));
        // No multiples of 4, and three parts each way.
        let size = [2 * tile + 3, 2 * tile - 7];
        let image: Vec<f32> = (0..3 * size[0] * size[1])
            .map(|i| 2.0 * random::uniform(i as u32, 0, 0, 0) - 1.0)
            .collect();
        let made = |tile: Option<usize>| {
            let trained = Trained::open(&path, Some(&config), None, false).unwrap();
            Model::new(&gpu, trained, tile)
                .image(&image, size, 0)
                .unwrap()
        };
        let (whole, parts) = (made(None), made(Some(tile)));
        assert_eq!(whole.shape, [3, size[0], size[1]]);
        assert_eq!(parts.shape, whole.shape);
        let pairs = whole.values.iter().zip(&parts.values);
        let worst = pairs.fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
        println!("{preset}: seams of {worst:.1e}");
        // A grey level is 2/255.
        assert!(
            worst < 1.0 / 255.0 / 100.0,
            "{preset}: seams of {worst:.1e}"
        );
        assert!(largest(&whole.values) > 0.1);
    }
}

/// `tests/torch/apply.py --large` makes what it needs, with the Python in `PYTHON`.
#[test]
#[ignore = "minutes: networks of 50 million weights, made by PyTorch"]
fn large_networks_make_pytorchs_images() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large");
    let python =
        std::env::var_os("PYTHON").map_or(root.join("target/venv/bin/python"), PathBuf::from);
    let made = Command::new(python)
        .arg(root.join("tests/torch/apply.py"))
        .arg("--large")
        .arg(&folder)
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "PYTHON=... with PyTorch is needed"
    );
    let cases: [(&str, &str, &[&str]); 5] = [
        ("unet_256-batch", "pix2pix", &["model.at_test=fixed"]),
        (
            "unet_128-batch",
            "pix2pix",
            &["model.at_test=fixed", "data.size=128"],
        ),
        ("resnet_9-instance", "cyclegan", &[]),
        ("resnet_6-instance", "cyclegan", &["model.blocks=6"]),
        (
            "resnet_6-dropout",
            "cyclegan",
            &["model.blocks=6", "model.dropout=true"],
        ),
    ];
    let gpu = open();
    for (name, preset, changes) in cases {
        let config = changed(preset, changes);
        let images = Checkpoint::load(&folder.join(format!("{name}.images.safetensors"))).unwrap();
        let (shape, input) = &images.tensors["input"];
        let (_, wanted) = &images.tensors["output"];
        let path = folder.join(format!("{name}.safetensors"));
        let mut model = model(&gpu, &path, &config, None);
        let found = model.image(input, [shape[2], shape[3]], 0).unwrap().values;
        assert_eq!(found.len(), wanted.len());
        let pairs = found.iter().zip(wanted);
        let worst = pairs.fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
        println!("{name}: {worst:.1e}, values to {:.3}", largest(wanted));
        assert!(worst < TOLERANCE, "{name} is {worst:.1e} off");
    }
}
