//! A run of any system: as data ([`blueprint`]) and on a device ([`session`]), what
//! is measured of its health and what it remembers.

pub mod blueprint;
pub(crate) mod capacity;
pub(crate) mod finite;
pub mod health;
pub mod health_plot;
pub mod latent;
pub mod loss_plot;
pub mod memory;
pub mod monitor;
pub(crate) mod pace;
pub(crate) mod progress;
pub mod session;
pub mod shown;
pub(crate) mod standing;
pub mod state;
pub mod stats;
pub(crate) mod stop;
pub(crate) mod tiles;
pub(crate) mod viewer;

/// Whether a training goes on, as whoever watches it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It takes the next step.
    GoOn,
    /// It ends here.
    Stop,
}
