//! Checkpoints: named f32 tensors and text metadata in a safetensors file.
//!
//! The bytes of a file depend only on its content, so two runs can be compared
//! with `cmp`. A checksum in the metadata finds damage that leaves the
//! structure of the file intact.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    store::{file, replace::replace},
};

/// The metadata entry that holds the checksum of everything else.
const CHECKSUM: &str = "crc32";
/// The header's entry for metadata, which no tensor may be called.
const METADATA: &str = "__metadata__";
/// Bytes of the header's length at the start of a file.
const LENGTH_BYTES: u64 = 8;
/// Longest header in bytes; the safetensors format sets it.
const LONGEST_HEADER: u64 = 100_000_000;

const READ_MEND: &str = "use an older checkpoint or copy the file again";

/// Named tensors with text about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Name to (shape, values in row-major order).
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Free text by name: step, configuration, state of the data loader. The
    /// name `crc32` is reserved.
    pub metadata: BTreeMap<String, String>,
}

/// One value of the JSON object at the start of a safetensors file.
#[derive(Serialize)]
#[serde(untagged)]
enum HeaderEntry<'a> {
    Metadata(BTreeMap<&'a str, &'a str>),
    Tensor(TensorInfo),
}

impl Checkpoint {
    /// Writes the checkpoint to `path`, which is replaced only by a complete
    /// file that is on disk.
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor whose shape does not fit its values,
    /// [`Error::Usage`] for a reserved name, [`Error::Io`] if the file cannot be
    /// written. In each case a file that was at `path` stays as it was.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.validate()?;
        let checksum = self.checksum()?;
        let header = self.header(Some(&checksum))?;
        replace(path, |out| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            for (_, values) in self.tensors.values() {
                out.write_all(&little_endian(values))?;
            }
            Ok(())
        })
    }

    /// Reads a checkpoint. Tensors of a file made elsewhere may also be f16,
    /// bf16, f64, i32 or i64; they become f32.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Usage`] if it is cut
    /// short, corrupt or no safetensors file.
    pub fn load(path: &Path) -> Result<Self> {
        let mut file = file::open(path)?;
        let header = read_header(&mut file, path)?;
        let mut tensors = BTreeMap::new();
        // Offsets are contiguous and ascending, which the header's check made
        // sure of, so one pass over the file reads every tensor.
        for name in header.offset_keys() {
            let Some(info) = header.info(&name) else {
                continue;
            };
            let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
            file.read_exact(&mut bytes)
                .map_err(Error::io("read", path))?;
            let values = to_f32(info.dtype, &bytes).ok_or_else(|| {
                Error::usage(
                    format!(
                        "tensor {name} of {} has the type {:?}, not F32, F16, BF16, F64, I32 or I64",
                        path.display(),
                        info.dtype
                    ),
                    "convert it to F32 where the file was made",
                )
            })?;
            tensors.insert(name, (info.shape.clone(), values));
        }
        let mut metadata = metadata_of(&header);
        let expected = metadata.remove(CHECKSUM);
        let checkpoint = Self { tensors, metadata };
        match expected {
            Some(expected) if expected != checkpoint.checksum()? => Err(Error::usage(
                format!("{} is corrupt: its checksum does not match", path.display()),
                format!(
                    "{READ_MEND}; if it was edited on purpose, remove its metadata entry {CHECKSUM}"
                ),
            )),
            _ => Ok(checkpoint),
        }
    }

    /// The first tensor, by name, of those that `asked` names that holds an
    /// infinite number or NaN, with that number.
    pub fn not_finite(&self, asked: impl Fn(&str) -> bool) -> Option<(&str, f32)> {
        let tensors = self.tensors.iter().filter(|(name, _)| asked(name));
        let mut broken = tensors.filter_map(|(name, (_, values))| {
            let value = values.iter().copied().find(|value| !value.is_finite())?;
            Some((name.as_str(), value))
        });
        broken.next()
    }

    fn validate(&self) -> Result<()> {
        for (name, (shape, values)) in &self.tensors {
            let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
            if size != Some(values.len()) {
                return Err(Error::shape(
                    "checkpoint",
                    format!(
                        "tensor {name} has the shape {shape:?} but {} values",
                        values.len()
                    ),
                ));
            }
        }
        let reserved = [
            (METADATA, self.tensors.contains_key(METADATA)),
            (CHECKSUM, self.metadata.contains_key(CHECKSUM)),
        ];
        match reserved.iter().find(|(_, used)| *used) {
            Some((name, _)) => Err(Error::usage(
                format!("the name {name} is reserved in checkpoints"),
                "choose another name",
            )),
            None => Ok(()),
        }
    }

    /// The JSON header with sorted keys, padded with blanks so that the tensors
    /// are aligned to 8 bytes. (The safetensors crate writes metadata in the
    /// random order of a hash map.)
    fn header(&self, checksum: Option<&str>) -> Result<Vec<u8>> {
        let mut metadata: BTreeMap<_, _> = self
            .metadata
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        metadata.extend(checksum.map(|sum| (CHECKSUM, sum)));

        let mut entries = BTreeMap::from([(METADATA, HeaderEntry::Metadata(metadata))]);
        let mut start = 0;
        for (name, (shape, values)) in &self.tensors {
            let end = start + size_of_val(values.as_slice());
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: shape.clone(),
                data_offsets: (start, end),
            };
            entries.insert(name, HeaderEntry::Tensor(info));
            start = end;
        }
        let mut header = serde_json::to_vec(&entries).map_err(|e| {
            Error::usage(
                format!("cannot write a checkpoint header: {e}"),
                "this is a bug, report it",
            )
        })?;
        header.resize(header.len().next_multiple_of(8), b' ');
        if header.len() as u64 > LONGEST_HEADER {
            return Err(Error::usage(
                format!(
                    "the names and metadata of the checkpoint take {} bytes, more than {LONGEST_HEADER}",
                    header.len()
                ),
                "put large state into tensors",
            ));
        }
        Ok(header)
    }

    /// CRC-32 over names, shapes, metadata and values, as 8 hex digits.
    fn checksum(&self) -> Result<String> {
        let mut crc = flate2::Crc::new();
        crc.update(&self.header(None)?);
        for (_, values) in self.tensors.values() {
            crc.update(&little_endian(values));
        }
        Ok(format!("{:08x}", crc.sum()))
    }
}

