//! `gpugan presets`: what a run can start from.

use crate::error::Result;
use crate::systems::presets::{DEFAULT, PRESETS, load};

/// Arguments of `gpugan presets`.
#[derive(Debug, clap::Parser)]
pub struct PresetsArgs {
    /// Preset or TOML file to print, with every key explained and overrides marked
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Prints the list, or one preset.
///
/// # Errors
/// [`crate::Error::Usage`] for an unknown name, [`crate::Error::Io`] where
/// standard output cannot be written.
pub fn run(args: &PresetsArgs) -> Result<()> {
    if let Some(name) = &args.name {
        return crate::console::print(&load(name)?.to_commented_toml());
    }
    let widest = PRESETS.iter().map(|p| p.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for preset in PRESETS {
        let default = if preset.name == DEFAULT {
            " [default]"
        } else {
            ""
        };
        text += &format!("{:widest$}  {}{default}\n", preset.name, preset.summary());
    }
    crate::console::print(&text)
}
