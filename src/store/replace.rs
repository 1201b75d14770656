//! Files that are written anew: a reader, or the next start after a power cut, finds the
//! old one or the new one and never half of it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The end of the names of files that [`replace`] is still writing.
const TEMPORARY: &str = ".tmp";

/// Writes `path` anew: `write` fills a temporary file in the same folder, which
/// is synced to disk and renamed to `path`. On any error the old file stays as
/// it was and the temporary one is removed. A link stays, and a device or a pipe
/// is written to as it is.
///
/// # Errors
/// [`Error::Io`] with what `write` or the operating system said.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let known = fs::metadata(path);
    if known.is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        let opened = File::options().write(true).open(path);
        let written = opened.and_then(|file| {
            let mut writer = BufWriter::new(file);
            write(&mut writer)?;
            writer.flush()
        });
        return written.map_err(Error::io("write", path));
    }
    // What is not there yet is no link.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // The process id keeps two processes from writing into one file.
    let temporary = place.with_file_name(format!(
        "{}.{}{TEMPORARY}",
        name_of(&place),
        std::process::id()
    ));
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        write(&mut writer)?;
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&temporary, &place)
    })();
    if let Err(source) = written {
        // It may not have been created at all; the first error is the news.
        let _ = fs::remove_file(&temporary);
        return Err(Error::io("write", path)(source));
    }
    sync_folder(&place);
    Ok(())
}

/// Writes `to` anew with what is in `from`, as [`replace`] does.
///
/// # Errors
/// [`Error::Io`] where one cannot be read or the other not be written.
pub fn replace_by_copy(to: &Path, from: &Path) -> Result<()> {
    let bytes = fs::read(from).map_err(Error::io("read", from))?;
    replace(to, |out| out.write_all(&bytes))
}

/// Makes a rename survive a power cut. The new file is complete and in place
/// whatever happens here, and some network file systems cannot sync folders,
/// so a failure is not an error.
fn sync_folder(path: &Path) {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let _ = File::open(folder).and_then(|f| f.sync_all());
    }
}

/// Removes what a killed process left of its [`replace`] calls in `folder`. To
/// be called by the one process that owns the folder, before it writes.
/// Returns how many files were removed.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed or a file cannot be removed.
pub fn remove_stale(folder: &Path) -> Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if is_temporary(&name_of(&path)) && path.is_file() {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a name is `<file>.<process id>.tmp`.
fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY)
        .and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(file, id)| {
            !file.is_empty() && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
        })
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
