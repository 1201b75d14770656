//! `gpugan completions`: what shells complete, and manual pages.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, group};
use crate::error::{Error, Result};

/// Arguments of `gpugan completions`.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:
  gpugan completions bash > ~/.local/share/bash-completion/completions/gpugan
  gpugan completions fish > ~/.config/fish/completions/gpugan.fish
  gpugan completions --man ~/.local/share/man/man1")]
pub struct CompletionsArgs {
    /// Shell to print the script of
    #[arg(value_name = "SHELL", required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write manual pages to this folder instead, one for each verb
    #[arg(long, help_heading = group::OUTPUT, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
}
/// Prints the script of a shell, or writes the manual pages.
///
/// # Errors
/// [`Error::Io`] where they cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<()> {
    let mut command = Cli::command();
    if let Some(folder) = &args.man {
        return manual(command, folder);
    }
    let Some(shell) = args.shell else {
        return Ok(());
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    crate::console::print(&String::from_utf8_lossy(&script))
}

/// Writes `gpugan.1` and a page for each verb.
fn manual(command: clap::Command, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    clap_mangen::generate_to(command, folder).map_err(Error::io("write", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_verb() {
        let verbs: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|verb| verb.get_name().to_owned())
            .collect();
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::PowerShell,
            Shell::Elvish,
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "gpugan", &mut script);
            let script = String::from_utf8(script).expect("text");
            for word in verbs
                .iter()
                .map(String::as_str)
                .chain(["checkpoint", "on-collapse"])
            {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_verb_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        manual(Cli::command(), folder.path()).expect("written");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
        assert!(read("gpugan.1").expect("a page").contains("completions"));
        for verb in Cli::command().get_subcommands() {
            let page = read(&format!("gpugan-{}.1", verb.get_name())).expect("a page");
            assert!(page.contains(".TH"), "{page}");
        }
    }
}
