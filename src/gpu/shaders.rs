//! The shader files, built into the program.

macro_rules! shaders {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../shaders/", $file)))),*]
    };
}

/// Name below `shaders/` and text of every shader file, sorted by name. A test
/// compares the list with the folder.
pub const SHADERS: &[(&str, &str)] = shaders![
    "ceiling.wgsl",
    "conv_plain.wgsl",
    "conv_tile.wgsl",
    "conv_weight_grad_sum.wgsl",
    "conv_weight_grad_tile.wgsl",
    "fill.wgsl",
    "fold.wgsl",
    "index.wgsl",
    "lib/epilogue.wgsl",
    "lib/grid.wgsl",
    "lib/math.wgsl",
    "lib/packed.wgsl",
    "lib/right.wgsl",
    "lib/step.wgsl",
    "lib/subgroup_tile.wgsl",
    "lib/thread_tile.wgsl",
    "lib/tiling.wgsl",
    "lib/tree.wgsl",
    "lib/veiled.wgsl",
    "lib/weight.wgsl",
    "lib/workgroup_tile.wgsl",
    "map.wgsl",
    "matmul_plain.wgsl",
    "matmul_tile.wgsl",
    "norm.wgsl",
    "optimizer.wgsl",
    "order.wgsl",
    "pad.wgsl",
    "random.wgsl",
    "reduce.wgsl",
    "resize.wgsl",
    "window.wgsl",
    "winograd_pixels.wgsl",
    "winograd_planes.wgsl",
];
