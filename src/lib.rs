//! gpugan trains, samples and measures generative adversarial networks on any
//! GPU that wgpu reaches, with hand-written WGSL kernels.

pub mod adversarial;
pub mod apply;
pub mod bench;
pub mod check;
pub mod classify;
pub mod cli;
pub mod compare;
pub mod config;
pub mod console;
pub mod data;
pub mod error;
pub mod eval;
pub mod gpu;
pub mod graph;
pub mod media;
pub mod metrics;
pub mod nets;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod plan;
pub mod plot;
pub mod random;
pub mod recording;
pub mod reference;
pub mod run;
pub mod runs;
pub mod sample;
pub mod store;
pub mod systems;
pub mod toy;
pub mod train;

pub use error::{Error, Result};
