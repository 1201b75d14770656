//! gpugan trains, samples and measures generative adversarial networks on any
//! GPU that wgpu reaches, with hand-written WGSL kernels.

pub mod bench;
pub mod check;
pub mod classify;
pub mod cli;
pub mod compare;
pub mod config;
mod console;
pub mod data;
pub mod error;
pub mod eval;
pub mod gan;
pub mod gpu;
pub mod graph;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod plot;
pub mod recording;
pub mod reference;
pub mod sample;
pub mod toy;
pub mod train;

pub use error::{Error, Result};
