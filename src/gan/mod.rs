//! Adversarial training as programs: what a discriminator step, a generator
//! step and a sampling pass compute, and where their tensors lie. Plain data;
//! nothing here touches a GPU.

pub mod augment;
pub mod health;
pub mod latent;
pub mod loss;
pub mod monitor;
pub mod penalty;
mod programs;
mod representation;

pub use programs::{Layout, METRICS, Metric, Role, probe, programs, sampling};
pub use representation::representation;
