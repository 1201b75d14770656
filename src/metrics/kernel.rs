//! The kernel distance: squared maximum mean discrepancy under a cubic kernel
//! (Gretton et al. 2012; Binkowski et al. 2018 for images).

use super::parallel::each;
use super::{Estimate, Rows, mean_and_deviation};

/// Vectors of a block at most.
const LONGEST: usize = 1000;

/// Blocks that small sets are divided into.
const BLOCKS: usize = 10;

/// The unbiased squared discrepancy under `k(x, y) = (x . y / width + 1)^3`:
/// around 0 for equal distributions, so also below, at any number of samples.
///
/// The mean over disjoint blocks, `spread` its standard error. A block has a
/// tenth of the vectors, from 2 to 1000, spread over the sets. `None` where a
/// set has fewer than 2 vectors or the value is not finite.
///
/// # Panics
/// If the widths differ.
pub fn distance(real: &Rows, fake: &Rows) -> Option<Estimate> {
    assert_eq!(real.width, fake.width, "features of one width");
    let count = real.count().min(fake.count());
    if count < 2 {
        return None;
    }
    let size = (count / BLOCKS).clamp(2, LONGEST);
    let blocks = count / size;
    let values = each(blocks, |block| {
        let part = |rows: &Rows| -> Vec<usize> {
            let all = rows.count();
            (0..size)
                .map(|index| (index * blocks + block) * all / (size * blocks))
                .collect()
        };
        discrepancy(real, &part(real), fake, &part(fake))
    });
    let (value, deviation) = mean_and_deviation(&values);
    value.is_finite().then_some(Estimate {
        value,
        spread: deviation.map(|deviation| deviation / (blocks as f64).sqrt()),
    })
}

/// The unbiased estimate of one block, of at least 2 vectors each.
fn discrepancy(real: &Rows, of_real: &[usize], fake: &Rows, of_fake: &[usize]) -> f64 {
    let within = |rows: &Rows, items: &[usize]| {
        let mut sum = 0.0;
        for (place, &i) in items.iter().enumerate() {
            for &j in &items[..place] {
                sum += kernel(rows.row(i), rows.row(j));
            }
        }
        2.0 * sum / (items.len() * (items.len() - 1)) as f64
    };
    let mut between = 0.0;
    for &i in of_real {
        for &j in of_fake {
            between += kernel(real.row(i), fake.row(j));
        }
    }
    between /= (of_real.len() * of_fake.len()) as f64;
    within(real, of_real) + within(fake, of_fake) - 2.0 * between
}

fn kernel(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0_f32; 8];
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks::<8>();
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    let dot = sums.iter().map(|&x| f64::from(x)).sum::<f64>() + f64::from(rest);
    (dot / x.len() as f64 + 1.0).powi(3)
}
