//! Presets with changes.

use std::sync::Arc;

use gpugan::config::{Config, assignment};
use gpugan::ops::Facts;
use gpugan::run::blueprint::Blueprint;
use gpugan::systems::{self, Given, System, presets};

/// A preset with keys set as by `--set`.
pub(crate) fn changed(name: &str, changes: &[&str]) -> Config {
    let changes = changes.iter().map(|text| assignment(text).unwrap());
    presets::load(name).unwrap().with(changes).unwrap()
}

/// The system of a configuration for images of so many channels.
pub(crate) fn system(config: &Config, channels: usize) -> Arc<dyn System> {
    systems::open(config, &Given::presumed(config, channels)).unwrap()
}

/// A run of a configuration as data.
pub(crate) fn blueprint(config: &Config, channels: usize, facts: &Facts) -> Blueprint {
    Blueprint::new(config, &*system(config, channels), facts).unwrap()
}
