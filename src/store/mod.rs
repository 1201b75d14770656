//! What a run leaves on disk: its folder and its checkpoints.

pub mod checkpoint;
pub mod classifier;
pub mod events;
pub mod file;
pub(crate) mod inception;
pub mod lock;
pub(crate) mod place;
pub mod replace;
pub mod run_folder;
