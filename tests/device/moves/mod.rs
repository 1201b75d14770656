//! The kernels that move, map, reduce and update, on the adapter of this
//! machine, against the f64 reference: odd and prime sizes, several memory
//! orders, poisoned outputs and temporaries.

mod batch_norm;
mod harness;
mod image;
mod index;
mod map;
mod reduce;
mod scatter;
mod update;
