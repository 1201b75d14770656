//! Bad input: one line with the mend, exit code 2, nothing written.

use std::fs;
use std::path::Path;

use gpugan::store::checkpoint::{self, Checkpoint};

use crate::run::{Ended, SMALL, gpugan, program, run_folders, train};

/// Asserts one line that contains all `parts`, and exit code 2.
pub(super) fn assert_refused(ended: &Ended, parts: &[&str]) {
    let said = ended.said();
    assert_eq!(ended.code(), Some(2), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: ") && said.contains("; "),
        "no mend: {said}"
    );
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

fn assert_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn bad_settings_are_refused_before_anything_is_written() {
    let outdir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--data", "/nowhere/at/all"], &["/nowhere/at/all"]),
        (&["--preset", "dcgan23"], &["dcgan23", "dcgan"]),
        (&["--set", "model.widht=8"], &["model.widht", "model.width"]),
        (&["--batch", "0"], &["batch", "0"]),
        (&["--set", "data.size=10"], &["10", "12"]),
        (
            &["--preset", "dcgan32", "--set", "data.size=24"],
            &["24", "32"],
        ),
        (&["--set", "optimizer.g.lr=-1"], &["optimizer.g.lr"]),
        (&["--adapter", "no such adapter"], &["no such adapter"]),
        (
            &["--init", "/nowhere/weights.safetensors"],
            &["/nowhere/weights.safetensors"],
        ),
    ];
    for (arguments, parts) in cases {
        // The preset comes with its own size.
        let small = if arguments.contains(&"dcgan32") {
            &SMALL[..4]
        } else {
            &SMALL[..]
        };
        // A later flag does not replace an earlier one in every case.
        let small: Vec<&str> = small
            .chunks(2)
            .filter(|pair| !arguments.contains(&pair[0]) || pair[0] == "--set")
            .flatten()
            .copied()
            .collect();
        let all = [
            &["train", "--outdir", outdir.path().to_str().unwrap()],
            &small[..],
            arguments,
        ]
        .concat();
        assert_refused(&gpugan(&all), parts);
        assert_empty(outdir.path());
    }
}

#[test]
fn an_outdir_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    assert_refused(
        &train(&file.join("runs"), &["--steps", "1"]),
        &["file", "--outdir"],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "in the way");
}

#[test]
fn an_empty_folder_of_data_is_refused() {
    let [outdir, data] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let path = data.path().to_str().unwrap();
    let outdir_text = outdir.path().to_str().unwrap();
    assert_refused(
        &gpugan(&["train", "--outdir", outdir_text, "--data", path]),
        &[path],
    );
    assert_empty(outdir.path());
}

#[test]
fn foreign_and_torn_checkpoints_are_refused() {
    let outdir = tempfile::tempdir().unwrap();
    train(
        outdir.path(),
        &["--steps", "2", "--tick", "1", "--snap", "1"],
    )
    .success();
    let run = run_folders(outdir.path()).remove(0);
    let (_, newest) = checkpoint::list(&run).unwrap().pop().unwrap();
    let newest_text = newest.to_str().unwrap();

    let other = tempfile::tempdir().unwrap();
    let foreign = outdir.path().join("foreign.safetensors");
    let mut file = Checkpoint::default();
    let tensor = (vec![1], vec![0.5]);
    file.tensors.insert("foreign.weight".into(), tensor);
    file.save(&foreign).unwrap();
    let begun = train(
        other.path(),
        &["--steps", "3", "--init", foreign.to_str().unwrap()],
    );
    assert_refused(&begun, &["another model", "no tensor"]);
    assert_empty(other.path());

    let whole = fs::read(&newest).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&newest, &whole[..length]).unwrap();
        let out = other.path().join("grid.png");
        let sampled = gpugan(&[
            "sample",
            "--checkpoint",
            newest_text,
            "--seeds",
            "0-3",
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_refused(&sampled, &[newest_text]);
        assert_empty(other.path());
    }

    // A torn newest checkpoint is passed over for the one before.
    let resume = ["train", "--resume", run.to_str().unwrap(), "--steps", "3"];
    gpugan(&resume).success();
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(log.contains("from step 1"), "{log}");
    assert!(log.contains(newest_text), "the torn file is named: {log}");
}

#[test]
fn a_run_that_is_over_is_not_resumed() {
    let outdir = tempfile::tempdir().unwrap();
    train(outdir.path(), &["--steps", "2"]).success();
    let again = gpugan(&[
        "train",
        "--outdir",
        outdir.path().to_str().unwrap(),
        "--resume",
    ]);
    assert_refused(&again, &["step 2", "--steps"]);
}

#[test]
fn a_batch_that_does_not_fit_is_refused_with_the_largest_that_does() {
    let outdir = tempfile::tempdir().unwrap();
    let huge = [
        "train",
        "--outdir",
        outdir.path().to_str().unwrap(),
        "--preset",
        "dcgan64",
        "--batch",
        "60000",
    ];
    let ended = gpugan(&huge);
    assert_refused(&ended, &["does not fit", "--batch"]);
    assert_empty(outdir.path());
    let said = ended.said();
    let largest = said.rsplit("--batch ").next().unwrap().trim();
    let fits = [
        "train",
        "--preset",
        "dcgan64",
        "--batch",
        largest,
        "--dry-run",
    ];
    gpugan(&fits).success();
}

/// Sizes that no kernel can count, and files that are none.
#[test]
fn sizes_and_files_without_an_end_are_refused() {
    let outdir = tempfile::tempdir().unwrap();
    let dir = outdir.path().to_str().unwrap();
    let train = ["train", "--quiet", "--outdir", dir];
    let cases: [(&[&str], &[&str]); 4] = [
        (
            &["--preset", "dcgan64", "--batch", "65536"],
            &["--batch", "elements"],
        ),
        (
            &["--preset", "mlp", "--set", "model.hidden_g=[65536,65536]"],
            &["elements", "model"],
        ),
        (&["--preset", "/dev/zero"], &["/dev/zero", "a device"]),
        (&["--init", "/dev/zero"], &["/dev/zero", "a device"]),
    ];
    for (arguments, parts) in cases {
        assert_refused(&gpugan(&[&train[..], arguments].concat()), parts);
    }
    let bench = ["bench", "step", "--preset", "dcgan64", "--batch", "65536"];
    assert_refused(&gpugan(&bench), &["--batch", "elements"]);
    assert_empty(outdir.path());
}

/// What stands in files steers no terminal.
#[test]
#[cfg(unix)]
fn control_characters_reach_no_terminal() {
    let outdir = tempfile::tempdir().unwrap();
    let preset = outdir.path().join("preset.toml");
    fs::write(&preset, "\"\\u001b]0;owned\\u0007\" = 1\n").unwrap();
    let ended = gpugan(&["train", "--preset", preset.to_str().unwrap()]);
    assert_refused(&ended, &["]0;owned"]);
    let said = ended.said();
    assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
}

#[test]
fn without_a_driver_the_error_says_what_to_install() {
    let outdir = tempfile::tempdir().unwrap();
    let output = program()
        .args(["train", "--outdir", outdir.path().to_str().unwrap()])
        .env("VK_DRIVER_FILES", "/nonexistent/driver.json")
        .env("VK_ICD_FILENAMES", "/nonexistent/driver.json")
        .output()
        .unwrap();
    // Where other backends than Vulkan answer, there is an adapter left.
    if cfg!(target_os = "linux") {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("no adapter") && said.contains("make setup"),
            "{said}"
        );
        assert_empty(outdir.path());
    }
}
