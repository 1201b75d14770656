//! Changes to a configuration: from a file, or from `--set key=value`.

use toml::{Table, Value};

use super::{Key, Rule, keys, show};
use crate::error::{Error, Result};

/// One key that gets a value, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    key: String,
    value: Value,
}

impl Override {
    /// Gives `key` (dotted, as `optimizer.g.lr`) a value.
    pub fn new(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }

    /// The dotted key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key and the value as it is stored.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown key, naming the nearest, or a value that
    /// its rule forbids, naming what is allowed.
    pub(super) fn checked(self) -> Result<(String, Value)> {
        let rule = find(&self.key)?.rule;
        match rule.admit(&self.value) {
            Some(value) => Ok((self.key, value)),
            None => Err(Error::usage(
                format!("{} = {} is not allowed", self.key, show(&self.value)),
                format!("use {rule}"),
            )),
        }
    }
}

/// Reads `key=value` as `--set` takes it. The value is TOML; what is not TOML,
/// as a bare word, is text.
///
/// # Errors
/// [`Error::Usage`] where there is no `=`, for an unknown key, or for `preset`,
/// which only `--preset` chooses.
pub fn assignment(text: &str) -> Result<Override> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Error::usage(
            format!("--set {text} has no value"),
            "write it as --set key=value",
        ));
    };
    let (key, value) = (key.trim(), value.trim());
    if key == "preset" {
        return Err(Error::usage(
            "--set preset does not choose a preset",
            format!("use --preset {value}"),
        ));
    }
    let text = || Value::String(value.to_string());
    let value = match toml_value(value) {
        // A folder may be named 2024 or true.
        Some(found) if matches!(find(key)?.rule, Rule::Text) && !found.is_str() => text(),
        Some(found) => found,
        None => text(),
    };
    Ok(Override::new(key, value))
}

/// The overrides in a TOML file, in the file's order of sections.
///
/// # Errors
/// [`Error::Usage`] for text that is not TOML; keys and values are checked
/// when they are applied.
pub fn parse_file(text: &str) -> Result<Vec<Override>> {
    let table: Table = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(String::new(), |span| {
            let before = text.get(..span.start).unwrap_or_default();
            format!(" in line {}", before.matches('\n').count() + 1)
        });
        Error::usage(
            format!("not TOML{line}: {}", e.message().replace('\n', " ")),
            "write it as `gpugan presets dcgan28` does",
        )
    })?;
    let mut found = Vec::new();
    flatten("", table, &mut found);
    Ok(found)
}

/// Turns nested tables into dotted keys.
fn flatten(section: &str, table: Table, found: &mut Vec<Override>) {
    for (name, value) in table {
        let key = match section {
            "" => name,
            _ => format!("{section}.{name}"),
        };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&key, inner, found),
            Value::Table(_) if is_section(&key) => {}
            value => found.push(Override { key, value }),
        }
    }
}

/// Whether some key lies under `path`.
fn is_section(path: &str) -> bool {
    keys().any(|(key, _)| {
        key.strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// One TOML value, or `None` where `text` is not exactly one.
fn toml_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    (table.len() == 1).then(|| table.remove("value")).flatten()
}

/// The known key at a dotted path.
fn find(path: &str) -> Result<&'static Key> {
    if let Some((_, key)) = keys().find(|(key, _)| key == path) {
        return Ok(key);
    }
    let known: Vec<String> = keys().map(|(key, _)| key).collect();
    // The last name alone counts a little less than the whole path, so that
    // both `lr` and a misspelt section find their key.
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_string();
    let score = |key: &str| {
        let whole = strsim::normalized_damerau_levenshtein(path, key);
        whole.max(0.9 * strsim::normalized_damerau_levenshtein(&last(path), &last(key)))
    };
    Err(Error::usage(
        format!("unknown key {path}"),
        format!(
            "the nearest is {}; `gpugan presets dcgan28` lists all",
            nearest(known.iter().map(String::as_str), score)
        ),
    ))
}

/// The name with the highest score, the first of equals.
pub(super) fn nearest<'a>(
    names: impl Iterator<Item = &'a str>,
    score: impl Fn(&str) -> f64,
) -> &'a str {
    names
        .fold(("", f64::NEG_INFINITY), |best, name| {
            let score = score(name);
            if score > best.1 { (name, score) } else { best }
        })
        .0
}
