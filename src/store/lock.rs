//! One process at a time writes into a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;

use super::run_folder::RunFolder;
use crate::error::{Error, Result};

/// A run folder that belongs to this process until the lock is dropped or the
/// process ends, however it ends: the kernel releases it.
///
/// It is advisory and held on a file of its own, `run.lock`, which stays behind:
/// on Windows a locked file cannot be read by others, and whoever removed it
/// could leave two processes with a lock each.
#[derive(Debug)]
pub struct Lock {
    /// Closed, and with that unlocked, on drop; none where the file system knows
    /// no locks.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock of a folder.
    ///
    /// # Errors
    /// [`Error::Usage`] where another process has it, [`Error::Io`] where the file
    /// cannot be opened.
    pub fn take(folder: &RunFolder) -> Result<Self> {
        let path = path(folder);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(Error::usage(
                format!(
                    "{} is in use by another gpugan process",
                    folder.path().display()
                ),
                "wait until that one has ended, or stop it with Ctrl-C",
            )),
            // Some network file systems know no locks; runs are possible there too.
            Err(TryLockError::Error(_)) => Ok(Self { _file: None }),
        }
    }
}

fn path(folder: &RunFolder) -> PathBuf {
    folder.path().join("run.lock")
}

/// Whether a process has the lock of a folder. Asking takes it together with whoever
/// else asks, for a moment.
pub fn is_held(folder: &RunFolder) -> bool {
    let Ok(file) = File::open(path(folder)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_until_the_lock_is_dropped() {
        let outdir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::create(outdir.path(), "p", "d").expect("a folder");
        let first = Lock::take(&folder).expect("free");
        let refused = Lock::take(&folder).expect_err("taken").to_string();
        assert!(refused.contains("in use by another"), "{refused}");
        assert_eq!(refused.lines().count(), 1);
        assert!(is_held(&folder));
        drop(first);
        assert!(!is_held(&folder));
        Lock::take(&folder).expect("free again");
    }
}
