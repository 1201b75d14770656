//! `gpugan adapters`: what there is to run on.

use crate::error::Result;
use crate::gpu::{self, Selector};

/// Arguments of `gpugan adapters`.
#[derive(Debug, clap::Parser)]
pub struct AdaptersArgs {
    /// Print a JSON array with every fact
    #[arg(long)]
    json: bool,
}

/// Prints every adapter of this machine.
///
/// # Errors
/// [`crate::Error::Usage`] where there is none, [`crate::Error::Io`] where
/// standard output cannot be written.
pub fn run(args: &AdaptersArgs) -> Result<()> {
    let all = gpu::list();
    let best = Selector::Best.choose(&all)?;
    if args.json {
        return super::print(&format!("{:#}\n", serde_json::json!(all)));
    }
    let mut text = String::new();
    for facts in &all {
        let default = if facts.index == best.index {
            " [default]"
        } else {
            ""
        };
        let mebibytes = facts.limits.max_storage_binding >> 20;
        text += &format!(
            "{facts}{default}\n   {} {}; tensors up to {mebibytes} MiB\n",
            facts.driver, facts.driver_info
        );
    }
    super::print(&text)
}
