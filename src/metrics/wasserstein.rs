//! The sliced Wasserstein distance between patches of the images' Laplacian
//! pyramids (Karras et al. 2018, section 5 and appendix): how alike textures
//! are, from the finest detail to the coarsest.

use super::parallel::each;
use crate::random;

/// Side of a patch in pixels.
const PATCH: usize = 7;

/// Levels are halved while the shorter side keeps this many pixels.
const SHORTEST: usize = 14;

/// Directions that patches are projected on.
const DIRECTIONS: usize = 256;

/// Patches of a level at most, and of an image.
const PATCHES: usize = 1 << 15;
const PATCHES_OF_IMAGE: usize = 32;

/// Streams of random numbers: places of patches, directions.
const PLACES: u32 = 1;
const SLICES: u32 = 2;

/// One plane of an image with its size `[rows, columns]`.
type Plane = (Vec<f32>, [usize; 2]);

/// Distances times 1000 for each level of the pyramid, the finest first, of
/// images `[count, C, H, W]`. The same number of images is taken of both sets.
/// `None` of fewer than 2 images.
pub fn distances(real: &[u8], fake: &[u8], shape: [usize; 3]) -> Option<Vec<f64>> {
    let size: usize = shape.iter().product();
    let count = (real.len().min(fake.len()) / size.max(1)).min(PATCHES / PATCHES_OF_IMAGE);
    if count < 2 {
        return None;
    }
    let [of_real, of_fake] = [real, fake].map(|images| descriptors(images, shape, count));
    let levels = of_real.into_iter().zip(of_fake).enumerate();
    Some(
        levels
            .map(|(level, (real, fake))| {
                1000.0 * sliced(&real, &fake, shape[0] * level_patch(shape, level).pow(2))
            })
            .collect(),
    )
}

/// Side of the patches of a level, which are never larger than it.
fn level_patch([_, height, width]: [usize; 3], level: usize) -> usize {
    PATCH.min(height.min(width).div_ceil(1 << level))
}

/// Normalised patches of each level, row-major.
fn descriptors(images: &[u8], shape: [usize; 3], count: usize) -> Vec<Vec<f32>> {
    let [channels, height, width] = shape;
    let (area, all) = (height * width, images.len() / (channels * height * width));
    let pyramids: Vec<Vec<Vec<Plane>>> = each(count, |index| {
        let image = &images[index * all / count * channels * area..][..channels * area];
        let planes = image.chunks_exact(area).map(|plane| {
            let plane = plane.iter().map(|&byte| f32::from(byte)).collect();
            pyramid((plane, [height, width]))
        });
        planes.collect()
    });
    let levels = pyramids[0][0].len();
    (0..levels)
        .map(|level| {
            let patch = level_patch(shape, level);
            let mut rows = Vec::new();
            for (index, pyramid) in pyramids.iter().enumerate() {
                for number in 0..PATCHES_OF_IMAGE {
                    let element = (index * PATCHES_OF_IMAGE + number) as u32;
                    let draw = |axis: u32, sides: usize| {
                        let places = sides - patch + 1;
                        let u = random::uniform(element, PLACES + 2 * axis, level as u32, 0);
                        ((u * places as f32) as usize).min(places - 1)
                    };
                    let [h, w] = pyramid[0][level].1;
                    let (top, left) = (draw(1, h), draw(2, w));
                    for channel in pyramid {
                        let (plane, [_, w]) = &channel[level];
                        for row in top..top + patch {
                            rows.extend(&plane[row * w + left..][..patch]);
                        }
                    }
                }
            }
            normalise(&mut rows, channels, patch * patch);
            rows
        })
        .collect()
}

/// Brings each channel of patches `[count, channels, area]` to mean 0 and
/// deviation 1; what has none is left at 0.
fn normalise(rows: &mut [f32], channels: usize, area: usize) {
    for channel in 0..channels {
        let of_channel = |rows: &mut [f32], change: &mut dyn FnMut(&mut f32)| {
            for row in rows.chunks_exact_mut(channels * area) {
                row[channel * area..][..area]
                    .iter_mut()
                    .for_each(&mut *change);
            }
        };
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        of_channel(rows, &mut |x| {
            count += 1.0;
            sum += f64::from(*x);
        });
        let mean = sum / count;
        of_channel(rows, &mut |x| squares += (f64::from(*x) - mean).powi(2));
        let deviation = (squares / count).sqrt();
        let factor = if deviation > 0.0 {
            1.0 / deviation
        } else {
            0.0
        };
        of_channel(rows, &mut |x| *x = ((f64::from(*x) - mean) * factor) as f32);
    }
}

