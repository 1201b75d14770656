//! Test support: checks a launch without a GPU.

use super::Launch;
use crate::gpu::translate;

/// Panics where the shader is refused, cannot be written for a backend or
/// exceeds the WebGPU default limits.
pub(super) fn validate(launch: &Launch) {
    translate(&launch.kernel).unwrap_or_else(|error| panic!("{error}"));
    assert!(launch.workgroups.iter().all(|&n| (1..=65_535).contains(&n)));
}
