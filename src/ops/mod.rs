//! From a primitive with known sizes to a kernel launch: one file a kernel
//! family, each with its parameters, its typed variants and its dispatch
//! geometry. Nothing here names wgpu.

pub mod conv;
mod epilogue;
pub mod matmul;
mod tile;

pub use epilogue::{Epilogue, MAX_EXTRAS};
pub use tile::Variant;

use crate::recording::Kernel;

/// A kernel with its dispatch geometry; bindings are added when it is lowered.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Workgroups along x, y, z.
    pub workgroups: [u32; 3],
}

/// What the choice of a variant may depend on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Facts {
    /// The adapter computes on the CPU.
    pub software: bool,
    /// Smallest subgroup the driver may use, in invocations.
    pub subgroup_min: u32,
    /// Largest subgroup the driver may use, in invocations.
    pub subgroup_max: u32,
    /// Bytes of workgroup memory one workgroup may use.
    pub workgroup_memory: u32,
}

/// Most workgroups along one dimension of a dispatch (WebGPU's default limit).
const MAX_WORKGROUPS: usize = 65_535;

/// Workgroups for at least `threads` invocations, x first, then y. Shaders find
/// their number with `linear_id` of `lib/grid.wgsl` and stop when it is not
/// below their count. `threads` must be below 2^32 less one row of workgroups.
pub fn spread(threads: usize, workgroup_size: u32) -> [u32; 3] {
    let groups = threads.div_ceil(workgroup_size as usize).max(1);
    let rows = groups.div_ceil(MAX_WORKGROUPS);
    let columns = groups.div_ceil(rows);
    [word(columns), word(rows), 1]
}

/// A size as a kernel constant.
fn word(size: usize) -> u32 {
    // Cannot fail: WebGPU's buffers are far shorter than 2^32 elements.
    u32::try_from(size).expect("a tensor's sizes and strides are below 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_covers_all_threads_within_the_limit() {
        for threads in [
            0,
            1,
            63,
            64,
            65,
            1 << 20,
            65_535 * 64,
            65_535 * 64 + 1,
            1 << 28,
        ] {
            let [x, y, z] = spread(threads, 64);
            assert!(x >= 1 && y >= 1 && z == 1);
            assert!(x as usize <= MAX_WORKGROUPS && y as usize <= MAX_WORKGROUPS);
            let covered = x as usize * y as usize * 64;
            assert!(covered >= threads, "{threads}");
            assert!(
                covered < threads + 64 * (y as usize + 1),
                "{threads}: {covered}"
            );
        }
    }
}
