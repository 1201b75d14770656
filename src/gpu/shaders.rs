//! The shader files, built into the program.

macro_rules! shaders {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../shaders/", $file)))),*]
    };
}

/// Name below `shaders/` and text of every shader file, sorted by name. A test
/// compares the list with the folder.
pub const SHADERS: &[(&str, &str)] = shaders!["fill.wgsl", "lib/grid.wgsl", "lib/step.wgsl",];
