//! Resizing as super-resolution counts it: bicubic, with a = -1/2 and a kernel that
//! widens where an image shrinks, as Pillow's `BICUBIC`. Taps beyond the edge are left
//! out and the others weigh 1 together (MATLAB mirrors the image instead, which differs
//! within two small pixels of the edge).

use std::ops::Range;

/// Keys' cubic kernel (1981, equation 4 with a = -1/2), 0 from 2 on.
fn kernel(t: f64) -> f64 {
    const A: f64 = -0.5;
    match t.abs() {
        t if t <= 1.0 => ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0,
        t if t < 2.0 => ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A,
        _ => 0.0,
    }
}

/// The pixels that make pixel `out` of a line of `to`, and their weights.
fn taps(out: usize, from: usize, to: usize) -> (Range<usize>, Vec<f64>) {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let centre = (out as f64 + 0.5) * scale;
    // Kept inside the line before they become whole numbers.
    let side = |x: f64| x.clamp(0.0, from as f64) as usize;
    let range = side((centre - 2.0 * wide).floor())..side((centre + 2.0 * wide).ceil());
    let at = |i: usize| kernel((i as f64 + 0.5 - centre) / wide);
    let sum: f64 = range.clone().map(at).sum();
    let weights = range.clone().map(|i| at(i) / sum).collect();
    (range, weights)
}

/// A plane of `[height, width]` 8-bit pixels at the size `to`. Rows are resized first
/// and rounded to 8 bits, then columns, as Pillow does.
pub fn bicubic(plane: &[u8], [height, width]: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let line = |taps: &(Range<usize>, Vec<f64>), at: &dyn Fn(usize) -> u8| {
        let (range, weights) = taps;
        let terms = range.clone().zip(weights);
        let sum: f64 = terms.map(|(i, weight)| weight * f64::from(at(i))).sum();
        // Saturates at 0 and 255.
        (sum + 0.5).floor() as u8
    };
    let columns: Vec<_> = (0..to[1]).map(|x| taps(x, width, to[1])).collect();
    let mut rows = Vec::with_capacity(height * to[1]);
    for row in plane.chunks_exact(width.max(1)) {
        rows.extend(columns.iter().map(|taps| line(taps, &|x| row[x])));
    }
    let mut resized = Vec::with_capacity(to[0] * to[1]);
    for y in 0..to[0] {
        let taps = taps(y, height, to[0]);
        resized.extend((0..to[1]).map(|x| line(&taps, &|y| rows[y * to[1] + x])));
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 16 taps of a quarter, and the four phases of four times, times 2048 and
    /// exactly: by hand of the kernel.
    #[test]
    fn weights_are_those_of_the_kernel() {
        let (range, weights) = taps(8, 64, 16);
        assert_eq!(range, 26..42);
        let half = [-3.5, -22.5, -37.5, -24.5, 46.5, 199.5, 372.5, 493.5];
        for (i, weight) in weights.iter().enumerate() {
            let wanted = half[i.min(15 - i)] / 2048.0;
            assert!((weight - wanted).abs() < 1e-12, "{i}: {weight}");
        }
        let (range, weights) = taps(33, 16, 64);
        // The kernel is 0 at the last.
        assert_eq!(range, 6..11);
        let wanted = [-0.00683594, 0.09082031, 0.96386719, -0.04785156, 0.0];
        for (weight, wanted) in weights.iter().zip(&wanted) {
            assert!((weight - wanted).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn a_line_of_one_pixel_is_that_pixel() {
        assert_eq!(bicubic(&[7], [1, 1], [2, 3]), [7; 6]);
        assert_eq!(bicubic(&[9; 35], [5, 7], [2, 2]), [9; 4]);
    }
}
