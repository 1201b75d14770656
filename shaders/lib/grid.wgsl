// Number of this invocation in a dispatch that `ops::spread` laid out.
fn linear_id(wg: vec3<u32>, local: u32) -> u32 {
    return (wg.y * GRID_X + wg.x) * WORKGROUP + local;
}
