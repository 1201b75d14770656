//! gpugan.

pub mod cli;
pub mod config;
pub mod error;
pub mod graph;
pub mod recording;

pub use error::{Error, Result};
