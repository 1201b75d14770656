//! What values a key may have, and the macro that keeps a key's type, default,
//! what it allows and its documentation in one place.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name inside its section.
    pub name: &'static str,
    /// What it means, one paragraph.
    pub doc: &'static str,
    /// What it may be.
    pub allowed: Allowed,
}

/// The values that a key may have.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// `true` or `false`.
    Flag,
    /// Any text that is not empty.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// A number between two bounds; a whole number is taken as a float.
    Number(Bound<f64>, Bound<f64>),
    /// A list of one or more whole numbers, each from the first to the second.
    Wholes(i64, i64),
    /// One whole number, or `[height, width]`, each from the first to the second.
    Sides(i64, i64),
}

impl Allowed {
    /// From 0, included, to 1, excluded.
    pub const BELOW_ONE: Self = Self::Number(Included(0.0), Excluded(1.0));
    /// A number above 0.
    pub const POSITIVE: Self = Self::Number(Excluded(0.0), Unbounded);
    /// 0 or above.
    pub const NOT_NEGATIVE: Self = Self::Number(Included(0.0), Unbounded);
    /// A count that may be 0.
    pub const COUNT: Self = Self::Whole(0, i64::MAX);

    /// The value as its key stores it, or `None` where the key forbids it.
    pub fn admit(self, value: &Value) -> Option<Value> {
        let whole = |v: &Value, min, max| v.as_integer().is_some_and(|n| n >= min && n <= max);
        let fits = match self {
            Self::Flag => value.is_bool(),
            Self::Text => value.as_str().is_some_and(|s| !s.trim().is_empty()),
            Self::Choice(words) => value.as_str().is_some_and(|s| words.contains(&s)),
            Self::Whole(min, max) => whole(value, min, max),
            Self::Number(min, max) => {
                let x = match value {
                    Value::Integer(n) => *n as f64,
                    Value::Float(x) => *x,
                    _ => return None,
                };
                // Kernels see it in single precision.
                let rounded = f64::from(x as f32);
                let inside = |x| std::ops::RangeBounds::contains(&(min, max), &x);
                let fits = inside(x) && inside(rounded) && rounded.is_finite();
                return fits.then_some(Value::Float(x));
            }
            Self::Wholes(min, max) => value
                .as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(|v| whole(v, min, max))),
            Self::Sides(min, max) => match value.as_array() {
                Some(sides) => sides.len() == 2 && sides.iter().all(|v| whole(v, min, max)),
                None => whole(value, min, max),
            },
        };
        fits.then(|| value.clone())
    }
}

impl std::fmt::Display for Allowed {
    /// What is allowed, as it reads after "use".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let range = |min: i64, max: i64| match max {
            i64::MAX => format!("of at least {min}"),
            _ => format!("from {min} to {max}"),
        };
        match *self {
            Self::Flag => f.write_str("true or false"),
            Self::Text => f.write_str("text"),
            Self::Choice(words) => f.write_str(&words.join(" or ")),
            Self::Whole(min, max) => write!(f, "a whole number {}", range(min, max)),
            Self::Wholes(min, max) => {
                write!(
                    f,
                    "a list of whole numbers {}, such as [1200, 1200]",
                    range(min, max)
                )
            }
            Self::Sides(min, max) => write!(
                f,
                "a whole number {}, or two as [height, width]",
                range(min, max)
            ),
            Self::Number(min, max) => {
                f.write_str("a number")?;
                match min {
                    Included(x) => write!(f, " of at least {x}")?,
                    Excluded(x) => write!(f, " above {x}")?,
                    Unbounded => {}
                }
                match (min, max) {
                    (_, Unbounded) => Ok(()),
                    (Unbounded, Included(x)) => write!(f, " of at most {x}"),
                    (Unbounded, Excluded(x)) => write!(f, " below {x}"),
                    (_, Included(x)) => write!(f, " and at most {x}"),
                    (_, Excluded(x)) => write!(f, " and below {x}"),
                }
            }
        }
    }
}

/// A section of the configuration: its path and its keys with their defaults.
/// Several sections may share a path; their keys stand together in the file.
#[derive(Clone, Copy)]
pub struct Section {
    /// Dotted, as `optimizer.g`; empty for the keys above all sections.
    pub path: &'static str,
    /// In the order of the file.
    pub keys: &'static [Key],
    /// Every key with its default; keys that may be unset are missing.
    pub defaults: fn() -> Table,
}

/// A struct whose fields are the keys of a section.
pub trait Keys: Default + Serialize + DeserializeOwned {
    /// In the order of the file.
    const KEYS: &'static [Key];

    /// These keys at a path.
    fn at(path: &'static str) -> Section {
        Section {
            path,
            keys: Self::KEYS,
            defaults: defaults::<Self>,
        }
    }
}

fn defaults<T: Keys>() -> Table {
    // Only maps with keys that are not text, or numbers beyond i64, cannot become
    // a table; the rules keep every number inside.
    Table::try_from(T::default()).expect("every default has a form in TOML")
}

/// Defines the keys of a section: a struct whose every field has a documentation,
/// a default and what it allows.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)*)])?
                $field:ident: $type:ty = $default:expr, $allowed:expr;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)*)])?
                pub $field: $type,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::config::Keys for $name {
            const KEYS: &'static [$crate::config::Key] = &[
                $($crate::config::Key {
                    name: stringify!($field),
                    doc: concat!($($doc),+),
                    allowed: $allowed,
                },)+
            ];
        }
    };
}

/// A set of words: an enum that TOML spells in kebab case.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $( $(#[doc = $doc:literal])+ $word:ident, )+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $( $(#[doc = $doc])+ $word, )+ }

        impl $name {
            /// As TOML spells it.
            pub fn word(self) -> String {
                // Only a value that is no word would not be text.
                toml::Value::try_from(self)
                    .ok()
                    .and_then(|value| value.as_str().map(str::to_owned))
                    .unwrap_or_default()
            }
        }
    };
}

pub(crate) use {section, words};
