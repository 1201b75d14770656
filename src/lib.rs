//! gpugan.

pub mod error;
pub mod graph;
pub mod recording;
pub mod train;

pub use error::{Error, Result};
