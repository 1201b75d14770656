//! Trainings that go wrong in every way that has a name, and what comes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use gpugan::run::health::Verdict;
use gpugan::run::stats::{self, Tick};
use gpugan::store::checkpoint;
use gpugan::systems::gan::Settings;

use super::{bits, last_checkpoint};
use crate::run::{Ended, as_users_do, ended, gpugan, program, run_folders, small, train};

/// Ticks as short as verdicts allow.
/// Rates whose losses leave every bound on any driver; 1 may, by how it rounds,
/// only make D overpowered.
const THIRTY: [&str; 4] = ["--set", "optimizer.g.lr=30", "--set", "optimizer.d.lr=30"];

const TICK: [&str; 4] = ["--tick", "50", "--set", "train.snap=2"];

fn ticks(outdir: &Path) -> Vec<Tick> {
    stats::read(&run_folders(outdir)[0].join("stats.jsonl")).unwrap()
}

fn verdicts(outdir: &Path) -> Vec<Verdict> {
    let mut all: Vec<Verdict> = ticks(outdir)
        .iter()
        .filter_map(|tick| tick.health.as_ref())
        .flat_map(|health| health.verdicts.iter())
        .collect();
    all.dedup();
    all
}

/// Trains the small model with these changes until a verdict ends it, and
/// asserts which one it is: in its error, in its statistics and its picture.
fn provoke(verdict: Verdict, arguments: &[&str]) {
    provoke_by(program(), verdict, arguments);
}

/// The same by the program as users or as tests start it.
fn provoke_by(program: Command, verdict: Verdict, arguments: &[&str]) {
    let outdir = tempfile::tempdir().unwrap();
    let outdir_text = outdir.path().to_str().unwrap();
    let always = ["train", "--outdir", outdir_text, "--on-collapse", "stop"];
    // A flag cannot be given twice.
    let small = small(arguments);
    let small: Vec<&str> = small
        .chunks(2)
        .filter(|pair| pair[0] == "--set" || !arguments.contains(&pair[0]))
        .flatten()
        .copied()
        .collect();
    let ended = ended(program, &[&always[..], &small, &TICK, arguments].concat());
    assert_ended(&ended, verdict);
    let run = &run_folders(outdir.path())[0];
    let ticks = ticks(outdir.path());
    let last = ticks.last().expect("ticks");
    let last = last.health.as_ref().expect("measures");
    assert!(last.verdicts.contains(verdict), "{last:?}");
    // It ended at once.
    for tick in &ticks[..ticks.len() - 1] {
        assert!(
            tick.health.as_ref().unwrap().verdicts.is_empty(),
            "{tick:?}"
        );
    }
    assert!(run.join("health.png").is_file());
    let (step, path) = checkpoint::list(run).unwrap().pop().expect("it was saved");
    assert_eq!(step, ticks.last().unwrap().step);
    let health = &checkpoint::load_metadata(&path).unwrap()[checkpoint::HEALTH];
    assert!(health.contains(verdict.name()), "{health}");
}

