//! What a run that goes on is compared with, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gpugan::store::checkpoint::{self, Checkpoint};
use gpugan::store::lock::Lock;
use gpugan::store::run_folder::RunFolder;

use super::errors::assert_refused;
use crate::run::{Ended, ended, gpugan, program, run_folders, train};

/// A run of two steps that all tests go on with.
static TRAINED: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let outdir = tempfile::tempdir().unwrap();
    let steps = ["--steps", "2", "--tick", "1", "--snap", "1"];
    train(outdir.path(), &steps).success();
    outdir
});

/// A copy of that run.
struct Copied {
    outdir: tempfile::TempDir,
}

impl Copied {
    fn new() -> Self {
        let copied = Self {
            outdir: tempfile::tempdir().unwrap(),
        };
        let from = run_folders(TRAINED.path()).remove(0);
        fs::create_dir(copied.run()).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copied.run().join(path.file_name().unwrap())).unwrap();
        }
        copied
    }

    fn run(&self) -> PathBuf {
        self.outdir.path().join("00000-dcgan28-digits")
    }

    fn newest(&self) -> PathBuf {
        self.run().join(checkpoint::file_name(2))
    }

    /// Replaces text of its configuration.
    fn edit(&self, from: &str, to: &str) {
        let path = self.run().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Changes its newest checkpoint, of which the older ones are removed.
    fn craft(&self, change: impl FnOnce(&mut Checkpoint)) {
        let mut file = Checkpoint::load(&self.newest()).unwrap();
        change(&mut file);
        file.save(&self.newest()).unwrap();
        let run = RunFolder::open(self.run()).unwrap();
        for (_, path) in run.checkpoints().unwrap() {
            if path != self.newest() {
                fs::remove_file(path).unwrap();
            }
        }
    }

    fn resume(&self) -> Ended {
        let run = self.run();
        let run = run.to_str().unwrap();
        gpugan(&["train", "--quiet", "--resume", run, "--steps", "3"])
    }

    fn log(&self) -> String {
        fs::read_to_string(self.run().join("log.txt")).unwrap()
    }
}

fn crafted(change: impl FnOnce(&mut Checkpoint)) -> Copied {
    let copied = Copied::new();
    copied.craft(change);
    copied
}

#[test]
fn a_configuration_that_is_not_the_checkpoints_is_refused_or_stated() {
    for (from, to, key) in [
        ("seed = 0", "seed = 1", "seed = 1, but 0 in the checkpoint"),
        ("width = 4", "", "model.width = 64, but 4 in the checkpoint"),
        ("mirror = false", "mirror = true", "data.mirror"),
    ] {
        let copied = Copied::new();
        copied.edit(from, to);
        assert_refused(&copied.resume(), &[key, "checkpoint-000002"]);
    }
    let copied = Copied::new();
    copied.edit("keep = 3", "keep = 7");
    copied.resume().success();
    let log = copied.log();
    assert!(
        log.contains("train.keep = 7, but 3 in the checkpoint")
            && log.contains("steps = 3, but 2 in the checkpoint"),
        "{log}"
    );
}

#[test]
fn other_data_and_files_of_other_runs_are_refused() {
    let swapped = Copied::new();
    swapped.edit("source = \"digits\"", "source = \"fashion\"");
    assert_refused(&swapped.resume(), &["--data fashion", "not the images"]);

    let other = tempfile::tempdir().unwrap();
    train(other.path(), &["--steps", "3", "--seed", "5"]).success();
    let foreign = Copied::new();
    let name = checkpoint::file_name(3);
    let from = run_folders(other.path()).remove(0).join(&name);
    fs::copy(from, foreign.run().join(&name)).unwrap();
    assert_refused(
        &foreign.resume(),
        &["seed = 0, but 5 in the checkpoint", &name],
    );

    // Statistics beyond the first checkpoint, and none left.
    let bare = crafted(|_| ());
    fs::remove_file(bare.newest()).unwrap();
    assert_refused(
        &bare.resume(),
        &["statistics up to step 2", "no checkpoint"],
    );
}

