//! The computation graph: shapes, the closed set of primitives, a builder that
//! checks shapes, gradients as further nodes, and the passes that turn a graph
//! into a plan.

mod build;
mod emit;
mod emit_other;
mod express;
mod fuse;
mod lower;
mod op;
mod plan;
mod program;
mod shape;
mod view;
mod vjp;
mod vjp_fused;

pub use build::{Graph, Node, NodeId};
pub use op::{
    Binary, ConvGeometry, Distribution, Op, PadMode, Role, Scalar, State, StateId, Unary, Window,
};
pub use plan::Plan;
pub use program::{Arena, Group, Places, Program};
pub use shape::{MAX_RANK, Shape};