/// Exit code 3 and one line that names the verdict and the mend.
fn assert_ended(ended: &Ended, verdict: Verdict) {
    let said = ended.said();
    assert_eq!(ended.code(), Some(3), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for part in [verdict.name(), "health", "; "] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// A generator that hardly moves against a discriminator that does.
#[test]
fn a_discriminator_without_an_opponent_is_overpowered() {
    let still = [
        "--set",
        "optimizer.g.lr=1e-6",
        "--set",
        "optimizer.d.lr=1e-3",
    ];
    provoke(Verdict::DiscriminatorOverpowered, &still);
}

/// The same with the loss that saturates: real digits and noise lie apart, D
/// learns to tell them for sure, and log(1 - D) is flat there (Arjovsky and
/// Bottou 2017, theorem 2.4). D is overpowered, too.
#[test]
fn the_gradient_of_a_saturating_loss_vanishes_where_d_is_optimal() {
    let minimax = [
        "--set",
        "loss.kind=minimax",
        "--set",
        "train.d_steps=5",
        "--set",
        "optimizer.g.lr=1e-6",
        "--set",
        "optimizer.d.lr=1e-3",
    ];
    provoke(Verdict::VanishingGeneratorGradient, &minimax);
}

/// First layers so weak that next to nothing of the noise comes through: all
/// samples are one image, which follows what D likes by its last biases.
#[test]
fn a_generator_with_its_noise_cut_collapses() {
    let cut = [
        "--preset",
        "mlp",
        "--set",
        "model.hidden_g=[64]",
        "--set",
        "model.irange_g=1e-3",
        "--set",
        "model.maxout_units=16",
        "--set",
        "model.maxout_pieces=2",
        "--set",
        "optimizer.d.kind=adam",
        "--set",
        "optimizer.d.lr=1e-3",
        "--steps",
        "1500",
    ];
    provoke(Verdict::ModeCollapse, &cut);
}

#[test]
fn a_learning_rate_of_thirty_diverges() {
    provoke(Verdict::Diverging, &THIRTY);
}

/// Sixteen digits, a generator that can draw each of them and a discriminator
/// that knows them by heart.
#[test]
fn sixteen_training_images_are_memorised() {
    let data = tempfile::tempdir().unwrap();
    sixteen_digits(&data.path().join("train-images-idx3-ubyte"));
    let few = [
        "--data",
        data.path().to_str().unwrap(),
        "--batch",
        "16",
        "--set",
        "model.latent=2",
        "--set",
        "model.width=16",
        "--set",
        "model.norm_d=none",
        "--set",
        "loss.penalty=r1",
        "--set",
        "loss.penalty_weight=0.05",
        "--set",
        "optimizer.g.lr=2e-3",
        "--set",
        "optimizer.d.lr=2e-3",
        "--steps",
        "2500",
    ];
    // A thousand steps take longer than what they compile.
    provoke_by(as_users_do(), Verdict::Memorising, &few);
}

/// The first sixteen of the embedded digits as an IDX file.
fn sixteen_digits(path: &Path) {
    let digits = gpugan::data::Dataset::open("digits", 8, 8, Some(1)).unwrap();
    let mut file = vec![0, 0, 8, 3];
    for size in [16u32, 8, 8] {
        file.extend(size.to_be_bytes());
    }
    for item in 0..16 {
        file.extend(digits.decode(item).unwrap());
    }
    fs::write(path, file).unwrap();
}

/// A step beyond every number: whatever was asked for, the run ends, and no
/// checkpoint of it is left.
#[test]
fn what_is_not_finite_ends_a_run_that_only_warns() {
    let outdir = tempfile::tempdir().unwrap();
    let huge = [
        "--set",
        "optimizer.g.lr=1e38",
        "--set",
        "optimizer.d.lr=1e38",
    ];
    let ended = train(outdir.path(), &[&TICK[..], &huge].concat());
    assert_ended(&ended, Verdict::NonFinite);
    let checkpoints = checkpoint::list(&run_folders(outdir.path())[0]).unwrap();
    assert!(checkpoints.is_empty(), "{checkpoints:?}");
}

#[test]
fn the_monitor_changes_no_weight() {
    for more in [
        &[
            "--set",
            "loss.instance_noise=0.1",
            "--set",
            "loss.augment=all",
        ][..],
        &[
            "--preset",
            "mlp",
            "--set",
            "model.hidden_g=[16]",
            "--set",
            "model.maxout_units=6",
        ],
        &[
            "--set",
            "model.spectral_norm=true",
            "--set",
            "model.norm_d=none",
            "--set",
            "loss.kind=hinge",
        ],
    ] {
        let run = |health: &'static str| {
            let outdir = tempfile::tempdir().unwrap();
            let steps = ["--steps", "12", "--tick", "3", "--set", health];
            train(outdir.path(), &[&steps[..], more].concat()).success();
            (last_checkpoint(outdir.path()), ticks(outdir.path()))
        };
        let (with, ticks) = run("train.health=true");
        let (without, blind) = run("train.health=false");
        assert!(bits(&with) == bits(&without), "{more:?}");
        assert_eq!(with.metadata["counters"], without.metadata["counters"]);
        assert!(ticks.iter().all(|tick| tick.health.is_some()));
        assert!(blind.iter().all(|tick| tick.health.is_none()));
    }
}

/// Verdicts are a function of the statistics, so that a run that is broken off
/// and goes on ends as an unbroken one.
#[test]
fn a_resumed_run_sees_what_came_before() {
    let [whole, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let unfair = [
        &TICK[..],
        &[
            "--set",
            "optimizer.g.lr=1e-6",
            "--set",
            "optimizer.d.lr=1e-3",
        ],
    ];
    let unfair = unfair.concat();
    train(whole.path(), &[&unfair[..], &["--steps", "500"]].concat()).success();
    train(broken.path(), &[&unfair[..], &["--steps", "300"]].concat()).success();
    let outdir = broken.path().to_str().unwrap();
    gpugan(&["train", "--outdir", outdir, "--resume", "--steps", "500"]).success();
    let health = |outdir| -> Vec<String> {
        let all = ticks(outdir);
        all.iter()
            .map(|tick| format!("{:?}", tick.health))
            .collect()
    };
    assert_eq!(health(whole.path()), health(broken.path()));
    assert!(!verdicts(whole.path()).is_empty(), "warnings");
}

/// Rates so large that the networks die at once: the run goes back and gets
/// smaller ones. Whatever they bring, it ends with a healthy checkpoint.
#[test]
fn a_rollback_leaves_the_ground_that_diverges() {
    let outdir = tempfile::tempdir().unwrap();
    let back = [
        "--on-collapse",
        "rollback",
        "--steps",
        "800",
        "--metrics",
        "ms-ssim",
    ];
    let ended = train(outdir.path(), &[&TICK[..], &THIRTY, &back].concat());
    assert!(matches!(ended.code(), Some(0 | 3)), "{}", ended.said());
    let run = &run_folders(outdir.path())[0];
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(
        log.contains("diverging") && log.contains("rollback 1 of 3: from step"),
        "{log}"
    );
    let (step, path) = checkpoint::last_healthy(run)
        .unwrap()
        .expect("a healthy one");
    let config = gpugan::systems::presets::read(&run.join("config.toml")).unwrap();
    // A tenth of what it was.
    let settings = Settings::of(&config).unwrap();
    assert!(settings.g.lr <= 3.0 && settings.d.lr <= 3.0);
    // What was undone is in no file.
    let steps: Vec<u64> = ticks(outdir.path()).iter().map(|tick| tick.step).collect();
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    let scores = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let scored =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64();
    let scored: Vec<_> = scores.lines().map(scored).collect();
    assert!(
        scored.len() > 1 && scored.is_sorted_by(|a, b| a < b),
        "{scored:?}"
    );
    let ended_well = ended.code() == Some(0);
    assert!(!ended_well || steps.last() == Some(&800));
    // It can be sampled, and the way on starts from the newest.
    let grid = outdir.path().join("grid.png");
    let path = path.to_str().unwrap();
    let sample = ["sample", "--checkpoint", path, "--seeds", "0-3", "--out"];
    gpugan(&[&sample[..], &[grid.to_str().unwrap()]].concat()).success();
    assert!(step <= *steps.last().unwrap());
}

/// Where lower rates do not help, three times is enough; the last healthy
/// checkpoint outlives the others.
#[test]
fn a_rollback_gives_up_after_three_times() {
    let outdir = tempfile::tempdir().unwrap();
    let still = [
        "--set",
        "optimizer.g.lr=1e-6",
        "--set",
        "optimizer.d.lr=4e-3",
    ];
    let back = [
        "--on-collapse",
        "rollback",
        "--set",
        "train.keep=1",
        "--steps",
        "3000",
    ];
    let ended = train(outdir.path(), &[&TICK[..], &still, &back].concat());
    let said = ended.said();
    assert_eq!(ended.code(), Some(3), "{said}");
    assert!(said.contains("after 3 rollbacks"), "{said}");
    let run = &run_folders(outdir.path())[0];
    let (step, best) = checkpoint::last_healthy(run)
        .unwrap()
        .expect("a healthy one");
    assert!(said.contains(best.to_str().unwrap()), "{said}");
    let left = checkpoint::list(run).unwrap();
    assert!(left.len() <= 2 && left[0].0 == step, "{left:?}");
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert_eq!(log.matches("rollback").count(), 3, "{log}");
}

/// dcgan28 on real garments, smaller and shorter than by default.
#[test]
fn a_healthy_training_is_left_alone() {
    healthy(
        &["--set", "model.width=16", "--steps", "500", "--seed", "0"],
        10,
    );
}

/// The default run, thrice.
#[test]
#[ignore = "long: run by make test-long"]
fn three_default_runs_are_healthy() {
    for seed in ["0", "1", "2"] {
        healthy(&["--seed", seed], 20);
    }
}

fn healthy(arguments: &[&str], count: usize) {
    let outdir = tempfile::tempdir().unwrap();
    let always = ["train", "--quiet", "--on-collapse", "stop", "--outdir"];
    let tick = if arguments.contains(&"--steps") {
        "50"
    } else {
        "100"
    };
    let outdir_text = outdir.path().to_str().unwrap();
    let all = [&always[..], &[outdir_text, "--tick", tick], arguments].concat();
    // It computes much longer than it compiles.
    ended(as_users_do(), &all).success();
    let all = ticks(outdir.path());
    assert_eq!(all.len(), count);
    let last = all[count - 1].health.as_ref().unwrap();
    assert!(
        last.diversity_ratio > 0.6 && last.non_finite == 0.0,
        "{last:?}"
    );
    assert!((1e-4..0.1).contains(&last.update("G")), "{last:?}");
    assert!(verdicts(outdir.path()).is_empty());
    let run = &run_folders(outdir.path())[0];
    let newest = checkpoint::list(run).unwrap().pop().unwrap();
    assert_eq!(checkpoint::last_healthy(run).unwrap(), Some(newest));
}
