//! What every source of pictures gives, and how a read can fail.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use flate2::Crc;
use image::DynamicImage;

/// Pictures that are read when asked for, by number.
pub(super) trait Pictures: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// What an item is called in messages.
    fn path(&self, item: usize) -> PathBuf;

    /// Size and colours, without decoding the pixels.
    fn head(&self, item: usize) -> Result<Head, Fault>;

    /// The file, or the picture where there is no file of its own.
    fn read(&self, item: usize) -> Result<Raw, Fault>;

    /// Adds what tells an item from a changed one.
    fn sign(&self, item: usize, crc: &mut Crc);

    /// Adds what tells an item from another, wherever the set lies and whenever it
    /// was copied there.
    fn identify(&self, item: usize, crc: &mut Crc) {
        self.sign(item, crc);
    }

    /// The file or folder without which nothing can be read; `None` where all
    /// is in memory.
    fn root(&self) -> Option<&Path>;

    /// Whether these are drawings on black, which small margins of black leave
    /// sharp, instead of photographs.
    fn drawings(&self) -> bool {
        false
    }
}

/// A picture as its source has it.
pub(super) enum Raw {
    /// The bytes of a file of any kind.
    File(Vec<u8>),
    /// Pixels.
    Picture(DynamicImage),
}

/// What the first bytes of a picture tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) colour: bool,
    pub(super) alpha: bool,
    /// Bytes of the decoded pixels.
    pub(super) bytes: u64,
}

/// Why a picture could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file is no picture that can be used, and will not become one.
    Bad(String),
    /// The file system failed; the next time it may not.
    Lost(String),
}

impl Fault {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Bad(reason) | Self::Lost(reason) => reason,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        use ErrorKind::{InvalidData, InvalidInput, IsADirectory, PermissionDenied, UnexpectedEof};
        let reason = error.to_string();
        match error.kind() {
            UnexpectedEof | InvalidData | InvalidInput | PermissionDenied | IsADirectory => {
                Self::Bad(reason)
            }
            _ => Self::Lost(reason),
        }
    }
}