/// Reads the metadata of a checkpoint without its tensors. The header and the
/// file's length are checked, the checksum is not.
///
/// # Errors
/// As of [`Checkpoint::load`].
pub fn load_metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut metadata = metadata_of(&read_header(&mut file::open(path)?, path)?);
    metadata.remove(CHECKSUM);
    Ok(metadata)
}

/// The file name of the checkpoint after `step` steps,
/// `checkpoint-000200.safetensors`.
pub fn file_name(step: u64) -> String {
    format!("checkpoint-{step:06}.safetensors")
}

/// The checkpoints in `folder` as (step, path), the newest last.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed.
pub fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name();
        let step = name.to_str().and_then(|name| {
            let digits = name
                .strip_prefix("checkpoint-")?
                .strip_suffix(".safetensors")?;
            digits.parse().ok()
        });
        // A folder may have any name.
        if let Some(step) = step.filter(|_| entry.path().is_file()) {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The newest checkpoint in `folder` that can be read. `skipped` is told why
/// each newer one could not.
pub fn newest_readable(
    folder: &Path,
    mut skipped: impl FnMut(Error),
) -> Option<(PathBuf, Checkpoint)> {
    let checkpoints = list(folder).map_err(&mut skipped).ok()?;
    checkpoints
        .into_iter()
        .rev()
        .find_map(|(_, path)| match Checkpoint::load(&path) {
            Ok(checkpoint) => Some((path, checkpoint)),
            Err(e) => {
                skipped(e);
                None
            }
        })
}

/// Metadata entry: the training's health when it was saved, [`HEALTHY`] or the
/// names of what was wrong.
pub const HEALTH: &str = "health";
/// Nothing was wrong.
pub const HEALTHY: &str = "healthy";

/// The newest checkpoint in `folder` that was saved in health.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed.
pub fn last_healthy(folder: &Path) -> Result<Option<(u64, PathBuf)>> {
    let healthy = |(_, path): &(u64, PathBuf)| {
        let metadata = load_metadata(path).unwrap_or_default();
        metadata.get(HEALTH).is_some_and(|text| text == HEALTHY)
    };
    Ok(list(folder)?.into_iter().rev().find(healthy))
}

/// Removes all but the newest `keep` checkpoints of `folder` and the last
/// healthy one; 0 keeps all. Returns how many were removed.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed or a file cannot be removed.
pub fn prune(folder: &Path, keep: usize) -> Result<usize> {
    if keep == 0 {
        return Ok(0);
    }
    let checkpoints = list(folder)?;
    let healthy = last_healthy(folder)?;
    let surplus = &checkpoints[..checkpoints.len().saturating_sub(keep)];
    let mut removed = 0;
    for found in surplus
        .iter()
        .filter(|found| healthy.as_ref() != Some(found))
    {
        fs::remove_file(&found.1).map_err(Error::io("remove", &found.1))?;
        removed += 1;
    }
    Ok(removed)
}

fn metadata_of(header: &Metadata) -> BTreeMap<String, String> {
    header
        .metadata()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// Reads the header and leaves `file` at the first tensor, sure that the file
/// holds exactly the bytes that the header promises.
fn read_header(file: &mut File, path: &Path) -> Result<Metadata> {
    let bad = |what: String| Error::usage(format!("{} {what}", path.display()), READ_MEND);
    let io = |e: std::io::Error| Error::io("read", path)(e);

    let size = file.metadata().map_err(io)?.len();
    let mut start = [0; LENGTH_BYTES as usize];
    if size == 0 {
        return Err(bad("is empty".into()));
    }
    match file.read_exact(&mut start) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
            return Err(bad(format!("is cut short: it has only {size} bytes")));
        }
        Err(e) => return Err(io(e)),
    }
    // PyTorch's own formats: a ZIP archive and a bare pickle.
    if start.starts_with(b"PK") || start.starts_with(&[0x80, 2]) {
        return Err(Error::usage(
            format!(
                "{} is a PyTorch pickle, not a safetensors file",
                path.display()
            ),
            "convert it with safetensors.torch.save_file in Python",
        ));
    }
    let length = u64::from_le_bytes(start);
    if length > LONGEST_HEADER {
        return Err(Error::usage(
            format!("{} is not a safetensors file", path.display()),
            "give a checkpoint that gpugan or the safetensors library wrote",
        ));
    }
    if LENGTH_BYTES + length > size {
        return Err(bad(format!(
            "is cut short or not a safetensors file: its header needs {} bytes, the file has {size}",
            LENGTH_BYTES + length
        )));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(io)?;
    let header: Metadata = serde_json::from_slice(&json).map_err(|e| {
        bad(format!(
            "is corrupt or not a safetensors file: bad header, {e}"
        ))
    })?;
    let needed = LENGTH_BYTES + length + header.data_len() as u64;
    match size.cmp(&needed) {
        std::cmp::Ordering::Equal => Ok(header),
        std::cmp::Ordering::Less => Err(bad(format!(
            "is cut short: it has {size} of {needed} bytes"
        ))),
        std::cmp::Ordering::Greater => Err(bad(format!(
            "is corrupt: it has {} bytes more than its header says",
            size - needed
        ))),
    }
}

fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}

/// Little-endian values of a type as f32, rounded to the nearest; `None` for a
/// type that is not read.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|b| convert(*b)).collect()
    }
    Some(match dtype {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16_to_f32(u16::from_le_bytes(b))),
        Dtype::BF16 => each(bytes, |b| {
            f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
        }),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        _ => return None,
    })
}

/// The value of a half-precision number (1 sign, 5 exponent, 10 mantissa bits).
fn f16_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let mantissa = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + mantissa) * 2f32.powi(exponent - 25),
    }
}
