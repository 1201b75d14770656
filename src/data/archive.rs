//! Pictures in a ZIP or tar archive, read as needed without unpacking it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::CompressionMethod;

use super::found::{Kinds, kind};
use super::head::head;
use super::source::{Fault, Head, Pictures, Raw};
use super::{Report, folder, labels, picture, shown};
use crate::error::{Error, Result};

/// So many bytes from the front of a packed file show its head, mostly.
const FRONT: u64 = 64 << 10;

/// An archive whose pictures are its items.
pub(super) struct Archive {
    path: PathBuf,
    /// Sorted, folder by folder.
    entries: Vec<Entry>,
}

/// Where a file lies in the archive.
#[derive(Clone)]
struct Entry {
    /// Its name, with `/` between folders.
    name: String,
    /// The archive's byte where it begins, and how many it takes.
    start: u64,
    packed: u64,
    size: u64,
    deflated: bool,
    /// Its sum in a ZIP archive, which of a tar archive tells nothing.
    crc: Option<u32>,
}

/// An archive with the list of labels inside it, if there is one.
pub(super) struct Opened {
    pub(super) archive: Archive,
    pub(super) strays: Kinds,
    pub(super) labels: labels::Labels,
}

/// Whether a file begins like a ZIP or a tar archive.
pub(super) fn begins_like_one(head: &[u8]) -> bool {
    is_zip(head) || head.get(257..262) == Some(b"ustar")
}

pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Finds the pictures of an archive.
pub(super) fn open(path: &Path, reports: &mut Vec<Report>) -> Result<Opened> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut head = Vec::new();
    let outcome = file.by_ref().take(512).read_to_end(&mut head);
    outcome.map_err(Error::io("read", path))?;
    file.rewind().map_err(Error::io("read", path))?;
    let found = if is_zip(&head) {
        zip_entries(file, path, reports)
    } else {
        tar_entries(file, path, reports)
    };
    let found = found.map_err(|reason| {
        Error::usage(
            format!("{} is not a complete archive: {reason}", shown(path)),
            "download or pack it again",
        )
    })?;
    let mut strays = Kinds::new();
    let mut entries = Vec::new();
    let mut lists = Vec::new();
    for entry in found {
        let name = Path::new(&entry.name);
        if is_hidden(&entry.name) {
            continue;
        }
        if folder::is_named(name) {
            entries.push(entry);
        } else if labels::LISTS.contains(&&*file_name(name)) {
            lists.push(entry);
        } else {
            *strays.entry(kind(name)).or_default() += 1;
        }
    }
    entries.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let archive = Archive {
        path: path.to_path_buf(),
        entries,
    };
    let labels = archive.labels(&lists);
    Ok(Opened {
        archive,
        strays,
        labels,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn is_hidden(name: &str) -> bool {
    Path::new(name).iter().any(folder::is_hidden) || name.starts_with("__MACOSX/")
}

/// A name as it is below the archive.
fn below(name: &str) -> &str {
    name.trim_start_matches("./")
}

/// A file of the archive that is not there, for a reason; reported where it would be
/// looked at.
fn missing(path: &Path, name: &str, reason: String) -> Option<Report> {
    let file = Path::new(name);
    let wanted = folder::is_named(file) || labels::LISTS.contains(&&*file_name(file));
    (wanted && !is_hidden(name)).then(|| Report::new(path.join(name), reason))
}

const LINK: &str = "is a symbolic link; pack the file that it leads to";

/// The files of a ZIP archive.
fn zip_entries(
    file: File,
    path: &Path,
    reports: &mut Vec<Report>,
) -> std::result::Result<Vec<Entry>, String> {
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| error.to_string())?;
    let mut entries = Vec::with_capacity(zip.len());
    for number in 0..zip.len() {
        let file = zip
            .by_index_raw(number)
            .map_err(|error| error.to_string())?;
        let name = file
            .name()
            .map_err(|error| error.to_string())?
            .replace('\\', "/");
        let name = below(&name).to_string();
        if file.is_symlink() {
            reports.extend(missing(path, &name, LINK.to_string()));
        }
        if !file.is_file() {
            continue;
        }
        let method = file.compression();
        let known = matches!(
            method,
            CompressionMethod::Stored | CompressionMethod::Deflated
        );
        match file.data_start() {
            Some(start) if known && !file.encrypted() => entries.push(Entry {
                name,
                start,
                packed: file.compressed_size(),
                size: file.size(),
                deflated: method == CompressionMethod::Deflated,
                crc: Some(file.crc32()),
            }),
            _ => {
                let reason =
                    format!("is packed with {method:?} or encrypted; pack it with deflate");
                reports.push(Report::new(path.join(name), reason));
            }
        }
    }
    Ok(entries)
}

/// The files of a tar archive. A hard link is the file that it names, which lies before
/// it.
fn tar_entries(
    file: File,
    path: &Path,
    reports: &mut Vec<Report>,
) -> std::result::Result<Vec<Entry>, String> {
    let mut tar = tar::Archive::new(file);
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for entry in tar.entries_with_seek().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = below(&name).to_string();
        let found = if kind.is_file() {
            Entry {
                name,
                start: entry.raw_file_position(),
                packed: entry.size(),
                size: entry.size(),
                deflated: false,
                crc: None,
            }
        } else if kind.is_hard_link() {
            let link = entry.link_name_bytes().unwrap_or_default();
            let link = String::from_utf8_lossy(&link).into_owned();
            match places.get(below(&link)) {
                Some(&place) => Entry {
                    name,
                    ..entries[place].clone()
                },
                None => {
                    let reason = format!("is a link to {link}, which is not before it");
                    reports.extend(missing(path, &name, reason));
                    continue;
                }
            }
        } else {
            if kind.is_symlink() {
                reports.extend(missing(path, &name, LINK.to_string()));
            }
            continue;
        };
        places.insert(found.name.clone(), entries.len());
        entries.push(found);
    }
    Ok(entries)
}

