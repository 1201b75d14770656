//! `gpugan classify` and `gpugan eval` as they are typed, on small data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gpugan::train::checkpoint::Checkpoint;

/// Runs the program with a cache folder of its own.
pub(super) fn gpugan(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpugan"))
        .args(arguments)
        .current_dir(home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

pub(super) fn success(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// One line of error with these parts, exit code 2.
pub(super) fn refused(output: &Output, parts: &[&str]) {
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

/// Trains three steps of it; returns its folder.
fn small_run(home: &Path) -> PathBuf {
    success(gpugan(
        home,
        &[&["train", "--steps", "3", "--quiet"], &SMALL[..]].concat(),
    ));
    home.join("runs/00000-dcgan28-digits")
}

const CLASSIFY: [&str; 5] = ["classify", "--data", "digits", "--size", "8"];

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
    ];
    let output = gpugan(home, &few);
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let scores = report["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 2, "{report}");
    assert!(
        scores[0]["value"].is_null() && scores[1]["value"].is_f64(),
        "{report}"
    );
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
    let pictures = home.join("pictures");
    fs::create_dir(&pictures).unwrap();
    image::GrayImage::new(8, 8)
        .save(pictures.join("a.png"))
        .unwrap();
    let unlabelled = [
        "classify",
        "--data",
        pictures.to_str().unwrap(),
        "--size",
        "8",
    ];
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
