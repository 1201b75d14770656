//! Runs of several systems that are killed at random moments or whose disk is full:
//! what comes out is what an unbroken run gives, bit for bit.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gpugan::random::bits;
use gpugan::store::checkpoint::{self, Checkpoint};

use crate::run::{gpugan, program, run_folders};
#[cfg(target_os = "linux")]
use crate::run::{has_small_disks, on_a_small_disk};

/// Systems so small that a step takes milliseconds.
const SYSTEMS: [&str; 12] = [
    "--preset vae --set model.hidden=8 --set model.latent=2",
    "--preset rbm --set model.hidden=8 --set model.k=1",
    "--preset made --set model.hidden=[8]",
    "--preset fvbn",
    "--preset dcgan28 --set model.width=4 --set model.latent=8",
    "--preset cdcgan28 --set model.width=4 --set model.units=8 --set model.latent=8",
    "--preset wgan-gp --set model.width=4 --set model.latent=8",
    "--preset classifier --set model.width=4 --set model.features=4",
    "--preset pix2pix32 --set model.width=2 --set model.d_width=2 --set data.layout=images --set data.input=edges --set data.size=16 --set data.load_size=18",
    "--preset cyclegan32 --set model.width=2 --set model.d_width=2 --set model.blocks=1 --set data.source=emoji --set data.size=16",
    "--preset srgan32 --set model.width=2 --set model.d_width=2 --set model.blocks=1 --set model.d_stages=2 --set model.d_units=4 --set data.size=32 --set loss.pretrain=10 --set loss.features=tests/torch/fixtures/features.safetensors",
    "--preset dtn --set model.width=2 --set model.d_width=2 --set data.source=emoji --set data.channels=1 --set data.size=32 --set loss.features=tests/torch/fixtures/features.safetensors",
];

