//! `cargo bench`: what `gpugan bench` does, with the same arguments.

use clap::Parser;
use gpugan::cli::bench::BenchArgs;

fn main() -> gpugan::Result<()> {
    // Cargo adds a flag of its own.
    let arguments = std::env::args().filter(|word| word != "--bench");
    gpugan::bench::run(&BenchArgs::parse_from(arguments).options()?)
}
