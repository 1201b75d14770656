//! One file a kernel family: parameters, choice of variant, dispatch geometry.

pub mod index;
pub mod load;
pub mod map;
pub mod norm;
pub mod optimizer;
pub mod random;
pub mod reduce;
#[cfg(test)]
mod validate;
pub mod window;

pub use load::Load;

use crate::recording::Kernel;

/// A kernel with its dispatch geometry; bindings are added when it is lowered.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Workgroups along x, y, z.
    pub workgroups: [u32; 3],
}

/// Most workgroups along one dimension of a dispatch, by WebGPU's defaults.
const MAX_WORKGROUPS: usize = 65_535;

/// Workgroups for at least `threads` invocations, x first, then y; shaders
/// number them by `lib/grid.wgsl` and skip those past the end.
pub fn spread(threads: usize, workgroup_size: u32) -> [u32; 3] {
    let groups = threads.div_ceil(workgroup_size as usize).max(1);
    let rows = groups.div_ceil(MAX_WORKGROUPS);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_covers_all_threads_within_the_limit() {
        assert_eq!(spread(0, 64), [1, 1, 1]);
        assert_eq!(spread(65, 64), [2, 1, 1]);
        for threads in [65_535 * 64, 65_535 * 64 + 1, 1 << 27] {
            let [x, y, z] = spread(threads, 64);
            assert!(x <= 65_535 && y <= 65_535 && z == 1);
            assert!(x as usize * y as usize * 64 >= threads);
        }
    }
}
