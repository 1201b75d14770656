//! Runs of the built program, for tests of the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A model and data so small that a step takes milliseconds anywhere.
pub(crate) const SMALL: [&str; 11] = [
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
    "--quiet",
];

/// What a run of the program said and returned.
pub(crate) struct Ended {
    output: Output,
    arguments: String,
}

/// The program as users start it.
pub(crate) fn as_users_do() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gpugan"))
}

/// The program for tests of numbers that any driver has to meet: Mesa's software
/// driver compiles kernels in a third of the time without its optimiser and for
/// vectors of four, and leaves them in a folder of their own, because its cache
/// does not tell vectors of other lengths apart. Other drivers do not listen.
pub(crate) fn program() -> Command {
    let mut command = as_users_do();
    command
        .env("GALLIVM_PERF", "nopt")
        .env("LP_NATIVE_VECTOR_WIDTH", "128")
        .env("MESA_SHADER_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs the program with these arguments.
pub(crate) fn gpugan(arguments: &[&str]) -> Ended {
    ended(program(), arguments)
}

/// Runs a program with these arguments.
pub(crate) fn ended(mut program: Command, arguments: &[&str]) -> Ended {
    let output = program
        .args(arguments)
        .output()
        .expect("the program starts");
    Ended {
        output,
        arguments: arguments.join(" "),
    }
}

/// Trains the small model below `outdir` with more arguments.
pub(crate) fn train(outdir: &Path, more: &[&str]) -> Ended {
    let outdir = outdir
        .to_str()
        .expect("a temporary folder has a plain name");
    gpugan(&[&["train", "--outdir", outdir], &small(more)[..], more].concat())
}

/// [`SMALL`] without the width where dense networks, which have none, are asked for.
pub(crate) fn small(more: &[&str]) -> Vec<&'static str> {
    let mut small = SMALL.to_vec();
    let width = small.iter().position(|text| *text == "model.width=4");
    if let (true, Some(place)) = (more.contains(&"mlp"), width) {
        small.drain(place - 1..=place);
    }
    small
}

/// Run folders below `outdir`, sorted.
pub(crate) fn run_folders(outdir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(outdir) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.toml").is_file())
        .collect();
    folders.sort();
    folders
}

impl Ended {
    /// Asserts exit code 0.
    pub(crate) fn success(self) {
        assert!(
            self.output.status.success(),
            "{}: {}",
            self.arguments,
            self.said()
        );
    }

    /// What it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What it wrote to standard output.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Its exit code.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }
}
