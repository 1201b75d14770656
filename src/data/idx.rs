//! IDX files, raw or gzipped: the container of MNIST and Fashion-MNIST.
//!
//! Two zero bytes, a type byte (8 = unsigned byte), the rank, one big-endian
//! 32-bit size for each dimension, then the values.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use super::array::{Array, allowed};
use super::labels::Labels;
use super::{Report, shown};
use crate::error::{Error, Result};

/// One IDX file as far as it could be read.
struct Part {
    sizes: Vec<usize>,
    values: Vec<u8>,
    /// What was wrong behind the part that could be read.
    trouble: Option<String>,
}

impl Part {
    /// Whole entries along the first dimension.
    fn whole(&self) -> usize {
        let entry: usize = self.sizes[1..].iter().product();
        self.values.len() / entry
    }
}

/// Which of a folder's images files is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// Training images before others.
    Train,
    /// Only those that are named as test images: `t10k` or `test`.
    Test,
}

/// The images file of a folder, should it hold one; raw before gzipped.
pub(super) fn images_file_in(folder: &Path, split: Split) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let name = entry.map_err(Error::io("read", folder))?.file_name();
        let lower = name.to_string_lossy().to_lowercase();
        let plain = lower.strip_suffix(".gz").unwrap_or(&lower);
        let path = folder.join(&name);
        // Some archives unpack to folders of these names.
        let wanted = split == Split::Train || ["t10k", "test"].iter().any(|t| plain.contains(t));
        if wanted && plain.ends_with("idx3-ubyte") && !plain.starts_with('.') && path.is_file() {
            found.push((!lower.contains("train"), lower, path));
        }
    }
    Ok(found.into_iter().min().map(|(_, _, path)| path))
}

/// The labels file beside an images file.
fn labels_file_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let same = name.replace("images", "labels").replace("idx3", "idx1");
    let other = match same.strip_suffix(".gz") {
        Some(raw) => raw.to_string(),
        None => format!("{same}.gz"),
    };
    [same, other]
        .into_iter()
        .filter(|candidate| candidate != name)
        .map(|candidate| images.with_file_name(candidate))
        .find(|path| path.is_file())
}

/// Reads an images file and the labels beside it. What could not be read is added to
/// `reports`. The labels are one for each image, or none.
pub(super) fn read(images: &Path, reports: &mut Vec<Report>) -> Result<(Array, Labels)> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(Error::io("read", path))?;
        Ok(BufReader::new(file))
    };
    let array = read_array(open(images)?, images, 3)?;
    let labels = labels_file_of(images).map(|path| {
        let labels = open(&path).and_then(|file| read_array(file, &path, 1));
        (path, labels)
    });
    assemble(images, array, labels, reports)
}

/// The same from bytes that are part of the program.
pub(super) fn read_built_in(name: &str, images: &[u8], labels: &[u8]) -> Result<(Array, Labels)> {
    let path = Path::new(name);
    let mut reports = Vec::new();
    let images = read_array(images, path, 3)?;
    let labels = read_array(labels, path, 1);
    assemble(path, images, Some((path.into(), labels)), &mut reports)
}

fn assemble(
    path: &Path,
    images: Part,
    labels: Option<(PathBuf, Result<Part>)>,
    reports: &mut Vec<Report>,
) -> Result<(Array, Labels)> {
    let declared = images.sizes[0];
    let count = images.whole();
    if count == 0 {
        return Err(Error::usage(
            format!("{} does not hold a complete image", shown(path)),
            "download the file again or give other --data",
        ));
    }
    if let Some(trouble) = images.trouble {
        let reason = format!("{trouble}; the first {count} of {declared} images are used");
        reports.push(Report::new(path, reason));
    }
    // Without its labels a set still trains an unconditional model.
    let labels = match labels {
        None => Labels::default(),
        Some((path, Err(error))) => Labels::dropped(&path, error),
        Some((_, Ok(array))) if array.sizes[0] == declared && array.whole() >= count => {
            let of = array.values[..count].iter();
            Labels::numbered(of.map(|&label| u32::from(label)).collect())
        }
        Some((path, Ok(array))) => {
            let (whole, said) = (array.whole(), array.sizes[0]);
            let reason = format!("holds {whole} of {said} labels for {declared} images");
            Labels::dropped(&path, reason)
        }
    };
    let [height, width] = [images.sizes[1], images.sizes[2]];
    let mut values = images.values;
    values.truncate(count * height * width);
    // Of a file that ends early, memory for the rest was set aside.
    values.shrink_to_fit();
    Ok((Array::new(path, [1, height, width], values), labels))
}

/// Reads one array of `rank` dimensions of bytes, ungzipping it if needed.
fn read_array(mut source: impl BufRead, path: &Path, rank: usize) -> Result<Part> {
    let start = source.fill_buf().map_err(Error::io("read", path))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        parse(GzDecoder::new(source), path, rank)
    } else {
        parse(source, path, rank)
    }
}

fn parse(mut source: impl Read, path: &Path, rank: usize) -> Result<Part> {
    let wrong = |found: String| {
        Error::usage(
            format!(
                "{} is not an IDX file of {rank}-dimensional bytes: expected it to begin with \
                 00 00 08 {rank:02x} and {rank} sizes above 0, found {found}",
                shown(path)
            ),
            "download the file again or give other --data",
        )
    };
    let mut head = Vec::new();
    let outcome = source
        .by_ref()
        .take(4 + 4 * rank as u64)
        .read_to_end(&mut head);
    let bytes: Vec<_> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = bytes.join(" ");
    if let Err(error) = outcome {
        return Err(wrong(format!("{error} after {} bytes", head.len())));
    }
    if head.len() < 4 + 4 * rank || head[..4] != [0, 0, 8, rank as u8] {
        return Err(wrong(format!("`{bytes}`")));
    }
    let sizes: Vec<usize> = head[4..]
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize)
        .collect();
    if sizes.contains(&0) {
        return Err(wrong(format!("sizes {sizes:?}")));
    }
    let total = allowed(path, sizes[0], &sizes[1..])?;
    let mut values = Vec::new();
    values.try_reserve_exact(total + 1).map_err(|error| {
        Error::usage(
            format!("{} has {total} values: {error}", shown(path)),
            "use fewer images",
        )
    })?;
    // One byte more than announced shows what lies behind the array, and has
    // the gzip reader check its sum.
    let outcome = source.take(total as u64 + 1).read_to_end(&mut values);
    let read = values.len();
    let trouble = match outcome {
        Err(error) if read < total => Some(format!("ends after {read} of {total} bytes: {error}")),
        Err(error) => Some(format!("is damaged: {error}")),
        Ok(_) if read < total => Some(format!("ends after {read} of {total} bytes")),
        Ok(_) if read > total => Some("has bytes after its last value".to_string()),
        Ok(_) => None,
    };
    values.truncate(total);
    Ok(Part {
        sizes,
        values,
        trouble,
    })
}

/// Whether a file begins like an IDX file, gzipped or not.
pub(super) fn looks_like_idx(path: &Path) -> bool {
    let begins = |mut source: Box<dyn Read>| {
        let mut head = [0; 3];
        source.read_exact(&mut head).is_ok() && head == [0, 0, 8]
    };
    let open = || File::open(path).map(BufReader::new);
    match (open(), open()) {
        (Ok(raw), Ok(gz)) => begins(Box::new(raw)) || begins(Box::new(GzDecoder::new(gz))),
        _ => false,
    }
}
