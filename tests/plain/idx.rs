//! IDX files, good and bad, the built-in sets, and the full sets that
//! `make data` fetches.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use gpugan::data::Dataset;
use tempfile::TempDir;

use crate::fetched::fetched;
use crate::sets::{open, open_error, truncate};

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// IDX images: image `i` is filled with `i`, its first pixel is 200.
fn idx_images(count: usize, height: usize, width: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for size in [count, height, width] {
        bytes.extend((size as u32).to_be_bytes());
    }
    for item in 0..count {
        let image = bytes.len();
        bytes.resize(image + height * width, item as u8);
        if height * width > 0 {
            bytes[image] = 200;
        }
    }
    bytes
}

fn idx_labels(count: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend((count as u32).to_be_bytes());
    bytes.extend((0..count).map(|item| (item % 3) as u8));
    bytes
}

#[test]
fn idx_files_are_read_raw_and_gzipped_under_all_their_names() {
    for (images, labels, packed) in [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", false),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", false),
        (
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            true,
        ),
        // A raw images file beside a gzipped labels file.
        (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte.gz",
            false,
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, bytes: Vec<u8>| {
            let bytes = if name.ends_with(".gz") {
                gz(&bytes)
            } else {
                bytes
            };
            fs::write(dir.path().join(name), bytes).unwrap();
        };
        assert_eq!(images.ends_with(".gz"), packed);
        write(images, idx_images(7, 8, 8));
        write(labels, idx_labels(7));
        write("t10k-images-idx3-ubyte", idx_images(2, 8, 8));
        for path in [dir.path().to_path_buf(), dir.path().join(images)] {
            let set = open(&path, 8, 8, None);
            assert_eq!((set.len(), set.shape()), (7, [1, 8, 8]));
            assert_eq!(set.class_names(), ["0", "1", "2"]);
            assert_eq!((set.label(5), set.label(6)), (Some(2), Some(0)));
            assert_eq!(set.decode(6).unwrap()[..2], [200, 6]);
            assert!(set.skipped().is_empty());
        }
        // 8 to 10 is a quarter: padded by one on each side, with black.
        let pixels = open(dir.path(), 10, 10, Some(3)).decode(6).unwrap();
        assert_eq!(pixels.len(), 300);
        assert_eq!(pixels[..10], [0; 10]);
        assert_eq!(pixels[10..20], [0, 200, 6, 6, 6, 6, 6, 6, 6, 0]);
        assert_eq!(pixels[..100], pixels[200..]);
        // 8 to 16 is more: resized.
        let pixels = open(dir.path(), 16, 16, None).decode(6).unwrap();
        assert!(pixels[255] == 6 && pixels[0] > 150);
    }
}

#[test]
fn damaged_idx_files_give_what_they_can() {
    let dir = TempDir::new().unwrap();
    let images = dir.path().join("train-images-idx3-ubyte");
    let labels = dir.path().join("train-labels-idx1-ubyte");
    let packed = dir.path().join("train-images-idx3-ubyte.gz");
    fs::write(&labels, idx_labels(100)).unwrap();

    // Truncated: whole images with their labels are used.
    fs::write(&images, &idx_images(100, 8, 8)[..16 + 64 * 41 + 5]).unwrap();
    let set = open(dir.path(), 8, 8, None);
    assert_eq!((set.len(), set.label(40)), (41, Some(1)));
    let report = set.skipped()[0].to_string();
    assert!(report.contains("train-images-idx3-ubyte") && report.contains("first 41 of 100"));
    assert_eq!(set.decode(40).unwrap()[1], 40);

    fs::write(&packed, gz(&idx_images(100, 8, 8))).unwrap();
    truncate(&packed, 2, 3);
    let set = open(&packed, 8, 8, None);
    assert!((1..100).contains(&set.len()), "{}", set.describe());
    assert_eq!(set.skipped().len(), 1);
    assert_eq!(
        set.decode(set.len() - 1).unwrap()[1] as usize,
        set.len() - 1
    );

    // One label short or over: no labels rather than shifted ones.
    fs::write(&images, idx_images(100, 8, 8)).unwrap();
    for count in [99, 101] {
        fs::write(&labels, idx_labels(count)).unwrap();
        let set = open(dir.path(), 8, 8, None);
        assert_eq!((set.len(), set.label(0)), (100, None));
        assert!(set.class_names().is_empty());
        let report = set.skipped()[0].to_string();
        let said = format!("{count} of {count} labels for 100 images");
        assert!(report.contains(&said), "{report}");
    }
    fs::write(&labels, "garbage").unwrap();
    let set = open(dir.path(), 8, 8, None);
    assert!(set.label(0).is_none() && set.skipped()[0].path == labels);

    // What is no IDX file is named with what was expected.
    fs::write(&images, "<html>404 Not Found</html>").unwrap();
    let error = open_error(dir.path());
    for part in ["train-images-idx3-ubyte", "00 00 08 03", "3c 68"] {
        assert!(error.contains(part), "{error}");
    }
    for (file, said) in [
        (idx_images(100, 0, 8), "sizes"),
        (
            idx_images(1, 8, 8)[..40].to_vec(),
            "not hold a complete image",
        ),
    ] {
        fs::write(&images, file).unwrap();
        let error = open_error(dir.path());
        assert!(error.contains(said), "{error}");
    }
    // Sizes no memory could hold.
    fs::write(&images, [&[0, 0, 8, 3][..], &[255; 12]].concat()).unwrap();
    open_error(dir.path());
}

