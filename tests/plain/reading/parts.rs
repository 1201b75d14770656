//! Images that are parts of what is read: `data.load_size`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use gpugan::data::{Batch, Dataset, Input, Layout, Loader, Position, Reading, to_pixels};
use image::{GrayImage, Luma};
use tempfile::TempDir;

/// Height and width of pictures, and of the parts.
const WHOLE: [usize; 2] = [7, 9];
const PART: [usize; 2] = [4, 6];

/// Pairs of pictures whose pixels are twice their place; those of B are 100 brighter.
fn folders() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (side, plus) in [("A", 0), ("B", 100)] {
        fs::create_dir(dir.path().join(side)).unwrap();
        for number in 0..3 {
            let place = |x: u32, y: u32| Luma([2 * (y * WHOLE[1] as u32 + x) as u8 + plus]);
            let picture = GrayImage::from_fn(WHOLE[1] as u32, WHOLE[0] as u32, place);
            let path = dir.path().join(side).join(format!("{number}.png"));
            picture.save(path).unwrap();
        }
    }
    dir
}

fn open(dir: &TempDir, reading: &Reading) -> Dataset {
    reading.open(dir.path().to_str().unwrap()).unwrap()
}

fn reading() -> Reading {
    Reading::new(PART[0], PART[1])
        .channels(Some(1))
        .load_size(Some(WHOLE))
        .layout(Layout::Pairs)
}

/// The pixels of a part whose first pixel has this value.
fn part(first: usize) -> Vec<u8> {
    let rows = (0..PART[0]).map(|row| first + 2 * row * WHOLE[1]);
    rows.flat_map(|row| (0..PART[1]).map(move |column| (row + 2 * column) as u8))
        .collect()
}

fn batch(set: &Arc<Dataset>, size: usize, position: Position) -> Batch {
    let mut loader = Loader::new(Arc::clone(set), size, 5, position, false).unwrap();
    loader.next_batch().unwrap()
}

#[test]
fn training_takes_every_part_and_the_same_of_both_sides() {
    let dir = folders();
    let set = Arc::new(open(&dir, &reading()));
    assert_eq!(
        (set.shape(), set.input_shape()),
        ([1, 4, 6], Some([1, 4, 6]))
    );
    let drawn = batch(&set, 400, Position::default());
    let (inputs, images) = (to_pixels(&drawn.inputs), to_pixels(&drawn.images));
    let mut corners = BTreeSet::new();
    for (input, image) in inputs.chunks(24).zip(images.chunks(24)) {
        assert_eq!(input, part(input[0].into()));
        assert_eq!(image, part(image[0].into()));
        assert_eq!(image[0], input[0] + 100);
        corners.insert(input[0]);
    }
    let all = (0..=3).flat_map(|row| (0..=3).map(move |column| 2 * (row * 9 + column)));
    assert_eq!(corners, all.collect());
    // Parts follow from the position, as all else does.
    let later = batch(&set, 100, Position { drawn: 300 });
    assert_eq!(to_pixels(&later.inputs), inputs[300 * 24..]);
}

#[test]
fn everything_else_takes_the_middle() {
    let dir = folders();
    let set = open(&dir, &reading());
    let (input, image) = set.decode_pair(1).unwrap();
    assert_eq!((input, image), (part(20), part(120)));
    assert_eq!(set.decode(1).unwrap(), part(120));
    assert!(set.found().iter().any(|line| line.contains("parts of 6x4")));
    let whole = open(&dir, &reading().load_size(None));
    assert_ne!(set.fingerprint(), whole.fingerprint());
}

#[test]
fn computed_inputs_are_those_of_the_part() {
    let dir = folders();
    let reading = reading().layout(Layout::Images).input(Input::Small);
    let of_b = reading.open(dir.path().join("B").to_str().unwrap());
    let set = Arc::new(of_b.unwrap());
    assert_eq!(set.input_shape(), Some([1, 1, 2]));
    let drawn = batch(&set, 30, Position::default());
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    for (input, image) in drawn.inputs.chunks(2).zip(drawn.images.chunks(24)) {
        // Parts that begin next to each other differ by two levels or more.
        let off = 127.5 * (mean(input) - mean(image)).abs();
        assert!(off < 0.75, "{off}");
    }
}

#[test]
fn parts_of_less_are_refused() {
    let dir = folders();
    let refused = Reading::new(8, 8).load_size(Some(WHOLE));
    let error = refused.open(dir.path().to_str().unwrap()).err().unwrap();
    assert!(error.to_string().contains("7x9"), "{error}");
}
