//! `gpugan classify` and `gpugan eval` as they are typed, on small data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use gpugan::store::checkpoint::Checkpoint;

use crate::run::program;

/// Runs the program with a cache folder of its own.
pub(crate) fn gpugan(home: &Path, arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .current_dir(home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .output()
        .expect("the program starts")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

pub(crate) fn success(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// One line of error with these parts, exit code 2.
pub(crate) fn refused(output: &Output, parts: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error: {said}"));
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

/// The smallest generator.
const SMALL: [&str; 10] = [
    "--data",
    "digits",
    "--batch",
    "8",
    "--set",
    "data.size=8",
    "--set",
    "model.width=4",
    "--set",
    "model.latent=8",
];

/// A folder with a picture and no classes.
fn unlabelled_pictures(home: &Path) -> String {
    let pictures = home.join("pictures");
    fs::create_dir(&pictures).unwrap();
    image::GrayImage::new(8, 8)
        .save(pictures.join("a.png"))
        .unwrap();
    pictures.to_str().unwrap().to_owned()
}

/// Trains three steps of it; returns its folder.
fn small_run(home: &Path) -> PathBuf {
    success(gpugan(
        home,
        &[&["train", "--steps", "3", "--quiet"], &SMALL[..]].concat(),
    ));
    home.join("runs/00000-dcgan28-digits")
}

/// A classifier of the smallest digits.
pub(crate) const CLASSIFY: [&str; 5] = ["classify", "--data", "digits", "--size", "8"];

#[test]
fn a_classifier_learns_digits_and_scores_samples() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let run = small_run(home);
    let run = run.to_str().unwrap();
    // There is none yet: the error has the command that makes one.
    let ask = ["eval", "--checkpoint", run, "--samples", "80"];
    let command = "gpugan classify --data digits --size 8 --channels 1";
    refused(&gpugan(home, &ask), &["no classifier", command]);

    let text = success(gpugan(home, &[&CLASSIFY[..], &["--epochs", "4"]].concat()));
    let accuracy: f64 = text
        .split("test accuracy ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no accuracy: {text}"));
    assert!(accuracy > 92.0, "{text}");
    let files: Vec<PathBuf> = fs::read_dir(home.join("cache/gpugan"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("classifier-digits"))
        .collect();
    let kept = files
        .iter()
        .find(|path| path.extension().is_some_and(|e| e == "safetensors"));
    let kept = kept.unwrap_or_else(|| panic!("{files:?}"));
    scored_training(home, kept);
    assert!(
        files
            .iter()
            .any(|path| path.extension().is_some_and(|e| e == "log")),
        "{files:?}"
    );
    let file = Checkpoint::load(kept).unwrap();
    assert_eq!(file.metadata["features"], "digits-classifier");
    assert_eq!(file.metadata["size"], "1x8x8");
    assert_eq!(
        file.metadata["classes"],
        r#"["0","1","2","3","4","5","6","7","8","9"]"#
    );
    assert!((100.0 * file.metadata["accuracy"].parse::<f64>().unwrap() - accuracy).abs() < 0.01);
    assert_eq!(file.tensors["C.main.0.weight"].0, [32, 1, 5, 5]);
    assert!(file.tensors.contains_key("C.main.1.running_var"));

    let other = [
        "--data",
        "fashion",
        "--synthetic",
        "--features",
        kept.to_str().unwrap(),
    ];
    let wrong = gpugan(home, &[&ask[..], &other].concat());
    refused(&wrong, &["--synthetic", "digits-classifier", "fashion"]);
    let pictures = unlabelled_pictures(home);
    let unlabelled = [
        "--data",
        &pictures,
        "--representation",
        "--features",
        kept.to_str().unwrap(),
    ];
    let wrong = gpugan(home, &[&ask[..], &unlabelled].concat());
    refused(&wrong, &["--representation", "labels", "pictures"]);

    let table = success(gpugan(home, &ask));
    assert!(table.contains("frechet(digits-classifier)"), "{table}");
    assert!(!table.contains("NaN") && !table.contains("inf"), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(Path::new(run).join("eval.json")).unwrap())
            .unwrap();
    assert_eq!(
        (&report["samples"], &report["real"]),
        (&80.into(), &1797.into())
    );
    assert!(report["scores"].as_array().unwrap().len() >= 12, "{report}");

    // The second time real features come from the cache, and JSON is all there
    // is on standard output.
    assert!(
        fs::read_dir(home.join("cache/gpugan"))
            .unwrap()
            .any(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("real-")
            })
    );
    let few = [
        "eval",
        "--checkpoint",
        run,
        "--samples",
        "4",
        "--json",
        "--metrics",
        "frechet",
        "--representation",
    ];
    let report = json(&gpugan(home, &few));
    let scores = report["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 4, "{report}");
    assert!(
        scores[0]["value"].is_null() && scores[1]["value"].is_f64(),
        "{report}"
    );
    // Of 4 and 8 channels, 4x4 and 2x2 pixels; every tenth digit is a test image.
    for (row, name, width, least) in [
        (2, "svm-discriminator", "96 features", 0.4),
        (3, "svm-pixels", "64 features", 0.7),
    ] {
        assert_eq!(scores[row]["name"], name);
        let note = scores[row]["note"].as_str().unwrap();
        assert!(note.contains(width) && note.contains("176 test"), "{note}");
        let accuracy = scores[row]["value"].as_f64().unwrap();
        assert!((least..1.0).contains(&accuracy), "{report}");
        assert!(scores[row]["spread"].as_f64().unwrap() > 0.0, "{report}");
    }
}

/// What a successful evaluation printed.
fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Radford et al. 2015, section 5.1, on digits.
#[test]
#[ignore = "long: make test-long"]
fn a_trained_discriminators_features_tell_digits_better_than_pixels() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/data/mnist");
    let of = ["--data", data.to_str().unwrap()];
    let with = |arguments: &[&str]| gpugan(home, &[arguments, &of].concat());
    success(with(&["train", "--steps", "1000", "--quiet"]));
    success(with(&["classify", "--epochs", "0.1", "--quiet"]));
    let ask = "eval --checkpoint runs/00000-dcgan28-mnist --samples 64 --metrics modes \
               --representation --json";
    let report = json(&with(&ask.split_whitespace().collect::<Vec<_>>()));
    let accuracy = |name: &str| {
        let mut scores = report["scores"].as_array().unwrap().iter();
        let score = scores.find(|score| score["name"] == name);
        let score = score.unwrap_or_else(|| panic!("no {name}: {report}"));
        println!("{name}: {} ± {}", score["value"], score["spread"]);
        score["value"].as_f64().unwrap()
    };
    let [features, pixels] = ["svm-discriminator", "svm-pixels"].map(accuracy);
    assert!(features > pixels, "{features} is not more than {pixels}");
}

/// A run that scores its snapshots keeps the best one, also when it goes on.
fn scored_training(home: &Path, classifier: &Path) {
    let scored = |more: &[&str]| {
        let features = classifier.to_str().unwrap();
        let arguments = ["train", "--tick", "1", "--snap", "1", "--outdir", "scored"];
        let metrics = ["--metrics", "frechet,modes", "--features", features];
        success(gpugan(home, &[&arguments[..], &metrics, more].concat()))
    };
    let said = scored(&[&SMALL[..], &["--steps", "2"]].concat());
    assert!(said.contains("frechet(digits-classifier)"), "{said}");
    let run = home.join("scored/00000-dcgan28-digits");
    scored(&["--steps", "4", "--resume", run.to_str().unwrap()]);
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<_> = lines
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    let value = |line: &serde_json::Value| line["scores"][0]["value"].as_f64().unwrap();
    let best = lines
        .iter()
        .min_by(|a, b| value(a).total_cmp(&value(b)))
        .unwrap();
    let kept = Checkpoint::load(&run.join("best.safetensors")).unwrap();
    assert_eq!(kept.metadata["step"], best["step"].to_string());
}

#[test]
fn what_cannot_be_classified_or_scored_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let with = |more: &[&str]| gpugan(home, &[&CLASSIFY[..], more].concat());
    refused(&with(&["--epochs", "0"]), &["--epochs 0"]);
    refused(&with(&["--lr", "nan"]), &["--lr"]);
    refused(&with(&["--test", "fashion"]), &["test images", "classes"]);
    let pictures = unlabelled_pictures(home);
    let unlabelled = ["classify", "--data", &pictures, "--size", "8"];
    refused(
        &gpugan(home, &unlabelled),
        &["classes", "a folder for each class"],
    );

    let run = small_run(home);
    let run = run.to_str().unwrap();
    let ask = |more: &[&str]| gpugan(home, &[&["eval", "--checkpoint", run], more].concat());
    refused(
        &ask(&["--metrics", "frechett"]),
        &["frechett", "did you mean `frechet`"],
    );
    let checkpoint = Path::new(run).join("checkpoint-000003.safetensors");
    refused(
        &ask(&["--features", checkpoint.to_str().unwrap()]),
        &["is no classifier", "gpugan classify"],
    );
    assert!(!Path::new(run).join("eval.json").exists());
}
