//! Training any system: a run as data ([`blueprint`]) and on a device
//! ([`session`]), the loop, what is measured of its health and what it remembers.

pub mod blueprint;
mod capacity;
pub mod health;
pub mod health_plot;
pub mod latent;
pub mod loss_plot;
pub mod memory;
pub mod monitor;
mod prepare;
pub(crate) mod progress;
mod scores;
pub mod session;
pub mod shown;
pub mod state;
pub mod stats;
pub(crate) mod stop;
mod trace;
mod training;
pub(crate) mod viewer;
mod watch;

pub use prepare::run;
pub use scores::{OpenScorer, Scorer};
