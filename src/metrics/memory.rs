//! Memorisation: are samples nearer to training images than other real images
//! are? In pixels, where a copy is a copy.

use super::parallel::each;

/// Distances of samples and of real images to the training images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memorisation {
    /// Median distance of a sample to its nearest training image over that of
    /// an unseen real image to its own: 1 for unseen images, 0 for copies.
    pub ratio: f64,
    /// Samples at less than a tenth of the unseen images' median distance.
    pub copies: usize,
}

/// Compares samples with unseen real images, all of `size` 8-bit values. With
/// no unseen ones, training images stand for them, each without itself.
/// `None` where there are no samples, fewer than 2 training images, or unseen
/// images are copies of training images themselves.
pub fn compare(fake: &[u8], unseen: Unseen<'_>, train: &[u8], size: usize) -> Option<Memorisation> {
    if fake.len() < size || train.len() < 2 * size {
        return None;
    }
    let of_fake = nearest(fake, train, size, |_| None);
    let usual = match unseen {
        Unseen::Images(unseen) => median(nearest(unseen, train, size, |_| None))?,
        Unseen::Training(items) => {
            let queries: Vec<u8> = items
                .iter()
                .flat_map(|item| &train[item * size..][..size])
                .copied()
                .collect();
            median(nearest(&queries, train, size, |query| Some(items[query])))?
        }
    };
    if usual <= 0.0 {
        return None;
    }
    Some(Memorisation {
        copies: of_fake.iter().filter(|&&d| d < 0.1 * usual).count(),
        ratio: median(of_fake)? / usual,
    })
}

/// Real images to compare samples with.
#[derive(Clone, Copy, Debug)]
pub enum Unseen<'a> {
    /// Images that no training has seen, `[count, size]`.
    Images(&'a [u8]),
    /// These items of the training images, each without itself.
    Training(&'a [usize]),
}

/// Distance of each query to its nearest reference, but not to the one that
/// `without` names for it.
fn nearest(
    queries: &[u8],
    references: &[u8],
    size: usize,
    without: impl Fn(usize) -> Option<usize> + Sync,
) -> Vec<f64> {
    each(queries.len() / size, |query| {
        let left_out = without(query);
        let query = &queries[query * size..][..size];
        let mut best = u64::MAX;
        for (index, reference) in references.chunks_exact(size).enumerate() {
            if left_out != Some(index) {
                best = best.min(squared_distance(query, reference, best));
            }
        }
        (best as f64).sqrt()
    })
}

/// The squared distance, or anything above `best` where it is above that.
fn squared_distance(x: &[u8], y: &[u8], best: u64) -> u64 {
    let mut sum = 0;
    // 128 squares of at most 255^2 fit into 32 bits.
    for (x, y) in x.chunks(128).zip(y.chunks(128)) {
        let part: i32 = x
            .iter()
            .zip(y)
            .map(|(&x, &y)| {
                let difference = i16::from(x) - i16::from(y);
                i32::from(difference) * i32::from(difference)
            })
            .sum();
        sum += part as u64;
        if sum > best {
            break;
        }
    }
    sum
}

/// The middle value; of an even number the upper one.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
