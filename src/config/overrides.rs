//! Changes to a configuration: from a file, or from `--set key=value`.

use toml::{Table, Value};

use super::{Allowed, Refusal, Section, keys, show};
use crate::error::{Error, Result};

/// One key that gets a value, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    key: String,
    value: Value,
    /// As it was written, for keys whose value is text.
    text: Option<String>,
    /// The option of the command line that stands for the key, where it was given so.
    option: Option<&'static str>,
}

impl Override {
    /// Gives `key` (dotted, as `optimizer.g.lr`) a value.
    pub fn new(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            text: None,
            option: None,
        }
    }

    /// The dotted key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, where it is text.
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// Whether it is a section without keys, which changes nothing.
    pub(super) fn is_empty_section(&self, sections: &[Section]) -> bool {
        let under = |known: &str| {
            let rest = known.strip_prefix(&self.key);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let empty = self.value.as_table().is_some_and(Table::is_empty);
        empty && keys(sections).any(|(known, _)| under(&known))
    }

    /// The key and the value as it is stored; `elsewhere` says of keys that are
    /// not in these sections where they are.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown key, naming the nearest, or a value that
    /// its rule forbids, naming what is allowed.
    pub(super) fn checked(
        self,
        sections: &[Section],
        elsewhere: impl Fn(&str) -> Option<Refusal>,
    ) -> Result<(String, Value)> {
        let Some((_, key)) = keys(sections).find(|(key, _)| *key == self.key) else {
            return Err(match elsewhere(&self.key) {
                Some(Refusal { what, mend }) => Error::usage(what, mend),
                None => unknown(&self.key, sections),
            });
        };
        let value = match self.text {
            // A folder may be named 2024 or true.
            Some(text) if matches!(key.allowed, Allowed::Text) => Value::String(text),
            _ => self.value,
        };
        match key.allowed.admit(&value) {
            Some(value) => Ok((self.key, value)),
            None => {
                let given = match self.option {
                    Some(option) => match value.as_str() {
                        Some(text) if !text.is_empty() => format!("{option} {text}"),
                        _ => format!("{option} {}", show(&value)),
                    },
                    None => format!("{} = {}", self.key, show(&value)),
                };
                Err(Error::usage(
                    format!("{given} is not allowed"),
                    format!("use {}", key.allowed),
                ))
            }
        }
    }
}

/// Reads `key=value` as `--set` takes it. The value is TOML; what is not TOML,
/// as a bare word, is text.
///
/// # Errors
/// [`Error::Usage`] where there is no `=`, and for `preset` and `system`, which
/// only `--preset` chooses.
pub fn assignment(text: &str) -> Result<Override> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Error::usage(
            format!("--set {text} has no value"),
            "write it as --set key=value",
        ));
    };
    let (key, value) = (key.trim(), value.trim());
    if key == "preset" || key == "system" {
        return Err(Error::usage(
            format!("--set {key} does not choose a {key}"),
            format!("use --preset {value}"),
        ));
    }
    let text = match toml_value(value) {
        // What is text in TOML too needs no second form.
        Some(Value::String(_)) => None,
        _ => Some(value.to_owned()),
    };
    Ok(Override {
        key: key.to_owned(),
        value: toml_value(value).unwrap_or_else(|| Value::String(value.to_owned())),
        text,
        option: None,
    })
}

/// The value of an option of the command line that stands for a key; a wrong one is
/// reported as the option's.
///
/// # Errors
/// As of [`assignment`].
pub(crate) fn of_option(option: &'static str, key: &str, value: &str) -> Result<Override> {
    Ok(Override {
        option: Some(option),
        ..assignment(&format!("{key}={value}"))?
    })
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
pub(super) fn flatten(section: &str, table: Table, found: &mut Vec<Override>) {
    for (name, value) in table {
        let key = match section {
            "" => name,
            _ => format!("{section}.{name}"),
        };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&key, inner, found),
            value => found.push(Override::new(key, value)),
        }
    }
}

/// One TOML value, or `None` where `text` is not exactly one.
fn toml_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    (table.len() == 1).then(|| table.remove("value")).flatten()
}

fn unknown(path: &str, sections: &[Section]) -> Error {
    let known: Vec<String> = keys(sections).map(|(key, _)| key).collect();
    // The last name alone counts a little less than the whole path, so that
    // both `lr` and a misspelt section find their key.
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_string();
    let score = |key: &str| {
        let whole = strsim::normalized_damerau_levenshtein(path, key);
        whole.max(0.9 * strsim::normalized_damerau_levenshtein(&last(path), &last(key)))
    };
    let list = "`gpugan presets NAME` lists the keys of a preset";
    Error::usage(
        format!("unknown key {path}"),
        match nearest(known.iter().map(String::as_str), score) {
            Some(name) => format!("did you mean {name}? {list}"),
            None => list.to_owned(),
        },
    )
}

/// Names that score less, of 1, are not alike.
const ALIKE: f64 = 0.6;

/// The name with the highest score, the first of equals; none where no name is like
/// what was given.
pub(crate) fn nearest<'a>(
    names: impl Iterator<Item = &'a str>,
    score: impl Fn(&str) -> f64,
) -> Option<&'a str> {
    let scored = names.map(|name| (name, score(name)));
    let alike = scored.filter(|(_, score)| *score >= ALIKE);
    let best = alike.reduce(|best, other| if other.1 > best.1 { other } else { best });
    best.map(|(name, _)| name)
}
