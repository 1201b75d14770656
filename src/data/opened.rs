//! What `--data` can name, and the pictures behind it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::found::{Kinds, listed};
use super::idx::Split;
use super::labels::{self, Labels};
use super::source::Pictures;
use super::{Report, archive, cifar, folder, idx, numpy, shown};
use crate::error::{Error, Result};

/// Pictures with their labels, before it is known how they are read.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) pictures: Arc<dyn Pictures>,
    pub(super) labels: Labels,
    pub(super) strays: Kinds,
    /// What was left out of the pictures.
    pub(super) reports: Vec<Report>,
}

impl Opened {
    pub(super) fn new(path: &Path, pictures: Arc<dyn Pictures>, labels: Labels) -> Self {
        Self {
            name: name_of(path),
            pictures,
            labels,
            strays: Kinds::new(),
            reports: Vec::new(),
        }
    }
}

/// What can be given as `--data`.
const MEND: &str = "give `fashion`, `digits`, `emoji`, a folder or a ZIP or tar archive of \
                    pictures, or IDX, CIFAR or NumPy files";

/// Finds out what a path names and opens it; `None` where there is no image of
/// that split.
pub(super) fn find(path: &Path, split: Split) -> Result<Option<Opened>> {
    let kind = path.metadata().map_err(|error| {
        Error::usage(
            format!("--data {} cannot be opened: {error}", shown(path)),
            MEND,
        )
    })?;
    if kind.is_dir() {
        in_folder(path, split)
    } else if kind.is_file() {
        in_file(path, split)
    } else {
        // Reading from a pipe or a device could block for ever.
        Err(Error::usage(
            format!("--data {} is neither a file nor a folder", shown(path)),
            MEND,
        ))
    }
}

fn in_folder(path: &Path, split: Split) -> Result<Option<Opened>> {
    let mut reports = Vec::new();
    if let Some(images) = idx::images_file_in(path, split)? {
        let named = if split == Split::Test { &images } else { path };
        return of_idx(named, &images).map(Some);
    }
    let files = cifar::files_in(path, split);
    if let Some(first) = files.first() {
        let named = if split == Split::Test { first } else { path };
        return of_cifar(named, &files).map(Some);
    }
    if split == Split::Test {
        return Ok(None);
    }
    let (pictures, strays) = folder::scan(path, &mut reports)?;
    if pictures.files.is_empty() {
        return Err(nothing_but(path, &strays));
    }
    let list = labels::list_in(path);
    let labels = labels::of_files(path, &pictures.names(), list);
    Ok(Some(Opened {
        strays,
        reports,
        ..Opened::new(path, Arc::new(pictures), labels)
    }))
}

fn in_file(path: &Path, split: Split) -> Result<Option<Opened>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    let outcome = file.take(512).read_to_end(&mut head);
    outcome.map_err(Error::io("read", path))?;
    if numpy::begins_like_one(&head) || (archive::is_zip(&head) && numpy::is_npz(path)) {
        let found = numpy::read(path, split)?;
        return Ok(found.map(|(array, labels)| Opened::new(path, Arc::new(array), labels)));
    }
    if split == Split::Test {
        return Ok(None);
    }
    if archive::begins_like_one(&head) {
        let mut reports = Vec::new();
        let archive::Opened {
            archive,
            strays,
            labels,
        } = archive::open(path, &mut reports)?;
        if archive.len() == 0 {
            return Err(nothing_but(path, &strays));
        }
        return Ok(Some(Opened {
            strays,
            reports,
            ..Opened::new(path, Arc::new(archive), labels)
        }));
    }
    if idx::looks_like_idx(path) || path.to_string_lossy().contains("idx3-ubyte") {
        return of_idx(path, path).map(Some);
    }
    if cifar::looks_like_it(path) {
        return of_cifar(path, &[path.to_path_buf()]).map(Some);
    }
    Err(if head.starts_with(&[0x1f, 0x8b]) {
        Error::usage(
            format!("--data {} is compressed as a whole with gzip", shown(path)),
            "unpack it (gunzip, tar xf) and give the archive or folder",
        )
    } else {
        Error::usage(
            format!("--data {} is a file, but not one of images", shown(path)),
            MEND,
        )
    })
}

fn of_idx(named: &Path, images: &Path) -> Result<Opened> {
    let mut reports = Vec::new();
    let (array, labels) = idx::read(images, &mut reports)?;
    Ok(Opened {
        reports,
        ..Opened::new(named, Arc::new(array), labels)
    })
}

fn of_cifar(named: &Path, files: &[PathBuf]) -> Result<Opened> {
    let mut reports = Vec::new();
    let (array, labels) = cifar::read(files, &mut reports)?;
    Ok(Opened {
        reports,
        ..Opened::new(named, Arc::new(array), labels)
    })
}

pub(super) fn nothing_in(path: &Path) -> Error {
    Error::usage(
        format!("--data {} has no training images", shown(path)),
        MEND,
    )
}

fn nothing_but(path: &Path, strays: &Kinds) -> Error {
    let others = match strays.values().sum::<usize>() {
        0 => "found nothing".to_string(),
        count => format!("found {count} other files ({})", listed(strays)),
    };
    Error::usage(
        format!(
            "no image in --data {}: looked there, and in every folder below, for IDX files and for \
             pictures ({}), and {others}",
            shown(path),
            folder::KINDS
        ),
        "put pictures there, or give `fashion`, `digits` or other data",
    )
}

/// The last part of a path, or of what it leads to (`.`).
pub(crate) fn name_of(path: &Path) -> String {
    let real = path.canonicalize();
    let named = path
        .file_name()
        .or_else(|| real.as_ref().ok()?.file_name())
        .unwrap_or(path.as_os_str());
    super::plain(&named.to_string_lossy())
}
