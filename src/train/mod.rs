//! What a training run leaves on disk: its folder, log, statistics,
//! checkpoints and figures.

pub mod checkpoint;
pub mod figures;
pub mod memory;
pub mod plot;
pub mod run_folder;
pub mod session;
pub mod stats;
