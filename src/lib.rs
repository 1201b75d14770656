//! gpugan.

pub mod config;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod models;
pub mod nn;
pub mod ops;
pub mod recording;
pub mod reference;

pub use error::{Error, Result};
