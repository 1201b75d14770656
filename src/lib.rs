//! gpugan.

pub mod error;
pub mod gpu;
pub mod graph;
pub mod recording;

pub use error::{Error, Result};
