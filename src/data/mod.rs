//! Training data: where images come from, how they are brought to one shape,
//! and how they are drawn in batches.
//!
//! [`Dataset::open`] takes the value of `--data`: a built-in set (`fashion`,
//! `digits`), IDX files as MNIST and Fashion-MNIST have them, or a folder of
//! pictures of any size, channel count and nesting. [`Loader`] draws batches
//! from a dataset on threads of its own, ahead of the GPU.
//!
//! A file that cannot be read is reported by name, skipped and never ends a
//! run.

mod dataset;
mod folder;
mod idx;
mod journal;
mod loader;
mod picture;
mod split;
mod stack;

use std::fmt;
use std::path::PathBuf;

use crate::error::Result;

pub use dataset::Dataset;
pub use loader::{Batch, Loader, Position};
pub use split::{to_floats, to_pixels};
pub use stack::STACKED;

/// Something in the data that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it and what became of it.
    pub reason: String,
}

impl Report {
    fn new(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// The value in [-1, 1] that stands for an 8-bit one: `v / 127.5 - 1`.
pub fn normalized(value: u8) -> f32 {
    f32::from(value) / 127.5 - 1.0
}

/// The column of images, `[batch, C, H, W]` in [-1, 1].
pub const IMAGE: &str = "image";

/// The column of class numbers, `[batch, 1]`.
pub const LABEL: &str = "label";

/// The columns of a batch with their values, row-major.
pub type Columns = Vec<(&'static str, Vec<f32>)>;

/// Where batches come from, stream by stream.
pub trait Feed {
    /// The next batch of a stream, counted from 0.
    ///
    /// # Errors
    /// Where the data cannot be read.
    fn next_columns(&mut self, stream: usize) -> Result<Columns>;
}

/// Always the same batch.
#[derive(Clone, Debug)]
pub struct Same(pub Columns);

impl Feed for Same {
    fn next_columns(&mut self, _: usize) -> Result<Columns> {
        Ok(self.0.clone())
    }
}
