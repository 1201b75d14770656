//! Gradients as graph nodes, without a GPU: against finite differences of the
//! f64 reference, and for what they build.

mod differences;
