//! The adapter that tests run on.

use gpugan::gpu::{Gpu, Selector};

/// A device of its own on the best adapter, or on the one that `GPUGAN_ADAPTER`
/// names.
pub(crate) fn open() -> Gpu {
    let named = std::env::var("GPUGAN_ADAPTER").ok();
    Gpu::open(&Selector::named(named.as_deref())).unwrap_or_else(|error| panic!("{error}"))
}
