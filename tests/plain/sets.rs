//! Sets in files, whole and damaged.

use std::fs;
use std::path::Path;

use gpugan::data::Dataset;

pub(crate) fn open(path: &Path, height: usize, width: usize, channels: Option<usize>) -> Dataset {
    Dataset::open(path.to_str().unwrap(), height, width, channels).unwrap()
}

pub(crate) fn open_error(path: &Path) -> String {
    let error = Dataset::open(path.to_str().unwrap(), 8, 8, None).err();
    let error = error.expect("the data must be refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

/// Cuts a file to a part of its length.
pub(crate) fn truncate(path: &Path, numerator: usize, denominator: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() * numerator / denominator]).unwrap();
}
