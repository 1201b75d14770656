//! Pictures for people: grids of images, animations, and the charts of a run.

pub mod figures;
pub mod health_plot;
pub mod loss_plot;
