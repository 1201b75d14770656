//! Runs of the built program, for tests of the command line.

use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Child;
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

/// As if Ctrl-C had been typed.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("there is a kill").success());
}

/// Copies what is in `$2` to a disk of `$0` KiB at `$1`, runs the rest there and copies
/// back what is left.
#[cfg(target_os = "linux")]
const ON_A_SMALL_DISK: &str = "
    mount -t tmpfs -o size=$0k none \"$1\" && cp -r \"$2\"/. \"$1\" || exit 99
    disk=$1 back=$2; shift 2; \"$@\"; code=$?
    rm -rf \"$back\"/* && cp -r \"$disk\"/. \"$back\" || exit 98
    exit $code";

/// A program for whom the folder `disk` is a disk of so many KiB, which holds what is in
/// `folder` and is copied there in the end.
#[cfg(target_os = "linux")]
pub(crate) fn on_a_small_disk(
    kibibytes: u64,
    [disk, folder]: [&Path; 2],
    program: &Command,
) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", ON_A_SMALL_DISK])
        .arg(kibibytes.to_string())
        .args([disk, folder]);
    starting(command, program)
}

/// A command that starts a program with its arguments and variables.
#[cfg(unix)]
pub(crate) fn starting(mut command: Command, program: &Command) -> Command {
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        command.env(name, value.expect("no variable is taken away"));
    }
    command
}

/// Whether [`on_a_small_disk`] can be had; says so if not.
#[cfg(target_os = "linux")]
pub(crate) fn has_small_disks() -> bool {
    let status = Command::new("unshare").args(["-rm", "true"]).status();
    let has = status.is_ok_and(|status| status.success());
    if !has {
        println!("no disk of its own without user namespaces");
    }
    has
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
