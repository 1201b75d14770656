//! The loader: order, resumption, unreadable files, threads.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gpugan::data::{Batch, Dataset, Loader, Position, to_pixels};
use image::{GrayImage, Luma};
use tempfile::TempDir;

/// A folder of `count` plain grey pictures; number `i` has the value `i`, and
/// those in `bad` are unreadable.
fn greys(count: u8, bad: &[u8]) -> (TempDir, Arc<Dataset>) {
    let dir = TempDir::new().unwrap();
    for value in 0..count {
        let path = dir.path().join(format!("{value:03}.png"));
        if bad.contains(&value) {
            fs::write(path, "no picture").unwrap();
        } else {
            GrayImage::from_pixel(2, 2, Luma([value]))
                .save(path)
                .unwrap();
        }
    }
    let set = Dataset::open(dir.path().to_str().unwrap(), 2, 2, None).unwrap();
    (dir, Arc::new(set))
}

/// The numbers of the pictures in a batch of [`greys`].
fn numbers(batch: &Batch) -> Vec<u8> {
    to_pixels(&batch.images).into_iter().step_by(4).collect()
}

fn take(loader: &mut Loader, count: usize) -> Vec<Batch> {
    (0..count).map(|_| loader.next_batch().unwrap()).collect()
}

const START: Position = Position { drawn: 0 };

#[test]
fn every_epoch_draws_each_image_once_in_an_order_of_its_own() {
    let (_dir, set) = greys(50, &[]);
    // 8 batches of 25 are 4 epochs; 20 of 30 go across 12 ends of epochs.
    for (batch, count) in [(25, 8), (30, 20), (120, 5)] {
        let mut loader = Loader::new(Arc::clone(&set), batch, 5, START, false).unwrap();
        let batches = take(&mut loader, count);
        assert!(batches.iter().all(|b| b.images.len() == batch * 4));
        let drawn: Vec<u8> = batches.iter().flat_map(numbers).collect();
        let epochs: Vec<&[u8]> = drawn.chunks_exact(50).collect();
        for epoch in &epochs {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<u8>>());
        }
        assert!(epochs.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(loader.position().drawn, (batch * count) as u64);
    }
}

#[test]
fn the_order_follows_from_the_seed_and_stays_the_same_between_versions() {
    let (_dir, set) = greys(10, &[]);
    let first = |seed| {
        let mut loader = Loader::new(Arc::clone(&set), 10, seed, START, false).unwrap();
        numbers(&loader.next_batch().unwrap())
    };
    // From a second implementation of xoshiro256++ and the shuffle.
    assert_eq!(first(0), [4, 6, 1, 2, 9, 0, 5, 3, 7, 8]);
    assert_ne!(first(1), first(0));
    assert_ne!(first(2), first(1));
}

#[test]
fn a_run_resumes_bit_exactly_with_any_threads_and_unreadable_files() {
    let (dir, _) = greys(40, &[3, 4, 5, 17, 31]);
    // Every loader gets a dataset that knows of no unreadable file yet.
    let fresh = || {
        let set = Dataset::open(dir.path().to_str().unwrap(), 2, 2, None).unwrap();
        Arc::new(set)
    };
    let start =
        |position, threads| Loader::with_threads(fresh(), 7, 11, position, true, threads).unwrap();
    let whole = take(&mut start(START, 1), 24);
    assert!(whole.iter().all(|batch| batch.images.len() == 28));
    for threads in [1, 2, 3, 16] {
        for half in [1, 6, 12] {
            let mut batches = take(&mut start(START, threads), half);
            // As a checkpoint keeps it.
            let kept = serde_json::to_string(&batches[half - 1].position).unwrap();
            let position: Position = serde_json::from_str(&kept).unwrap();
            batches.extend(take(&mut start(position, threads), 24 - half));
            assert_eq!(batches, whole, "{threads} threads, {half} batches first");
        }
    }
    // 24 batches of 7 are 168 images: more than four epochs of 35 readable ones.
    let drawn: Vec<u8> = whole.iter().flat_map(numbers).collect();
    for epoch in drawn.chunks_exact(35) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 35);
    }
    assert!(
        !drawn
            .iter()
            .any(|number| [3, 4, 5, 17, 31].contains(number))
    );
    assert!(whole[23].position.drawn > 168);
}

