//! The systems that there are.

use std::sync::Arc;

use super::{Given, System, classifier, cyclegan, dtn, gan, made, pix2pix, rbm, srgan, vae};
use crate::config::{Config, Override, Schema, Section, parse_file};
use crate::error::{Error, Result};

/// A system as a preset names it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) schema: &'static Schema,
    /// Opens it for data of a shape.
    pub(crate) open: fn(&Config, &Given<'_>) -> Result<Arc<dyn System>>,
}

/// All of them.
const SYSTEMS: &[Entry] = &[
    gan::ENTRY,
    classifier::ENTRY,
    cyclegan::ENTRY,
    dtn::ENTRY,
    made::FVBN,
    made::MADE,
    pix2pix::ENTRY,
    rbm::ENTRY,
    srgan::ENTRY,
    vae::ENTRY,
];

/// The system of files that name none, as those of earlier programs.
const UNNAMED: &str = gan::NAME;

/// The system of a configuration, for data of a shape.
///
/// # Errors
/// Where sizes do not fit together.
pub fn open(config: &Config, given: &Given<'_>) -> Result<Arc<dyn System>> {
    let entry = find(config.system())?;
    (entry.open)(config, given)
}

/// The sections of a configuration's own keys.
pub fn sections_of(config: &Config) -> Result<Vec<Section>> {
    let table = config.to_toml().parse().unwrap_or_default();
    Ok((find(config.system())?.schema.sections)(&table))
}

/// Reads a configuration; keys that are not there have their defaults. `named`
/// come before those of the text.
///
/// # Errors
/// [`Error::Usage`] for text that is not TOML, an unknown system or key, a value
/// that its rule forbids, or values that do not go together.
pub fn read_config(text: &str, named: impl IntoIterator<Item = Override>) -> Result<Config> {
    let mut found = parse_file(text)?;
    let system = found.iter().find(|change| change.key() == "system");
    let earlier = system.is_none();
    let name = system.and_then(Override::text).unwrap_or(UNNAMED);
    let config = Config::of(find(name)?.schema);
    if earlier {
        // Earlier programs wrote the keys of all architectures.
        let all = found.clone();
        found.retain(|change| !config.knows_elsewhere(&all, change.key()));
    }
    config.with(named.into_iter().chain(found))
}

fn find(name: &str) -> Result<&'static Entry> {
    let found = SYSTEMS.iter().find(|entry| entry.schema.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = SYSTEMS.iter().map(|entry| entry.schema.name).collect();
        Error::usage(
            format!("system = {name} is unknown"),
            format!("use {}", names.join(" or ")),
        )
    })
}
