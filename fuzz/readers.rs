//! The readers of files that come from anywhere, each as a function of bytes. They
//! may refuse what they are given and must not panic. `fuzz_targets` run them on new
//! inputs, `tests/plain/fuzzed.rs` on those of `corpus`.

use std::fs;
use std::path::{Path, PathBuf};

use gpugan::config::assignment;
use gpugan::data::Dataset;
use gpugan::run::{state, stats};
use gpugan::store::checkpoint::Checkpoint;
use gpugan::systems::{presets, read_config};

/// Bytes as a file of this name in a folder of its own.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes");
    (folder, path)
}

/// A checkpoint with what its metadata say. One that can be read is the same after it
/// is written and read again.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let (_folder, path) = file("c.safetensors", bytes);
    let Ok(read) = Checkpoint::load(&path) else {
        return;
    };
    if let Ok((config, about)) = state::description(&read, &path)
        && let Ok(system) = state::system_of(&config, &about)
    {
        let _ = system.networks();
    }
    if read.save(&path).is_ok() {
        let again = Checkpoint::load(&path).expect("what was written can be read");
        assert_eq!(again.metadata, read.metadata);
        assert!(again.tensors.keys().eq(read.tensors.keys()));
    }
}

/// A TOML file of overrides, and each of its lines as what follows `--set`. What can
/// be read is the same after it is written and read again.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(config) = read_config(&text, []) {
        let again = read_config(&config.to_toml(), []).expect("what was written can be read");
        assert!(again == config, "{config:?} is not {again:?}");
    }
    let base = presets::load(presets::DEFAULT).expect("comes with the program");
    for line in text.lines() {
        if let Ok(change) = assignment(line) {
            let _ = base.with([change]);
        }
    }
}

/// IDX images.
pub(crate) fn idx(bytes: &[u8]) {
    images("train-images-idx3-ubyte", bytes);
}

/// A picture of any kind.
pub(crate) fn picture(bytes: &[u8]) {
    images("picture.png", bytes);
}

/// A ZIP or tar archive of pictures.
pub(crate) fn archive(bytes: &[u8]) {
    let (_folder, path) = file("set.zip", bytes);
    first_image(&path);
}

/// NumPy arrays, one or an archive of them.
pub(crate) fn numpy(bytes: &[u8]) {
    let (_folder, path) = file("arrays.npz", bytes);
    first_image(&path);
}

/// Records of CIFAR.
pub(crate) fn cifar(bytes: &[u8]) {
    images("data_batch_1.bin", bytes);
}

/// A list of labels of two pictures, as CSV and as NVlabs' JSON.
pub(crate) fn labels(bytes: &[u8]) {
    for name in ["labels.csv", "dataset.json"] {
        let (folder, _) = file(name, bytes);
        for picture in ["a.pgm", "b.pgm"] {
            fs::write(folder.path().join(picture), b"P5 1 1 255 \x80").expect("writes");
        }
        first_image(folder.path());
    }
}

/// A file of images, alone in its folder.
fn images(name: &str, bytes: &[u8]) {
    let (folder, _) = file(name, bytes);
    first_image(folder.path());
}

/// A set with its first image and label.
fn first_image(path: &Path) {
    let data = path.to_str().expect("a plain name");
    if let Ok(set) = Dataset::open(data, 8, 8, None) {
        let label = set.label(0).map(|label| label as usize);
        assert!(label.is_none_or(|label| label < set.class_names().len()));
        let pixels = set.decode(0).unwrap_or_default();
        assert!(pixels.is_empty() || pixels.len() == set.shape().iter().product::<usize>());
    }
}

/// Statistics of a run; what is left of them when they are cut can be read.
pub(crate) fn stats(bytes: &[u8]) {
    let (_folder, path) = file("stats.jsonl", bytes);
    if stats::read(&path).is_ok() && stats::truncate_after(&path, 3).is_ok() {
        let kept = stats::read(&path).expect("what was written can be read");
        assert!(kept.iter().all(|tick| tick.step <= 3));
    }
}
