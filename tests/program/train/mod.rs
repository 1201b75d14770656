//! Whole runs through the command line, on the adapter of this machine.

mod errors;
mod health;
mod resume;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use crate::run::{SMALL, gpugan, program, run_folders, train};
use gpugan::run::stats;
use gpugan::store::checkpoint::{self, Checkpoint};
use gpugan::systems::Counters;

/// The newest checkpoint of the only run below `outdir`.
fn last_checkpoint(outdir: &Path) -> Checkpoint {
    let folders = run_folders(outdir);
    assert_eq!(folders.len(), 1, "{folders:?}");
    let (_, path) = checkpoint::list(&folders[0])
        .unwrap()
        .pop()
        .expect("a checkpoint");
    Checkpoint::load(&path).unwrap()
}

fn bits(checkpoint: &Checkpoint) -> BTreeMap<&str, Vec<u32>> {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect();
    checkpoint
        .tensors
        .iter()
        .map(|(name, (_, values))| (name.as_str(), bits(values)))
        .collect()
}

#[test]
fn a_run_writes_what_it_promises() {
    let outdir = tempfile::tempdir().unwrap();
    train(
        outdir.path(),
        &["--steps", "6", "--tick", "2", "--snap", "1"],
    )
    .success();
    let folder = run_folders(outdir.path()).remove(0);
    assert_eq!(folder.file_name().unwrap(), "00000-dcgan28-digits");
    for file in [
        "config.toml",
        "log.txt",
        "reals.png",
        "fakes000000.png",
        "fakes000006.png",
        "losses.png",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let ticks = stats::read(&folder.join("stats.jsonl")).unwrap();
    assert_eq!(
        ticks.iter().map(|tick| tick.step).collect::<Vec<_>>(),
        [2, 4, 6]
    );
    for tick in &ticks {
        assert!(
            tick.report("loss_d") > 0.0
                && tick.report("loss_g") > 0.0
                && tick.sec_per_step > 0.0
                && tick.memory_bytes > 0
        );
        for output in ["d_real", "d_fake"] {
            assert!((0.0..=1.0).contains(&tick.report(output)), "{output}");
        }
    }
    assert!((ticks[2].kimg - 6.0 * 8.0 / 1000.0).abs() < 1e-9);
    let grid = image::open(folder.join("fakes000006.png")).unwrap();
    assert!(grid.width() == grid.height() && grid.width() > 64);
}

/// An adaptive augmentation, stopped between two of its changes, and a schedule
/// of discriminator steps.
const STRENGTH: [&str; 16] = [
    "--set",
    "loss.augment=cutout",
    "--set",
    "loss.augment_target=0.2",
    "--set",
    "loss.augment_every=4",
    "--set",
    "loss.augment_images=400",
    "--set",
    "optimizer.d.lr=2e-3",
    "--set",
    "train.d_steps_first=2",
    "--set",
    "train.d_steps_every=6",
    "--set",
    "train.d_steps_boost=3",
];

#[test]
fn the_strength_of_augmentation_is_kept_and_told() {
    let outdir = tempfile::tempdir().unwrap();
    let steps = ["--steps", "8", "--tick", "4"];
    train(outdir.path(), &[&STRENGTH[..], &steps].concat()).success();
    let saved = last_checkpoint(outdir.path());
    let value = |name: &str| saved.tensors[name].1[0];
    // Three steps of the discriminator in steps 0, 1 and 6, one in the others.
    let counters: Counters = serde_json::from_str(&saved.metadata["counters"]).unwrap();
    assert_eq!(counters.updates_of("D"), 14);
    assert_eq!(value("augment.updates"), 2.0);
    // Changes by 4 batches of 8 of 400 images.
    let p = value("augment.p");
    let changes = p / 0.08;
    assert!(p > 0.0 && (changes - changes.round()).abs() < 1e-4, "{p}");
    let ticks = stats::read(&run_folders(outdir.path())[0].join("stats.jsonl")).unwrap();
    assert_eq!(ticks.len(), 2);
    assert_eq!(ticks[1].reports.get("augment_p"), Some(&f64::from(p)));
    assert!((ticks[1].kimg - 14.0 * 8.0 / 1000.0).abs() < 1e-9);
}

#[test]
fn a_resumed_run_ends_with_the_weights_of_an_unbroken_one() {
    for update in [
        &["--set", "train.d_steps=2", "--set", "train.d_pretrain=3"][..],
        &[
            "--set",
            "train.update=simultaneous",
            "--set",
            "optimizer.d.kind=sgd",
            "--set",
            "optimizer.d.momentum=0.5",
        ],
        &[
            "--preset",
            "mlp",
            "--set",
            "model.hidden_g=[16]",
            "--set",
            "model.maxout_units=6",
            "--set",
            "model.maxout_pieces=3",
        ],
        &STRENGTH,
    ] {
        let [whole, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let with = |more: &[&'static str]| [update, more].concat();
        train(whole.path(), &with(&["--steps", "8"])).success();
        train(broken.path(), &with(&["--steps", "4"])).success();
        let resume = [
            "train",
            "--outdir",
            broken.path().to_str().unwrap(),
            "--resume",
            "--steps",
            "8",
        ];
        gpugan(&resume).success();
        let (whole, broken) = (
            last_checkpoint(whole.path()),
            last_checkpoint(broken.path()),
        );
        assert_eq!(whole.metadata["counters"], broken.metadata["counters"]);
        assert_eq!(whole.metadata["position"], broken.metadata["position"]);
        assert_eq!(bits(&whole), bits(&broken), "{update:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let [a, b, c] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    train(a.path(), &["--steps", "3"]).success();
    train(b.path(), &["--steps", "3"]).success();
    train(c.path(), &["--steps", "3", "--seed", "1"]).success();
    let [a, b, c] = [a, b, c].map(|outdir| last_checkpoint(outdir.path()));
    assert_eq!(bits(&a), bits(&b));
    assert_ne!(bits(&a), bits(&c));
}

/// Killed at random moments, every restart resumes and the end is that of the
/// unbroken run.
#[test]
fn twenty_kills_change_nothing() {
    const STEPS: u32 = 100;
    let last = STEPS.to_string();
    let each = ["--steps", &last, "--tick", "1", "--snap", "1"];
    /// So few steps that 20 lives do not reach the end.
    const STEPS_A_LIFE: f64 = 3.5;
    let [whole, killed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let timed = |outdir: &Path, steps: &[&str]| {
        let started = Instant::now();
        train(outdir, steps).success();
        started.elapsed()
    };
    // The first one compiles.
    let [_, start] =
        [(); 2].map(|()| timed(tempfile::tempdir().unwrap().path(), &["--steps", "1"]));
    let step = timed(whole.path(), &each).saturating_sub(start) / STEPS;
    let mut kills = 0;
    let mut done_between = Vec::new();
    for attempt in 0.. {
        assert!(attempt < 200, "the run does not come to its end");
        let outdir = killed.path().to_str().unwrap();
        let resume = ["train", "--outdir", outdir, "--resume", "--steps", &last];
        let first = [&["train", "--outdir", outdir][..], &SMALL, &each].concat();
        let has_run = run_folders(killed.path())
            .iter()
            .any(|run| run.join("config.toml").is_file());
        let mut child = program()
            .args(if has_run { &resume[..] } else { &first })
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if kills < 20 {
            // Times spread over start, steps and saving by a fixed sequence.
            let share = f64::from(attempt * 7919 % 101) / 101.0;
            std::thread::sleep(
                start.mul_f64(0.3 + 0.7 * share) + step.mul_f64(STEPS_A_LIFE * share),
            );
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                done_between.push(newest_step(killed.path()));
                continue;
            }
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let finished = newest_step(killed.path()) == Some(STEPS.into());
        assert!(
            output.status.success() || (finished && said.contains("already")),
            "{said}"
        );
        if finished {
            break;
        }
    }
    assert_eq!(kills, 20, "steps when killed: {done_between:?}");
    let folders = run_folders(killed.path());
    let folder = folders
        .iter()
        .find(|run| run.join("losses.png").is_file())
        .expect("the run that ended");
    let (_, path) = checkpoint::list(folder)
        .unwrap()
        .pop()
        .expect("a checkpoint");
    assert_eq!(
        bits(&Checkpoint::load(&path).unwrap()),
        bits(&last_checkpoint(whole.path())),
        "{done_between:?}"
    );
    let steps: Vec<u64> = stats::read(&folder.join("stats.jsonl"))
        .unwrap()
        .iter()
        .map(|tick| tick.step)
        .collect();
    assert_eq!(
        steps,
        (1..=u64::from(STEPS)).collect::<Vec<u64>>(),
        "every step once"
    );
}

/// A run that was killed after its first tick and before its first checkpoint.
#[test]
fn a_run_without_a_checkpoint_starts_over_with_its_statistics() {
    let outdir = tempfile::tempdir().unwrap();
    let tick = ["--steps", "3", "--tick", "1"];
    train(outdir.path(), &tick).success();
    let run = &run_folders(outdir.path())[0];
    for (_, path) in checkpoint::list(run).unwrap() {
        std::fs::remove_file(path).unwrap();
    }
    let folder = outdir.path().to_str().unwrap();
    gpugan(&["train", "--quiet", "--outdir", folder, "--resume"]).success();
    let ticks = stats::read(&run.join("stats.jsonl")).unwrap();
    let steps: Vec<u64> = ticks.iter().map(|tick| tick.step).collect();
    assert_eq!(steps, [1, 2, 3]);
}

fn newest_step(outdir: &Path) -> Option<u64> {
    run_folders(outdir)
        .iter()
        .filter_map(|run| Some(checkpoint::list(run).ok()?.last()?.0))
        .max()
}

#[test]
fn samples_are_made_in_every_form() {
    let outdir = tempfile::tempdir().unwrap();
    train(outdir.path(), &["--steps", "2"]).success();
    let run = run_folders(outdir.path()).remove(0);
    let out = |name: &str| outdir.path().join(name);
    let sample = |more: &[&str]| {
        gpugan(&[&["sample", "--checkpoint", run.to_str().unwrap()], more].concat()).success()
    };
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();

    sample(&["--seeds", "0-63", "--out", &path(&out("grid.png"))]);
    let grid = image::open(out("grid.png")).unwrap();
    let same = image::open(run.join("fakes000002.png")).unwrap();
    assert_eq!(
        grid.to_rgb8(),
        same.to_rgb8(),
        "seeds 0-63 are the grid of the run"
    );

    sample(&["--seeds", "5,70", "--out", &path(&out("single"))]);
    let single = image::open(out("single").join("seed0070.png")).unwrap();
    assert_eq!((single.width(), single.height()), (8, 8));

    sample(&[
        "--seeds",
        "1-3",
        "--out",
        &path(&out("walk.gif")),
        "--frames",
        "4",
    ]);
    // One seed is the image itself, and its latent vector leads to it again.
    sample(&["--seeds", "70", "--out", &path(&out("one.png"))]);
    let one = image::open(out("one.png")).unwrap();
    assert_eq!(one, single);
    let z = path(&out("z.safetensors"));
    sample(&["--seeds", "5,70", "--out", &z]);
    let more = ["--scale", "2", "--out", &path(&out("again"))];
    sample(&[&["--z", &z][..], &more].concat());
    let again = image::open(out("again").join("latent0001.png")).unwrap();
    assert_eq!((again.width(), again.height()), (16, 16));
    let shrunk = again.resize_exact(8, 8, image::imageops::FilterType::Nearest);
    assert_eq!(shrunk, single);

    let gif = std::fs::read(out("walk.gif")).unwrap();
    assert_eq!(&gif[..4], b"GIF8");
}

#[test]
fn what_trains_from_a_file_starts_where_the_file_ends() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    train(first.path(), &["--steps", "3"]).success();
    let (_, file) = checkpoint::list(&run_folders(first.path())[0])
        .unwrap()
        .pop()
        .unwrap();
    // Of images of other channels all fits but the layers of pixels.
    train(
        second.path(),
        &[
            "--steps",
            "1",
            "--set",
            "data.channels=3",
            "--init",
            run_folders(first.path())[0].to_str().unwrap(),
            "--trace",
            "1",
            "--set",
            "optimizer.g.lr=0",
        ],
    )
    .success();
    let trace = Checkpoint::load(&run_folders(second.path())[0].join("trace.safetensors")).unwrap();
    let saved = Checkpoint::load(&file).unwrap();
    let log = fs::read_to_string(run_folders(second.path())[0].join("log.txt")).unwrap();
    for layer in ["G", "D"] {
        let left = log
            .lines()
            .filter(|line| line.contains(&format!("  init: {layer}.")));
        assert!(left.count() > 0, "{log}");
    }
    assert!(
        log.contains("D.main.0.weight is [") && log.contains(" there and ["),
        "{log}"
    );
    assert_eq!(
        trace.tensors["before.G.main.0.weight"],
        saved.tensors["G.main.0.weight"]
    );
    assert_eq!(
        trace.tensors["after.G.main.0.weight"], saved.tensors["G.main.0.weight"],
        "learning rate 0"
    );
    assert_ne!(
        trace.tensors["after.D.main.0.weight"],
        saved.tensors["D.main.0.weight"]
    );
}

/// Masks of two orders in one network would let pixels see themselves.
#[test]
fn weights_of_another_order_of_the_pixels_leave_the_masks_as_they_are() {
    let outdirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, fresh, second] = outdirs.each_ref().map(tempfile::TempDir::path);
    let made = |outdir: &Path, more: &[&str]| {
        let made = ["train", "--preset", "made", "--data", "digits", "--quiet"];
        let small = ["--batch", "8", "--set", "data.size=8", "--steps", "1"];
        let to = ["--outdir", outdir.to_str().unwrap()];
        gpugan(&[&made[..], &small, &to, more].concat()).success();
        let run = run_folders(outdir).remove(0);
        let (_, file) = checkpoint::list(&run).unwrap().pop().unwrap();
        (run, Checkpoint::load(&file).unwrap().tensors)
    };
    let (run, given) = made(first, &["--set", "model.hidden=[16]"]);
    let other = ["--seed", "1", "--set", "model.hidden=[16, 16]"];
    let (_, own) = made(fresh, &other);
    let init = ["--init", run.to_str().unwrap()];
    let (_, taken) = made(second, &[&other[..], &init].concat());
    let masks: Vec<_> = own.keys().filter(|name| name.ends_with(".mask")).collect();
    assert_eq!(masks.len(), 3, "{masks:?}");
    assert_ne!(own["MADE.net.0.mask"], given["MADE.net.0.mask"]);
    for mask in masks {
        assert_eq!(taken[mask], own[mask], "{mask}");
    }
}

#[test]
fn frozen_layers_of_the_discriminator_stay_what_they_start_as() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let newest = |outdir: &Path| {
        let (_, file) = checkpoint::list(&run_folders(outdir)[0])
            .unwrap()
            .pop()
            .unwrap();
        Checkpoint::load(&file).unwrap().tensors
    };
    train(first.path(), &["--steps", "2"]).success();
    let init = run_folders(first.path())[0].to_str().unwrap().to_owned();
    let frozen = ["--steps", "2", "--init", &init, "--set"];
    train(
        second.path(),
        &[&frozen[..], &["train.freeze_d=1"]].concat(),
    )
    .success();
    let [before, after] = [first.path(), second.path()].map(newest);
    let weights = before.keys().filter(|name| name.ends_with("weight"));
    let (mut same, mut moved) = (Vec::new(), Vec::new());
    for name in weights.filter(|name| name.starts_with("D.") || name.starts_with("G.")) {
        match before[name] == after[name] {
            true => same.push(name.as_str()),
            false => moved.push(name.as_str()),
        }
    }
    assert_eq!(same, ["D.main.0.weight"], "{moved:?}");
    assert!(moved.len() > 4, "{moved:?}");
    // Nothing is kept for weights that do not move.
    let of_first = |name: &&String| name.contains("D.main.0") && !name.starts_with("D.");
    assert!(before.keys().any(|name| of_first(&name)));
    assert_eq!(after.keys().filter(of_first).count(), 0);
    let all = train(
        second.path(),
        &["--steps", "1", "--set", "train.freeze_d=64"],
    );
    assert_eq!(all.code(), Some(2));
    let said = all.said();
    assert!(
        said.contains("train.freeze_d = 64 leaves no layer"),
        "{said}"
    );
}
