//! Files that nothing may be written over.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::place::place;

/// Places of files with what each is to the run.
#[derive(Default)]
pub(super) struct Claims(HashMap<PathBuf, &'static str>);

impl Claims {
    /// Files that are read.
    pub(super) fn read(&mut self, paths: impl IntoIterator<Item = PathBuf>, what: &'static str) {
        for path in paths {
            self.0.entry(place(&path)).or_insert(what);
        }
    }

    /// A file that is to be written, as an option says.
    ///
    /// # Errors
    /// [`Error::Usage`] where it would replace another one.
    pub(super) fn write(&mut self, path: &Path, what: &'static str, option: &str) -> Result<()> {
        match self.0.insert(place(path), what) {
            None => Ok(()),
            Some(other) => Err(Error::usage(
                format!("{} is {other} and would be overwritten", path.display()),
                format!("give another place with {option}"),
            )),
        }
    }
}
