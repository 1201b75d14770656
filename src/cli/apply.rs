//! `gpugan apply`: images through a trained model.

use std::path::PathBuf;

use super::AdapterArg;
use crate::config::options::ApplyOptions;

/// Arguments of `gpugan apply`.
#[derive(Debug, clap::Parser)]
pub struct ApplyArgs {
    /// Folder of pictures, IDX files, or the name of a data set
    #[arg(value_name = "INPUT")]
    input: String,
    /// Checkpoint file, or run folder, whose newest checkpoint is taken
    #[arg(long, value_name = "PATH")]
    checkpoint: PathBuf,
    /// sheet.png with inputs above outputs, or folder/ for one PNG an image
    #[arg(long, value_name = "PATH", default_value = "applied.png")]
    out: PathBuf,
    /// Images that are taken at most
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    count: u32,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Use the weights themselves instead of their moving average
    #[arg(long)]
    raw: bool,
}

impl ApplyArgs {
    /// What was asked.
    pub fn options(self) -> ApplyOptions {
        ApplyOptions {
            checkpoint: self.checkpoint,
            input: self.input,
            out: self.out,
            count: self.count as usize,
            adapter: self.adapter.chosen(),
            raw: self.raw,
        }
    }
}
