//! Folders of pictures, good and bad.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gpugan::data::{Dataset, Report, normalized};
use image::{GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use crate::reading::TURNED;
use crate::sets::{open, open_error, truncate};

/// An 8-bit grey picture whose pixels all have one value.
fn plain(path: PathBuf, value: u8) {
    GrayImage::from_pixel(6, 6, Luma([value]))
        .save(path)
        .unwrap();
}

/// A picture that has something to lose.
fn noisy(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let v = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761);
        Rgb([(v >> 8) as u8, (v >> 16) as u8, (v >> 24) as u8])
    })
}

#[test]
fn every_kind_and_layout_becomes_the_wanted_channels() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    GrayImage::from_pixel(4, 4, Luma([90]))
        .save(at("a-grey.png"))
        .unwrap();
    RgbImage::from_pixel(4, 4, Rgb([255, 0, 100]))
        .save(at("b-rgb.png"))
        .unwrap();
    RgbaImage::from_pixel(4, 4, Rgba([0, 100, 200, 51]))
        .save(at("c-rgba.png"))
        .unwrap();
    ImageBuffer::from_pixel(4, 4, LumaA([10_u8, 0]))
        .save(at("d-grey-alpha.png"))
        .unwrap();
    ImageBuffer::from_fn(4, 4, |x, _| {
        Luma([[0_u16, 128, 32_768, 65_535][x as usize]])
    })
    .save(at("e-16.png"))
    .unwrap();
    ImageBuffer::from_pixel(4, 4, Rgb([65_535_u16, 257, 0]))
        .save(at("f-rgb16.png"))
        .unwrap();
    let pixel = |set: &Dataset, item: usize| -> Vec<u8> {
        let pixels = set.decode(item).unwrap();
        pixels.chunks(16).map(|plane| plane[0]).collect()
    };

    // Alpha 51 is a fifth: 0.2 v + 0.8 * 255.
    let rgb = open(dir.path(), 4, 4, Some(3));
    assert_eq!(rgb.shape(), [3, 4, 4]);
    assert_eq!(pixel(&rgb, 0), [90, 90, 90]);
    assert_eq!(pixel(&rgb, 1), [255, 0, 100]);
    assert_eq!(pixel(&rgb, 2), [204, 224, 244]);
    assert_eq!(pixel(&rgb, 3), [255, 255, 255]);
    assert_eq!(pixel(&rgb, 5), [255, 1, 0]);
    let rgba = open(dir.path(), 4, 4, Some(4));
    assert_eq!(pixel(&rgba, 0), [90, 90, 90, 255]);
    assert_eq!(pixel(&rgba, 2), [0, 100, 200, 51]);
    // Some have colours, and so has the set.
    assert_eq!(open(dir.path(), 4, 4, None).shape(), [3, 4, 4]);
    let grey = open(dir.path(), 4, 4, Some(1));
    assert_eq!(grey.shape(), [1, 4, 4]);
    assert_eq!(pixel(&grey, 0), [90]);
    let luma = 0.2126 * 255.0 + 0.0722 * 100.0;
    assert!((f64::from(pixel(&grey, 1)[0]) - luma).abs() <= 1.0);
    assert_eq!(grey.decode(4).unwrap()[..4], [0, 0, 128, 255]);
    assert_eq!(normalized(0), -1.0);
    assert_eq!(normalized(255), 1.0);
    assert!(rgb.skipped().is_empty());
}

#[test]
fn every_format_is_read_by_content_whatever_its_name() {
    let dir = TempDir::new().unwrap();
    let picture = noisy(16, 16);
    for ending in ["PNG", "Bmp", "gif", "webp", "tiff", "ppm"] {
        let path = dir.path().join(format!("picture.{ending}"));
        picture.save(path).unwrap();
    }
    fs::copy(dir.path().join("picture.PNG"), dir.path().join("no-ending")).unwrap();
    fs::copy(dir.path().join("picture.PNG"), dir.path().join("lies.jpg")).unwrap();
    fs::copy(
        dir.path().join("picture.PNG"),
        dir.path().join(".hidden.png"),
    )
    .unwrap();
    fs::write(dir.path().join("readme.txt"), "Pictures for a test.").unwrap();
    let set = open(dir.path(), 16, 16, None);
    assert_eq!(set.shape(), [3, 16, 16]);
    assert_eq!(set.len(), 8, "{}", set.describe());
    let planar: Vec<u8> = (0..3)
        .flat_map(|c| picture.pixels().map(move |pixel| pixel[c]))
        .collect();
    for item in 0..set.len() {
        let pixels = set.decode(item).unwrap();
        let far = pixels.iter().zip(&planar).map(|(a, b)| a.abs_diff(*b));
        // GIF has 256 colours; the others lose nothing.
        let allowed = if item == 4 { 60 } else { 0 };
        assert!(far.max().unwrap() <= allowed, "item {item}");
    }
}

