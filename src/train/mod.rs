//! Training: the loop, and what a run leaves on disk: its folder, log,
//! statistics, checkpoints and figures.

pub mod blueprint;
mod capacity;
pub mod checkpoint;
pub mod figures;
pub mod health_plot;
pub mod loss_plot;
pub mod memory;
pub(crate) mod progress;
mod run;
pub mod run_folder;
mod scores;
pub mod session;
pub mod state;
pub mod stats;
pub(crate) mod stop;
pub(crate) mod stored;
mod trace;
mod watch;

pub use run::run;
