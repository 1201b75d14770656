//! How the runs of a folder stand, from their files.

use std::fs;
use std::path::Path;

use gpugan::runs::{Standing, list, table};
use gpugan::store::lock::Lock;
use gpugan::store::run_folder::RunFolder;
use gpugan::systems::presets;

use crate::usage::refused;

/// A run of 40 steps with a tick at `step`, if there is one.
fn run(outdir: &Path, step: Option<u64>) -> RunFolder {
    let folder = RunFolder::create(outdir, "dcgan28", "fashion").unwrap();
    let config = presets::load("dcgan28").unwrap();
    let config = config.with([gpugan::config::Override::new("steps", 40)]);
    fs::write(folder.config(), config.unwrap().to_toml()).unwrap();
    if let Some(step) = step {
        let tick = format!(
            "{{\"step\":{step},\"kimg\":1.0,\"sec_per_step\":0.1,\"memory_bytes\":1,\"loss_d\":0.25,\"loss_g\":null,\"d_real\":0.5}}\n"
        );
        fs::write(folder.stats(), tick).unwrap();
    }
    folder
}

#[test]
fn runs_are_running_done_ended_or_stopped() {
    let outdir = tempfile::tempdir().unwrap();
    let steps = [None, Some(20), Some(40), Some(30), Some(10)];
    let folders = steps.map(|step| run(outdir.path(), step));
    fs::write(folders[3].ended(), "mode collapse\n").unwrap();
    let _lock = Lock::take(&folders[4]).unwrap();
    let runs = list(outdir.path()).unwrap();
    let standings = runs.iter().map(|(_, run)| run.as_ref().unwrap().standing);
    assert_eq!(
        standings.collect::<Vec<_>>(),
        [
            Standing::Stopped,
            Standing::Stopped,
            Standing::Done,
            Standing::Ended,
            Standing::Running
        ]
    );
    let text = table(&runs);
    let lines: Vec<&str> = text.lines().collect();
    let cells =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(
        cells(lines[0]),
        ["run", "data", "step", "state", "losses", "health"]
    );
    assert_eq!(
        cells(lines[1]),
        ["00000-dcgan28-fashion", "fashion", "0/40", "stopped", "-"]
    );
    // A loss that is not finite is none.
    assert_eq!(
        cells(lines[5]),
        [
            "00004-dcgan28-fashion",
            "fashion",
            "10/40",
            "running",
            "d",
            "0.250",
            "-"
        ]
    );
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn a_run_that_cannot_be_read_is_named_and_the_others_are_listed() {
    let outdir = tempfile::tempdir().unwrap();
    run(outdir.path(), Some(20));
    let broken = run(outdir.path(), None);
    fs::write(broken.config(), "steps = \"many\"\n").unwrap();
    let text = table(&list(outdir.path()).unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].contains("20/40"), "{text}");
    assert!(
        lines[2].starts_with("00001-dcgan28-fashion: ") && lines[2].contains("steps"),
        "{text}"
    );
}

#[test]
fn a_folder_without_runs_is_refused() {
    let outdir = tempfile::tempdir().unwrap();
    refused(list(outdir.path()), &["no runs in", "gpugan train"]);
    refused(list(&outdir.path().join("none")), &["cannot list"]);
}
