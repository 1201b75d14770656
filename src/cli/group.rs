//! The groups of options in `--help`, in which every verb has those it needs.

/// What is learned from or looked at.
pub(super) const DATA: &str = "Data";
/// What is trained or used.
pub(super) const MODEL: &str = "Model";
/// How long a run is, where it goes and what it draws by.
pub(super) const RUN: &str = "Run";
/// What is measured of samples.
pub(super) const SCORES: &str = "Scores";
/// Which images are made.
pub(super) const SAMPLES: &str = "Samples";
/// Arithmetic with what images are made of.
pub(super) const LATENTS: &str = "Latent vectors";
/// Animations from image to image.
pub(super) const WALKS: &str = "Walks";
/// What it runs on.
pub(super) const MACHINE: &str = "Machine";
/// What is written and printed.
pub(super) const OUTPUT: &str = "Output";
/// What is seen of the inside.
pub(super) const DEBUGGING: &str = "Debugging";

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_option_is_in_a_group() {
        let groups = [
            DATA, MODEL, RUN, SCORES, SAMPLES, LATENTS, WALKS, MACHINE, OUTPUT, DEBUGGING,
        ];
        let mut used = Vec::new();
        for verb in Cli::command().get_subcommands() {
            let options = verb.get_arguments().filter(|arg| !arg.is_positional());
            for option in options {
                let group = option.get_help_heading();
                let known = groups.into_iter().find(|known| group == Some(known));
                let name = (verb.get_name(), option.get_id());
                used.push(known.unwrap_or_else(|| panic!("{name:?} is in {group:?}")));
            }
        }
        for group in groups {
            assert!(used.contains(&group), "no option is in {group}");
        }
    }

    #[test]
    fn help_fits_a_terminal_and_an_option_takes_four_lines_at_most() {
        let mut command = Cli::command().term_width(80);
        command.build();
        for verb in command.get_subcommands_mut() {
            let page = verb.render_help().to_string();
            let long = page.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "gpugan {} --help", verb.get_name());
            for option in verb.get_arguments().filter_map(Arg::get_help) {
                let words = option.to_string();
                assert!(words.chars().count() <= 220, "{words}");
            }
        }
    }
}
