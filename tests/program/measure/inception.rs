//! The Inception network of the Fréchet Inception distance as `--features`.

use std::fs;
use std::path::Path;

use gpugan::store::checkpoint::Checkpoint;

use crate::inception_file::{shapes, weights};

use super::commands::{gpugan, refused, success};

/// Twelve pictures that differ.
fn pictures(home: &Path) -> String {
    let pictures = home.join("pictures");
    fs::create_dir(&pictures).unwrap();
    for number in 0..12_u32 {
        let pixel =
            |x, y| image::Rgb([x, y, number].map(|v: u32| (v * 40 * (number + 1) % 256) as u8));
        image::RgbImage::from_fn(8, 8, pixel)
            .save(pictures.join(format!("{number}.png")))
            .unwrap();
    }
    pictures.to_str().unwrap().to_owned()
}

/// A training of the smallest generator of these.
fn train<'a>(pictures: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = "--steps 1 --batch 4 --set data.size=8 --set model.width=4 --set model.latent=8";
    let small: Vec<&str> = small.split(' ').collect();
    [&["train", "--quiet", "--data", pictures], &small[..], more].concat()
}

/// Where a file is not the published one, a dry run says what it lacks.
#[test]
fn a_dry_run_looks_for_every_tensor_of_inception() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let pictures = pictures(home);
    let file = |change: &dyn Fn(&mut Checkpoint)| {
        let shapes = shapes().into_iter();
        let zeros = shapes.map(|(name, shape)| {
            let values = vec![0.0; shape.iter().product()];
            (name, (shape, values))
        });
        let mut file = Checkpoint {
            tensors: zeros.collect(),
            ..Checkpoint::default()
        };
        change(&mut file);
        file.save(&home.join("inception.safetensors")).unwrap();
    };
    let asked = |more: &[&'static str]| {
        let ask = "--dry-run --metrics kernel --features inception.safetensors";
        let ask: Vec<&str> = ask.split(' ').collect();
        gpugan(home, &train(&pictures, &[&ask[..], more].concat()))
    };
    let mend = "convert pt_inception-2015-12-05-6726825d.pth";
    file(&|file| drop(file.tensors.remove("Mixed_6b.branch7x7_2.bn.running_var")));
    let lacking = "has no tensor Mixed_6b.branch7x7_2.bn.running_var of [128]";
    refused(&asked(&[]), &[lacking, mend]);
    // As torchvision's own weights.
    let other = (vec![1000, 2048], vec![0.0; 1000 * 2048]);
    file(&|file| drop(file.tensors.insert("fc.weight".into(), other.clone())));
    let wrong = "has fc.weight of [1000, 2048], not [1008, 2048]";
    refused(&asked(&[]), &[wrong, mend]);
    // The bias is of no score.
    file(&|file| drop(file.tensors.remove("fc.bias")));
    success(asked(&[]));
    refused(
        &asked(&["--set", "data.channels=4"]),
        &["1 or 3 channels", "4x8x8"],
    );
    assert!(!home.join("runs").exists());
}

/// With weights that mean nothing, and too few images for the distance itself.
#[test]
#[ignore = "long: make test-long"]
fn scores_of_inception_have_their_published_names() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let pictures = pictures(home);
    success(gpugan(home, &train(&pictures, &[])));
    weights().save(&home.join("inception.safetensors")).unwrap();
    let ask = "eval --checkpoint runs/00000-dcgan28-pictures --raw --samples 12 --json --metrics \
               frechet,kernel,prdc,inception,memorisation --features inception.safetensors";
    let ask: Vec<&str> = ask.split_whitespace().collect();
    let report = gpugan(home, &ask);
    let said = String::from_utf8_lossy(&report.stderr).into_owned();
    assert!(report.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let scores = report["scores"].as_array().unwrap().iter();
    let found: Vec<(&str, bool)> = scores
        .map(|score| (score["name"].as_str().unwrap(), score["value"].is_f64()))
        .collect();
    let wanted = [
        ("fid", false),
        ("kid", true),
        ("precision(inception)", true),
        ("recall(inception)", true),
        ("density(inception)", true),
        ("coverage(inception)", true),
        ("is", true),
        ("memorisation", true),
    ];
    assert_eq!(found, wanted, "{report}");
    assert_eq!(report["features"], "inception");
    assert!(report["classifier_accuracy"].is_null(), "{report}");
    // Its classes are not those of the data.
    let modes: Vec<&str> = ask
        .iter()
        .map(|word| if word.contains(',') { "modes" } else { word })
        .collect();
    refused(&gpugan(home, &modes), &["for modes", "labelled images"]);
    let synthetic = [&ask[..], &["--synthetic"]].concat();
    refused(
        &gpugan(home, &synthetic),
        &["--synthetic", "features are inception", "gpugan classify"],
    );
}