#[test]
fn a_checkpoint_of_another_adapter_is_said_to_be_one() {
    let copied = crafted(|file| {
        let adapter = file.metadata.get_mut("adapter").expect("is known");
        *adapter = "Some Card (vulkan, driver 1)".into();
    });
    copied.resume().success();
    let log = copied.log();
    assert!(
        log.contains("Some Card") && log.contains("not bit for bit"),
        "{log}"
    );
    let same = Copied::new();
    same.resume().success();
    assert!(!same.log().contains("not bit for bit"), "{}", same.log());
}

#[test]
fn a_checkpoint_trained_by_other_kernels_is_said_to_be_one() {
    let other = crafted(|file| {
        let arithmetic = file.metadata.get_mut("arithmetic").expect("is known");
        *arithmetic = "other".into();
    });
    let earlier = crafted(|file| {
        file.metadata.remove("arithmetic").expect("is known");
    });
    for (copied, whose) in [
        (other, "other, now"),
        (earlier, "those of an earlier version"),
    ] {
        copied.resume().success();
        let log = copied.log();
        assert!(
            log.contains("other kernels") && log.contains(whose),
            "{log}"
        );
    }
    let same = Copied::new();
    same.resume().success();
    assert!(!same.log().contains("other kernels"), "{}", same.log());
}