/// Trains a system below `outdir` for so many steps with a checkpoint each.
fn training(system: &str, outdir: &Path, steps: u32) -> Command {
    let mut command = program();
    command
        .args(["train", "--quiet", "--outdir", outdir.to_str().unwrap()])
        .args(["--data", "digits", "--batch", "8", "--set", "data.size=8"])
        .args(["--tick", "1", "--snap", "1", "--steps", &steps.to_string()])
        .args(system.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The same run gone on with.
fn resumed(outdir: &Path, steps: u32) -> Command {
    let mut command = program();
    command
        .args(["train", "--quiet", "--outdir", outdir.to_str().unwrap()])
        .args(["--resume", "--steps", &steps.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Every tensor of the newest checkpoint by its bits, with its step.
fn state(outdir: &Path) -> Option<(u64, BTreeMap<String, Vec<u32>>)> {
    let run = run_folders(outdir).pop()?;
    let (step, path) = checkpoint::list(&run).unwrap().pop()?;
    let file = Checkpoint::load(&path).unwrap();
    let tensors = file.tensors.into_iter();
    let bits = |values: Vec<f32>| values.iter().map(|x| x.to_bits()).collect();
    Some((
        step,
        tensors.map(|(name, (_, v))| (name, bits(v))).collect(),
    ))
}

fn assert_success(mut command: Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Kills a run of `steps` steps so many times, goes on with it to its end and compares
/// it with an unbroken one.
fn killed(system: &str, steps: u32, kills: u32) {
    let [whole, again, broken] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    assert_success(training(system, whole.path(), steps));
    // The first run compiled; this one takes as long as those to come.
    let started = Instant::now();
    assert_success(training(system, again.path(), steps));
    let mut duration = started.elapsed();
    let mut done = 0;
    for attempt in 0..20 * kills {
        let begun = !run_folders(broken.path()).is_empty();
        let mut command = match begun {
            true => resumed(broken.path(), steps),
            false => training(system, broken.path(), steps),
        };
        if done == kills {
            assert_success(command);
            break;
        }
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        // From the first file to the last step.
        let share = f64::from(bits(attempt, 0, 0, 0)[0]) / f64::from(u32::MAX);
        let moment = duration.mul_f64(0.2 + 0.7 * share);
        while started.elapsed() < moment && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if child.try_wait().unwrap().is_some() {
            // It was faster: once more from the start.
            duration = duration.min(started.elapsed().max(duration / 2));
            for run in run_folders(broken.path()) {
                std::fs::remove_dir_all(run).unwrap();
            }
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        done += 1;
    }
    assert_eq!(done, kills, "{system}");
    assert!(state(again.path()) == state(whole.path()), "{system}");
    assert!(state(broken.path()) == state(whole.path()), "{system}");
}

#[test]
fn kills_change_nothing_whatever_is_trained() {
    // All systems and a thousand kills in the long form.
    killed(SYSTEMS[0], 20, 2);
}

#[test]
#[ignore = "long: make test-long"]
fn a_thousand_kills_change_nothing() {
    // Beside each other, since most of a run's time is waiting for the disk.
    std::thread::scope(|scope| {
        for systems in SYSTEMS.chunks(3) {
            scope.spawn(move || {
                for system in systems {
                    let start = Instant::now();
                    killed(system, 40, 84);
                    println!("{system}: 84 kills, {:.0?}", start.elapsed());
                }
            });
        }
    });
}

/// A disk with so many KiB left: the run ends with one line and a checkpoint that can
/// be read, and goes on from it once there is room. Returns whether it was filled.
#[cfg(target_os = "linux")]
fn filled(system: &str, whole: &Path, left: u64) -> bool {
    let [disk, outdir] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    assert_success(training(system, outdir.path(), 2));
    let run = run_folders(outdir.path()).remove(0);
    let pages = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().metadata().unwrap().len().div_ceil(4096)
    };
    // A page for each file beside its own, as a tmpfs counts them.
    let files = std::fs::read_dir(&run).unwrap();
    let used = 4 * (files.map(pages).sum::<u64>() + 2);
    let limited = resumed(disk.path(), 4);
    let mut command = on_a_small_disk(used + left, [disk.path(), outdir.path()], &limited);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let full = !output.status.success();
    if full {
        assert_eq!(
            output.status.code(),
            Some(2),
            "{system}, {left} KiB: {said}"
        );
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains("free some space"), "{said}");
        assert!(state(outdir.path()).unwrap().0 >= 2);
        assert_success(resumed(outdir.path(), 4));
    }
    assert!(state(outdir.path()) == state(whole), "{system}, {left} KiB");
    full
}

/// A disk that is full at each of the writes of two snapshots.
#[cfg(target_os = "linux")]
fn full_disks(systems: &[&str], every: u64) {
    if !has_small_disks() {
        return;
    }
    for system in systems {
        let whole = tempfile::tempdir().unwrap();
        assert_success(training(system, whole.path(), 4));
        let mut filled_once = false;
        for left in (0..4096).step_by(every as usize) {
            let full = filled(system, whole.path(), left);
            filled_once |= full;
            if !full {
                break;
            }
        }
        assert!(filled_once, "{system}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_the_last_checkpoint() {
    full_disks(&[SYSTEMS[0]], 200);
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "long: make test-long"]
fn a_disk_that_is_full_at_any_write_leaves_the_last_checkpoint() {
    full_disks(&SYSTEMS, 8);
}

/// Of several processes that resume one run, one does.
#[test]
fn of_two_that_resume_a_run_one_is_refused() {
    let outdir = tempfile::tempdir().unwrap();
    assert_success(training(SYSTEMS[0], outdir.path(), 2));
    let mut first = resumed(outdir.path(), 1_000_000).spawn().unwrap();
    let run = run_folders(outdir.path()).remove(0);
    let log = || std::fs::read_to_string(run.join("log.txt")).unwrap();
    let start = Instant::now();
    while !log().contains("from step 2") {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = gpugan(&["train", "--resume", run.to_str().unwrap(), "--steps", "5"]);
    first.kill().unwrap();
    first.wait().unwrap();
    let said = second.said();
    assert_eq!(second.code(), Some(2), "{said}");
    assert!(said.contains("in use by another gpugan"), "{said}");
    // The kernel has released the lock of the killed one.
    let step = state(outdir.path()).unwrap().0;
    assert_success(resumed(outdir.path(), step as u32 + 1));
}
