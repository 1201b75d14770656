//! gpugan.

pub mod error;
pub mod graph;
pub mod ops;
pub mod recording;

pub use error::{Error, Result};
