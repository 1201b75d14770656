//! The `gpugan` command: parse, run, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match gpugan::cli::run(gpugan::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, the exit code still tells.
            let text = error.to_string();
            let _ = writeln!(
                std::io::stderr(),
                "error: {}",
                gpugan::console::plain(&text)
            );
            ExitCode::from(error.exit_code())
        }
    }
}
