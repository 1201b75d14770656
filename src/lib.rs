//! gpugan.

pub mod error;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod recording;

pub use error::{Error, Result};
