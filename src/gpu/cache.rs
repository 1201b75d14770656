//! What is kept on disk between runs: compiled pipelines, where the driver can,
//! and the winners of tuning. Purely an acceleration: a missing, stale or
//! unreadable file is never an error.

use std::fs;
use std::path::{Path, PathBuf};

use super::adapter::AdapterFacts;
use super::device::Gpu;
use crate::error::{Error, Result};
use crate::ops::Tuned;

/// A pipeline cache and the file it is kept in.
pub(super) struct PipelineCache {
    pub(super) cache: wgpu::PipelineCache,
    path: PathBuf,
    loaded: Option<Vec<u8>>,
}

impl PipelineCache {
    /// The cache of this adapter, filled from its file below `folder` if there
    /// is one. `None` where the adapter has no such cache.
    pub(super) fn open(gpu: &Gpu, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !gpu
            .device
            .features()
            .contains(wgpu::Features::PIPELINE_CACHE)
        {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let create = |data: Option<&[u8]>| {
            gpu.attempt("the pipeline cache", |device| {
                // SAFETY: the bytes come from `get_data` of an earlier run for
                // the same adapter: only `save` writes the file, under the
                // adapter's key and with a checksum. wgpu checks the header for
                // the versions of wgpu, driver and device.
                unsafe {
                    device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                        label: Some("gpugan"),
                        data,
                        fallback: true,
                    })
                }
            })
            .ok()
        };
        let loaded = fs::read(&path).ok().and_then(|bytes| unseal(&bytes));
        let cache = create(loaded.as_deref()).or_else(|| create(None))?;
        Some(Self {
            cache,
            path,
            loaded,
        })
    }

    /// Writes the file if it holds something new, whole or not at all.
    pub(super) fn save(&self) -> Result<()> {
        let Some(data) = self.cache.get_data() else {
            return Ok(());
        };
        if self.loaded.as_ref() == Some(&data) {
            return Ok(());
        }
        write_whole(&self.path, &seal(&data))
    }
}

/// Writes a file so that a reader sees the old or the new one, never a part:
/// another run may be reading or writing the same cache.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|error| {
            // Best effort: what matters is the error above.
            let _ = fs::remove_file(&part);
            Error::io("write", path)(error)
        })
}

/// The user's cache folder for this program.
pub(super) fn folder() -> Option<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = if cfg!(target_os = "windows") {
        from("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        from("HOME")?.join("Library/Caches")
    } else {
        from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?
    };
    Some(base.join("gpugan"))
}

/// The same, or what to do where the system names none.
pub(crate) fn user_folder() -> Result<PathBuf> {
    folder().ok_or_else(|| {
        Error::usage(
            "this system has no cache folder for the user",
            "set XDG_CACHE_HOME, or LOCALAPPDATA on Windows",
        )
    })
}

/// The file with the winners of an adapter; another driver or program version may
/// have others.
fn tuned_name(facts: &AdapterFacts) -> String {
    let key = [
        &facts.backend,
        &facts.name,
        &facts.driver,
        &facts.driver_info,
    ]
    .map(|part| part.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let version = env!("CARGO_PKG_VERSION");
    format!("tuned-{version}-{}.json", key.join("-"))
}

/// What won on this adapter. A file that is missing, damaged or of another
/// program is as good as none.
pub(super) fn load_tuned(facts: &AdapterFacts) -> Option<&'static Tuned> {
    let bytes = fs::read(folder()?.join(tuned_name(facts))).ok()?;
    let tuned = serde_json::from_slice(&bytes).ok()?;
    // Chosen by for as long as the program runs, by copies of the facts.
    Some(Box::leak(Box::new(tuned)))
}

/// Keeps what won on this adapter; returns where.
pub(super) fn save_tuned(facts: &AdapterFacts, tuned: &Tuned) -> Result<PathBuf> {
    let path = user_folder()?.join(tuned_name(facts));
    let text = serde_json::json!(tuned).to_string();
    write_whole(&path, text.as_bytes())?;
    Ok(path)
}

/// Data with its checksum in front: drivers trust what they are given, so a
/// damaged file must not reach them.
fn seal(data: &[u8]) -> Vec<u8> {
    let mut bytes = checksum(data).to_le_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes
}

fn unseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let (sum, data) = bytes.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(data)).then(|| data.to_vec())
}

fn checksum(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Selector;

    #[test]
    fn a_damaged_cache_is_not_loaded() {
        let sealed = seal(b"compiled");
        assert_eq!(unseal(&sealed).as_deref(), Some(&b"compiled"[..]));
        assert_eq!(unseal(&sealed[..sealed.len() - 1]), None);
        assert_eq!(unseal(&sealed[..3]), None);
        let mut flipped = sealed;
        flipped[6] ^= 1;
        assert_eq!(unseal(&flipped), None);
    }

    #[test]
    fn files_are_written_whole_and_leave_no_part_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/key");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_is_kept_and_a_foreign_one_ignored() {
        let gpu = Gpu::open(&Selector::default()).unwrap_or_else(|error| panic!("{error}"));
        let info = gpu.device.adapter_info();
        let home = tempfile::tempdir().unwrap();
        let Some(empty) = PipelineCache::open(&gpu, &info, home.path()) else {
            assert!(!gpu.facts.features.pipeline_cache);
            return;
        };
        assert!(empty.loaded.is_none());
        empty.save().unwrap();
        let written = fs::read(&empty.path).unwrap();
        let kept = PipelineCache::open(&gpu, &info, home.path()).unwrap();
        assert_eq!(kept.loaded, unseal(&written));
        // Nothing new: the file is left alone. Not every driver gives back what
        // it was given.
        fs::remove_file(&empty.path).unwrap();
        kept.save().unwrap();
        let new = kept.cache.get_data() != kept.loaded;
        assert_eq!(empty.path.exists(), new);
        // Sound for us, but not a cache; and one of another device.
        let mut foreign = kept.loaded.unwrap();
        foreign[16..24].fill(0xee);
        for data in [&b"not a cache"[..], &foreign] {
            fs::write(&empty.path, seal(data)).unwrap();
            let cache = PipelineCache::open(&gpu, &info, home.path()).unwrap();
            cache.save().unwrap();
            gpu.check().unwrap();
            let own = cache.cache.get_data().unwrap();
            assert!(own != data);
            assert_eq!(fs::read(&empty.path).unwrap(), seal(&own));
        }
    }
}
