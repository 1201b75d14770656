//! Files that are read as a whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Longest text file that is read, in bytes; configurations have a few thousand.
pub const LONGEST_TEXT: u64 = 1 << 20;

/// Opens a regular file. Opening a pipe would wait for a writer, and a device may
/// have no end.
///
/// # Errors
/// [`Error::Io`] where there is no file or it cannot be opened, [`Error::Usage`]
/// where it is a folder, a pipe or a device.
pub fn open(path: &Path) -> Result<File> {
    let kind = path.metadata().map_err(Error::io("read", path))?;
    if kind.is_file() {
        return File::open(path).map_err(Error::io("read", path));
    }
    let what = if kind.is_dir() {
        "a folder"
    } else {
        "a pipe or a device"
    };
    Err(Error::usage(
        format!("{} is {what}, not a file", path.display()),
        "give a regular file",
    ))
}

/// Reads a text file of at most [`LONGEST_TEXT`] bytes.
///
/// # Errors
/// As of [`read_text_within`].
pub fn read_text(path: &Path) -> Result<String> {
    read_text_within(path, LONGEST_TEXT)
}

/// Reads a text file of at most `longest` bytes.
///
/// # Errors
/// As of [`open`], and [`Error::Usage`] where it is longer or not UTF-8.
pub fn read_text_within(path: &Path, longest: u64) -> Result<String> {
    let mut text = String::new();
    let read = open(path)?.take(longest + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 <= longest => Ok(text),
        Err(e) if e.kind() != std::io::ErrorKind::InvalidData => Err(Error::io("read", path)(e)),
        outcome => {
            let what = match outcome {
                Ok(_) => format!("is longer than {longest} bytes"),
                Err(_) => "is not UTF-8".to_owned(),
            };
            Err(Error::usage(
                format!("{} {what}", path.display()),
                "give a text file",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_without_reading_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let long = folder.path().join("long");
        std::fs::write(&long, vec![b' '; LONGEST_TEXT as usize + 1]).expect("writes");
        let bytes = folder.path().join("bytes");
        std::fs::write(&bytes, [0xff]).expect("writes");
        let mut cases = vec![
            (folder.path().to_owned(), "a folder"),
            (long, "longer than"),
            (bytes, "not UTF-8"),
        ];
        if cfg!(unix) {
            // Without an end.
            cases.push(("/dev/zero".into(), "a device"));
            // Without a writer.
            let pipe = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            if made.is_ok_and(|status| status.success()) {
                cases.push((pipe, "a pipe"));
            }
        }
        for (path, said) in cases {
            let refused = read_text(&path).expect_err("refused").to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
