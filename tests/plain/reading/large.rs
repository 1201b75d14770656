//! What files may expand to.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use gpugan::data::{Fit, Reading};
use tempfile::TempDir;

use super::{grey, open, refused};

/// A gzipped IDX file that claims these sizes and has none of the values.
fn claims(sizes: [u32; 3]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&[0, 0, 8, 3]).unwrap();
    for size in sizes {
        encoder.write_all(&size.to_be_bytes()).unwrap();
    }
    encoder.write_all(&[7; 4096]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_files_expand_to_is_bounded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("train-images-idx3-ubyte.gz");
    for sizes in [[200_000_000, 1, 1], [3300, 1000, 1000]] {
        fs::write(&path, claims(sizes)).unwrap();
        let error = refused(&path);
        for part in ["16777216 entries", "2 GiB"] {
            assert!(error.contains(part), "{error}");
        }
    }
    fs::write(&path, claims([2000, 64, 64])).unwrap();
    assert_eq!(open(&path).len(), 1);
}

/// The front of a PNG of these many RGB pixels: all that its head needs.
fn front_of_png(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    bytes.extend(header);
    bytes.extend(crc.sum().to_be_bytes());
    bytes.extend(b"\0\0\x10\0IDAT");
    bytes.resize(bytes.len() + 100, 0);
    bytes
}

#[test]
fn a_picture_that_takes_too_much_to_read_is_left_out_with_the_limit() {
    let dir = TempDir::new().unwrap();
    for number in 0..2 {
        grey(&dir.path().join(format!("{number}.png")), 1);
    }
    fs::write(dir.path().join("huge.png"), front_of_png(12_000, 12_000)).unwrap();
    let said = open(dir.path()).left_out(10).concat();
    for part in [
        "huge.png",
        "12000x12000 pixels take 1.3 GiB",
        "1 GiB that a picture may take",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // Resizing with alpha takes more.
    fs::write(dir.path().join("huge.png"), front_of_png(7500, 7500)).unwrap();
    let path = dir.path().to_str().unwrap();
    for (channels, limited) in [(3, false), (4, true)] {
        let reading = Reading::new(8, 8).channels(Some(channels));
        let error = reading.open(path).unwrap().decode(2).unwrap_err();
        let said = error.to_string().contains("7500x7500 pixels take 1.2 GiB");
        assert_eq!(said, limited, "{error}");
    }
    // So does stretching a line of pixels.
    fs::write(dir.path().join("huge.png"), front_of_png(20_000_000, 1)).unwrap();
    for (fit, limited) in [(Fit::Crop, false), (Fit::Stretch, true)] {
        let set = Reading::new(8, 8).fit(fit).open(path).unwrap();
        let error = set.decode(2).unwrap_err();
        let said = error.to_string().contains("20000000x1 pixels take 2.6 GiB");
        assert_eq!(said, limited, "{error}");
    }
}
