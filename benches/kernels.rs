//! `cargo bench`: what `gpugan bench` does, with the same arguments.

use std::process::ExitCode;

use clap::Parser;
use gpugan::cli::bench::BenchArgs;
use gpugan::cli::ended;

fn main() -> ExitCode {
    // Cargo adds a flag of its own.
    let arguments = std::env::args().filter(|word| word != "--bench");
    let options = BenchArgs::parse_from(arguments).options();
    ended(options.and_then(|options| gpugan::bench::run(&options)))
}
