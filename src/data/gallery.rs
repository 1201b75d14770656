//! Pictures of any sizes, as a trained model is given them: files, folders, archives,
//! and names that stand for several.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::folder::{self, Folder};
use super::idx::Split;
use super::labels::Labels;
use super::manner::Manner;
use super::opened::{Opened, find};
use super::source::{Fault, Pictures};
use super::store::{Source, Store};
use super::{Reading, Report, picture, shown, wildcard};
use crate::error::{Error, Result};

/// A picture's grey pixels at its own size `[height, width]`, which comes with them: upright,
/// and laid on white.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn grey_picture(path: &Path) -> Result<(Vec<u8>, [usize; 2]), String> {
    let raw = Folder::of_file(path).read(0);
    let read = raw.and_then(|raw| picture::whole(raw, 1, Manner::default()));
    read.map_err(|fault| fault.reason().to_owned())
}

/// Pictures in the order they were given, with a name each, read one at a time.
pub struct Gallery {
    rooms: Vec<Store>,
    items: Vec<Item>,
    /// What is none of the items.
    left_out: Vec<Report>,
}

struct Item {
    room: usize,
    /// Its number there.
    number: usize,
    /// Where it is below what was given.
    name: PathBuf,
}

impl Gallery {
    /// The pictures that the inputs name, with so many channels, laid on the background
    /// of `reading`; `[height, width]` is their size where they are [`Gallery::fitted`].
    /// An input is a picture, a folder or an archive of them, IDX, CIFAR or NumPy
    /// files, or a name with `*` and `?`.
    ///
    /// # Errors
    /// [`Error::Usage`] where an input does not exist, and where a folder that is named
    /// itself holds no picture. A file that is no picture, and what a name
    /// with `*` and `?` fits without being of use, are left out.
    pub fn open(inputs: &[String], shape: [usize; 3], reading: &Reading) -> Result<Self> {
        let mut gallery = Self {
            rooms: Vec::new(),
            items: Vec::new(),
            left_out: Vec::new(),
        };
        for input in inputs {
            let path = Path::new(input);
            let is_named = path.exists();
            let found = match is_named {
                true => vec![path.to_path_buf()],
                false => wildcard::expand(path),
            };
            if found.is_empty() {
                let is_wildcard = wildcard::is_one(path.as_os_str());
                let verb = if is_wildcard { "matches" } else { "is called" };
                return Err(Error::usage(
                    format!("nothing {verb} {}", shown(path)),
                    "give pictures, folders, archives, names such as \"photos/*.png\", or fashion, digits or emoji",
                ));
            }
            for path in found {
                match gallery.add(&path, shape, reading) {
                    Err(Error::Usage { what, .. }) if !is_named || path.is_file() => {
                        gallery.left_out.push(Report::new(path, what));
                    }
                    Err(error @ Error::Io { .. }) if !is_named => {
                        gallery.left_out.push(Report::new(path, error.to_string()));
                    }
                    outcome => outcome?,
                }
            }
        }
        Ok(gallery)
    }

    fn add(&mut self, path: &Path, shape: [usize; 3], reading: &Reading) -> Result<()> {
        let is_file = path.is_file();
        let opened = if is_file && (folder::is_named(path) || folder::begins_like_a_picture(path)) {
            let file = Folder::of_file(path);
            Opened::new(path, Arc::new(file), Labels::default())
        } else {
            match find(path, Split::Train) {
                Ok(Some(opened)) => opened,
                Ok(None) => return Ok(()),
                // Here, what is given has no flag.
                Err(Error::Usage { what, mend }) => {
                    return Err(Error::usage(what.replace("--data ", ""), mend));
                }
                Err(error) => return Err(error),
            }
        };
        self.left_out.extend(opened.reports);
        let room = self.rooms.len();
        // Of images that lie in one file each has a number. A single file is called by its
        // name, others by what is below the folder.
        let in_one = opened.pictures.root().is_none();
        let root = match opened.pictures.root() {
            Some(root) if is_file && root != path => root.to_path_buf(),
            _ => path.to_path_buf(),
        };
        for number in 0..opened.pictures.len() {
            let whole = opened.pictures.path(number);
            let below = whole.strip_prefix(&root).unwrap_or(&whole);
            // Names in archives may lead elsewhere.
            let parts = below
                .components()
                .filter(|part| matches!(part, Component::Normal(_)));
            let mut name: PathBuf = parts.collect();
            if in_one || name.as_os_str().is_empty() {
                name = PathBuf::from(format!("{number:05}"));
            }
            self.items.push(Item { room, number, name });
        }
        let source = Source::Pictures(opened.pictures);
        let store = Store::new(source, shape, reading.manner(), Arc::default());
        self.rooms.push(store.forgetful());
        Ok(())
    }

    /// Pictures, those that turn out unreadable included.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Files that are no pictures.
    pub fn left_out(&self) -> &[Report] {
        &self.left_out
    }

    /// Where a picture is below what was given, with its ending.
    ///
    /// # Panics
    /// If `item` is not below [`Gallery::len`]; so do all that take an item.
    pub fn name(&self, item: usize) -> &Path {
        &self.items[item].name
    }

    /// All files that are read.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.rooms.iter().flat_map(|room| match &room.source {
            Source::Pictures(pictures) => match pictures.root() {
                Some(root) if root.is_file() => vec![root.to_path_buf()],
                Some(_) => (0..pictures.len()).map(|item| room.path(item)).collect(),
                None => vec![room.path(0)],
            },
            Source::Memory(_) | Source::Stack(_) => Vec::new(),
        })
    }

    /// Where a picture is.
    pub fn path(&self, item: usize) -> PathBuf {
        let Item { room, number, .. } = self.items[item];
        self.rooms[room].path(number)
    }

    /// A picture's planes at its own size `[height, width]`, which comes with them.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn whole(&self, item: usize) -> Result<(Vec<u8>, [usize; 2]), Report> {
        let Item { room, number, .. } = self.items[item];
        let outcome = self.rooms[room].whole(number);
        outcome.map_err(|fault| self.report(item, &fault))
    }

    /// A picture's planes at the size that was given, as training fits them.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn fitted(&self, item: usize) -> Result<Vec<u8>, Report> {
        let Item { room, number, .. } = self.items[item];
        let outcome = self.rooms[room].pixels(number);
        outcome.map_err(|fault| self.report(item, &fault))
    }

    fn report(&self, item: usize, fault: &Fault) -> Report {
        Report::new(self.path(item), fault.reason())
    }
}
