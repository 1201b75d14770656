//! `gpugan runs`: the runs of a folder.

use std::path::PathBuf;

use crate::error::Result;
use crate::runs;

/// Arguments of `gpugan runs`.
#[derive(Debug, clap::Parser)]
pub struct RunsArgs {
    /// Folder of runs
    #[arg(value_name = "DIR", default_value = "runs")]
    outdir: PathBuf,
}

/// Prints a table of the runs.
///
/// # Errors
/// [`crate::Error::Usage`] where there is none, [`crate::Error::Io`] where standard
/// output cannot be written.
pub fn run(args: &RunsArgs) -> Result<()> {
    crate::console::print(&runs::table(&runs::list(&args.outdir)?))
}
