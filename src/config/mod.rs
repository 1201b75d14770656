//! What a run is made of: every key, its default, what it may be and what it
//! means, in one place. A preset or `--set` overrides keys; nothing else
//! configures a run.

mod compose;
mod data;
pub mod options;
mod overrides;
pub mod presets;
mod rule;
mod sections;
mod validate;

pub use data::Data;
pub use overrides::{Override, assignment, parse_file};
pub use rule::{Key, Rule};
pub use sections::{
    Architecture, Augment, Config, Latent, Loss, LossKind, Model, MomentumForm, Norm, OnCollapse,
    Optimizer, OptimizerKind, Optimizers, Output, OutputBias, Penalty, Size, Stem, Train, Update,
};

use toml::{Table, Value};

use crate::error::{Error, Result};

/// The sections in the order of the file, the first being the keys above all
/// sections.
pub const SECTIONS: &[(&str, &[Key])] = &[
    ("", Config::KEYS),
    ("data", Data::KEYS),
    ("model", Model::KEYS),
    ("loss", Loss::KEYS),
    ("train", Train::KEYS),
    ("optimizer.g", Optimizer::KEYS),
    ("optimizer.d", Optimizer::KEYS),
];

/// Every key with its dotted path, in the order of the file.
pub fn keys() -> impl Iterator<Item = (String, &'static Key)> {
    SECTIONS.iter().flat_map(|(section, keys)| {
        keys.iter().map(move |key| match *section {
            "" => (key.name.to_string(), key),
            _ => (format!("{section}.{}", key.name), key),
        })
    })
}

impl Config {
    /// Reads a configuration; keys that are not there have their defaults.
    ///
    /// # Errors
    /// [`Error::Usage`] for text that is not TOML, an unknown key, a value
    /// that its rule forbids, or values that do not go together.
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::default().with(parse_file(text)?)
    }

    /// Every key with its value; [`Config::from_toml`] reads the same back.
    pub fn to_toml(&self) -> String {
        self.render(None)
    }

    /// As [`Config::to_toml`], with a comment at each key that says what it
    /// means, what it may be and where it differs from the default.
    pub fn to_commented_toml(&self) -> String {
        self.render(Some(&Self::default().table()))
    }

    /// This configuration with some keys changed, checked as a whole.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown key, a value that its rule forbids, or
    /// values that do not go together.
    pub fn with(&self, overrides: impl IntoIterator<Item = Override>) -> Result<Self> {
        let mut table = self.table();
        for change in overrides {
            let (key, value) = change.checked()?;
            insert(&mut table, &key, value);
        }
        let config: Self = table.try_into().map_err(|e: toml::de::Error| {
            Error::usage(
                format!("the configuration cannot be read: {}", e.message()),
                "compare it with `gpugan presets dcgan28`",
            )
        })?;
        config.validate()?;
        Ok(config)
    }

    fn table(&self) -> Table {
        // Only maps with keys that are not text, or numbers beyond i64, cannot
        // become a table; the rules keep every number inside.
        Table::try_from(self).expect("every value of a configuration has a form in TOML")
    }

    fn render(&self, defaults: Option<&Table>) -> String {
        let table = self.table();
        let mut text = String::new();
        for (section, keys) in SECTIONS {
            if !section.is_empty() {
                text += &format!("\n[{section}]\n");
            }
            for key in *keys {
                let path = match *section {
                    "" => key.name.to_string(),
                    _ => format!("{section}.{}", key.name),
                };
                let value = lookup(&table, &path);
                if let Some(defaults) = defaults {
                    text += "\n";
                    text += &comment(&format!("{} Use {}.", key.doc, key.rule));
                    text += &match (value, lookup(defaults, &path)) {
                        (Some(value), default) if Some(value) != default => format!(
                            "{} = {}  # overridden, default {}\n",
                            key.name,
                            show(value),
                            default.map_or("none".into(), show)
                        ),
                        (Some(value), _) => format!("{} = {}\n", key.name, show(value)),
                        (None, _) => format!("# {} is not set\n", key.name),
                    };
                } else if let Some(value) = value {
                    text += &format!("{} = {}\n", key.name, show(value));
                }
            }
        }
        text.trim_start().to_string()
    }
}

/// A paragraph as comment lines of at most 80 columns.
fn comment(paragraph: &str) -> String {
    let mut text = String::from("#");
    let mut column = 1;
    for word in paragraph.split_whitespace() {
        if column + 1 + word.chars().count() > 80 {
            text += "\n#";
            column = 1;
        }
        text += " ";
        text += word;
        column += 1 + word.chars().count();
    }
    text + "\n"
}

/// The value at a dotted path.
fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((section, rest)) => lookup(table.get(section)?.as_table()?, rest),
    }
}

/// Sets the value at a dotted path; sections that are not there are made.
fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_string(), value);
        }
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

/// A value as TOML; small floats with an exponent, which reads better than a
/// row of zeros.
fn show(value: &Value) -> String {
    match value {
        Value::Float(x) => format!("{x:?}"),
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        _ => value.to_string(),
    }
}
