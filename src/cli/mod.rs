//! The command line: one file a verb, each with the arguments it takes and
//! the checks that need neither data nor GPU.

pub mod adapters;
pub mod apply;
pub mod bench;
pub mod check;
pub mod classify;
pub mod compare;
pub mod completions;
pub mod data;
pub mod eval;
mod group;
pub mod presets;
pub mod runs;
pub mod sample;
pub mod toy;
pub mod train;

use std::io::Write;
use std::process::ExitCode;

use crate::console::plain;
use crate::error::Result;
use crate::run::Next;

/// Train and sample generative adversarial networks on any GPU.
#[derive(Debug, clap::Parser)]
#[command(
    name = "gpugan",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `gpugan` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Train a generator against a discriminator
    Train(Box<train::TrainArgs>),
    /// Make images with a trained generator
    Sample(sample::SampleArgs),
    /// List runs with their data, step, losses and health
    Runs(runs::RunsArgs),
    /// Put images through a trained image-to-image model
    Apply(Box<apply::ApplyArgs>),
    /// Score the samples of a trained generator
    Eval(eval::EvalArgs),
    /// Train a classifier whose features score samples
    Classify(classify::ClassifyArgs),
    /// Train several presets on the same data and compare them
    Compare(compare::CompareArgs),
    /// Describe a data set and draw what a network sees of it
    Data(data::DataArgs),
    /// Train on points of a line or a plane and draw what both networks do
    Toy(Box<toy::ToyArgs>),
    /// List the adapters of this machine
    Adapters(adapters::AdaptersArgs),
    /// Check each operation of an adapter against plain loops
    Check(check::CheckArgs),
    /// Measure an adapter, its kernels and whole training steps
    Bench(Box<bench::BenchArgs>),
    /// List the presets, or print one with every key explained
    Presets(presets::PresetsArgs),
    /// Print completions for a shell, or write manual pages
    Completions(completions::CompletionsArgs),
}

/// Does what the command line asks.
///
/// # Errors
/// Whatever stops it; [`crate::Error::exit_code`] is the exit code of the program.
pub fn run(cli: Cli) -> Result<()> {
    match cli.verb {
        Verb::Train(args) => crate::train::run(args.options()?, |_| Next::GoOn).map(drop),
        Verb::Sample(args) => crate::sample::run(&args.options()?),
        Verb::Runs(args) => runs::run(&args),
        Verb::Apply(args) => crate::apply::run(&args.options()?),
        Verb::Eval(args) => crate::eval::run(&args.options()?),
        Verb::Classify(args) => crate::classify::run(&args.options()?),
        Verb::Compare(args) => crate::compare::run(&args.options()?),
        Verb::Data(args) => data::run(&args),
        Verb::Toy(args) => crate::toy::run(&args.options()?),
        Verb::Adapters(args) => adapters::run(&args),
        Verb::Check(args) => crate::check::run(&args.options()),
        Verb::Bench(args) => crate::bench::run(&args.options()?),
        Verb::Presets(args) => presets::run(&args),
        Verb::Completions(args) => completions::run(&args),
    }
}

/// The exit code of what ended so; an error is one line on standard error.
pub fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {}", plain(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// The environment variable that names an adapter where no option does.
const ADAPTER: &str = "GPUGAN_ADAPTER";

/// Which adapter to run on; the same for every verb that needs one.
#[derive(Clone, Debug, clap::Args)]
pub struct AdapterArg {
    /// Adapter: best, gpu, cpu, vulkan, metal, dx12, its number in `gpugan adapters`, or part of its
    /// name [default: best]
    #[arg(
        long,
        value_name = "NAME",
        help_heading = group::MACHINE,
        env = ADAPTER,
        hide_env_values = true
    )]
    adapter: Option<String>,
}

impl AdapterArg {
    /// The adapter asked for; an empty environment variable asks for none.
    fn chosen(self) -> Option<String> {
        self.adapter.filter(|name| !name.trim().is_empty())
    }
}
