//! Games whose generator makes images of a class.

use super::{NAME, Settings};
use crate::config::{Config, Override};
use crate::error::{Error, Result};

/// The key that makes residual networks conditional, and its value.
const KEY: (&str, &str) = ("model.condition", "batch-norm");

/// A configuration with networks that take classes: as it is where they do already,
/// or with the key that makes them.
///
/// # Errors
/// [`Error::Usage`] for networks without such a form, naming those that have one,
/// and for what else a configuration does not go with classes.
pub fn conditional(config: Config) -> Result<Config> {
    let (key, value) = KEY;
    let without = |what: &str| {
        Error::usage(
            format!("{what} has no class-conditional form for --cond"),
            "use --preset cdcgan28 or cdcgan32, or --set model.architecture=resnet",
        )
    };
    if config.system() != NAME {
        return Err(without(&format!("system = {}", config.system())));
    }
    let settings = Settings::of(&config)?;
    let image = [1, settings.size.height, settings.size.width];
    if settings
        .pair(&config, image, 0)?
        .family()
        .condition()
        .is_some()
    {
        return Ok(config);
    }
    if config.value(key).is_none() {
        let architecture = settings.model.architecture;
        return Err(without(&format!("model.architecture = {architecture}")));
    }
    config.with([Override::new(key, value)])
}

/// The names of two classes or more.
pub(super) fn labelled(classes: &[String]) -> Result<Vec<String>> {
    if classes.len() < 2 {
        return Err(Error::usage(
            format!(
                "the data have {} classes, but a conditional model needs at least 2",
                classes.len()
            ),
            "give IDX files with labels, or a folder with a folder for each class, or use a preset without classes",
        ));
    }
    Ok(classes.to_vec())
}
