//! Test support: has naga parse and validate a kernel's shader.

use super::Launch;
use crate::gpu::expand;

/// Panics with the shader's text where naga refuses it.
pub(super) fn validate(launch: &Launch) {
    let source = expand(&launch.kernel).unwrap_or_else(|error| panic!("{error}"));
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(&source)));
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::empty(),
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(&source)));
    assert!(launch.workgroups.iter().all(|&n| (1..=65_535).contains(&n)));
}
