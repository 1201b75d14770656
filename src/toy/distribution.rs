//! Distributions on a line or a plane, scaled to lie within [-1.6, 1.6].

use std::f64::consts::{PI, SQRT_2, TAU};
use std::path::Path;

use image::{DynamicImage, GrayImage};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::data::grey_picture;
use crate::error::{Error, Result};

/// What a toy run learns.
#[derive(Clone, Debug)]
pub enum Distribution {
    /// Normal distributions of one deviation, equally likely.
    Mixture {
        /// Their means; of one coordinate on a line, of two in the plane.
        modes: Vec<Vec<f64>>,
        /// Their standard deviation.
        deviation: f64,
    },
    /// A spiral of one and a half turns with normal noise.
    SwissRoll,
    /// Two half circles that reach into each other, with normal noise.
    Moons,
    /// A picture whose darkness is the density.
    Picture {
        /// Its columns and rows.
        size: [usize; 2],
        /// The sum of darkness up to and with each pixel.
        sums: Vec<f64>,
    },
}

/// The names that `--data` takes besides a picture's path.
pub const NAMES: [&str; 6] = [
    "gaussian",
    "gaussians",
    "ring8",
    "grid25",
    "swissroll",
    "moons",
];

/// Noise of the curves.
const NOISE: f64 = 0.05;

/// Half the side of the square that a picture fills.
const PICTURE: f64 = 1.5;

/// Longest side of a picture, in pixels; a larger one is shrunk.
const LONGEST: u32 = 1024;

impl Distribution {
    /// The distribution of a name, or of a picture's file.
    ///
    /// | name | what |
    /// |---|---|
    /// | `gaussian` | N(0.8, 0.3^2) on a line |
    /// | `gaussians` | N(-0.9, 0.2^2) and N(0.9, 0.2^2) on a line, equally likely |
    /// | `ring8`, `grid25` | 8 on a circle of radius sqrt(2), 25 on a grid of side 2 sqrt(2) (Gulrajani et al. 2017) |
    /// | `swissroll`, `moons` | curves with noise |
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is none and no picture, and for a picture
    /// that is all white.
    pub fn open(name: &str) -> Result<Self> {
        let mixture = |modes, deviation| Self::Mixture { modes, deviation };
        Ok(match name {
            "gaussian" => mixture(vec![vec![0.8]], 0.3),
            "gaussians" => mixture(vec![vec![-0.9], vec![0.9]], 0.2),
            "ring8" => {
                let at = |i: u32| TAU * f64::from(i) / 8.0;
                let on_circle = |i| vec![SQRT_2 * f64::cos(at(i)), SQRT_2 * f64::sin(at(i))];
                mixture((0..8).map(on_circle).collect(), 0.02 / 1.414)
            }
            "grid25" => {
                let at = |i: i32| SQRT_2 * f64::from(i) / 2.0;
                let points = (-2..=2).flat_map(|x| (-2..=2).map(move |y| vec![at(x), at(y)]));
                mixture(points.collect(), 0.05 / 2.828)
            }
            "swissroll" => Self::SwissRoll,
            "moons" => Self::Moons,
            path => Self::picture(Path::new(path))?,
        })
    }

