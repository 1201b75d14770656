//! Folders of pictures.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::Crc;

use super::found::{Kinds, kind};
use super::head::head;
use super::source::{Fault, Head, Pictures, Raw};
use super::{Report, labels, picture};
use crate::error::{Error, Result};

/// Endings that make a file a picture; others are judged by their first bytes.
const ENDINGS: [&str; 13] = [
    "png", "jpg", "jpeg", "jpe", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pbm", "pnm",
];

/// For messages: the kinds of pictures that can be read.
pub(super) const KINDS: &str = "png, jpeg, gif, bmp, webp, tiff, pgm, ppm";

/// Pictures in files of their own.
pub(super) struct Folder {
    root: PathBuf,
    /// Relative to `root`, sorted, folder by folder.
    pub(super) files: Vec<PathBuf>,
}

struct Walk<'a> {
    root: &'a Path,
    files: Vec<PathBuf>,
    strays: Kinds,
    /// Folders entered, by their real path: a circle of links ends here.
    entered: HashSet<PathBuf>,
    reports: &'a mut Vec<Report>,
}

/// An entry of a folder.
struct Entry {
    path: PathBuf,
    folder: bool,
    /// Reading from a pipe or a device could block for ever.
    regular: bool,
}

/// Finds all pictures under `root`, at any depth, and counts the other files.
/// Hidden files and folders are ignored; links are followed, but no folder is
/// entered twice.
pub(super) fn scan(root: &Path, reports: &mut Vec<Report>) -> Result<(Folder, Kinds)> {
    // A root that cannot be read is an error; a folder below it is reported.
    std::fs::read_dir(root).map_err(Error::io("read", root))?;
    let mut walk = Walk {
        root,
        files: Vec::new(),
        strays: Kinds::new(),
        entered: HashSet::new(),
        reports,
    };
    walk.folder(root);
    let folder = Folder {
        root: root.to_path_buf(),
        files: walk.files,
    };
    Ok((folder, walk.strays))
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path) {
        let entries = folder.canonicalize().and_then(|real| {
            if self.entered.insert(real) {
                sorted_entries(folder)
            } else {
                Ok(Vec::new())
            }
        });
        match entries {
            Ok(entries) => {
                for entry in entries {
                    self.entry(entry);
                }
            }
            Err(error) => self.reports.push(Report::new(folder, error.to_string())),
        }
    }

    fn entry(&mut self, entry: std::result::Result<Entry, Report>) {
        match entry {
            Err(report) => self.reports.push(report),
            Ok(Entry {
                path, folder: true, ..
            }) => self.folder(&path),
            Ok(Entry { path, regular, .. }) => {
                let relative = path.strip_prefix(self.root).unwrap_or(&path);
                if regular && (is_named(relative) || begins_like_a_picture(&path)) {
                    self.files.push(relative.to_path_buf());
                } else if !labels::LISTS.iter().any(|list| relative == Path::new(list)) {
                    *self.strays.entry(kind(&path)).or_default() += 1;
                }
            }
        }
    }
}

/// Whether a name has the ending of a picture.
pub(crate) fn is_named(name: &Path) -> bool {
    ENDINGS.contains(&kind(name).as_str())
}

/// The entries that are not hidden, sorted by name.
fn sorted_entries(folder: &Path) -> std::io::Result<Vec<std::result::Result<Entry, Report>>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if is_hidden(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        // Only of a link the type is looked up.
        let kind = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => Ok(kind),
            _ => path.metadata().map(|about| about.file_type()),
        };
        entries.push((entry.file_name(), path, kind));
    }
    entries.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let entries = entries.into_iter().map(|(_, path, kind)| match kind {
        Ok(kind) => Ok(Entry {
            path,
            folder: kind.is_dir(),
            regular: kind.is_file(),
        }),
        Err(error) => Err(Report::new(path, error.to_string())),
    });
    Ok(entries.collect())
}

pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

pub(super) fn begins_like_a_picture(path: &Path) -> bool {
    let mut head = Vec::new();
    File::open(path).is_ok_and(|file| file.take(64).read_to_end(&mut head).is_ok())
        && image::guess_format(&head).is_ok_and(|format| format.reading_enabled())
}

impl Folder {
    /// One file.
    pub(super) fn of_file(path: &Path) -> Self {
        Self {
            root: path.parent().unwrap_or(Path::new("")).to_path_buf(),
            files: path.file_name().map(PathBuf::from).into_iter().collect(),
        }
    }

    /// The folder of these of its files, in this order.
    pub(super) fn part<'a>(&self, items: impl Iterator<Item = &'a usize>) -> Self {
        Self {
            root: self.root.clone(),
            files: items.map(|&item| self.files[item].clone()).collect(),
        }
    }

    /// The files' names with `/` between folders.
    pub(super) fn names(&self) -> Vec<String> {
        let parts = |file: &PathBuf| {
            let parts: Vec<_> = file.iter().map(OsStr::to_string_lossy).collect();
            parts.join("/")
        };
        self.files.iter().map(parts).collect()
    }

    fn open(&self, item: usize) -> std::result::Result<File, Fault> {
        let path = self.path(item);
        let about = path.metadata()?;
        // A pipe in place of the file would block.
        if !about.is_file() {
            return Err(Fault::Bad("it is not a regular file".to_string()));
        }
        if about.len() > picture::MAX_FILE {
            return Err(Fault::Bad(format!(
                "its {} bytes are more than the {} allowed for a file",
                about.len(),
                picture::MAX_FILE
            )));
        }
        Ok(File::open(path)?)
    }
}

impl Pictures for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn path(&self, item: usize) -> PathBuf {
        self.root.join(&self.files[item])
    }

    fn head(&self, item: usize) -> std::result::Result<Head, Fault> {
        head(BufReader::with_capacity(4096, self.open(item)?))
    }

    fn read(&self, item: usize) -> std::result::Result<Raw, Fault> {
        let mut bytes = Vec::new();
        // The file may have grown since its length was looked up.
        let file = self.open(item)?;
        file.take(picture::MAX_FILE).read_to_end(&mut bytes)?;
        Ok(Raw::File(bytes))
    }

    fn sign(&self, item: usize, crc: &mut Crc) {
        sign_file(&self.path(item), crc);
    }

    fn identify(&self, item: usize, crc: &mut Crc) {
        let path = self.path(item);
        let name = path.strip_prefix(&self.root).unwrap_or(&path);
        crc.update(name.as_os_str().as_encoded_bytes());
        crc.update(&path.metadata().map_or(0, |about| about.len()).to_le_bytes());
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

/// Name, length and time tell a file from a changed one without reading it.
pub(super) fn sign_file(path: &Path, crc: &mut Crc) {
    crc.update(path.as_os_str().as_encoded_bytes());
    if let Ok(about) = path.metadata() {
        crc.update(&about.len().to_le_bytes());
        let time = about.modified().ok();
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        crc.update(&since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    }
}
