//! `gpugan classify` and `gpugan eval` as they are typed, on small data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use gpugan::store::checkpoint::Checkpoint;

use crate::fetched::fetched;
#[cfg(unix)]
use crate::run::interrupt;
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
pub(crate) fn unlabelled_pictures(home: &Path) -> String {
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
    let others = ["--data", "fashion", "--metrics", "memorisation"];
    let others = gpugan(home, &[&ask[..], &others].concat());
    refused(&others, &["memorisation", "--data fashion are others"]);

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
    let small = home.join("small.safetensors");
    let asked = [
        "--epochs",
        "0.2",
        "--features",
        "16",
        "--out",
        small.to_str().unwrap(),
    ];
    let text = success(gpugan(home, &[&CLASSIFY[..], &asked].concat()));
    assert!(
        text.contains("classifier: 16 features, 10 classes"),
        "{text}"
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
    assert!(
        table.contains("\nfeatures of digits-classifier ("),
        "{table}"
    );
    assert!(table.contains("\n  frechet "), "{table}");
    assert!(!table.contains("NaN") && !table.contains("inf"), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(Path::new(run).join("eval.json")).unwrap())
            .unwrap();
    assert_eq!(
        (&report["samples"], &report["real"]),
        (&80.into(), &1797.into())
    );
    assert!(report["scores"].as_array().unwrap().len() >= 12, "{report}");
    // Other weights of the same generator, so other images.
    assert_eq!(report["weights"], "G_ema");
    let others = report["others"].as_array().unwrap();
    let names = others
        .iter()
        .map(|other| other["weights"].as_str().unwrap());
    assert!(names.eq(["G_ema, standing", "G"]), "{report}");
    let sliced = |of: &serde_json::Value| {
        let scores = of["scores"].as_array().unwrap().iter();
        let mut values = scores.filter(|score| score["name"] == "swd");
        values.next().unwrap()["value"].as_f64().unwrap()
    };
    let found = [&report, &others[0], &others[1]].map(sliced);
    assert!(found[0] != found[1] && found[0] != found[2] && found[1] != found[2]);

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
    let data = fetched("mnist");
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

    // Killed between its last checkpoint and that one's score, and gone on with
    // without a word about scores.
    let cut: String = text.split_inclusive('\n').take(3).collect();
    fs::write(run.join("metrics.jsonl"), &cut).unwrap();
    let go_on = ["train", "--resume", run.to_str().unwrap(), "--steps", "5"];
    success(gpugan(home, &go_on));
    let again = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let steps = again.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["step"].as_u64().unwrap()
    });
    assert_eq!(steps.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let scores = |text: &str| {
        let line: serde_json::Value = serde_json::from_str(text.lines().nth(3).unwrap()).unwrap();
        line["scores"].clone()
    };
    assert_eq!(scores(&again), scores(&text), "step 4 is scored as it was");
}

/// A classifier whose weights are not numbers scores nothing.
#[test]
fn broken_classifiers_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let brief = ["--epochs", "0.1", "--out", "c.safetensors", "--quiet"];
    success(gpugan(home, &[&CLASSIFY[..], &brief].concat()));
    let whole = Checkpoint::load(&home.join("c.safetensors")).unwrap();
    let run = small_run(home);
    let eval = [
        "eval",
        "--checkpoint",
        run.to_str().unwrap(),
        "--features",
        "bad.safetensors",
    ];
    let mut cases: Vec<(Checkpoint, &str)> = Vec::new();
    let mut broken = whole.clone();
    broken.tensors.values_mut().next().unwrap().1[0] = f32::NAN;
    cases.push((broken, "holds NaN"));
    for (from, to, said) in [
        ("\"classes\":10", "\"classes\":0", "out of range"),
        ("\"image\":[1,8,8]", "\"image\":[0,8,8]", "out of range"),
        ("\"width\":32", "\"width\":4294967296", "out of range"),
    ] {
        let mut file = whole.clone();
        let network = file.metadata.get_mut("network").unwrap();
        assert!(network.contains(from), "{network}");
        *network = network.replace(from, to);
        cases.push((file, said));
    }
    let mut file = whole.clone();
    file.metadata.insert("accuracy".into(), "NaN".into());
    cases.push((file, "not between 0 and 1"));
    for (file, said) in cases {
        file.save(&home.join("bad.safetensors")).unwrap();
        refused(&gpugan(home, &eval), &[said]);
    }
    assert!(!run.join("eval.json").exists());
    // Too large a batch is the user's to mend.
    let large = [
        "classify", "--data", "fashion", "--size", "1024", "--out", "l",
    ];
    refused(&gpugan(home, &large), &["--batch"]);
}

