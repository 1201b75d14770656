//! Pairs by name, side by side and computed; sets without pairs; emoji.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gpugan::data::{
    Batch, Dataset, Direction, Input, Layout, Loader, Position, Reading, to_pixels,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::{TURNED, grey};

fn pairs(path: &Path) -> gpugan::Result<Dataset> {
    let reading = Reading::new(8, 8).channels(Some(1)).layout(Layout::Pairs);
    reading.open(path.to_str().unwrap())
}

fn error(outcome: gpugan::Result<Dataset>) -> String {
    let line = outcome.err().expect("the data must be refused").to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

fn batch(set: Dataset, size: usize, mirror: bool) -> Batch {
    let mut loader = Loader::new(Arc::new(set), size, 3, Position::default(), mirror).unwrap();
    loader.next_batch().unwrap()
}

/// Both folders with pictures of these values, B's 100 brighter.
fn folders(values: u8) -> TempDir {
    let dir = TempDir::new().unwrap();
    for value in 0..values {
        grey(&dir.path().join(format!("A/{value:02}.png")), value);
        grey(&dir.path().join(format!("B/{value:02}.bmp")), value + 100);
    }
    dir
}

#[test]
fn files_pair_by_name_and_stay_together() {
    let dir = folders(9);
    let set = pairs(dir.path()).unwrap();
    assert_eq!((set.len(), set.input_shape()), (9, Some([1, 8, 8])));
    let (input, image) = set.decode_pair(4).unwrap();
    assert_eq!((input[0], image[0]), (4, 104));
    let drawn = batch(set, 20, false);
    assert_eq!((drawn.inputs.len(), drawn.images.len()), (20 * 64, 20 * 64));
    let [inputs, images] = [&drawn.inputs, &drawn.images].map(|values| to_pixels(values));
    for (input, image) in inputs.iter().zip(&images) {
        assert_eq!(*image, input + 100);
    }
    let turned = Reading::new(8, 8)
        .layout(Layout::Pairs)
        .direction(Direction::BToA);
    let turned = turned.open(dir.path().to_str().unwrap()).unwrap();
    let (input, image) = turned.decode_pair(4).unwrap();
    assert_eq!((input[0], image[0]), (104, 4));
    // Parts keep their inputs.
    assert_eq!(turned.part(&[7]).decode_pair(0).unwrap().0[0], 107);
}

#[test]
fn what_does_not_pair_is_left_out_by_name_and_as_a_whole() {
    let dir = folders(12);
    let at = |name: &str| dir.path().join(name);
    grey(&at("A/extra.png"), 1);
    fs::remove_file(at("A/03.png")).unwrap();
    fs::write(at("A/05.png"), "garbage").unwrap();
    super::cut(&at("B/07.png"));
    fs::rename(at("B/07.png"), at("B/07.bmp")).unwrap();
    RgbImage::new(9, 8).save(at("B/09.bmp")).unwrap();
    let set = pairs(dir.path()).unwrap();
    assert_eq!(set.len(), 11);
    let said = set.left_out(10).join("\n");
    let partner = at("B/extra").to_string_lossy().into_owned();
    for part in [
        &format!("A/extra.png: has no partner {partner}.*; add it or remove this"),
        "B/03.bmp: has no partner",
        "A/05.png: it is not a picture of a known kind",
        "B/09.bmp: is 9x8 and its partner",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // The cut one has another size too.
    assert!(said.contains("B/07.bmp: is 40x40"), "{said}");
    let drawn = batch(set, 40, false);
    assert_eq!(drawn.images.len(), drawn.inputs.len());
    for value in [5, 7, 9] {
        assert!(!drawn.inputs.contains(&gpugan::data::normalized(value)));
    }

    let line = error(pairs(&at("A")));
    assert!(line.contains("there is no folder A/ or B/"), "{line}");
    for value in 0..12 {
        let _ = fs::remove_file(at(&format!("B/{value:02}.bmp")));
    }
    let line = error(pairs(dir.path()));
    assert!(
        line.contains("B holds no pictures, but no files at all"),
        "{line}"
    );
    grey(&at("B/unlike.png"), 1);
    let line = error(pairs(dir.path()));
    assert!(line.contains("only 0 of 12 files pair by name"), "{line}");
    fs::remove_dir_all(at("B")).unwrap();
    let line = error(pairs(dir.path()));
    let missing = format!("there is no folder {}", at("B").display());
    assert!(line.contains(&missing), "{line}");
}

#[test]
fn halves_of_a_picture_are_a_pair_and_are_mirrored_alike() {
    let dir = TempDir::new().unwrap();
    // A ramp on the left, the same ramp in green on the right.
    RgbImage::from_fn(16, 8, |x, _| {
        let value = (x % 8 * 30) as u8;
        Rgb(if x < 8 { [value; 3] } else { [0, value, 0] })
    })
    .save(dir.path().join("a.png"))
    .unwrap();
    let path = dir.path().to_str().unwrap();
    let reading = Reading::new(8, 8).layout(Layout::SideBySide);
    let set = reading.open(path).unwrap();
    assert_eq!(set.found()[0], "1 image: 1 colour; all 8x8");
    let (input, image) = set.decode_pair(0).unwrap();
    assert_eq!(input[..8], image[64..72]);
    assert_eq!((input[7], image[7], image[71]), (210, 0, 210));
    let drawn = batch(set, 40, true);
    let mut turned = 0;
    for (input, image) in drawn.inputs.chunks(192).zip(drawn.images.chunks(192)) {
        assert_eq!(input[..64], image[64..128]);
        turned += usize::from(input[0] > input[7]);
    }
    assert!((5..35).contains(&turned), "{turned}");
    let (input, image) = reading
        .direction(Direction::BToA)
        .open(path)
        .unwrap()
        .decode_pair(0)
        .unwrap();
    assert_eq!((input[7], image[7]), (0, 210));
    // A bad one is reported once.
    fs::write(dir.path().join("b.png"), "garbage").unwrap();
    let set = Reading::new(8, 8)
        .layout(Layout::SideBySide)
        .open(path)
        .unwrap();
    assert_eq!(set.skipped().len(), 1);
}

#[test]
fn a_picture_without_two_sides_is_left_out_by_name() {
    let dir = TempDir::new().unwrap();
    for name in ["a.png", "b.png"] {
        RgbImage::new(16, 8).save(dir.path().join(name)).unwrap();
    }
    RgbImage::new(1, 8)
        .save(dir.path().join("thin.png"))
        .unwrap();
    let reading = Reading::new(8, 8).layout(Layout::SideBySide);
    let set = reading.open(dir.path().to_str().unwrap()).unwrap();
    let skipped = set.skipped();
    let [thin] = &skipped[..] else {
        panic!("{skipped:?}");
    };
    let said = thin.to_string();
    assert!(
        said.ends_with("thin.png: it is too narrow for two sides"),
        "{said}"
    );
    assert!(set.found()[0].starts_with("3 images: 2 colour, 1 unreadable; all 8x8"));
    assert!(set.decode_pair(2).is_err() && set.decode_pair(1).is_ok());
    // One that has become so since the set was opened.
    RgbImage::new(1, 8).save(dir.path().join("a.png")).unwrap();
    assert!(set.decode_pair(0).is_err());
}

/// A photograph that a telephone took on its side, and what was drawn over it.
#[test]
fn a_photograph_pairs_by_its_size_when_it_is_upright() {
    let dir = TempDir::new().unwrap();
    for folder in ["A", "B"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let [photograph, mask] = ["A/1.jpg", "B/1.png"].map(|name| dir.path().join(name));
    RgbImage::new(20, 10).save(&photograph).unwrap();
    RgbImage::new(10, 20).save(mask).unwrap();
    let jpeg = fs::read(&photograph).unwrap();
    fs::write(&photograph, [&jpeg[..2], TURNED, &jpeg[2..]].concat()).unwrap();
    let reading = Reading::new(8, 8).layout(Layout::Pairs);
    let reading = reading.direction(Direction::BToA);
    let set = reading.open(dir.path().to_str().unwrap()).unwrap();
    assert!(set.skipped().is_empty(), "{:?}", set.skipped());
    assert_eq!(set.found()[0], "1 image: 1 colour; all 10x20");
    assert!(set.decode_pair(0).is_ok());
}

#[test]
fn inputs_are_computed_of_any_set() {
    let shapes = [
        (Input::Edges, [1, 28, 28]),
        (Input::Grey, [1, 28, 28]),
        (Input::Small, [3, 7, 7]),
        (Input::Blur, [3, 28, 28]),
        (Input::Mask, [3, 28, 28]),
    ];
    for (input, shape) in shapes {
        let reading = Reading::new(28, 28).channels(Some(3)).input(input);
        let set = reading.open("fashion").unwrap();
        assert_eq!(set.input_shape(), Some(shape), "{input:?}");
        let (pixels, image) = set.decode_pair(5).unwrap();
        assert_eq!(pixels.len(), shape.iter().product::<usize>(), "{input:?}");
        assert_eq!(
            image,
            Dataset::open("fashion", 28, 28, Some(3))
                .unwrap()
                .decode(5)
                .unwrap()
        );
        match input {
            Input::Grey => assert_eq!(pixels, image[..784]),
            Input::Mask => {
                assert_eq!((pixels[7 * 28 + 7], pixels[20 * 28 + 20]), (128, 128));
                assert_eq!(
                    (pixels[..7 * 28].to_vec(), pixels[28 * 7 + 6]),
                    (image[..7 * 28].to_vec(), image[28 * 7 + 6])
                );
            }
            // A flat corner has no edge, and the image has some.
            Input::Edges => assert!(pixels[0] == 255 && pixels.iter().any(|&v| v < 100)),
            Input::Blur => assert!(pixels != image),
            _ => {}
        }
    }
    let both = Reading::new(8, 8).input(Input::Grey).layout(Layout::Pairs);
    assert!(error(both.open("emoji")).contains("data.input = none"));
}

#[test]
fn sets_without_pairs_are_two_of_any_length() {
    let dir = TempDir::new().unwrap();
    for value in 0..3 {
        grey(&dir.path().join(format!("trainA/{value}.png")), value);
    }
    for value in 0..7 {
        grey(&dir.path().join(format!("trainB/{value}.png")), value + 50);
    }
    fs::write(dir.path().join("trainB/x.png"), "garbage").unwrap();
    let path = dir.path().to_str().unwrap();
    let reading = Reading::new(8, 8).layout(Layout::Unpaired);
    let [a, b] = reading.open_unpaired(path).unwrap();
    assert_eq!((a.len(), b.len()), (3, 8));
    assert_eq!((a.skipped().len(), b.skipped().len()), (0, 1));
    assert!(a.name().ends_with("-trainA") && b.name().ends_with("-trainB"));
    let [b, _] = reading
        .clone()
        .direction(Direction::BToA)
        .open_unpaired(path)
        .unwrap();
    assert_eq!(b.len(), 8);
    assert!(error(reading.open(path)).contains("two sets"));
}

#[test]
fn emoji_are_drawn_twice_with_names_and_categories() {
    let set = Reading::new(32, 32)
        .layout(Layout::Pairs)
        .open("emoji")
        .unwrap();
    assert_eq!((set.len(), set.shape()), (300, [3, 32, 32]));
    assert_eq!(set.class_names().len(), 8);
    assert_eq!(set.item_name(0), "emoji/twemoji/jack-o-lantern");
    assert_eq!(
        set.class_names()[set.label(0).unwrap() as usize],
        "Activities"
    );
    // The same thing: nearer to its partner than to most other pictures.
    let all: Vec<_> = (0..300)
        .map(|item| set.decode_pair(item).unwrap())
        .collect();
    let far = |a: &[u8], b: &[u8]| -> u64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum()
    };
    let mut ranks: Vec<_> = (0..300)
        .map(|item| {
            let own = far(&all[item].0, &all[item].1);
            (0..300)
                .filter(|&other| far(&all[item].0, &all[other].1) < own)
                .count()
        })
        .collect();
    ranks.sort_unstable();
    assert!(ranks[150] < 15, "{}", ranks[150]);
    let images = Dataset::open("emoji", 32, 32, None).unwrap();
    assert_eq!(
        (images.len(), images.decode(300).unwrap()),
        (600, all[0].1.clone())
    );
    let [a, b] = Reading::new(32, 32)
        .layout(Layout::Unpaired)
        .open_unpaired("emoji")
        .unwrap();
    assert_eq!((a.decode(7).unwrap(), b.decode(7).unwrap()), all[7]);
}
