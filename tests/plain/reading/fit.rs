//! Channels, fits and backgrounds.

use gpugan::data::{Fit, Reading};
use image::{GrayImage, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

/// Ten pictures, the first grey, two with alpha.
fn mixed() -> TempDir {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    GrayImage::from_pixel(48, 64, Luma([90]))
        .save(at("a.png"))
        .unwrap();
    for number in 0..7 {
        RgbImage::from_pixel(60 + number, 60, Rgb([200, 10, 10]))
            .save(at(&format!("b{number}.jpg")))
            .unwrap();
    }
    RgbaImage::from_pixel(64, 64, Rgba([0, 0, 255, 0]))
        .save(at("c.png"))
        .unwrap();
    image::ImageBuffer::from_pixel(100, 200, LumaA([10_u8, 51]))
        .save(at("d.png"))
        .unwrap();
    dir
}

#[test]
fn the_channels_keep_the_colours_of_every_picture_and_it_is_said() {
    let dir = mixed();
    let path = dir.path().to_str().unwrap();
    let set = Reading::new(16, 16).open(path).unwrap();
    assert_eq!(set.shape(), [3, 16, 16]);
    assert_eq!(
        set.found(),
        [
            "10 images: 1 grey, 7 colour, 2 with alpha (laid on white); 10 sizes from 48x64 to 100x200",
            "as 16x16: cropped to their middle and resized",
            "files: 7 jpg, 3 png",
        ]
    );
    let grey = Reading::new(16, 16).channels(Some(1)).open(path).unwrap();
    let line = &grey.found()[0];
    assert!(
        line.contains("7 colour (converted to grey), 2 with alpha (laid on white)"),
        "{line}"
    );

    // Grey with alpha: the key and the loader agree.
    let two = Reading::new(16, 16).channels(Some(2)).open(path).unwrap();
    assert_eq!(two.shape(), [2, 16, 16]);
    let pixels = two.decode(9).unwrap();
    assert_eq!((pixels[0], pixels[256]), (10, 51));
    let pixels = two.decode(0).unwrap();
    assert_eq!((pixels[0], pixels[256]), (90, 255));
    assert!(
        two.found()[0].contains("2 with alpha;"),
        "{:?}",
        two.found()
    );
}

#[test]
fn pad_keeps_all_and_stretch_fills() {
    let dir = TempDir::new().unwrap();
    // Twice as wide as high, its left half dark, its right half bright.
    RgbImage::from_fn(64, 32, |x, _| Rgb([if x < 32 { 0 } else { 200 }; 3]))
        .save(dir.path().join("a.png"))
        .unwrap();
    let path = dir.path().to_str().unwrap();
    let read = |reading: Reading| reading.channels(Some(3)).open(path).unwrap();
    let pad = Reading::new(16, 16).fit(Fit::Pad);
    let pixels = read(pad.clone()).decode(0).unwrap();
    let row = |pixels: &[u8], y: usize| pixels[16 * y..16 * y + 16].to_vec();
    for y in [0, 3, 12, 15] {
        assert_eq!(row(&pixels, y), [255; 16]);
    }
    for y in [4, 11] {
        assert_eq!((pixels[16 * y], pixels[16 * y + 15]), (0, 200));
    }
    let red = read(pad.clone().background("#ff0000").unwrap())
        .decode(0)
        .unwrap();
    assert_eq!((red[0], red[256], red[512]), (255, 0, 0));
    // With alpha, margins are transparent.
    let rgba = pad.channels(Some(4)).open(path).unwrap().decode(0).unwrap();
    assert_eq!((rgba[768], rgba[768 + 16 * 8]), (0, 255));

    let stretch = Reading::new(16, 16).fit(Fit::Stretch);
    let pixels = read(stretch).decode(0).unwrap();
    assert!((0..16).all(|y| (pixels[16 * y], pixels[16 * y + 15]) == (0, 200)));
    // Each way of reading has a number of its own.
    let prints = [Fit::Crop, Fit::Pad, Fit::Stretch]
        .map(|fit| read(Reading::new(16, 16).fit(fit)).fingerprint());
    assert!(prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2]);
    assert!(Reading::new(4, 4).background("pink").is_err());
}

#[test]
fn the_background_lies_behind_transparent_pixels_and_around_drawings() {
    let dir = TempDir::new().unwrap();
    RgbaImage::from_pixel(8, 8, Rgba([0, 0, 0, 0]))
        .save(dir.path().join("a.png"))
        .unwrap();
    let path = dir.path().to_str().unwrap();
    for (background, value) in [("auto", 255), ("black", 0), ("grey", 128)] {
        let reading = Reading::new(8, 8).background(background).unwrap();
        assert_eq!(reading.open(path).unwrap().decode(0).unwrap()[0], value);
        let digits = Reading::new(10, 10).background(background).unwrap();
        let corner = digits.open("digits").unwrap().decode(0).unwrap()[0];
        assert_eq!(corner, if background == "auto" { 0 } else { value });
    }
}

/// Whatever the size: half as large again, smaller, and of other proportions.
#[test]
fn margins_around_drawings_are_black_at_any_size() {
    for [height, width] in [[8, 24], [24, 12], [4, 8], [10, 16]] {
        let reading = Reading::new(height, width).fit(Fit::Pad);
        let corners = |reading: &Reading| {
            let pixels = reading.open("digits").unwrap().decode(0).unwrap();
            let planes = pixels.chunks(height * width);
            let corners = planes.map(|plane| [plane[0], plane[height * width - 1]]);
            corners.collect::<Vec<_>>()
        };
        assert_eq!(corners(&reading), [[0; 2]], "{height}x{width}");
        assert_eq!(
            corners(&reading.clone().channels(Some(2))),
            [[0; 2], [255; 2]]
        );
        let grey = reading.background("grey").unwrap();
        assert_eq!(corners(&grey), [[128; 2]]);
    }
}
