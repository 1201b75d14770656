//! What a run is made of: every key, its default, what it may be and what it
//! means, in one place. The keys that all systems have are here; each system adds
//! its own by a [`Schema`]. A preset or `--set` overrides keys; nothing else
//! configures a run.

mod data;
mod key;
pub mod options;
mod overrides;
mod refusal;
mod sections;

pub use data::Data;
pub use key::{Allowed, Key, Keys, Section};
pub(crate) use key::{section, words};
pub(crate) use overrides::nearest;
pub(crate) use overrides::of_option;
pub use overrides::{Override, assignment, parse_file};
pub use refusal::{Refusal, refuse};
pub(crate) use sections::{LONGEST, WIDEST};
pub use sections::{
    Latent, MomentumForm, OnCollapse, Optimizer, OptimizerKind, Output, Size, Top, Train,
};

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::error::{Error, Result};

/// The keys of a system.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The system's name.
    pub name: &'static str,
    /// Its sections in the order of the file. Which there are may depend on the
    /// values, as on `model.architecture`; these are not checked yet.
    pub sections: fn(&Table) -> Vec<Section>,
    /// Where a key stands that this configuration does not know but another of
    /// the same system does: what to say of it.
    pub elsewhere: fn(&Table, &str) -> Option<Refusal>,
    /// What does not go together.
    pub refusals: fn(&Config) -> Result<Vec<Option<Refusal>>>,
}

/// A run, completely described: with the same seed, adapter and driver it gives
/// the same weights.
#[derive(Clone)]
pub struct Config {
    /// Name of the preset that the other values started from.
    pub preset: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Records of the data per step.
    pub batch: usize,
    /// Steps until the run ends.
    pub steps: u64,
    /// What is learned from.
    pub data: Data,
    /// The loop around the networks.
    pub train: Train,
    schema: &'static Schema,
    /// The system's own keys in their sections.
    own: Table,
}

/// A key with different values in two configurations, as TOML has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) key: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.table() == other.table()
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Config").field(&self.table()).finish()
    }
}

impl Config {
    /// A system's configuration with every key at its default.
    pub fn of(schema: &'static Schema) -> Self {
        let table = Table::new();
        // Defaults keep to their own rules.
        Self::from_table(schema, table).expect("defaults can be read")
    }

