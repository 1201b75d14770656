//! The computation graph: shapes, the closed set of primitives, a builder that
//! checks shapes, gradients as further nodes, and programs with the places of their
//! tensors.

mod build;
mod op;
mod program;
mod shape;
mod vjp;
mod vjp_fused;

pub use build::{Graph, Node, NodeId};
pub use op::{
    Binary, Class, ConvGeometry, Distribution, Op, PadMode, Role, Scalar, State, StateId, Unary,
    Window,
};
pub use program::{Arena, Group, Places, Program};
pub use shape::{MAX_ELEMENTS, MAX_RANK, Shape};