#[test]
fn pictures_are_cropped_to_their_middle_and_resized() {
    let dir = TempDir::new().unwrap();
    // A bright square in the middle third, dark on both sides.
    let wide = GrayImage::from_fn(96, 32, |x, _| Luma([if x / 32 == 1 { 250 } else { 5 }]));
    wide.save(dir.path().join("a.png")).unwrap();
    image::imageops::rotate90(&wide)
        .save(dir.path().join("b.png"))
        .unwrap();
    GrayImage::from_fn(3, 5, |_, y| {
        Luma([if (1..4).contains(&y) { 250 } else { 5 }])
    })
    .save(dir.path().join("c.png"))
    .unwrap();
    // Longer than anything sensible.
    GrayImage::from_pixel(20_000, 1, Luma([250]))
        .save(dir.path().join("d.png"))
        .unwrap();
    for size in [8, 32, 48] {
        let set = open(dir.path(), size, size, None);
        for item in 0..4 {
            let pixels = set.decode(item).unwrap();
            assert_eq!(pixels.len(), size * size);
            assert!(pixels.iter().all(|&v| v == 250), "item {item} at {size}");
        }
    }
    // Not square: all of the wide picture, with its proportions.
    let set = open(dir.path(), 16, 48, None);
    let pixels = set.decode(0).unwrap();
    let row = &pixels[..48];
    assert!(row[..12].iter().all(|&v| v < 20) && row[36..].iter().all(|&v| v < 20));
    assert!(row[20..28].iter().all(|&v| v > 235));

    // Shrinking averages: no stripe may survive or turn into another one.
    let stripes = TempDir::new().unwrap();
    GrayImage::from_fn(128, 128, |x, _| Luma([if x % 2 == 0 { 0 } else { 255 }]))
        .save(stripes.path().join("stripes.png"))
        .unwrap();
    let pixels = open(stripes.path(), 16, 16, None).decode(0).unwrap();
    assert!(pixels.iter().all(|&v| v.abs_diff(127) < 12), "{pixels:?}");
}

#[test]
fn transparent_pixels_lend_no_colour_to_their_neighbours() {
    let dir = TempDir::new().unwrap();
    RgbaImage::from_fn(16, 16, |x, _| {
        if x < 8 {
            Rgba([255, 0, 0, 255])
        } else {
            Rgba([0, 255, 0, 0])
        }
    })
    .save(dir.path().join("a.png"))
    .unwrap();
    let pixels = open(dir.path(), 5, 5, Some(4)).decode(0).unwrap();
    let (green, alpha) = (&pixels[25..50], &pixels[75..]);
    assert!(alpha.iter().any(|&a| (20..235).contains(&a)), "{alpha:?}");
    assert!(green.iter().all(|&v| v == 0), "{green:?}");
}

#[test]
fn jpegs_are_upright_and_truncated_pictures_are_skipped_by_name() {
    let dir = TempDir::new().unwrap();
    let picture = noisy(64, 64);
    let mut bad = Vec::new();
    for ending in ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"] {
        let path = dir.path().join(format!("cut.{ending}"));
        picture.save(&path).unwrap();
        truncate(&path, 1, 2);
        bad.push(path);
    }
    fs::write(dir.path().join("text.png"), "This is no picture.").unwrap();
    bad.push(dir.path().join("text.png"));
    fs::write(dir.path().join("empty.png"), "").unwrap();
    bad.push(dir.path().join("empty.png"));

    // Left half bright, and a tag that says: turn a quarter clockwise.
    let good = dir.path().join("good.jpeg");
    GrayImage::from_fn(32, 32, |x, _| Luma([if x < 16 { 240 } else { 10 }]))
        .save(&good)
        .unwrap();
    let jpeg = fs::read(&good).unwrap();
    fs::write(&good, [&jpeg[..2], TURNED, &jpeg[2..]].concat()).unwrap();

    let set = open(dir.path(), 32, 32, Some(1));
    assert_eq!(set.len(), 10);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    set.on_report(move |report: &Report| listener.lock().unwrap().push(report.clone()));
    let readable: Vec<_> = (0..10).filter_map(|item| set.decode(item).ok()).collect();
    assert_eq!(readable.len(), 1);
    let pixels = &readable[0];
    assert!(
        pixels[..32 * 14].iter().all(|&v| v > 200),
        "bright half on top"
    );
    assert!(pixels[32 * 18..].iter().all(|&v| v < 50));

    let mut skipped: Vec<_> = set.skipped().into_iter().map(|r| r.path).collect();
    skipped.sort();
    bad.sort();
    assert_eq!(skipped, bad);
    assert_eq!(*heard.lock().unwrap(), set.skipped());
    // Asking again reports nothing twice, and the error names the file.
    let error = set.decode(0).unwrap_err().to_string();
    assert!(error.contains("cut.bmp"), "{error}");
    assert_eq!(set.skipped().len(), 9);
    assert!(set.describe().contains("9 skipped"), "{}", set.describe());
}