/// Pixels alone at first, then what a network learns of ways up.
#[test]
fn images_without_labels_are_scored() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let pictures = home.join("pictures");
    fs::create_dir(&pictures).unwrap();
    for number in 0..40_u8 {
        // Lighter above: it can be told which way up they are.
        let light = |_, y| image::Luma([(250 - 30 * y as u8).saturating_sub(number)]);
        image::GrayImage::from_fn(8, 8, light)
            .save(pictures.join(format!("{number}.png")))
            .unwrap();
    }
    let pictures = pictures.to_str().unwrap();
    let small = [
        &["train", "--steps", "2", "--quiet"],
        &SMALL[2..],
        &["--data", pictures],
    ];
    success(gpugan(home, &small.concat()));
    let ask = [
        "eval",
        "--checkpoint",
        "runs/00000-dcgan28-pictures",
        "--samples",
        "80",
    ];
    let chosen = gpugan(home, &[&ask[..], &["--metrics", "frechet"]].concat());
    let command = format!("gpugan classify --data {pictures} --size 8 --channels 1 --rotations");
    refused(&chosen, &["there is no classifier for pictures", &command]);

    let rows = ["swd", "ms-ssim", "memorisation"];
    let text = success(gpugan(home, &ask));
    assert!(
        text.contains("not measured: frechet, kernel, prdc, inception, modes (")
            && text.contains(&command),
        "{text}"
    );
    assert!(rows.iter().all(|row| text.contains(row)), "{text}");
    assert!(
        text.contains("no features") && !text.contains("\n  kernel "),
        "{text}"
    );

    let classify = ["classify", "--data", pictures, "--size", "8", "--rotations"];
    let text = success(gpugan(
        home,
        &[&classify[..], &["--epochs", "60", "--batch", "16"]].concat(),
    ));
    let accuracy = text.split("test accuracy ").nth(1).unwrap();
    let accuracy: f64 = accuracy.split(' ').next().unwrap().parse().unwrap();
    // One in four by chance.
    assert!(accuracy > 90.0, "{text}");
    let text = success(gpugan(home, &ask));
    assert!(rows.iter().all(|row| text.contains(row)), "{text}");
    assert!(
        text.contains("\nfeatures of pictures-rotations ("),
        "{text}"
    );
    assert!(text.contains("\n  kernel "), "{text}");
    // Ways up are not classes.
    assert!(text.contains("not measured: inception, modes ("), "{text}");
    assert!(!text.contains("\n  inception-style "), "{text}");
    assert!(!text.contains("\n  modes "), "{text}");

    // What was asked for by name is refused, not left out.
    let missing = ["pictures-rotations tells which way up", "for modes, give"];
    let modes = ["--metrics", "modes,kernel"];
    refused(&gpugan(home, &[&ask[..], &modes].concat()), &missing);
    for dry in [&["--dry-run"][..], &[]] {
        refused(
            &gpugan(home, &[&small.concat()[..], &modes, dry].concat()),
            &missing,
        );
    }
}

/// Nothing was written: that is no success.
#[test]
#[cfg(unix)]
fn a_classifier_that_is_stopped_does_not_end_well() {
    let home = tempfile::tempdir().unwrap();
    let more = ["--epochs", "10000", "--out", "c.safetensors"];
    let mut child = program()
        .args(CLASSIFY)
        .args(more)
        .current_dir(home.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It listens for the signal before it says how many steps there are.
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(out);
    assert!(lines.any(|line| line.unwrap().starts_with("classifier: ")));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    assert!(!home.path().join("c.safetensors").exists());
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
        &["is not a classifier", "gpugan classify"],
    );
    assert!(!Path::new(run).join("eval.json").exists());
}

/// A classifier is found by whoever reads the same images in the same way, whatever folder
/// they are named from.
#[test]
fn a_classifier_of_a_folder_is_found_by_training_and_eval() {
    let home = tempfile::tempdir().unwrap();
    for class in 0..2_u8 {
        let folder = home.path().join(format!("pictures/{class}"));
        fs::create_dir_all(&folder).unwrap();
        for number in 0..20 {
            let grey = image::Luma([120 * class + number]);
            let picture = image::GrayImage::from_pixel(8, 12, grey);
            picture.save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
    let to_make = [
        "classify", "--data", "pictures", "--size", "8", "--epochs", "1", "--batch", "4",
    ];
    let padded = ["--set", "data.fit=pad"];
    let train = [
        "train",
        "--data",
        "pictures",
        "--steps",
        "1",
        "--metrics",
        "modes",
        "--quiet",
    ];
    let train = [&train[..], &SMALL[2..], &padded].concat();
    success(gpugan(home.path(), &to_make));
    let said = "--size 8 --channels 1 --set data.fit=pad";
    refused(&gpugan(home.path(), &train), &["no classifier", said]);
    success(gpugan(home.path(), &[&to_make[..], &padded].concat()));
    success(gpugan(home.path(), &train));
    let eval = [
        "eval",
        "--checkpoint",
        "runs/00000-dcgan28-pictures",
        "--samples",
        "8",
    ];
    let said = success(gpugan(
        home.path(),
        &[&eval[..], &["--metrics", "modes"]].concat(),
    ));
    assert!(said.contains("modes"), "{said}");
    let other = ["--set", "data.size=16"];
    refused(
        &gpugan(home.path(), &[&to_make[..], &other].concat()),
        &["data.size=16"],
    );
}
