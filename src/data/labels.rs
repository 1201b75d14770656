//! Classes of pictures: of the folders they lie in, or of a list beside them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Report, shown};

/// A list longer than this, in bytes, is refused.
const MAX_LIST: u64 = 256 << 20;

/// Names of files that list labels.
pub(super) const LISTS: [&str; 2] = ["labels.csv", "dataset.json"];

/// A label for each item and what it means; both empty without labels.
#[derive(Clone, Default)]
pub(super) struct Labels {
    pub(super) of: Vec<u32>,
    pub(super) classes: Vec<String>,
    /// Why there are none although something says them.
    pub(super) dropped: Option<Report>,
}

impl Labels {
    pub(super) fn new(of: Vec<u32>, classes: Vec<String>) -> Self {
        let dropped = None;
        Self {
            of,
            classes,
            dropped,
        }
    }

    /// No labels, because of what is wrong with this file or folder.
    pub(super) fn dropped(path: &Path, reason: impl fmt::Display) -> Self {
        Self {
            dropped: Some(Report::new(path, format!("{reason}; labels dropped"))),
            ..Self::default()
        }
    }

    /// Labels whose classes have no names but their numbers.
    pub(super) fn numbered(of: Vec<u32>) -> Self {
        let count = of.iter().max().map_or(0, |&last| last + 1);
        let classes = (0..count).map(|class| class.to_string()).collect();
        Self::new(of, classes)
    }
}

/// What a list says: for each name, with `/` between folders, a class.
type Said = HashMap<String, String>;

/// The labels of files with these names relative to their root: of a list, if
/// there is one, else of the folders.
pub(super) fn of_files(
    root: &Path,
    names: &[String],
    list: Option<(&str, Result<Vec<u8>, String>)>,
) -> Labels {
    let Some((file, bytes)) = list else {
        return by_folder(root, names);
    };
    let said = bytes.and_then(|bytes| match file {
        "labels.csv" => read_csv(&bytes),
        _ => read_json(&bytes),
    });
    let drop = |reason: String| Labels::dropped(&root.join(file), reason);
    match said {
        Err(reason) => drop(reason),
        // NVlabs' tools write null where there are no labels.
        Ok(said) if said.is_empty() && file == "dataset.json" => by_folder(root, names),
        Ok(said) => match by_list(names, &said) {
            Ok(labels) => labels,
            Err(missing) => drop(format!("has no label for {missing}")),
        },
    }
}

/// Reads a list from a folder.
pub(super) fn list_in(root: &Path) -> Option<(&'static str, Result<Vec<u8>, String>)> {
    let file = LISTS.into_iter().find(|file| root.join(file).is_file())?;
    let read = || {
        let mut bytes = Vec::new();
        let list = File::open(root.join(file)).map_err(|error| error.to_string())?;
        list.take(MAX_LIST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_LIST {
            return Err(format!("is longer than {} MiB", MAX_LIST >> 20));
        }
        Ok(bytes)
    };
    Some((file, read()))
}

/// The folders on the first level are classes where there are several and every
/// file lies in one. Names are sorted by folder.
fn by_folder(root: &Path, names: &[String]) -> Labels {
    let mut classes: Vec<&str> = Vec::new();
    let mut of = Vec::new();
    for name in names {
        let Some((class, _)) = name.split_once('/') else {
            continue;
        };
        if classes.last() != Some(&class) {
            classes.push(class);
        }
        of.push(classes.len() as u32 - 1);
    }
    if classes.len() < 2 {
        return Labels::default();
    }
    if of.len() < names.len() {
        let outside = names.len() - of.len();
        return Labels::dropped(root, format!("{outside} pictures are outside its folders"));
    }
    let classes = classes.into_iter().map(super::plain).collect();
    Labels::new(of, classes)
}

/// Labels as a list says them. Classes that are numbers are sorted as such.
fn by_list(names: &[String], said: &Said) -> Result<Labels, String> {
    let mut words = Vec::with_capacity(names.len());
    for name in names {
        let word = said.get(name).ok_or_else(|| shown(Path::new(name)))?;
        words.push(word.as_str());
    }
    let mut numbers = BTreeMap::new();
    for word in &words {
        numbers.insert((word.parse::<u64>().unwrap_or(u64::MAX), *word), 0);
    }
    for (number, value) in numbers.values_mut().enumerate() {
        *value = number as u32;
    }
    let of = words
        .iter()
        .map(|word| numbers[&(word.parse().unwrap_or(u64::MAX), *word)])
        .collect();
    let classes = numbers.keys().map(|(_, word)| super::plain(word)).collect();
    Ok(Labels::new(of, classes))
}

/// Lines of a file's name and its class, with or without a line of titles.
fn read_csv(bytes: &[u8]) -> Result<Said, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut said = Said::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let (Some(name), Some(class)) = (record.get(0), record.get(1)) else {
            return Err(format!("line {} is not `file,class`", number + 1));
        };
        said.insert(tidy(name), class.to_string());
    }
    Ok(said)
}

/// NVlabs' `{"labels": [["00000/img00000000.png", 6], ...]}`.
fn read_json(bytes: &[u8]) -> Result<Said, String> {
    #[derive(serde::Deserialize)]
    struct List {
        labels: Option<Vec<(String, serde_json::Value)>>,
    }
    let list: List = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let labels = list.labels.unwrap_or_default().into_iter();
    labels
        .map(|(name, class)| match class {
            serde_json::Value::Number(class) => Ok((tidy(&name), class.to_string())),
            serde_json::Value::String(class) => Ok((tidy(&name), class)),
            _ => Err(format!("the label of {name} is neither a number nor text")),
        })
        .collect()
}

fn tidy(name: &str) -> String {
    let name = name.replace('\\', "/");
    name.strip_prefix("./").unwrap_or(&name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_as_numbers_and_words_as_words() {
        let names = ["a", "b", "c"].map(String::from);
        for (classes, of) in [(["10", "9", "9"], [1, 0, 0]), (["x", "c", "x"], [1, 0, 1])] {
            let said = names.iter().cloned().zip(classes.map(String::from));
            assert_eq!(by_list(&names, &said.collect()).unwrap().of, of);
        }
        assert_eq!(by_list(&names, &Said::new()).err().unwrap(), "a");
    }
}