#[test]
fn folders_name_the_classes() {
    let dir = TempDir::new().unwrap();
    for (index, name) in ["dog/a/1.png", "dog/2.png", "cat/3.png", "ant/b/c/4.png"]
        .iter()
        .enumerate()
    {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        plain(path, index as u8);
    }
    fs::create_dir(dir.path().join("bare")).unwrap();
    fs::create_dir(dir.path().join(".cache")).unwrap();
    plain(dir.path().join(".cache/5.png"), 5);
    let set = open(dir.path(), 6, 6, None);
    assert_eq!(set.class_names(), ["ant", "cat", "dog"]);
    let of: Vec<_> = (0..4)
        .map(|item| (set.decode(item).unwrap()[0], set.label(item).unwrap()))
        .collect();
    assert_eq!(of, [(3, 0), (2, 1), (1, 2), (0, 2)]);
    assert!(
        set.describe()
            .contains("4 images, 1x6x6, 3 classes, 0 skipped")
    );

    // A picture outside every class leaves the set without labels, and says so.
    plain(dir.path().join("stray.png"), 9);
    let set = open(dir.path(), 6, 6, None);
    assert_eq!((set.len(), set.label(0)), (5, None));
    assert!(set.class_names().is_empty());
    let reports = set.skipped();
    assert!(
        reports[0].to_string().contains("1 pictures are outside"),
        "{reports:?}"
    );
    // One folder alone is no class.
    let set = open(&dir.path().join("ant"), 6, 6, None);
    assert!(set.class_names().is_empty() && set.skipped().is_empty());
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    use std::os::unix::fs::symlink;
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["a/x", "b"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    plain(at("a/x/1.png"), 1);
    plain(at("b/2.png"), 2);
    symlink(dir.path(), at("a/up")).unwrap();
    symlink("../b", at("a/b")).unwrap();
    symlink("../a", at("b/a")).unwrap();
    symlink("self.png", at("self.png")).unwrap();
    let set = open(dir.path(), 6, 6, None);
    assert_eq!(set.len(), 2);
    let names: Vec<_> = set.skipped().into_iter().map(|r| r.path).collect();
    assert_eq!(names, [at("self.png")]);
}

#[test]
fn what_is_missing_is_said_with_where_and_how_to_mend_it() {
    let dir = TempDir::new().unwrap();
    let error = open_error(&dir.path().join("nowhere"));
    assert!(
        error.contains("nowhere") && error.contains("`fashion`"),
        "{error}"
    );
    fs::write(dir.path().join("notes.txt"), "nothing here").unwrap();
    let error = open_error(dir.path());
    for part in [dir.path().to_str().unwrap(), "png", "IDX", "1 other files"] {
        assert!(error.contains(part), "{error}");
    }
    let error = open_error(&dir.path().join("notes.txt"));
    assert!(error.contains("notes.txt is a file"), "{error}");
    fs::write(dir.path().join("bad.png"), "nothing here").unwrap();
    let error = open_error(dir.path());
    assert!(
        error.contains("none of the 1 pictures") && error.contains("bad.png"),
        "{error}"
    );
    for (height, channels) in [(0, Some(3)), (8, Some(5))] {
        let error = Dataset::open("fashion", height, 8, channels).err().unwrap();
        assert!(error.to_string().contains("; use "), "{error}");
    }
}

/// What a run that goes on is compared by.
#[test]
fn the_identity_of_a_folder_is_that_of_a_copy_and_of_nothing_else() {
    let made = |change: fn(&std::path::Path)| {
        let dir = TempDir::new().unwrap();
        for class in ["a", "b"] {
            fs::create_dir(dir.path().join(class)).unwrap();
            for number in 0..3 {
                plain(
                    dir.path().join(class).join(format!("{number}.bmp")),
                    number * 40,
                );
            }
        }
        change(dir.path());
        // Whenever it was copied.
        let opened = open(dir.path(), 6, 6, None);
        (opened.identity(), opened.fingerprint())
    };
    let (identity, fingerprint) = made(|_| ());
    let (copy, elsewhere) = made(|_| ());
    assert_eq!(copy, identity);
    assert_ne!(elsewhere, fingerprint);
    let others: [fn(&std::path::Path); 4] = [
        // Another picture of the same length.
        |dir| plain(dir.join("a/1.bmp"), 99),
        |dir| fs::remove_file(dir.join("b/2.bmp")).unwrap(),
        |dir| fs::rename(dir.join("b"), dir.join("c")).unwrap(),
        |dir| fs::rename(dir.join("a/0.bmp"), dir.join("a/9.bmp")).unwrap(),
    ];
    for (index, change) in others.into_iter().enumerate() {
        assert_ne!(made(change).0, identity, "{index}");
    }
}
