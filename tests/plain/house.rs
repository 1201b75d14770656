//! Rules that hold for all source files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gpugan::systems::presets::PRESETS;

use crate::preset::{changed, system};

/// A file of `src` by its path below it.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Its code: without comments, and without the tests at its end.
    fn code(&self) -> String {
        let lines = self.text.lines();
        let code = lines.take_while(|line| line.trim() != "#[cfg(test)]");
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| [line, "\n"]).collect()
    }

    /// The folder that it is in, or its own name where it is in none.
    fn folder(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new("src");
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).unwrap();
                sources.push(Source {
                    path: below.to_str().unwrap().replace('\\', "/"),
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 100);
    sources
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let sources = sources();
    let long = sources
        .iter()
        .filter(|source| source.text.lines().count() > 500);
    let long: Vec<&str> = long.map(|source| &*source.path).collect();
    assert!(long.is_empty(), "{long:?}");
}

/// The modules that `use crate::{...}` and `crate::x::...` name.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        let letters = text.trim_start().chars();
        letters
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            found.insert(name(after));
            continue;
        };
        // The names at the first level of the list.
        let mut depth = 0;
        let mut start = true;
        for (at, c) in list.char_indices() {
            if start && !c.is_whitespace() && c != '}' {
                found.insert(name(&list[at..]));
            }
            start = start && c.is_whitespace();
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ => {}
            }
        }
    }
    found
}

/// Folders that can be reached from a folder.
fn reached<'a>(from: &'a str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(folder) = open.pop() {
        for next in &edges[folder] {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

/// Files of tests alone.
const TESTS: [&str; 1] = ["ops/validate.rs"];

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let mut sources = sources();
    sources.retain(|source| !TESTS.contains(&&*source.path));
    let folders: BTreeSet<&str> = sources.iter().map(Source::folder).collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut by: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for source in &sources {
        let from = source.folder();
        let named = imports(&source.code());
        let to = folders.iter().filter(|folder| **folder != from);
        let to = to.filter(|folder| named.contains(**folder));
        let out = edges.entry(from).or_default();
        for to in to {
            out.insert(to);
            by.entry((from, to)).or_default().push(&source.path);
        }
    }
    let within: BTreeMap<&str, BTreeSet<&str>> = folders
        .iter()
        .map(|folder| (*folder, reached(folder, &edges)))
        .collect();
    let circles: BTreeSet<Vec<&str>> = folders
        .iter()
        .filter(|folder| within[*folder].contains(*folder))
        .map(|folder| {
            let others = within[folder].iter().copied();
            others
                .filter(|other| within[other].contains(folder))
                .collect()
        })
        .collect();
    let mut text = String::new();
    for circle in &circles {
        text += &format!("\n{}:", circle.join(", "));
        for ((from, to), files) in &by {
            if circle.contains(from) && circle.contains(to) {
                text += &format!("\n  {from} imports {to} in {}", files.join(", "));
            }
        }
    }
    assert!(text.is_empty(), "{text}");
}

/// Words that are no names of networks or fields where they stand.
const OTHER_MEANINGS: [(&str, &str); 7] = [
    // Components of a vector.
    ("ops/map.rs", "z"),
    ("plan/emit.rs", "z"),
    // A constant of a kernel, the number of channels.
    ("ops/conv.rs", "C"),
    ("ops/fold.rs", "C"),
    ("ops/weight_grad.rs", "C"),
    // What a picture writes beside its points.
    ("toy/plane.rs", "real"),
    // The verb that is there to train one.
    ("classify/training.rs", "classifier"),
];

/// What is trained, and drawn, only systems know by name.
#[test]
fn only_systems_name_networks_and_fields() {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for preset in PRESETS {
        let config = changed(preset.name, &[]);
        let system = system(&config, 1);
        names.insert(config.system().to_owned());
        for network in system.networks().unwrap() {
            names.insert(network.average_name());
            names.insert(network.name.to_owned());
        }
        let latents = ["real", "z"];
        let fields = system.fields().into_iter().map(|field| field.name);
        names.extend(
            fields
                .filter(|name| latents.contains(name))
                .map(str::to_owned),
        );
    }
    assert!(
        [
            "G", "D", "G_ema", "C", "real", "z", "gan", "vae", "rbm", "made", "fvbn"
        ]
        .iter()
        .all(|name| names.contains(*name))
    );
    let mut wrong = Vec::new();
    for source in sources() {
        if source.folder() == "systems" {
            continue;
        }
        let code = source.code();
        for name in &names {
            let other = OTHER_MEANINGS.contains(&(&*source.path, &**name));
            if code.contains(&format!("\"{name}\"")) && !other {
                wrong.push(format!("\"{name}\" in {}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