#[test]
fn what_no_run_can_have_done_is_refused() {
    type Change = fn(&mut Checkpoint);
    fn set(file: &mut Checkpoint, name: &str, text: impl Into<String>) {
        file.metadata.insert(name.into(), text.into());
    }
    let cases: [(&str, Change); 7] = [
        ("stage", |file| set(file, "stage", u64::MAX.to_string())),
        ("steps", |file| {
            set(file, "position", format!("{{\"drawn\":{}}}", u64::MAX));
        }),
        ("steps", |file| {
            set(file, "step", u64::MAX.to_string());
            let counters =
                file.metadata["counters"].replace("\"step\":2", &format!("\"step\":{}", u64::MAX));
            set(file, "counters", counters);
        }),
        ("counters differ", |file| set(file, "step", "1")),
        ("channels", |file| set(file, "channels", "0")),
        ("channels", |file| set(file, "channels", "4294967296")),
        ("not the images", |file| set(file, "classes", "[]")),
    ];
    for (said, change) in cases {
        assert_refused(&crafted(change).resume(), &[said]);
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_wherever_they_are_read() {
    let copied = crafted(|file| {
        for name in ["G.main.0.weight", "G_ema.main.0.weight"] {
            file.tensors.get_mut(name).unwrap().1[3] = f32::NAN;
        }
        file.metadata.insert("health".into(), "non-finite".into());
    });
    let parts = ["holds NaN", "saved as non-finite", "checkpoint-000002"];
    assert_refused(&copied.resume(), &parts);
    let file = copied.newest();
    let file = file.to_str().unwrap();
    let out = copied.outdir.path().join("out.png");
    let out = out.to_str().unwrap();
    let sampled = gpugan(&["sample", "--checkpoint", file, "--out", out]);
    assert_refused(&sampled, &parts);
    assert!(!Path::new(out).exists());
    let new = tempfile::tempdir().unwrap();
    let begun = train(new.path(), &["--steps", "1", "--init", file]);
    assert_refused(&begun, &parts);
    assert!(run_folders(new.path()).is_empty());
}

#[test]
fn a_folder_that_another_process_writes_into_is_refused() {
    let copied = Copied::new();
    let lock = Lock::take(&RunFolder::open(copied.run()).unwrap()).unwrap();
    assert_refused(&copied.resume(), &["in use by another gpugan"]);
    drop(lock);
    copied.resume().success();
}

/// Steps that cannot be kept compiled are no failure.
#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let outdir = tempfile::tempdir().unwrap();
    let file = outdir.path().join("file");
    fs::write(&file, "").unwrap();
    let mut program = crate::run::program();
    program.env("XDG_CACHE_HOME", &file);
    let runs = outdir.path().join("runs");
    let arguments = ["train", "--steps", "1", "--outdir", runs.to_str().unwrap()];
    let all = [&arguments[..], &crate::run::SMALL].concat();
    let ended = crate::run::ended(program, &all);
    let said = ended.said();
    assert_eq!(ended.code(), Some(0), "{said}");
    // Some drivers have no such cache.
    assert!(said.lines().count() <= 1, "{said}");
    if let Some(line) = said.lines().next() {
        assert!(line.starts_with("warning: compiled kernels"), "{line}");
    }
}

/// Images may move, and the run goes on from any directory; other images in their place,
/// and changes that would make other networks of its weights, are refused.
#[test]
fn a_run_finds_its_images_from_anywhere_and_where_they_went() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("pictures")).unwrap();
    let picture = |number: u8| image::GrayImage::from_pixel(8, 8, image::Luma([number * 9]));
    for number in 0..12 {
        let file = at("pictures").join(format!("{number:02}.png"));
        picture(number).save(file).unwrap();
    }
    let small = "--steps 2 --tick 1 --snap 1 --batch 4 --set data.size=8 --set model.width=4 --set model.latent=8";
    let here = ["train", "--quiet", "--outdir", "runs", "--data", "pictures"];
    let arguments: Vec<&str> = here.into_iter().chain(small.split(' ')).collect();
    let mut inside = program();
    inside.current_dir(home.path());
    ended(inside, &arguments).success();

    let run = run_folders(&at("runs")).remove(0);
    let resume = |steps: &str, more: &[&str]| {
        let run = run.to_str().unwrap();
        let goes_on = ["train", "--quiet", "--resume", run, "--steps", steps];
        gpugan(&[&goes_on[..], more].concat())
    };
    resume("3", &[]).success();
    fs::rename(at("pictures"), at("moved")).unwrap();
    assert_refused(&resume("4", &[]), &["pictures", "cannot be opened"]);
    let moved = at("moved");
    let there = ["--data", moved.to_str().unwrap()];
    let faster = ["--set", "optimizer.g.lr=2e-3"];
    resume("4", &[&there[..], &faster].concat()).success();
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    for part in ["data.source = ", "optimizer.g.lr = 0.002, but"] {
        assert!(log.contains(part), "`{part}` is not in: {log}");
    }
    // What was asked for last is the run's from here on.
    resume("5", &[]).success();

    let wider = resume("6", &["--set", "model.width=8"]);
    assert_refused(&wider, &["model.width = 8, but 4 in the checkpoint"]);
    picture(20).save(moved.join("05.png")).unwrap();
    assert_refused(&resume("6", &[]), &["are not the images"]);
}

/// A resumed run names neither.
#[test]
fn a_run_killed_before_its_first_snapshot_keeps_its_initial_weights_and_scores() {
    let outdir = tempfile::tempdir().unwrap();
    let init = run_folders(TRAINED.path()).remove(0);
    let from = [
        "--init",
        init.to_str().unwrap(),
        "--metrics",
        "ms-ssim",
        "--steps",
        "3",
        "--set",
        "optimizer.g.lr=0",
    ];
    train(outdir.path(), &from).success();
    let run = run_folders(outdir.path()).remove(0);
    // As if it had been killed in its first step.
    for (step, path) in checkpoint::list(&run).unwrap() {
        if step > 0 {
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    let again = ["train", "--quiet", "--resume", run.to_str().unwrap()];
    gpugan(&again).success();
    let end = Checkpoint::load(&run.join(checkpoint::file_name(3))).unwrap();
    let given = Checkpoint::load(&init.join(checkpoint::file_name(2))).unwrap();
    let name = "G.main.0.weight";
    assert_eq!(end.tensors[name], given.tensors[name]);
    let scores = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(scores.contains("\"step\":3,"), "{scores}");
}
