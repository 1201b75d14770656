//! `gpugan check`: whether an adapter computes what it should.

use super::{AdapterArg, group};
use crate::config::options::CheckOptions;

/// Arguments of `gpugan check`.
#[derive(Debug, clap::Parser)]
pub struct CheckArgs {
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print one JSON object per line
    #[arg(long, help_heading = group::OUTPUT)]
    json: bool,
    /// Check only cases whose name contains this
    #[arg(long, help_heading = group::DEBUGGING, value_name = "TEXT")]
    filter: Option<String>,
}
impl CheckArgs {
    /// What was asked.
    pub fn options(self) -> CheckOptions {
        CheckOptions {
            adapter: self.adapter.chosen(),
            json: self.json,
            filter: self.filter,
        }
    }
}
