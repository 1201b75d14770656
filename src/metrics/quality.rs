//! How near an image is to the one that it should be: peak signal-to-noise ratio and
//! structural similarity (Wang et al. 2004) of two 8-bit images.
//!
//! Similarity is of one scale, with an 11x11 Gaussian window of deviation 1.5 in all
//! places where it lies inside the image, and population covariances: scikit-image's
//! `structural_similarity` with `gaussian_weights=True, sigma=1.5,
//! use_sample_covariance=False, data_range=255`. A smaller image has a smaller window.

use super::ssim::one_scale;

/// The largest value of a pixel.
const PEAK: f64 = 255.0;

/// What of an image is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// Every channel; their mean.
    #[default]
    Channels,
    /// Of RGB images luma as digital television has it, 16 to 235 (BT.601; MATLAB's and
    /// scikit-image's `rgb2ycbcr`); of others every channel.
    Luma,
}

/// How near one image is to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Peak signal-to-noise ratio in decibels; infinite where the images are equal.
    pub psnr: f64,
    /// Structural similarity, 1 where the images are equal.
    pub ssim: f64,
}

/// Compares two images `[C, H, W]` without `border` pixels at each edge. `None` where
/// that leaves nothing.
pub fn compare(x: &[u8], y: &[u8], shape: [usize; 3], of: Of, border: usize) -> Option<Quality> {
    let [x, y] = [x, y].map(|image| planes(image, shape, of, border));
    let [_, height, width] = shape;
    let size = [height, width].map(|side| side.saturating_sub(2 * border));
    if size.contains(&0) || x.is_empty() {
        return None;
    }
    let squares = |(x, y): (&Vec<f64>, &Vec<f64>)| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum()
    };
    let pairs = || x.iter().zip(&y);
    let pixels = (x.len() * size[0] * size[1]) as f64;
    let error = pairs().map(squares).sum::<f64>() / pixels;
    let similarities = pairs().map(|(x, y)| one_scale(x, y, size)[0]);
    Some(Quality {
        psnr: 10.0 * (PEAK * PEAK / error).log10(),
        ssim: similarities.sum::<f64>() / x.len() as f64,
    })
}

/// What is compared of an image, without its border.
fn planes(
    image: &[u8],
    [channels, height, width]: [usize; 3],
    of: Of,
    border: usize,
) -> Vec<Vec<f64>> {
    let at = |channel: usize, pixel: usize| f64::from(image[channel * height * width + pixel]);
    let inside = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let rows = border..height.saturating_sub(border);
        let columns = border..width.saturating_sub(border);
        rows.flat_map(|y| columns.clone().map(move |x| y * width + x))
            .map(value)
            .collect()
    };
    match (of, channels) {
        (Of::Luma, 3) => {
            let [r, g, b] = [65.481, 128.553, 24.966].map(|weight| weight / PEAK);
            let luma = |pixel: usize| 16.0 + r * at(0, pixel) + g * at(1, pixel) + b * at(2, pixel);
            vec![inside(&luma)]
        }
        _ => (0..channels)
            .map(|channel| inside(&|pixel| at(channel, pixel)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_images_and_of_one_grey_step_it_is_known() {
        let image: Vec<u8> = (0..3 * 12 * 13).map(|i| (i * 7 % 251) as u8).collect();
        let same = compare(&image, &image, [3, 12, 13], Of::Channels, 0).unwrap();
        assert_eq!(same.psnr, f64::INFINITY);
        assert!((same.ssim - 1.0).abs() < 1e-12);
        // A step everywhere is a mean square of 1.
        let other: Vec<u8> = image.iter().map(|x| x + 1).collect();
        let step = compare(&image, &other, [3, 12, 13], Of::Channels, 0).unwrap();
        assert!((step.psnr - 20.0 * 255f64.log10()).abs() < 1e-12);
        // Of luma it is 219/255 of one.
        let luma = compare(&image, &other, [3, 12, 13], Of::Luma, 2).unwrap();
        let wanted = 20.0 * (255.0 * 255.0 / 219.0f64).log10();
        assert!((luma.psnr - wanted).abs() < 1e-9);
        assert_eq!(compare(&image, &image, [3, 12, 13], Of::Luma, 6), None);
    }

    #[test]
    fn what_differs_in_the_border_alone_does_not_count() {
        let shape = [1, 15, 16];
        let image: Vec<u8> = (0..240).map(|i| (i * 11 % 256) as u8).collect();
        let mut other = image.clone();
        other[16 * 3] ^= 64;
        let of = |border| {
            compare(&image, &other, shape, Of::Channels, border)
                .unwrap()
                .psnr
        };
        assert!(of(0).is_finite());
        assert_eq!(of(1), f64::INFINITY);
    }
}
