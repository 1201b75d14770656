//! Images of one size in memory, as IDX, CIFAR and NumPy files hold them.

use std::path::{Path, PathBuf};

use flate2::Crc;

use super::picture;
use super::shown;
use super::source::{Fault, Head, Pictures, Raw};
use crate::error::{Error, Result};

/// Bytes that the images of one file may have in memory.
const MAX_BYTES: usize = 2 << 30;

/// Images that a set may have.
const MAX_IMAGES: usize = 1 << 24;

/// Images of one file.
pub(super) struct Array {
    pub(super) path: PathBuf,
    /// `[channels, height, width]` of each.
    pub(super) shape: [usize; 3],
    /// Planar.
    pub(super) values: Vec<u8>,
    /// For each image where it begins in `values`.
    pub(super) step: usize,
    /// Bytes in front of each image.
    pub(super) skip: usize,
}

impl Array {
    /// Images `[count, channels, height, width]`.
    pub(super) fn new(path: &Path, shape: [usize; 3], values: Vec<u8>) -> Self {
        Self {
            path: path.to_path_buf(),
            shape,
            values,
            step: shape.iter().product(),
            skip: 0,
        }
    }

    /// The planes of an image.
    pub(super) fn planes(&self, item: usize) -> &[u8] {
        &self.values[item * self.step + self.skip..(item + 1) * self.step]
    }
}

/// The bytes of `count` entries of the sizes `entry`, if a set may have them.
///
/// # Errors
/// [`Error::Usage`] with the limit that is passed.
pub(super) fn allowed(path: &Path, count: usize, entry: &[usize]) -> Result<usize> {
    let bytes = entry.iter().try_fold(count, |n, &side| n.checked_mul(side));
    match bytes {
        Some(bytes) if bytes <= MAX_BYTES && count <= MAX_IMAGES => Ok(bytes),
        _ => Err(Error::usage(
            format!(
                "{} expands to {count} entries of {entry:?} bytes, more than the {MAX_IMAGES} entries or \
                 {} GiB that a file may take in memory",
                shown(path),
                MAX_BYTES >> 30
            ),
            "divide it, or give a folder or a ZIP archive of pictures, which are read as needed",
        )),
    }
}

impl Pictures for Array {
    fn len(&self) -> usize {
        self.values.len() / self.step
    }

    fn path(&self, _: usize) -> PathBuf {
        self.path.clone()
    }

    fn head(&self, _: usize) -> Result<Head, Fault> {
        let [channels, height, width] = self.shape;
        Ok(Head {
            width: width as u32,
            height: height as u32,
            colour: channels > 2,
            alpha: matches!(channels, 2 | 4),
            bytes: (channels * height * width) as u64,
        })
    }

    fn read(&self, item: usize) -> Result<Raw, Fault> {
        Ok(Raw::Picture(picture::of_planes(
            self.planes(item),
            self.shape,
        )))
    }

    fn sign(&self, item: usize, crc: &mut Crc) {
        crc.update(self.planes(item));
    }

    fn root(&self) -> Option<&Path> {
        None
    }

    fn drawings(&self) -> bool {
        self.shape[0] == 1
    }
}
