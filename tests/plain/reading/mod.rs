//! How data is read: bad and vanished files, fits, archives and arrays.

mod bad;
mod fit;
mod gallery;
mod large;
mod pairs;
mod parts;
mod small;
mod sources;

use std::fs;
use std::path::Path;

use gpugan::data::{Dataset, Reading};
use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};

/// The segment of a JPEG that says: turn it a quarter clockwise.
pub(crate) const TURNED: &[u8] =
    b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

fn open(path: &Path) -> Dataset {
    Reading::new(8, 8).open(path.to_str().unwrap()).unwrap()
}

/// The one line of a refusal.
fn refused(path: &Path) -> String {
    let error = Reading::new(8, 8).open(path.to_str().unwrap()).err();
    let error = error.expect("the data must be refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    let line = error.to_string();
    assert!(!line.contains(char::is_control), "{line}");
    line
}

/// A grey picture of one value.
fn grey(path: &Path, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(8, 8, Luma([value]))
        .save(path)
        .unwrap();
}

/// The bytes of a PNG of one colour.
fn png(rgb: [u8; 3]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 8, Rgb(rgb))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Cuts a file to its first half, of which the head is still whole.
fn cut(path: &Path) {
    RgbaImage::from_fn(40, 40, |x, y| {
        image::Rgba([x as u8, (x * y) as u8, (7 * (x ^ y)) as u8, 255])
    })
    .save(path)
    .unwrap();
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