/// Images of each class.
fn census(set: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; set.class_names().len()];
    for item in 0..set.len() {
        counts[set.label(item).unwrap() as usize] += 1;
    }
    counts
}

/// Mean and standard deviation of all values over 255.
fn moments(set: &Dataset) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0_u64, 0_u64, 0_u64);
    for item in 0..set.len() {
        for value in set.decode(item).unwrap() {
            count += 1;
            sum += u64::from(value);
            squares += u64::from(value) * u64::from(value);
        }
    }
    let mean = sum as f64 / count as f64;
    let variance = squares as f64 / count as f64 - mean * mean;
    (mean / 255.0, variance.sqrt() / 255.0)
}

#[test]
fn built_in_sets_are_whole_and_balanced() {
    let fashion = Dataset::open("fashion", 28, 28, None).unwrap();
    assert_eq!(fashion.shape(), [1, 28, 28]);
    assert_eq!(census(&fashion), [437; 10]);
    assert_eq!(fashion.class_names()[9], "Ankle boot");
    // Fashion-MNIST as a whole has 0.2860 and 0.3530.
    let (mean, deviation) = moments(&fashion);
    assert!((mean - 0.286).abs() < 0.005 && (deviation - 0.353).abs() < 0.005);

    let digits = Dataset::open("digits", 8, 8, Some(3)).unwrap();
    assert_eq!(digits.shape(), [3, 8, 8]);
    let counts = census(&digits);
    assert_eq!(counts.iter().sum::<usize>(), 1797);
    assert!(counts.iter().all(|count| (174..=183).contains(count)));
    assert_eq!(digits.class_names()[9], "9");
    for set in [&fashion, &digits] {
        assert!(set.skipped().is_empty());
    }
    assert_eq!(
        fashion.describe(),
        "fashion: 4370 images, 1x28x28, 10 classes, 0 skipped"
    );
}

#[test]
#[ignore = "reads a full set: make data, then cargo test --test plain idx -- --ignored"]
fn all_of_mnist_is_read() {
    let set = open(&fetched("mnist"), 28, 28, None);
    let counts = census(&set);
    assert_eq!(counts.iter().sum::<usize>(), 60_000, "{}", set.describe());
    // The counts its users know.
    assert_eq!(
        counts,
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    );
    let (mean, deviation) = moments(&set);
    assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
    assert!((deviation - 0.3081).abs() < 5e-5, "{deviation}");

    // Padding adds black and changes nothing else.
    let padded = open(&fetched("mnist"), 32, 32, None);
    let (small, large) = (set.decode(7).unwrap(), padded.decode(7).unwrap());
    let sum = |pixels: &[u8]| pixels.iter().map(|&v| u64::from(v)).sum::<u64>();
    assert_eq!(sum(&small), sum(&large));
    assert_eq!(small[28 * 13..28 * 14], large[32 * 15 + 2..32 * 15 + 30]);
}

#[test]
#[ignore = "reads a full set: make data, then cargo test --test plain idx -- --ignored"]
fn all_of_fashion_mnist_is_read_and_begins_like_the_built_in_part() {
    let set = open(&fetched("fashion"), 28, 28, None);
    assert_eq!(census(&set), [6000; 10]);
    let part = Dataset::open("fashion", 28, 28, None).unwrap();
    for item in 0..100 {
        assert_eq!(set.decode(item).unwrap(), part.decode(item).unwrap());
        assert_eq!(set.label(item), part.label(item));
    }
}