    /// The system's name.
    pub fn system(&self) -> &'static str {
        self.schema.name
    }

    /// Every key with its value; reading it gives the same back.
    pub fn to_toml(&self) -> String {
        self.render(false)
    }

    /// As [`Config::to_toml`], with a comment at each key that says what it
    /// means, what it may be and where it differs from the default.
    pub fn to_commented_toml(&self) -> String {
        self.render(true)
    }

    /// The value of a key, where this configuration has it.
    pub fn value(&self, path: &str) -> Option<Value> {
        lookup(&self.table(), path).cloned()
    }

    /// The keys that have other values in another configuration, in the order of
    /// their names.
    pub(crate) fn differences(&self, other: &Self) -> Vec<Difference> {
        let [ours, theirs] = [self, other].map(|config| {
            let mut found = Vec::new();
            overrides::flatten("", config.table(), &mut found);
            found
                .iter()
                .map(|change| (change.key().to_owned(), show(change.value())))
                .collect::<BTreeMap<String, String>>()
        });
        let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let unset = || "not set".to_owned();
        let of = |key: &String| Difference {
            key: key.clone(),
            ours: ours.get(key).cloned().unwrap_or_else(unset),
            theirs: theirs.get(key).cloned().unwrap_or_else(unset),
        };
        keys.into_iter()
            .map(of)
            .filter(|difference| difference.ours != difference.theirs)
            .collect()
    }

    /// The system's own keys of a section.
    ///
    /// # Errors
    /// Where the section is not one of this system's.
    pub fn own<T: Keys>(&self, path: &str) -> Result<T> {
        part(&self.own, path)
    }

    /// This configuration with some keys changed, checked as a whole. Values of
    /// keys that there are no more, as of another architecture's, are dropped.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown key, a value that its rule forbids, or
    /// values that do not go together.
    pub fn with(&self, overrides: impl IntoIterator<Item = Override>) -> Result<Self> {
        let overrides: Vec<Override> = overrides.into_iter().collect();
        // First as they are, so that the sections follow from them.
        let mut table = self.changed(&overrides);
        let sections = self.sections(&table);
        let all = overrides.into_iter();
        for change in all.filter(|change| !change.is_empty_section(&sections)) {
            let (key, value) =
                change.checked(&sections, |key| (self.schema.elsewhere)(&table, key))?;
            insert(&mut table, &key, value);
        }
        let config = Self::from_table(self.schema, table)?;
        config.validate()?;
        Ok(config)
    }

    /// The keys that an older file may hold and this configuration does not know:
    /// those of other architectures, which used to stand beside the chosen one's.
    pub(crate) fn knows_elsewhere(&self, overrides: &[Override], key: &str) -> bool {
        let table = self.changed(overrides);
        let known = keys(&self.sections(&table)).any(|(known, _)| known == key);
        !known && (self.schema.elsewhere)(&table, key).is_some()
    }

    /// As [`Config::with`], whatever the rules say: for networks that no file can
    /// ask for, as a generator without hidden layers.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value of another type than its key's.
    pub fn with_unchecked(&self, overrides: &[Override]) -> Result<Self> {
        Self::from_table(self.schema, self.changed(overrides))
    }

    /// All keys with unchecked changes.
    fn changed(&self, overrides: &[Override]) -> Table {
        let mut table = self.table();
        for change in overrides {
            // What has no keys would replace a section.
            if !change.value().is_table() {
                insert(&mut table, change.key(), change.value().clone());
            }
        }
        table
    }

    /// The sections of some values in the order of the file.
    fn sections(&self, table: &Table) -> Vec<Section> {
        sections(self.schema, table)
    }

    fn from_table(schema: &'static Schema, mut table: Table) -> Result<Self> {
        table.insert("system".into(), schema.name.into());
        let mut known = Table::new();
        for section in sections(schema, &table) {
            let defaults = (section.defaults)();
            for key in section.keys {
                let path = joined(section.path, key.name);
                let value = lookup(&table, &path).or_else(|| defaults.get(key.name));
                if let Some(value) = value {
                    insert(&mut known, &path, value.clone());
                }
            }
        }
        let top: Top = part(&known, "")?;
        let config = Self {
            preset: top.preset,
            seed: top.seed,
            batch: top.batch,
            steps: top.steps,
            data: part(&known, "data")?,
            train: part(&known, "train")?,
            schema,
            own: known,
        };
        Ok(config)
    }

    /// All keys, those that all systems have from the fields.
    fn table(&self) -> Table {
        let top = Top {
            preset: self.preset.clone(),
            system: self.schema.name.to_owned(),
            seed: self.seed,
            batch: self.batch,
            steps: self.steps,
        };
        let mut table = self.own.clone();
        let common = [
            ("", Table::try_from(top)),
            ("data", Table::try_from(&self.data)),
            ("train", Table::try_from(&self.train)),
        ];
        for (path, values) in common {
            // As for defaults: the rules keep every number inside.
            let values = values.expect("every value of a configuration has a form in TOML");
            for (key, value) in values {
                insert(&mut table, &joined(path, &key), value);
            }
        }
        table
    }

    /// Checks the rules that bind several keys together.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the keys and what to set.
    fn validate(&self) -> Result<()> {
        self.data.reading()?;
        let health = refuse(
            self.train.on_collapse != OnCollapse::Warn && !self.train.health,
            format!(
                "train.on_collapse = {} needs train.health = true, which measures what it acts on",
                self.train.on_collapse.word()
            ),
            "use train.on_collapse = warn, or leave train.health out",
        );
        let stack = self.data.stack;
        let channels = self.data.channels.unwrap_or(1);
        let stacked = refuse(
            stack > 1 && channels > 1,
            format!(
                "data.stack = {stack} turns each grey image into a channel, but data.channels = {channels}"
            ),
            "use data.channels = 1, which reads all images as grey, or data.stack = 1",
        );
        let parts = refuse(
            stack > 1 && self.data.load_size.is_some(),
            "data.load_size takes parts of single pictures, but data.stack combines several",
            "leave data.load_size out, or use data.stack = 1",
        );
        let own = (self.schema.refusals)(self)?;
        refusal::first([health, stacked, parts].into_iter().chain(own))
    }

    fn render(&self, commented: bool) -> String {
        let table = self.table();
        let sections = self.sections(&table);
        let mut text = String::new();
        let mut written: Vec<&str> = Vec::new();
        for Section { path, .. } in &sections {
            if written.contains(path) {
                continue;
            }
            written.push(path);
            if !path.is_empty() {
                text += &format!("\n[{path}]\n");
            }
            for part in sections.iter().filter(|section| section.path == *path) {
                let defaults = (part.defaults)();
                for key in part.keys {
                    let value = lookup(&table, &joined(path, key.name));
                    let default = defaults.get(key.name);
                    text += &line(key, value, commented.then_some(default));
                }
            }
        }
        text.trim_start().to_string()
    }
}

/// A key with its value as it stands in the file, explained where a default is
/// given to compare with.
fn line(key: &Key, value: Option<&Value>, explained: Option<Option<&Value>>) -> String {
    let name = key.name;
    let Some(default) = explained else {
        return value.map_or_else(String::new, |value| format!("{name} = {}\n", show(value)));
    };
    let about = comment(&format!("{} Use {}.", key.doc, key.allowed));
    let line = match value {
        Some(value) if Some(value) != default => format!(
            "{name} = {}  # overridden, default {}\n",
            show(value),
            default.map_or("none".into(), show)
        ),
        Some(value) => format!("{name} = {}\n", show(value)),
        None => format!("# {name} is not set\n"),
    };
    format!("\n{about}{line}")
}

/// The sections of a system in the order of the file.
fn sections(schema: &Schema, table: &Table) -> Vec<Section> {
    let mut sections = vec![Top::at(""), Data::at("data")];
    sections.extend((schema.sections)(table));
    sections.push(Train::at("train"));
    sections
}

/// Every key with its dotted path, in the order of the file.
fn keys(sections: &[Section]) -> impl Iterator<Item = (String, &'static Key)> {
    let of = |section: &Section| {
        let path = section.path;
        let keys = section.keys.iter();
        keys.map(move |key| (joined(path, key.name), key))
    };
    sections.iter().flat_map(of)
}

/// The keys of `T` at a path.
fn part<T: Keys>(table: &Table, path: &str) -> Result<T> {
    let mut values = Table::new();
    for key in T::KEYS {
        if let Some(value) = lookup(table, &joined(path, key.name)) {
            values.insert(key.name.to_owned(), value.clone());
        }
    }
    values.try_into().map_err(unreadable)
}

fn unreadable(error: toml::de::Error) -> Error {
    Error::usage(
        format!("the configuration cannot be read: {}", error.message()),
        "compare it with `gpugan presets dcgan28`",
    )
}

fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
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
pub(crate) fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
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
