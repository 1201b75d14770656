//! Images of a class through the command line.

use std::fs;
use std::path::Path;

use super::commands::{CLASSIFY, gpugan, refused, success, unlabelled_pictures};

/// The smallest generator of classes.
const SMALL: [&str; 13] = [
    "--cond",
    "--quiet",
    "--data",
    "digits",
    "--batch",
    "16",
    "--set",
    "data.size=8",
    "--set",
    "model.width=4",
    "--set",
    "model.units=16",
    "--steps=3",
];

fn image(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().to_rgb8()
}

#[test]
fn images_of_a_class_are_trained_sampled_and_scored() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    success(gpugan(home, &[&["train"], &SMALL[..]].concat()));
    let run = "runs/00000-cdcgan28-digits";
    assert!(home.join(run).join("fakes000003.png").is_file());
    let sample = |more: &[&str]| gpugan(home, &[&["sample", "--checkpoint", run], more].concat());

    // Of each class the same seeds, a row each.
    success(sample(&["--out", "all.png"]));
    success(sample(&[
        "--out",
        "three.png",
        "--class",
        "3,5,7",
        "--seeds",
        "0-7",
    ]));
    let [all, three] = ["all.png", "three.png"].map(|name| image(&home.join(name)));
    assert!(all.height() > all.width() && three.height() < three.width());
    success(sample(&[
        "--out", "three/", "--class", "3, 5", "--seeds", "2",
    ]));
    success(sample(&["--out", "all/", "--seeds", "2"]));
    let names: Vec<_> = fs::read_dir(home.join("three")).unwrap().collect();
    assert_eq!(names.len(), 2);
    for name in ["class3-seed0002.png", "class5-seed0002.png"] {
        let [one, other] = ["three", "all"].map(|folder| image(&home.join(folder).join(name)));
        assert_eq!(one, other, "{name}");
    }
    let [third, fifth] = [3, 5].map(|class| {
        let name = format!("three/class{class}-seed0002.png");
        image(&home.join(name))
    });
    assert_ne!(third, fifth);
    success(sample(&[
        "--class", "1,2", "--seeds", "0,1", "--walk", "--frames", "2",
    ]));
    assert!(home.join("walk.gif").is_file());
    refused(&sample(&["--class", "12"]), &["no class 12", "0 to 9"]);

    success(gpugan(
        home,
        &[&CLASSIFY[..], &["--epochs", "1", "--quiet"]].concat(),
    ));
    let scored = ["eval", "--checkpoint", run, "--samples", "40", "--json"];
    let said = success(gpugan(home, &scored));
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let scores = report["scores"].as_array().unwrap();
    for name in [
        "class-agreement(digits-classifier)",
        "nearest-neighbour",
        "nearest-neighbour-real",
    ] {
        let score = scores.iter().find(|score| score["name"] == name);
        let value = score.unwrap_or_else(|| panic!("no {name}: {said}"))["value"].as_f64();
        assert!((0.0..=1.0).contains(&value.unwrap()), "{name}: {value:?}");
    }
}

#[test]
fn classes_that_are_not_there_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    unlabelled_pictures(home);
    let train = |more: &[&str]| gpugan(home, &[&["train", "--cond"], more].concat());
    refused(
        &train(&["--data", "pictures", "--set", "data.size=8"]),
        &["0 classes", "a folder for each class"],
    );
    refused(
        &train(&["--preset", "mlp"]),
        &["model.architecture = mlp", "cdcgan28"],
    );

    let plain = [
        "train", "--quiet", "--data", "digits", "--batch", "8", "--steps", "1",
    ];
    let small = ["--set", "data.size=8", "--set", "model.width=4"];
    success(gpugan(home, &[&plain[..], &small].concat()));
    let run = "runs/00000-dcgan28-digits";
    refused(
        &gpugan(home, &["sample", "--checkpoint", run, "--class", "3"]),
        &["not make images of classes", "--cond"],
    );
}
