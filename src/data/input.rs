//! Inputs that are computed from the images themselves, so that every set is
//! one of pairs.

use image::{DynamicImage, GrayImage, Luma};
use serde::{Deserialize, Serialize};

use super::bicubic::bicubic;
use super::manner::{Fit, Manner};
use super::picture;
use super::source::Raw;

/// How many times smaller [`Input::Small`] is.
pub const SMALLER: usize = 4;

/// What an image's input is computed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Nothing.
    #[default]
    None,
    /// Its edges (Sobel), dark on white, 1 channel.
    Edges,
    /// Its Rec. 709 luma, 1 channel.
    Grey,
    /// The image at a quarter of height and width, rounded up, as [`bicubic`] makes it.
    Small,
    /// The image behind a Gaussian of a 32nd of its longer side.
    Blur,
    /// The image with the middle half of height and width in mid-grey.
    Mask,
}

impl Input {
    /// The input's shape for images of `[channels, height, width]`.
    pub fn shape(self, [channels, height, width]: [usize; 3]) -> [usize; 3] {
        match self {
            Self::Edges | Self::Grey => [1, height, width],
            Self::Small => [channels, height.div_ceil(SMALLER), width.div_ceil(SMALLER)],
            Self::None | Self::Blur | Self::Mask => [channels, height, width],
        }
    }

    /// The input of an image, both planar.
    pub(super) fn of(self, planes: &[u8], shape: [usize; 3]) -> Vec<u8> {
        let image = || picture::of_planes(planes, shape);
        match self {
            Self::None => Vec::new(),
            Self::Grey => image().into_luma8().into_raw(),
            Self::Edges => edges(&image().into_luma8()),
            Self::Small => small(planes, shape, self.shape(shape)),
            Self::Blur => {
                let [_, height, width] = shape;
                let sigma = height.max(width) as f32 / 32.0;
                stretched(image().blur(sigma), shape)
            }
            Self::Mask => masked(planes, shape),
        }
    }
}

fn small(planes: &[u8], [_, height, width]: [usize; 3], [_, rows, columns]: [usize; 3]) -> Vec<u8> {
    let planes = planes.chunks_exact(height * width);
    planes
        .flat_map(|plane| bicubic(plane, [height, width], [rows, columns]))
        .collect()
}

fn stretched(image: DynamicImage, shape: [usize; 3]) -> Vec<u8> {
    let manner = Manner {
        fit: Fit::Stretch,
        ..Manner::default()
    };
    // Only a file's bytes can be no picture.
    picture::image(Raw::Picture(image), shape, manner).unwrap_or_default()
}

/// 255 minus the length of Sobel's gradient, whose border repeats the last
/// pixel.
fn edges(grey: &GrayImage) -> Vec<u8> {
    let (width, height) = (grey.width() as i32, grey.height() as i32);
    let at = |x: i32, y: i32| {
        let Luma([value]) = grey[(x.clamp(0, width - 1) as u32, y.clamp(0, height - 1) as u32)];
        i32::from(value)
    };
    let edge = |x: i32, y: i32| {
        let side = |dx: i32| at(x + dx, y - 1) + 2 * at(x + dx, y) + at(x + dx, y + 1);
        let row = |dy: i32| at(x - 1, y + dy) + 2 * at(x, y + dy) + at(x + 1, y + dy);
        let (gx, gy) = (side(1) - side(-1), row(1) - row(-1));
        // At most 255 after the division by Sobel's weight of 4.
        let length = f64::from(gx * gx + gy * gy).sqrt() / 4.0;
        255 - length.round().min(255.0) as u8
    };
    (0..height)
        .flat_map(|y| (0..width).map(move |x| edge(x, y)))
        .collect()
}

fn masked(planes: &[u8], [_, height, width]: [usize; 3]) -> Vec<u8> {
    let mut masked = planes.to_vec();
    let hole = |side: usize| side / 4..side - side / 4;
    for plane in masked.chunks_exact_mut(height * width) {
        for y in hole(height) {
            plane[y * width..][hole(width)].fill(128);
        }
    }
    masked
}
