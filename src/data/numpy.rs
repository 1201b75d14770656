//! Arrays of NumPy: `.npy` files and `.npz` archives of them.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::array::{Array, allowed};
use super::idx::Split;
use super::labels::Labels;
use super::shown;
use crate::error::{Error, Result};

/// The names of arrays of images and of labels, for training and for tests, the
/// best first.
const NAMES: [[&[&str]; 2]; 2] = [
    [
        &["x_train", "train_images", "images", "x", "data", "arr_0"],
        &["y_train", "train_labels", "labels", "y", "targets", "arr_1"],
    ],
    [&["x_test", "test_images"], &["y_test", "test_labels"]],
];

/// The front of an array.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// NumPy's word for the type, such as `|u1`.
    kind: String,
    fortran: bool,
    shape: Vec<usize>,
}

/// Whether a file begins like a `.npy` file.
pub(super) fn begins_like_one(head: &[u8]) -> bool {
    head.starts_with(b"\x93NUMPY")
}

/// Whether a ZIP archive holds arrays alone.
pub(super) fn is_npz(path: &Path) -> bool {
    let archive = File::open(path)
        .ok()
        .map(BufReader::new)
        .map(zip::ZipArchive::new);
    matches!(archive, Some(Ok(archive)) if !archive.is_empty()
        && archive.file_names().all(|name| matches!(name, Ok(name) if name.ends_with(".npy"))))
}

/// The images of one split with their labels; `None` where an archive has no
/// array of that name.
///
/// # Errors
/// [`Error::Usage`] for arrays that are no images.
pub(super) fn read(path: &Path, split: Split) -> Result<Option<(Array, Labels)>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut file = BufReader::new(file);
    if !is_npz(path) {
        return match split {
            Split::Train => images(&mut file, path).map(|array| Some((array, Labels::default()))),
            Split::Test => Ok(None),
        };
    }
    let wrong = |error: zip::result::ZipError| {
        Error::usage(
            format!("{} is not a complete archive: {error}", shown(path)),
            "save it again with numpy.savez",
        )
    };
    let mut archive = zip::ZipArchive::new(file).map_err(wrong)?;
    let names: Vec<String> = (archive.file_names().flatten())
        .map(|name| name.trim_end_matches(".npy").to_string())
        .collect();
    let [of_images, of_labels] = NAMES[usize::from(split == Split::Test)].map(|wanted| {
        wanted
            .iter()
            .find(|wanted| names.iter().any(|name| name == *wanted))
    });
    let of_images = match (of_images, &names[..], split) {
        (Some(name), ..) => *name,
        (None, [only], Split::Train) => only,
        (None, _, Split::Test) => return Ok(None),
        (None, _, Split::Train) => {
            return Err(Error::usage(
                format!(
                    "{} has no array of images: looked for {}, found {}",
                    shown(path),
                    NAMES[0][0].join(", "),
                    super::plain(&names.join(", "))
                ),
                "save the images as one of these",
            ));
        }
    };
    let array = archive
        .by_name(&format!("{of_images}.npy"))
        .map_err(wrong)?;
    let array = images(array, path)?;
    let mut labels = Labels::default();
    if let Some(name) = of_labels {
        let entry = archive.by_name(&format!("{name}.npy")).map_err(wrong)?;
        let count = super::source::Pictures::len(&array);
        labels = match whole_numbers(entry, path, count) {
            Ok(of) => Labels::numbered(of),
            Err(error) => Labels::dropped(path, format!("{name}: {error}")),
        };
    }
    Ok(Some((array, labels)))
}

fn unusable(path: &Path, header: &Header, wanted: &str) -> Error {
    Error::usage(
        format!(
            "{} has an array of type {} and shape {:?}, but needs {wanted}",
            shown(path),
            super::plain(&header.kind),
            header.shape
        ),
        "save it in that form",
    )
}

