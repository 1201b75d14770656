//! gpugan.

pub mod data;
pub mod error;
pub mod graph;
pub mod recording;

pub use error::{Error, Result};
