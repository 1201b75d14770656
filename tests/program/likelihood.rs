//! Systems that say how probable an image is, as they are typed.

use std::path::Path;
use std::process::Command;

use gpugan::store::checkpoint::{self, Checkpoint};

/// Presets on so few pixels that a step takes no time.
const SMALL: [(&str, &[&str]); 3] = [
    ("vae", &["model.hidden=16", "model.latent=3"]),
    ("made", &["model.hidden=[16]"]),
    ("fvbn", &[]),
];

fn gpugan(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_gpugan"))
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
}

fn train(outdir: &Path, (preset, changes): (&str, &[&str]), steps: &str) {
    let outdir = outdir.to_str().unwrap();
    let common = ["train", "--quiet", "--preset", preset, "--outdir", outdir];
    let length = ["--steps", steps, "--batch", "8"];
    let changes = ["data.size=8"].iter().chain(changes);
    let changes = changes.flat_map(|change| ["--set", *change]);
    let arguments: Vec<&str> = common.into_iter().chain(length).chain(changes).collect();
    gpugan(&arguments);
}

/// The folder of the only run.
fn run(outdir: &Path) -> std::path::PathBuf {
    let mut runs = std::fs::read_dir(outdir).unwrap();
    runs.next().unwrap().unwrap().path()
}

#[test]
fn a_resumed_run_ends_with_the_weights_of_an_unbroken_one() {
    for small in SMALL {
        let [unbroken, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        train(unbroken.path(), small, "6");
        train(broken.path(), small, "3");
        let folder = run(broken.path());
        let folder = folder.to_str().unwrap();
        gpugan(&["train", "--quiet", "--resume", folder, "--steps", "6"]);
        let [one, other] = [unbroken, broken].map(|outdir| {
            let file = run(outdir.path()).join(checkpoint::file_name(6));
            Checkpoint::load(&file).unwrap().tensors
        });
        assert_eq!(one, other, "{}", small.0);
    }
}

#[test]
fn samples_come_from_a_checkpoint() {
    for small in SMALL {
        let outdir = tempfile::tempdir().unwrap();
        train(outdir.path(), small, "2");
        let folder = run(outdir.path());
        let out = outdir.path().join("samples.png");
        let paths = [&folder, &out].map(|path| path.to_str().unwrap());
        gpugan(&[
            "sample",
            "--checkpoint",
            paths[0],
            "--seeds",
            "0-3",
            "--out",
            paths[1],
        ]);
        assert!(image::open(&out).is_ok(), "{}", small.0);
    }
}