/// Images `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` of unsigned bytes.
fn images(mut source: impl Read, path: &Path) -> Result<Array> {
    let header = read_header(&mut source, path)?;
    let channels = 1..=4;
    let (shape, interleaved) = match header.shape[..] {
        [_, h, w] => ([1, h, w], false),
        [_, h, w, c] if channels.contains(&c) => ([c, h, w], true),
        [_, c, h, w] if channels.contains(&c) => ([c, h, w], false),
        _ => ([0; 3], false),
    };
    let bytes = matches!(&*header.kind, "|u1" | "<u1" | ">u1");
    if header.fortran || !bytes || shape.contains(&0) || header.shape[0] == 0 {
        return Err(unusable(
            path,
            &header,
            "images of uint8 in C order, [N, H, W], [N, H, W, C] or [N, C, H, W]",
        ));
    }
    let total = allowed(path, header.shape[0], &header.shape[1..])?;
    let mut values = exactly(source, total, path)?;
    if interleaved && shape[0] > 1 {
        let area = shape[1] * shape[2];
        let mut planes = vec![0; shape[0] * area];
        for image in values.chunks_exact_mut(planes.len()) {
            for (index, &value) in image.iter().enumerate() {
                planes[index % shape[0] * area + index / shape[0]] = value;
            }
            image.copy_from_slice(&planes);
        }
    }
    Ok(Array::new(path, shape, values))
}

/// Labels `[N]` or `[N, 1]` of whole numbers of any size.
fn whole_numbers(mut source: impl Read, path: &Path, count: usize) -> Result<Vec<u32>> {
    let header = read_header(&mut source, path)?;
    let width = match &*header.kind {
        "|u1" | "|i1" | "<u1" | "<i1" => 1,
        "<u2" | "<i2" => 2,
        "<u4" | "<i4" => 4,
        "<u8" | "<i8" => 8,
        _ => 0,
    };
    let fits = matches!(header.shape[..], [n] | [n, 1] if n == count);
    if width == 0 || !fits {
        return Err(unusable(
            path,
            &header,
            &format!("labels of {count} images"),
        ));
    }
    let bytes = exactly(source, count * width, path)?;
    bytes
        .chunks_exact(width)
        .map(|bytes| {
            let mut number = [0; 8];
            number[..width].copy_from_slice(bytes);
            let number = u64::from_le_bytes(number);
            u32::try_from(number).ok().filter(|&label| label < 1 << 16)
        })
        .collect::<Option<_>>()
        .ok_or_else(|| unusable(path, &header, "labels from 0 to 65535"))
}

fn exactly(source: impl Read, total: usize, path: &Path) -> Result<Vec<u8>> {
    let mut values = Vec::new();
    let short = |found: String| {
        Error::usage(
            format!("{} ends early: {found}", shown(path)),
            "download or save it again",
        )
    };
    values
        .try_reserve_exact(total + 1)
        .map_err(|error| short(format!("{total} bytes: {error}")))?;
    source
        .take(total as u64)
        .read_to_end(&mut values)
        .map_err(|error| short(error.to_string()))?;
    if values.len() < total {
        return Err(short(format!("{} of {total} bytes", values.len())));
    }
    Ok(values)
}

/// Reads `\x93NUMPY`, the version, the length and the description: a Python
/// dictionary as NumPy prints it.
fn read_header(source: &mut impl Read, path: &Path) -> Result<Header> {
    let mut text = Vec::new();
    let mut front = [0; 8];
    let mut read = || -> std::io::Result<bool> {
        source.read_exact(&mut front)?;
        if !begins_like_one(&front) {
            return Ok(false);
        }
        let mut length = [0; 4];
        let width = if front[6] == 1 { 2 } else { 4 };
        source.read_exact(&mut length[..width])?;
        // No description is longer.
        let length = u64::from(u32::from_le_bytes(length)).min(1 << 16);
        source.take(length).read_to_end(&mut text)?;
        Ok(true)
    };
    let found = read();
    let header = match found {
        Ok(true) => parse(&String::from_utf8_lossy(&text)),
        _ => None,
    };
    header.ok_or_else(|| {
        Error::usage(
            format!("{} has an array without NumPy's header", shown(path)),
            "save it with numpy.save or numpy.savez",
        )
    })
}

fn parse(text: &str) -> Option<Header> {
    let after = |key: &str| Some(text.split_once(key)?.1.trim_start_matches([':', ' ']));
    let kind = after("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0;
    let sides = after("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = sides
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty());
    Some(Header {
        kind: kind.to_string(),
        fortran: after("'fortran_order'")?.starts_with("True"),
        shape: sides.map(|side| side.parse().ok()).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_numpy_prints_them() {
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28), }      \n";
        let wanted = Header {
            kind: "|u1".to_string(),
            fortran: false,
            shape: vec![60000, 28, 28],
        };
        assert_eq!(parse(header), Some(wanted));
        assert_eq!(
            parse(&header.replace("60000, 28, 28", "7,")).unwrap().shape,
            [7]
        );
        assert_eq!(parse("{'descr': [('a', '<f4')], 'shape': (1,)}"), None);
    }
}
