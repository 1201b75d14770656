// One number for each invocation of a dispatch that is laid out by ops::spread:
// workgroups fill x first (GRID_X of them), then y; WORKGROUP invocations each.
fn linear_id(wg: vec3<u32>, local: u32) -> u32 {
    return (wg.y * GRID_X + wg.x) * WORKGROUP + local;
}
