//! Folders of pictures: finding the files and naming the classes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Report;
use crate::error::{Error, Result};

/// Endings that make a file a picture; others are judged by their first bytes.
const ENDINGS: [&str; 13] = [
    "png", "jpg", "jpeg", "jpe", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pbm", "pnm",
];

/// For messages: the kinds of pictures that can be read.
pub(super) const KINDS: &str = "png, jpeg, gif, bmp, webp, tiff, pgm, ppm";

/// What a folder holds.
#[derive(Default)]
pub(super) struct Pictures {
    /// Sorted, folder by folder.
    pub(super) files: Vec<PathBuf>,
    /// One for each file, or empty.
    pub(super) labels: Vec<u32>,
    /// Names of the first level of folders, sorted; empty without labels.
    pub(super) classes: Vec<String>,
    /// Files that are no pictures.
    pub(super) others: usize,
}

struct Walk<'a> {
    found: Pictures,
    /// For each file the class it lies in.
    class_of: Vec<Option<u32>>,
    /// Folders entered, by their real path: a circle of links ends here.
    entered: HashSet<PathBuf>,
    reports: &'a mut Vec<Report>,
}

/// Finds all pictures under `root`, at any depth. Hidden files and folders are
/// ignored; links are followed, but no folder is entered twice.
pub(super) fn scan(root: &Path, reports: &mut Vec<Report>) -> Result<Pictures> {
    let entries = sorted_entries(root).map_err(Error::io("read", root))?;
    let mut walk = Walk {
        found: Pictures::default(),
        class_of: Vec::new(),
        entered: HashSet::new(),
        reports,
    };
    walk.enter(root);
    for path in entries {
        if path.is_dir() {
            let class = walk.found.classes.len() as u32;
            let before = walk.found.files.len();
            walk.folder(&path, class);
            if walk.found.files.len() > before {
                let name = path.file_name().unwrap_or_default();
                walk.found.classes.push(name.to_string_lossy().into_owned());
            }
        } else {
            walk.file(path, None);
        }
    }
    Ok(walk.finish(root))
}

impl Walk<'_> {
    /// Whether the folder is new.
    fn enter(&mut self, folder: &Path) -> bool {
        match folder.canonicalize() {
            Ok(real) => self.entered.insert(real),
            Err(error) => {
                self.reports.push(Report::new(folder, error.to_string()));
                false
            }
        }
    }

    fn folder(&mut self, folder: &Path, class: u32) {
        if !self.enter(folder) {
            return;
        }
        match sorted_entries(folder) {
            Ok(entries) => {
                for path in entries {
                    if path.is_dir() {
                        self.folder(&path, class);
                    } else {
                        self.file(path, Some(class));
                    }
                }
            }
            Err(error) => self.reports.push(Report::new(folder, error.to_string())),
        }
    }

    fn file(&mut self, path: PathBuf, class: Option<u32>) {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let named = ENDINGS.contains(&ending.to_lowercase().as_str());
        match path.metadata() {
            // Reading from a pipe or a device could block for ever.
            Ok(kind) if !kind.is_file() => self.found.others += 1,
            Ok(_) if named || begins_like_a_picture(&path) => {
                self.found.files.push(path);
                self.class_of.push(class);
            }
            Ok(_) => self.found.others += 1,
            Err(error) => self.reports.push(Report::new(path, error.to_string())),
        }
    }

    /// Folder names are classes where there are several and every picture lies
    /// in one.
    fn finish(self, root: &Path) -> Pictures {
        let Self {
            mut found,
            class_of,
            reports,
            ..
        } = self;
        let inside = class_of.iter().flatten().count();
        if found.classes.len() >= 2 && inside == found.files.len() {
            found.labels = class_of.into_iter().flatten().collect();
        } else {
            if found.classes.len() >= 2 {
                let outside = found.files.len() - inside;
                let reason = format!("{outside} pictures lie outside its folders; labels dropped");
                reports.push(Report::new(root, reason));
            }
            found.classes.clear();
        }
        found
    }
}

/// The entries that are not hidden, sorted by name.
fn sorted_entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !is_hidden(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn begins_like_a_picture(path: &Path) -> bool {
    let mut head = Vec::new();
    File::open(path).is_ok_and(|file| file.take(64).read_to_end(&mut head).is_ok())
        && image::guess_format(&head).is_ok_and(|format| format.reading_enabled())
}
