//! Presets with changes.

use gpugan::config::{Config, assignment, presets};

/// A preset with keys set as by `--set`.
pub(crate) fn changed(name: &str, changes: &[&str]) -> Config {
    let changes = changes.iter().map(|text| assignment(text).unwrap());
    presets::load(name).unwrap().with(changes).unwrap()
}
