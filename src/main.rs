//! The `gpugan` command: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use gpugan::cli::{Cli, ended, run};

fn main() -> ExitCode {
    ended(run(Cli::parse()))
}
