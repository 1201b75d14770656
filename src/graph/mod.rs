//! The computation graph: shapes, the closed set of primitives, a builder that
//! checks shapes, gradients as further nodes, and the passes that turn a graph
//! into a plan.

mod build;
mod op;
mod shape;
mod vjp;

pub use build::{Graph, Node, NodeId};
pub use op::{
    Binary, ConvGeometry, Distribution, Op, PadMode, Role, Scalar, State, StateId, Unary, Window,
};
pub use shape::{MAX_RANK, Shape};
