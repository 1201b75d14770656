//! Pictures for people: grids of images and animations.

pub mod animation;
pub mod figures;
pub mod sheet;
