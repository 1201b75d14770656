//! The GPU: the only folder that names wgpu. Adapters are listed and chosen, a
//! device is opened, memory is reserved, and a
//! [`Recording`](crate::recording::Recording) becomes an executable that is
//! built once and replayed each step.

mod adapter;
mod cache;
mod compiling;
mod device;
mod executable;
mod first_use;
mod memory;
mod pipeline;
mod readback;
mod shaders;
mod source;
mod translate;

pub use adapter::{AdapterFacts, DeviceType, Features, Limits, Selector, list};
pub(crate) use cache::user_folder as cache_folder;
pub use compiling::Compiling;
pub use device::Gpu;
pub use executable::Executable;
pub use memory::{Memory, POISON_BITS};
pub use readback::Readback;
pub use shaders::SHADERS;
pub use source::expand;
pub use translate::{Translation, translate};
