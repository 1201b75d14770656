//! Training data: where images come from, how they are brought to one shape,
//! and how they are drawn in batches.
//!
//! [`Dataset::open`] takes the value of `--data`: a built-in set (`fashion`,
//! `digits`), a folder, a ZIP or tar archive of pictures of any size, channel
//! count and nesting, or images in IDX, CIFAR and NumPy files. [`Reading`] says
//! how they are read: size, channels, fit, background, pairs. [`Loader`] draws
//! batches from a dataset on threads of its own, ahead of the GPU.
//!
//! A file that cannot be read is reported by name and skipped. A read that the
//! file system failed is tried again; data of which more than half cannot be
//! read, or which has gone, ends the run with an error.

mod archive;
mod array;
mod bicubic;
mod budget;
mod built_in;
mod cifar;
mod dataset;
mod folder;
mod found;
mod gallery;
mod head;
mod idx;
mod input;
mod journal;
mod labels;
mod loader;
mod manner;
mod numpy;
mod opened;
mod pairs;
mod picture;
mod reading;
mod source;
mod split;
mod stack;
mod store;
mod streams;
mod wildcard;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Result;

pub use bicubic::bicubic;
pub(crate) use built_in::from_anywhere;
pub use built_in::is_embedded;
pub use dataset::Dataset;
pub(crate) use folder::is_named as is_named_like_a_picture;
pub use gallery::Gallery;
pub(crate) use gallery::grey_picture;
pub use input::{Input, SMALLER};
pub use loader::{Batch, Loader, Position};
pub use manner::Fit;
pub(crate) use opened::name_of;
pub use pairs::{Direction, Layout};
pub use reading::Reading;
pub use split::{TURNS, to_floats, to_pixels};
pub use stack::STACKED;
pub use streams::{Loaders, Records, Sides, Streams};

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
        write!(f, "{}: {}", shown(&self.path), plain(&self.reason))
    }
}

/// A path as a terminal may show it.
fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// A name or a reason on one line.
fn plain(text: &str) -> String {
    crate::console::plain(text).replace(['\n', '\t'], "\u{fffd}")
}

/// The value in [-1, 1] that stands for an 8-bit one: `v / 127.5 - 1`.
pub fn normalized(value: u8) -> f32 {
    f32::from(value) / 127.5 - 1.0
}

/// The column of images, `[batch, C, H, W]` in [-1, 1].
pub const IMAGE: &str = "image";

/// The column of the images' inputs, where they are paired, in [-1, 1].
pub const INPUT: &str = "input";

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
