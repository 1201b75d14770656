//! Stacked sets: what their images, labels and names are, and what makes none.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use gpugan::data::{Dataset, Loader, Position, STACKED};
use image::{GrayImage, Luma};

fn digits() -> Dataset {
    Dataset::open("digits", 8, 8, None).unwrap()
}

#[test]
fn every_channel_is_a_digit_and_the_label_their_number() {
    let digits = digits();
    let labels: HashMap<Vec<u8>, u32> = (0..digits.len())
        .map(|item| (digits.decode(item).unwrap(), digits.label(item).unwrap()))
        .collect();
    let stacks = digits.stacked(3).unwrap();
    assert_eq!((stacks.len(), stacks.shape()), (STACKED, [3, 8, 8]));
    assert_eq!(stacks.class_names().len(), 1000);
    assert_eq!(stacks.class_names()[42], "0 4 2");
    let mut drawn = [0; 1000];
    for item in 0..stacks.len() {
        let label = stacks.label(item).unwrap();
        drawn[label as usize] += 1;
        if item < 500 {
            let image = stacks.decode(item).unwrap();
            let digits = image.chunks(64).map(|channel| labels[channel]);
            assert_eq!(digits.fold(0, |number, d| 10 * number + d), label);
        }
    }
    // 128 on average; a class of 90 or 170 would be four deviations off.
    assert!(drawn.iter().all(|count| (80..180).contains(count)));
}

#[test]
fn stacks_are_the_same_in_every_run_and_of_their_parts() {
    let stacks = digits().stacked(3).unwrap();
    let again = digits().stacked(3).unwrap();
    assert_eq!(stacks.fingerprint(), again.fingerprint());
    assert_ne!(stacks.fingerprint(), digits().fingerprint());
    assert_ne!(
        stacks.fingerprint(),
        digits().stacked(2).unwrap().fingerprint()
    );
    assert_eq!(stacks.decode(77).unwrap(), again.decode(77).unwrap());
    let part = stacks.part(&[77, 5]);
    assert_eq!((part.len(), part.label(0)), (2, stacks.label(77)));
    assert_eq!(part.decode(0).unwrap(), stacks.decode(77).unwrap());
    assert_eq!(part.decode(1).unwrap(), stacks.decode(5).unwrap());
    let (single, depth) = stacks.single();
    assert_eq!((single.name(), depth), ("digits", 3));

    let plain = digits().stacked(1).unwrap();
    assert_eq!(plain.fingerprint(), digits().fingerprint());
    assert_eq!(plain.single().1, 1);
}

/// A stack with an unreadable picture is passed over, and the picture reported.
#[test]
fn stacks_of_unreadable_pictures_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for value in [10, 20, 30] {
        GrayImage::from_pixel(4, 4, Luma([value]))
            .save(folder.path().join(format!("{value}.png")))
            .unwrap();
    }
    fs::write(folder.path().join("40.png"), "no picture").unwrap();
    let set = Dataset::open(folder.path().to_str().unwrap(), 4, 4, None).unwrap();
    let stacks = Arc::new(set.stacked(2).unwrap());
    assert_eq!((stacks.class_names().len(), stacks.label(0)), (0, None));
    let mut loader = Loader::new(stacks.clone(), 200, 0, Position::default(), false).unwrap();
    let batch = loader.next_batch().unwrap();
    assert_eq!(batch.images.len(), 200 * 2 * 16);
    assert!(batch.position.drawn > 250, "{:?}", batch.position);
    let skipped = stacks.skipped();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert!(skipped[0].path.ends_with("40.png"), "{skipped:?}");
}

#[test]
fn what_makes_no_stack_is_refused() {
    let names = |count: usize| (0..count).map(|class| class.to_string()).collect();
    let many = Dataset::of_pixels("many", [1, 1, 1], &[0; 60], vec![0; 60], names(60));
    let coloured = Dataset::open("fashion", 28, 28, Some(3)).unwrap();
    for (set, depth, parts) in [
        (digits(), 0, ["a stack of 0 images", "data.stack = 1"]),
        (
            coloured,
            3,
            [
                "data.stack = 3 turns each image into a channel, but those of fashion have 3",
                "data.channels = 1",
            ],
        ),
        (
            many.unwrap(),
            3,
            [
                "data.stack = 3 of many with 60 classes has more classes than the 128000",
                "lower stack",
            ],
        ),
    ] {
        let error = set.stacked(depth).err().expect("this is no stack");
        assert_eq!(error.exit_code(), 2);
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[test]
fn a_turned_image_has_its_four_ways_up() {
    // Two channels of 2x2, and an image that is left out.
    let pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9];
    let set = Dataset::of_pixels("two", [2, 2, 2], &pixels, vec![], vec![]).unwrap();
    let turned = set.turned(1).unwrap();
    let (pixels, labels) = turned.pixels(0..turned.len());
    let images: Vec<&[u8]> = pixels.chunks(8).collect();
    assert_eq!(labels, [0, 1, 2, 3]);
    assert_eq!(
        images,
        [
            [1, 2, 3, 4, 5, 6, 7, 8],
            // The right column becomes the upper row.
            [2, 4, 1, 3, 6, 8, 5, 7],
            [4, 3, 2, 1, 8, 7, 6, 5],
            [3, 1, 4, 2, 7, 5, 8, 6],
        ]
    );
    assert_eq!(turned.class_names()[1], "90 degrees");
    let oblong = Dataset::of_pixels("oblong", [1, 1, 2], &[1, 2], vec![], vec![]).unwrap();
    let refusal = oblong.turned(1).err().unwrap().to_string();
    assert!(refusal.contains("square"), "{refusal}");
}
