//! Files of the earlier format: without a system, and with the keys of all
//! architectures beside the chosen one's.

use std::fs;
use std::path::PathBuf;

use gpugan::systems::presets;
use toml::{Table, Value};

use super::{from_toml, keys};

const RUNS: &str = "tests/unchanged/runs";

/// The stored files, by the names of their folders.
fn files() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(RUNS).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.path().is_dir());
    let mut files: Vec<_> = folders
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.path().join("config.toml"))
        })
        .collect();
    files.sort();
    files
}

/// Every value with its dotted key.
fn values(section: &str, table: Table) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in table {
        let key = [section, &name]
            .join(".")
            .trim_start_matches('.')
            .to_owned();
        match value {
            Value::Table(inner) => all.extend(values(&key, inner)),
            value => all.push((key, value)),
        }
    }
    all
}

#[test]
fn files_of_earlier_programs_are_read_with_the_values_of_keys_that_still_exist() {
    let files = files();
    assert_eq!(files.len(), 14);
    for (name, path) in files {
        let text = fs::read_to_string(&path).unwrap();
        let config = from_toml(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(config, presets::read(&path).unwrap(), "{name}");
        assert_eq!(config.system(), "gan", "{name}");

        let stored = values("", text.parse().unwrap());
        let mut dropped = 0;
        for (key, value) in &stored {
            match config.value(key) {
                Some(now) => assert_eq!(now, *value, "{name}: {key}"),
                // Of another architecture, which this one's file does not name.
                None => {
                    assert!(key.starts_with("model."), "{name}: {key}");
                    dropped += 1;
                }
            }
        }
        assert!(dropped > 0, "{name}");
        // New keys have their defaults.
        let architecture = config.value("model.architecture").unwrap();
        let defaults = from_toml(&format!("[model]\narchitecture = {architecture}")).unwrap();
        for (key, _) in keys(&config) {
            if !stored.iter().any(|(stored, _)| *stored == key) {
                assert_eq!(config.value(&key), defaults.value(&key), "{name}: {key}");
            }
        }
        // Written anew it names its system and reads back the same.
        assert_eq!(from_toml(&config.to_toml()).unwrap(), config, "{name}");
    }
}

#[test]
fn an_earlier_file_is_still_held_to_the_rules() {
    let (_, path) = files().remove(0);
    let text = fs::read_to_string(path).unwrap();
    assert!(from_toml(&format!("extra = 1\n{text}")).is_err());
    let wrong = text.replacen("batch = 8", "batch = 0", 1);
    assert_ne!(wrong, text);
    assert!(from_toml(&wrong).is_err());
}
