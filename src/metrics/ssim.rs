//! Diversity as structural similarity between random pairs of images (Wang et
//! al. 2003; Odena et al. 2017 for samples): the lower, the more diverse.

use super::Estimate;
use super::mean_and_deviation;
use super::parallel::each;
use crate::random;

/// Side of the Gaussian window, and its standard deviation.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;

/// Exponents of the scales, the finest first.
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Constants that keep quotients finite, for pixels of 0 to 255.
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Mean similarity of `pairs` random pairs of the images `[count, C, H, W]` and
/// its standard error. As many of the five
/// scales are used as leave a side of 11 pixels, at least one, with their
/// exponents divided by their sum; a window is never larger than the image.
/// `None` of fewer than 2 images.
pub fn diversity(images: &[u8], shape: [usize; 3], pairs: usize) -> Option<Estimate> {
    let size: usize = shape.iter().product();
    let count = images.len() / size.max(1);
    if count < 2 {
        return None;
    }
    let pairs = pairs.min(count * (count - 1) / 2);
    let values = each(pairs, |pair| {
        let draw = |which: u32, choices: usize| {
            let u = random::uniform(pair as u32, which, 0, 0);
            ((u * choices as f32) as usize).min(choices - 1)
        };
        // Two different images, evenly.
        let first = draw(0, count);
        let second = (first + 1 + draw(1, count - 1)) % count;
        let image = |index: usize| &images[index * size..][..size];
        similarity(image(first), image(second), shape)
    });
    let (value, deviation) = mean_and_deviation(&values);
    Some(Estimate {
        value,
        spread: deviation.map(|deviation| deviation / (pairs as f64).sqrt()),
    })
}

/// The similarity of two images `[C, H, W]`, at most 1, the mean over channels.
pub fn similarity(x: &[u8], y: &[u8], [channels, height, width]: [usize; 3]) -> f64 {
    let area = height * width;
    let of_channel = |channel: usize| {
        let plane = |image: &[u8]| -> Vec<f64> {
            let plane = &image[channel * area..][..area];
            plane.iter().map(|&byte| f64::from(byte)).collect()
        };
        of_planes(plane(x), plane(y), [height, width])
    };
    (0..channels).map(of_channel).sum::<f64>() / channels as f64
}

fn of_planes(mut x: Vec<f64>, mut y: Vec<f64>, [mut height, mut width]: [usize; 2]) -> f64 {
    let mut scales = 1;
    while scales < WEIGHTS.len() && height.min(width) >> scales >= WINDOW {
        scales += 1;
    }
    let total: f64 = WEIGHTS[..scales].iter().sum();
    let mut product = 1.0;
    for (scale, weight) in WEIGHTS[..scales].iter().enumerate() {
        let [whole, contrast] = one_scale(&x, &y, [height, width]);
        let last = scale + 1 == scales;
        let value = if last { whole } else { contrast };
        // A power of a negative number is no number.
        product *= value.max(0.0).powf(weight / total);
        if !last {
            x = halved(&x, [height, width]);
            y = halved(&y, [height, width]);
            (height, width) = (height / 2, width / 2);
        }
    }
    product
}

/// Mean similarity of two planes `[height, width]` at one scale (Wang et al. 2004), and
/// mean similarity of contrast and structure alone.
pub(super) fn one_scale(x: &[f64], y: &[f64], size: [usize; 2]) -> [f64; 2] {
    let product =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let [mx, my, xx, yy, xy] = [
        x.to_vec(),
        y.to_vec(),
        product(x, x),
        product(y, y),
        product(x, y),
    ]
    .map(|plane| blurred(&plane, size));
    let mut sums = [0.0; 2];
    for i in 0..mx.len() {
        let (mx, my) = (mx[i], my[i]);
        let (vx, vy) = (xx[i] - mx * mx, yy[i] - my * my);
        let covariance = xy[i] - mx * my;
        let contrast = (2.0 * covariance + C2) / (vx + vy + C2);
        let luminance = (2.0 * mx * my + C1) / (mx * mx + my * my + C1);
        sums[0] += luminance * contrast;
        sums[1] += contrast;
    }
    sums.map(|sum| sum / mx.len() as f64)
}

/// Weighted means over all windows that lie inside the plane.
fn blurred(plane: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let side = WINDOW.min(height).min(width);
    let middle = (side as f64 - 1.0) / 2.0;
    let mut weights: Vec<f64> = (0..side)
        .map(|i| (-(i as f64 - middle).powi(2) / (2.0 * SIGMA * SIGMA)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    let (rows, columns) = (height - side + 1, width - side + 1);
    let mut across = vec![0.0; height * columns];
    for (row, line) in across.chunks_exact_mut(columns).enumerate() {
        for (column, value) in line.iter_mut().enumerate() {
            let window = &plane[row * width + column..][..side];
            *value = window.iter().zip(&weights).map(|(x, w)| x * w).sum();
        }
    }
    let mut out = vec![0.0; rows * columns];
    for (row, line) in out.chunks_exact_mut(columns).enumerate() {
        for (tap, weight) in weights.iter().enumerate() {
            let from = &across[(row + tap) * columns..][..columns];
            for (value, x) in line.iter_mut().zip(from) {
                *value += weight * x;
            }
        }
    }
    out
}

/// Means of 2 x 2 pixels; an odd last row or column is left out.
fn halved(plane: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let mut half = Vec::with_capacity((height / 2) * (width / 2));
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            let at = |r: usize, c: usize| plane[(2 * row + r) * width + 2 * column + c];
            half.push((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0);
        }
    }
    half
}
