//! The `gpugan` command.
fn main() {}