impl Archive {
    /// Labels by a list, or by folders below those that hold everything.
    fn labels(&self, lists: &[Entry]) -> labels::Labels {
        let first = self.entries.first().map_or("", |entry| &entry.name);
        let shared = |folder: &str| self.entries.iter().all(|e| e.name.starts_with(folder));
        let top = first
            .match_indices('/')
            .map(|(at, _)| &first[..=at])
            .take_while(|folder| shared(folder))
            .last()
            .unwrap_or_default();
        let list = lists.iter().find_map(|entry| {
            let file = entry.name.rsplit('/').next()?;
            // A list names files from where it lies.
            let folder = entry.name.strip_suffix(file)?;
            shared(folder).then_some((folder, file, entry))
        });
        let from = list.map_or(top, |(folder, ..)| folder);
        let names: Vec<String> = self
            .entries
            .iter()
            .map(|entry| entry.name[from.len()..].to_string())
            .collect();
        let list = list.map(|(_, file, entry)| {
            let bytes = self.bytes(entry, picture::MAX_FILE);
            (file, bytes.map_err(|fault| fault.reason().to_string()))
        });
        labels::of_files(&self.path.join(from), &names, list)
    }

    /// At most `most` bytes from the front of a file.
    fn bytes(&self, entry: &Entry, most: u64) -> std::result::Result<Vec<u8>, Fault> {
        if entry.size > picture::MAX_FILE {
            return Err(Fault::Bad(format!(
                "its {} bytes are more than the {} allowed for a file",
                entry.size,
                picture::MAX_FILE
            )));
        }
        let about = self.path.metadata()?;
        // A pipe in place of the archive would block.
        if !about.is_file() {
            return Err(Fault::Bad("the archive is not a regular file".to_string()));
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(entry.start))?;
        let packed = file.take(entry.packed);
        // What a header says of the size is not believed.
        let wanted = most.min(entry.size);
        let mut bytes = Vec::new();
        let outcome = if entry.deflated {
            DeflateDecoder::new(packed)
                .take(wanted)
                .read_to_end(&mut bytes)
        } else {
            packed.take(wanted).read_to_end(&mut bytes)
        };
        outcome?;
        if (bytes.len() as u64) < wanted {
            let reason = "it ends in the middle of a file";
            return Err(Fault::Bad(reason.to_string()));
        }
        Ok(bytes)
    }

    fn whole(&self, item: usize) -> std::result::Result<Vec<u8>, Fault> {
        let entry = &self.entries[item];
        let bytes = self.bytes(entry, picture::MAX_FILE)?;
        if let Some(said) = entry.crc {
            let mut crc = Crc::new();
            crc.update(&bytes);
            if crc.sum() != said {
                return Err(Fault::Bad(
                    "its checksum differs from the archive's".to_string(),
                ));
            }
        }
        Ok(bytes)
    }
}

impl Pictures for Archive {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn path(&self, item: usize) -> PathBuf {
        self.path.join(&self.entries[item].name)
    }

    fn head(&self, item: usize) -> std::result::Result<Head, Fault> {
        let front = self.bytes(&self.entries[item], FRONT)?;
        let partial = (front.len() as u64) < self.entries[item].size;
        match head(Cursor::new(&front[..])) {
            // The head of some files lies at their end.
            Err(_) if partial => head(Cursor::new(&self.whole(item)?[..])),
            outcome => outcome,
        }
    }

    fn read(&self, item: usize) -> std::result::Result<Raw, Fault> {
        self.whole(item).map(Raw::File)
    }

    fn sign(&self, item: usize, crc: &mut Crc) {
        self.identify(item, crc);
        // Of a tar archive no sum is known: its own time tells of a change.
        if self.entries[item].crc.is_none() {
            folder::sign_file(&self.path, crc);
        }
    }

    fn identify(&self, item: usize, crc: &mut Crc) {
        let Entry {
            name,
            size,
            crc: sum,
            ..
        } = &self.entries[item];
        crc.update(name.as_bytes());
        crc.update(&size.to_le_bytes());
        if let Some(sum) = sum {
            crc.update(&sum.to_le_bytes());
        }
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.path)
    }
}
