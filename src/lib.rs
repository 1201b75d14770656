//! gpugan.

pub mod error;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod recording;
pub mod reference;

pub use error::{Error, Result};
