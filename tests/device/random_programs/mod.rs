//! Random programs over all primitives: their plans without a GPU, their
//! gradients against differences, and what a GPU computes against the f64
//! reference.

mod assigns;
mod checker;
mod device;
mod generator;
mod grow;
mod plans;
mod slopes;
mod values;
