//! Stacked digits (Metz et al. 2017, Srivastava et al. 2017, Lin et al. 2018):
//! three digits as the channels of one image make 1000 classes, whose modes a
//! classifier of single digits counts.

use std::fs;
use std::path::{Path, PathBuf};

use gpugan::data::{Dataset, STACKED, to_floats};
use gpugan::eval::Observer;
use gpugan::metrics::Metric;
use gpugan::metrics::modes::{self, Modes};

use crate::adapter::open;

use super::commands::{gpugan, refused, success};

/// Samples of the published protocol.
const SAMPLES: usize = 26_000;

/// Trains the classifier of 8x8 digits. In 30 epochs it learns to tell more than
/// 97 % of them; its errors would count as modes.
fn classifier(home: &Path, epochs: &str) -> PathBuf {
    let out = home.join("cache/gpugan");
    let arguments = ["--data", "digits", "--size", "8", "--epochs", epochs];
    success(gpugan(home, &[&["classify"], &arguments[..]].concat()));
    let kept = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut kept = kept.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    kept.find(|path| path.to_string_lossy().contains("classifier-digits"))
        .expect("a classifier")
}

/// 26,000 real stacks find all modes at the divergence that chance leaves, and
/// those of five digits only in one channel find half of them.
#[test]
fn a_perfect_sampler_finds_all_stacks_and_one_that_lost_half_finds_half() {
    let home = tempfile::tempdir().unwrap();
    let path = classifier(home.path(), "30");
    let gpu = open();
    let data = Dataset::open("digits", 8, 8, None).unwrap();
    let data = data.stacked(3).unwrap();
    let mut observer = Observer::open(&gpu, &data, "digits", Some(&path), &Metric::ALL).unwrap();
    let accuracy = observer.about().unwrap().accuracy;
    assert!(accuracy >= 0.97, "{accuracy}");
    let real = observer.real(&data, |_| {}).unwrap();
    assert_eq!(real.features.count(), 10_000);
    let mut sampled = |items: &mut dyn Iterator<Item = usize>| -> Modes {
        let (pixels, _) = data.pixels(items);
        let fake = observer.generated(&to_floats(&pixels), |_| {}).unwrap();
        assert_eq!(fake.features.width, real.features.width);
        modes::compare(&real.classes, &fake.classes).unwrap()
    };
    let perfect = sampled(&mut data.evenly(SAMPLES));
    assert_eq!((perfect.captured, perfect.of), (1000, 1000));
    // 999 / 52,000, with a standard deviation of sqrt(2 * 999) / 52,000 = .0009.
    assert!((perfect.expected - 0.0192).abs() < 1e-4);
    let off = perfect.reverse_kl - perfect.expected;
    assert!(off.abs() < 0.003, "{perfect:?}");

    let low = |item: &usize| data.label(*item).is_some_and(|label| label < 500);
    let half = sampled(&mut (0..STACKED).filter(low).take(5000));
    assert!((490..=550).contains(&half.captured), "{half:?}");
    assert!(half.reverse_kl > 2.0_f64.ln() - 0.05, "{half:?}");
}

/// A stacked run is trained, continued, sampled and scored as any other.
#[test]
fn a_run_of_stacks_is_scored_by_the_classifier_of_single_digits() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    classifier(home, "1");
    let train = ["train", "--data", "digits", "--set", "data.size=8"];
    let small = ["--set", "model.width=4", "--batch", "8", "--steps", "2"];
    let stack = ["--set", "data.stack=3"];
    let said = success(gpugan(home, &[&train[..], &small, &stack].concat()));
    assert!(
        said.contains("128000 images, 3x8x8, 1000 classes"),
        "{said}"
    );
    let run = "runs/00000-dcgan28-digits-stack3";
    success(gpugan(home, &["train", "--resume", run, "--steps", "3"]));
    let eval = ["eval", "--checkpoint", run, "--samples", "200"];
    let table = success(gpugan(home, &eval));
    for part in [
        "of 1000",
        "digits, stacks of 3",
        "\nfeatures of digits-classifier (",
        "stacks have no class probabilities",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    refused(
        &gpugan(home, &[&eval[..], &["--synthetic"]].concat()),
        &["--synthetic", "data.stack = 3"],
    );
    refused(
        &gpugan(home, &[&eval[..], &["--representation"]].concat()),
        &["--representation", "data.stack = 3"],
    );
    refused(
        &gpugan(
            home,
            &[&train[..], &stack, &["--set", "data.channels=3"]].concat(),
        ),
        &["data.stack = 3", "data.channels = 3", "data.channels = 1"],
    );
}

/// Dense networks whose discriminator is a quarter as wide as the generator,
/// which makes lost modes plain (Metz et al. 2017, Lin et al. 2018).
const GAME: [&str; 19] = [
    "train",
    "--data",
    "digits",
    "--quiet",
    "--steps",
    "3000",
    "--batch",
    "64",
    "--set",
    "data.size=8",
    "--set",
    "data.stack=3",
    "--set",
    "model.architecture=dense",
    "--set",
    "model.hidden_g=[256, 256]",
    "--set=model.hidden_d=[64, 64]",
    "--set=optimizer.g.lr=4e-4",
    "--set=optimizer.d.lr=4e-4",
];

/// Modes and reverse KL of the averaged generator after a game of packs.
fn played(home: &Path, pack: usize, seed: u64) -> [f64; 2] {
    let outdir = format!("packs-of-{pack}-{seed}");
    let pack = format!("--set=loss.pack={pack}");
    let seed = format!("--seed={seed}");
    let more = ["--outdir", &outdir, &pack, &seed];
    success(gpugan(home, &[&GAME[..], &more].concat()));
    let run = format!("{outdir}/00000-dcgan28-digits-stack3");
    let samples = SAMPLES.to_string();
    let eval = ["eval", "--checkpoint", &run, "--samples", &samples];
    success(gpugan(home, &[&eval[..], &["--metrics", "modes"]].concat()));
    let text = fs::read_to_string(home.join(run).join("eval.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    [0, 1].map(|score| report["scores"][score]["value"].as_f64().expect("a score"))
}

/// Lin et al. 2018 find more modes with packs of 2 than with the plain game, and
/// a lower divergence: means over three seeds (docs/toy.md has the table).
#[test]
#[ignore = "long: make test-long"]
fn packs_find_more_stacks_than_the_plain_game() {
    let home = tempfile::tempdir().unwrap();
    classifier(home.path(), "30");
    let [plain, packs] = [1, 2].map(|pack| {
        let runs = [0, 1, 2].map(|seed| played(home.path(), pack, seed));
        eprintln!("packs of {pack}: modes and reverse KL {runs:.3?}");
        [0, 1].map(|score| runs.iter().map(|run| run[score]).sum::<f64>() / 3.0)
    });
    assert!(plain[0] < 1000.0, "the plain game loses nothing: {plain:?}");
    assert!(packs[0] > plain[0], "{packs:?} against {plain:?}");
    assert!(packs[1] < plain[1], "{packs:?} against {plain:?}");
}
