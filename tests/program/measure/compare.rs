//! `gpugan compare`: its table, and whole comparisons on small data.

use std::fs;
use std::path::Path;

use gpugan::compare::{Entry, Outcome, table};
use gpugan::metrics::Score;
use gpugan::run::health::Verdict;
use serde_json::Value;

use super::commands::{CLASSIFY, gpugan, refused, said, success};

fn outcome(seed: u64, value: Option<f64>, verdicts: &[(Verdict, usize)]) -> Outcome {
    Outcome {
        seed,
        folder: format!("runs/{seed}").into(),
        kimg: 32.0,
        sec_per_step: 0.05,
        ticks: 10,
        verdicts: verdicts.to_vec(),
        ended: (seed == 2).then(|| "it was told to".to_owned()),
        scores: vec![Score {
            name: "frechet(x)".to_owned(),
            value,
            spread: None,
            note: String::new(),
        }],
    }
}

#[test]
fn the_table_has_means_and_deviations_of_what_was_measured() {
    let entry = |preset: &str, runs: Vec<Outcome>| Entry {
        preset: preset.to_owned(),
        channels: 1,
        batch: 32,
        steps: 1000,
        sec_per_update: 0.0338,
        runs,
    };
    let collapsed = [(Verdict::ModeCollapse, 3)];
    let text = table(&[
        entry(
            "a",
            vec![
                outcome(0, Some(11.0), &[]),
                outcome(1, Some(14.0), &collapsed),
                outcome(2, Some(17.0), &collapsed),
            ],
        ),
        entry("b", vec![outcome(0, None, &[]), outcome(1, Some(0.5), &[])]),
    ]);
    let lines: Vec<&str> = text.lines().collect();
    let has = |line: &str| assert!(lines.contains(&line), "{line} is not in:\n{text}");
    has("| mean ± deviation over seeds 0 to 2 | a | b |");
    has("| steps | 1000 | 1000 |");
    has("| thousands of real images | 32 | 32 |");
    has("| ms per step, measured alone | 33.8 | 33.8 |");
    // 11, 14, 17: mean 14, deviation 3. Of b, one run has no value.
    has("| frechet(x) | 14 ± 3 | 0.500 (1 of 2) |");
    has("| verdicts | mode collapse (2 of 3), ended early (1 of 3) | none |");
    has("`runs/2` ended early: it was told to");
}

/// Presets of a comparison that takes a few seconds.
const SMALL: [&str; 18] = [
    "compare",
    "--data",
    "digits",
    "--steps",
    "3",
    "--seeds",
    "2",
    "--samples",
    "80",
    "--metrics",
    "frechet,modes",
    "--set",
    "batch=8",
    "--set",
    "data.size=8",
    "--set",
    "model.width=4",
    "--quiet",
];

fn json(path: &Path) -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn presets_are_trained_once_and_compared() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let wild = "[train]\nd_steps = 5\n[optimizer.g]\nlr = 1e30\n";
    fs::write(home.join("wild.toml"), wild).unwrap();
    let ask = |presets: &str, more: &[&str]| {
        gpugan(home, &[&SMALL[..], &["--presets", presets], more].concat())
    };
    // Before anything is trained.
    refused(
        &ask("dcgan28", &[]),
        &["no classifier", "gpugan classify --data digits --size 8"],
    );
    assert!(!home.join("runs").exists());
    success(gpugan(home, &[&CLASSIFY[..], &["--epochs", "1"]].concat()));

    let text = success(ask("dcgan28,wild.toml", &[]));
    let folder = home.join("runs/compare");
    assert_eq!(text, fs::read_to_string(folder.join("compare.md")).unwrap());
    let picture = image::open(folder.join("compare.png")).unwrap();
    // Two rows of 16 samples.
    assert!(picture.width() > 6 * picture.height(), "{picture:?}");
    let first = json(&folder.join("compare.json"));
    assert_eq!(first.len(), 2);
    for entry in &first[..1] {
        let runs = entry["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 2);
        for (seed, run) in runs.iter().enumerate() {
            assert_eq!(run["seed"], seed);
            assert_eq!(run["kimg"], 0.024);
            assert_eq!(run["scores"][0]["name"], "frechet(digits-classifier)");
            assert!(
                run["scores"][0]["value"].is_f64() && run["ended"].is_null(),
                "{run}"
            );
        }
        // Other seeds, other samples.
        assert_ne!(runs[0]["scores"], runs[1]["scores"]);
        assert!(entry["sec_per_update"].as_f64().unwrap() > 0.0);
    }
    // One that cannot go well does not stop the others.
    let wild = first[1]["runs"][0]["ended"].as_str().unwrap();
    assert!(
        wild.contains("non-finite") || wild.contains("diverged"),
        "{wild}"
    );
    assert!(text.contains("ended early (2 of 2)"), "{text}");

    // Again: what is done is not done twice, what was interrupted is.
    let at = |entry: usize, seed: usize| {
        let run = home.join(first[entry]["runs"][seed]["folder"].as_str().unwrap());
        run.join("checkpoint-000003.safetensors")
    };
    fs::remove_file(at(0, 1)).unwrap();
    let written = fs::metadata(at(0, 0)).unwrap().modified().unwrap();
    success(ask("dcgan28", &[]));
    let again = json(&folder.join("compare.json"));
    for (before, after) in first.iter().zip(&again) {
        for (before, after) in [0, 1].map(|seed| (&before["runs"][seed], &after["runs"][seed])) {
            assert_eq!(before["folder"], after["folder"]);
            assert_eq!(before["scores"], after["scores"]);
        }
    }
    assert!(at(0, 1).exists());
    assert_eq!(fs::metadata(at(0, 0)).unwrap().modified().unwrap(), written);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        3 + 4,
        "three files, four runs"
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["--presets", "dcgan28,dcgan32"],
            &["28", "32", "data.size"],
        ),
        (&["--presets", "toy"], &["toy", "points"]),
        (&["--presets", "wgan,wgan"], &["wgan", "twice"]),
        (&["--presets", "wgann"], &["wgann", "wgan"]),
        (&["--steps", "0"], &["steps = 0"]),
    ];
    for (arguments, parts) in cases {
        let all = [&["compare", "--data", "digits"], arguments].concat();
        let output = gpugan(home.path(), &all);
        refused(&output, parts);
        assert_eq!(said(&output).lines().count(), 1);
    }
    assert!(fs::read_dir(home.path()).unwrap().next().is_none());
}