/// Mean over directions of the distance between sorted projections.
fn sliced(real: &[f32], fake: &[f32], width: usize) -> f64 {
    let values = each(DIRECTIONS, |direction| {
        let mut slice: Vec<f64> = (0..width)
            .map(|i| random::normal((direction * width + i) as u32, SLICES, 0, 0))
            .collect();
        let length = slice.iter().map(|x| x * x).sum::<f64>().sqrt();
        slice.iter_mut().for_each(|x| *x /= length);
        let slice: Vec<f32> = slice.into_iter().map(|x| x as f32).collect();
        let [real, fake] = [real, fake].map(|rows| {
            let mut projected: Vec<f32> = rows
                .chunks_exact(width)
                .map(|row| row.iter().zip(&slice).map(|(x, s)| x * s).sum())
                .collect();
            projected.sort_unstable_by(f32::total_cmp);
            projected
        });
        let sum: f64 = real
            .iter()
            .zip(&fake)
            .map(|(x, y)| f64::from((x - y).abs()))
            .sum();
        sum / real.len() as f64
    });
    values.iter().sum::<f64>() / values.len() as f64
}

/// Differences between each level and the next one enlarged, then the last
/// level itself (Burt and Adelson 1983).
fn pyramid(mut level: Plane) -> Vec<Plane> {
    let mut levels = Vec::new();
    while level.1[0].min(level.1[1]).div_ceil(2) >= SHORTEST {
        let smaller = down(&level);
        let back = up(&smaller, level.1);
        for (x, y) in level.0.iter_mut().zip(back) {
            *x -= y;
        }
        levels.push(level);
        level = smaller;
    }
    levels.push(level);
    levels
}

/// Every second pixel of the blurred plane.
fn down(plane: &Plane) -> Plane {
    let [height, width] = plane.1;
    let blurred = blur(&plane.0, plane.1);
    let (h, w) = (height.div_ceil(2), width.div_ceil(2));
    let pixels = (0..h).flat_map(|row| (0..w).map(move |column| 2 * row * width + 2 * column));
    (pixels.map(|place| blurred[place]).collect(), [h, w])
}

/// Pixels with zeros between them, blurred and brought back to their
/// brightness.
fn up((plane, [_, width]): &Plane, [height, wide]: [usize; 2]) -> Vec<f32> {
    let mut sparse = vec![0.0; height * wide];
    for row in (0..height).step_by(2) {
        for column in (0..wide).step_by(2) {
            sparse[row * wide + column] = 4.0 * plane[row / 2 * width + column / 2];
        }
    }
    blur(&sparse, [height, wide])
}

/// The binomial filter 1 4 6 4 1 over 16 along both axes; the plane is mirrored
/// at its edge pixels, which are not repeated.
fn blur(plane: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    const TAPS: [f32; 5] = [0.0625, 0.25, 0.375, 0.25, 0.0625];
    let mirrored = |place: usize, tap: usize, len: usize| {
        let place = (place + tap).abs_diff(2);
        if place < len {
            place
        } else {
            (2 * (len - 1)).saturating_sub(place)
        }
    };
    let mut across = vec![0.0; plane.len()];
    for row in 0..height {
        for column in 0..width {
            across[row * width + column] = (0..5)
                .map(|tap| TAPS[tap] * plane[row * width + mirrored(column, tap, width)])
                .sum();
        }
    }
    let mut out = vec![0.0; plane.len()];
    for row in 0..height {
        for (tap, weight) in TAPS.iter().enumerate() {
            let from = mirrored(row, tap, height) * width;
            for column in 0..width {
                out[row * width + column] += weight * across[from + column];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pyramid_adds_up_to_its_image() {
        let size = [31, 28];
        let image: Vec<f32> = (0..31 * 28).map(|i| ((i * 37) % 251) as f32).collect();
        let levels = pyramid((image.clone(), size));
        assert_eq!(levels.len(), 2);
        let mut sum = levels[1].clone();
        sum = (up(&sum, size), size);
        for (x, y) in sum.0.iter_mut().zip(&levels[0].0) {
            *x += y;
        }
        for (x, y) in sum.0.iter().zip(&image) {
            assert!((x - y).abs() < 1e-3);
        }
        // A flat image has no detail.
        let flat = pyramid((vec![100.0; 28 * 28], [28, 28]));
        assert!(flat[0].0.iter().all(|x| x.abs() < 1e-3));
        assert!(flat[1].0.iter().all(|x| (x - 100.0).abs() < 1e-3));
    }
    #[test]
    fn a_point_becomes_the_binomial_filter_and_edges_mirror() {
        let mut point = vec![0.0; 49];
        point[3 * 7 + 3] = 256.0;
        let taps = [0.0, 1.0, 4.0, 6.0, 4.0, 1.0, 0.0];
        for (place, value) in blur(&point, [7, 7]).iter().enumerate() {
            assert_eq!(*value, taps[place / 7] * taps[place % 7], "{place}");
        }
        // Pixel 1 stands on both sides of pixel 0.
        let mut beside = vec![0.0; 49];
        beside[7 + 1] = 256.0;
        assert_eq!(blur(&beside, [7, 7])[0], 64.0);
    }
}