#[test]
fn labels_go_with_their_images() {
    let digits = Arc::new(Dataset::open("digits", 8, 8, None).unwrap());
    let mut loader = Loader::new(Arc::clone(&digits), 64, 1, START, false).unwrap();
    let of = |label: u32, pixels: &[f32]| {
        let bytes = to_pixels(pixels);
        (0..digits.len())
            .filter(|&item| digits.label(item) == Some(label))
            .any(|item| digits.decode(item).unwrap() == bytes)
    };
    for batch in take(&mut loader, 3) {
        assert_eq!(batch.labels.len(), 64);
        for (label, pixels) in batch.labels.iter().zip(batch.images.chunks(64)) {
            assert!(of(*label, pixels));
        }
    }
}

#[test]
fn mirroring_flips_about_half_and_changes_nothing_else() {
    let digits = Arc::new(Dataset::open("digits", 8, 8, Some(3)).unwrap());
    let draw = |mirror| {
        let mut loader = Loader::new(Arc::clone(&digits), 400, 2, START, mirror).unwrap();
        loader.next_batch().unwrap()
    };
    let (as_is, mirrored) = (draw(false), draw(true));
    assert_eq!(as_is.labels, mirrored.labels);
    let mut flips = 0;
    for (a, b) in as_is.images.chunks(192).zip(mirrored.images.chunks(192)) {
        let reversed: Vec<f32> = a
            .chunks(8)
            .flat_map(|row| row.iter().rev().copied())
            .collect();
        assert!(b == a || b == reversed);
        flips += usize::from(b != a);
    }
    // Four standard deviations around a half.
    assert!((160..=240).contains(&flips), "{flips} of 400");
    assert_eq!(draw(true), mirrored);
}

#[test]
fn data_that_becomes_unreadable_is_an_error_and_no_endless_loop() {
    let (dir, set) = greys(6, &[2]);
    for entry in fs::read_dir(dir.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut loader = Loader::new(Arc::clone(&set), 4, 0, START, false).unwrap();
    let error = loader.next_batch().unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(error.exit_code(), 2);
    loader.next_batch().unwrap_err();

    // Half of the pictures are enough.
    let (_dir, set) = greys(2, &[0]);
    let mut loader = Loader::new(Arc::clone(&set), 4, 0, START, false).unwrap();
    assert_eq!(numbers(&loader.next_batch().unwrap()), [1; 4]);
    assert_eq!(set.skipped().len(), 1);
}

#[test]
fn a_batch_of_nothing_is_refused() {
    let (_dir, set) = greys(2, &[]);
    let error = Loader::new(set, 0, 0, START, false).err().unwrap();
    assert!(error.to_string().contains("--batch 1"), "{error}");
}

#[test]
fn dropping_stops_the_threads_at_once() {
    // Idle: all batches that are kept ready are ready.
    let (_dir, set) = greys(10, &[]);
    let loader = Loader::new(Arc::clone(&set), 2, 0, START, false).unwrap();
    thread::sleep(Duration::from_millis(100));
    drop(loader);
    assert_eq!(Arc::strong_count(&set), 1);

    // At work: the batch would take minutes.
    let fashion = Arc::new(Dataset::open("fashion", 512, 512, Some(3)).unwrap());
    let loader = Loader::new(Arc::clone(&fashion), 5000, 0, START, false).unwrap();
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    drop(loader);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(Arc::strong_count(&fashion), 1);
}

#[test]
fn a_dataset_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Dataset>();
    fn sent<T: Send>() {}
    sent::<Loader>();
}
