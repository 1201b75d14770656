//! CIFAR-10 and CIFAR-100 in their binary version: records of one label (of
//! CIFAR-100 two, coarse and fine) and 32x32 pixels, planar RGB. A file has whole
//! records, so its size tells which they are.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::array::{Array, allowed};
use super::idx::Split;
use super::labels::Labels;
use super::{Report, shown};
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The files of a folder with the images of one split, in order, if it holds
/// any.
pub(super) fn files_in(folder: &Path, split: Split) -> Vec<PathBuf> {
    let present = |names: Vec<String>| {
        let paths = names.into_iter().map(|name| folder.join(name));
        paths.filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    let (ten, hundred) = match split {
        Split::Train => (
            (1..=5).map(|n| format!("data_batch_{n}.bin")).collect(),
            "train.bin",
        ),
        Split::Test => (vec!["test_batch.bin".to_string()], "test.bin"),
    };
    let found = present(ten);
    if found.is_empty() && folder.join("fine_label_names.txt").is_file() {
        return present(vec![hundred.to_string()]);
    }
    found
}

/// Whether a single file can be one of CIFAR's.
pub(super) fn looks_like_it(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "bin")
        && path.metadata().is_ok_and(|about| {
            let size = about.len();
            size > 0 && [1, 2].iter().any(|&labels| is_whole(size, labels))
        })
}

/// Whether so many bytes are whole records of so many labels.
fn is_whole(size: u64, labels: usize) -> bool {
    size.is_multiple_of((labels + PIXELS) as u64)
}

/// The labels of a record, as the first file tells whose size fits only one number of
/// them; else as the first file's name does.
fn labels_of(files: &[PathBuf], sizes: &[u64]) -> usize {
    let told = |&size: &u64| match [1, 2].map(|labels| is_whole(size, labels)) {
        [true, false] => Some(1),
        [false, true] => Some(2),
        _ => None,
    };
    let hundred = files[0]
        .file_name()
        .is_some_and(|name| name == "train.bin" || name == "test.bin");
    let named = if hundred { 2 } else { 1 };
    sizes.iter().find_map(told).unwrap_or(named)
}

/// Reads the images of files, which all have the same number of labels.
pub(super) fn read(files: &[PathBuf], reports: &mut Vec<Report>) -> Result<(Array, Labels)> {
    let first = &files[0];
    let folder = first.parent().unwrap_or(Path::new(""));
    let mut sizes = Vec::new();
    for path in files {
        sizes.push(path.metadata().map_err(Error::io("read", path))?.len());
    }
    let skip = labels_of(files, &sizes);
    let names = match skip {
        1 => "batches.meta.txt",
        _ => "fine_label_names.txt",
    };
    let step = skip + PIXELS;
    let size = sizes.iter().sum::<u64>() as usize;
    allowed(first, size / step, &[step])?;
    let mut values = Vec::with_capacity(size);
    for path in files {
        let before = values.len();
        let file = File::open(path).map_err(Error::io("read", path))?;
        let most = (values.capacity() - before) as u64;
        let outcome = file.take(most).read_to_end(&mut values);
        outcome.map_err(Error::io("read", path))?;
        let rest = (values.len() - before) % step;
        if rest > 0 {
            values.truncate(values.len() - rest);
            let count = (values.len() - before) / step;
            let reason = format!("ends inside an image; the first {count} images are used");
            reports.push(Report::new(path, reason));
        }
    }
    if values.is_empty() {
        return Err(Error::usage(
            format!("{} does not hold a complete image", shown(first)),
            "download the file again or give other --data",
        ));
    }
    let labels = values.iter().skip(skip - 1).step_by(step);
    let of: Vec<u32> = labels.map(|&label| u32::from(label)).collect();
    let count = of.iter().max().map_or(0, |&last| last as usize + 1);
    let array = Array {
        step,
        skip,
        ..Array::new(first, SHAPE, values)
    };
    let classes = class_names(&folder.join(names), count);
    Ok((array, Labels::new(of, classes)))
}

/// The names beside the images, or numbers.
fn class_names(path: &Path, count: usize) -> Vec<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(1 << 16).read_to_string(&mut text));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<_> = lines.map(super::plain).collect();
    if read.is_ok() && names.len() >= count {
        names
    } else {
        (0..count).map(|class| class.to_string()).collect()
    }
}