    fn picture(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::usage(
                format!("there is no toy data named {}", path.display()),
                format!("use {} or the path of a picture", NAMES.join(", ")),
            ));
        }
        let unread = |reason: String| {
            Error::usage(
                format!("cannot read {}: {reason}", path.display()),
                "use a PNG whose darkness is the density",
            )
        };
        let (pixels, size) = grey_picture(path).map_err(unread)?;
        let [height, width] = size.map(|side| side as u32);
        let picture = GrayImage::from_raw(width, height, pixels);
        let picture = picture.ok_or_else(|| unread("it has no pixels".to_owned()))?;
        let picture = match width.max(height) > LONGEST {
            true => DynamicImage::from(picture).thumbnail(LONGEST, LONGEST),
            false => DynamicImage::from(picture),
        };
        let picture: GrayImage = picture.to_luma8();
        let mut sum = 0.0;
        let darkness = picture.pixels().map(|pixel| {
            sum += f64::from(255 - pixel[0]);
            sum
        });
        let sums: Vec<f64> = darkness.collect();
        if sum == 0.0 {
            return Err(Error::usage(
                format!("{} is white all over", path.display()),
                "draw the density in black",
            ));
        }
        Ok(Self::Picture {
            size: [picture.width() as usize, picture.height() as usize],
            sums,
        })
    }

    /// Coordinates of a point: 1 or 2.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Mixture { modes, .. } => modes[0].len(),
            _ => 2,
        }
    }

    /// Draws one point.
    pub fn draw(&self, rng: &mut StdRng) -> Vec<f64> {
        match self {
            Self::Mixture { modes, deviation } => {
                let mode = &modes[rng.random_range(0..modes.len())];
                mode.iter().map(|x| x + deviation * normal(rng)).collect()
            }
            Self::SwissRoll => {
                let turn = 1.5 * PI * (1.0 + 2.0 * rng.random::<f64>());
                let radius = turn / (4.5 * PI) * SQRT_2;
                noisy([radius * turn.cos(), radius * turn.sin()], rng)
            }
            Self::Moons => {
                let turn = PI * rng.random::<f64>();
                let point = if rng.random::<bool>() {
                    [turn.cos() - 0.5, turn.sin() - 0.25]
                } else {
                    [0.5 - turn.cos(), 0.25 - turn.sin()]
                };
                noisy(point, rng)
            }
            Self::Picture { size, sums } => {
                let [columns, rows] = *size;
                // Never empty: a picture has a dark pixel.
                let total = sums.last().copied().unwrap_or(1.0);
                let at = rng.random::<f64>() * total;
                let pixel = sums.partition_point(|&sum| sum <= at).min(sums.len() - 1);
                let scale = 2.0 * PICTURE / columns.max(rows) as f64;
                let x = (pixel % columns) as f64 + rng.random::<f64>() - columns as f64 / 2.0;
                let y = rows as f64 / 2.0 - (pixel / columns) as f64 - rng.random::<f64>();
                vec![scale * x, scale * y]
            }
        }
    }

    /// `count` points, row-major `[count, dimensions]`.
    pub fn batch(&self, count: usize, rng: &mut StdRng) -> Vec<f32> {
        let points = (0..count).flat_map(|_| self.draw(rng));
        points.map(|x| x as f32).collect()
    }

    /// The density at a point, where it is known.
    pub fn density(&self, point: &[f64]) -> Option<f64> {
        let Self::Mixture { modes, deviation } = self else {
            return None;
        };
        let scale = (deviation * TAU.sqrt()).powi(point.len() as i32);
        let kernels = modes.iter().map(|mode| {
            let squares = mode.iter().zip(point).map(|(m, x)| (x - m).powi(2));
            (-squares.sum::<f64>() / (2.0 * deviation * deviation)).exp()
        });
        Some(kernels.sum::<f64>() / (scale * modes.len() as f64))
    }

    /// This plus normal noise of a deviation, where that has a known density.
    pub fn smoothed(&self, noise: f64) -> Option<Self> {
        match self {
            Self::Mixture { modes, deviation } => Some(Self::Mixture {
                modes: modes.clone(),
                deviation: deviation.hypot(noise),
            }),
            _ => None,
        }
    }

    /// Number of modes, where there are any.
    pub fn modes(&self) -> Option<usize> {
        match self {
            Self::Mixture { modes, .. } => Some(modes.len()),
            _ => None,
        }
    }
}

fn noisy(point: [f64; 2], rng: &mut StdRng) -> Vec<f64> {
    point.iter().map(|x| x + NOISE * normal(rng)).collect()
}

/// Box and Muller 1958; 1 - u lies in (0, 1].
pub(super) fn normal(rng: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn points_stay_within_the_picture() {
        let mut rng = StdRng::seed_from_u64(1);
        for name in NAMES {
            let data = Distribution::open(name).expect("a known name");
            for _ in 0..1000 {
                let point = data.draw(&mut rng);
                assert_eq!(point.len(), data.dimensions());
                assert!(point.iter().all(|x| x.abs() < 2.2), "{name}: {point:?}");
            }
        }
    }

    #[test]
    fn what_is_transparent_is_white() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dot.png");
        let mut picture = image::RgbaImage::new(8, 8); // transparent black
        picture.put_pixel(2, 5, image::Rgba([0, 0, 0, 255]));
        picture.save(&path).expect("saved");
        let data = Distribution::open(path.to_str().expect("a name")).expect("a picture");
        let Distribution::Picture { size, sums } = data else {
            panic!("a picture");
        };
        assert_eq!(size, [8, 8]);
        // All of the darkness is in one place.
        assert_eq!(
            (sums[5 * 8 + 1], sums[5 * 8 + 2], sums[63]),
            (0.0, 255.0, 255.0)
        );
    }

    #[test]
    fn densities_integrate_to_one() {
        for (name, step) in [("gaussian", 1e-3), ("gaussians", 1e-3), ("grid25", 5e-3)] {
            let data = Distribution::open(name).expect("a known name");
            let side = (5.0 / step) as i32;
            let at = |i: i32| -2.5 + step * f64::from(i);
            let sum: f64 = match data.dimensions() {
                1 => (0..side)
                    .map(|i| data.density(&[at(i)]).unwrap_or(0.0))
                    .sum(),
                _ => (0..side)
                    .flat_map(|i| (0..side).map(move |j| [at(i), at(j)]))
                    .map(|point| data.density(&point).unwrap_or(0.0))
                    .sum(),
            };
            let sum = sum * step.powi(data.dimensions() as i32);
            assert!((sum - 1.0).abs() < 1e-3, "{name}: {sum}");
        }
    }

    #[test]
    fn a_picture_is_drawn_where_it_is_dark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drawn.png");
        let mut picture = GrayImage::from_pixel(10, 10, image::Luma([255]));
        picture.put_pixel(9, 0, image::Luma([0]));
        picture.save(&path).expect("written");
        let name = path.to_str().expect("a plain name");
        let data = Distribution::open(name).expect("a picture");
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let point = data.draw(&mut rng);
            assert!(point.iter().all(|x| (1.2..=1.5).contains(x)), "{point:?}");
        }
        GrayImage::from_pixel(4, 4, image::Luma([255]))
            .save(&path)
            .expect("written");
        assert!(Distribution::open(name).is_err());
        assert!(Distribution::open("ring9").is_err());
    }
}
