//! PSNR and SSIM against scikit-image, on the pairs of images that quality.py draws.

use gpugan::metrics::quality::{Of, Quality, compare};

const SIZES: [[usize; 3]; 4] = [[3, 40, 33], [3, 24, 64], [1, 31, 30], [3, 11, 12]];
const BORDER: usize = 4;
const TOLERANCE: f64 = 1e-4;

#[derive(serde::Deserialize)]
struct File {
    expected: Vec<Expected>,
}

#[derive(serde::Deserialize)]
struct Expected {
    channels: [f64; 2],
    luma: Option<[f64; 2]>,
}

/// A drawing with noise, and the same with some more.
fn pair(seed: u64, [channels, height, width]: [usize; 3]) -> [Vec<u8>; 2] {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = (1_103_515_245 * state + 12_345) % (1 << 31);
        (state >> 8) % below
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for c in 0..channels as u64 {
        for y in 0..height as u64 {
            for x in 0..width as u64 {
                let value = (40 * c + 3 * y + 5 * x + draw(32)) % 256;
                let other = (value + draw(41)).saturating_sub(20).min(255);
                first.push(value as u8);
                second.push(other as u8);
            }
        }
    }
    [first, second]
}

#[test]
fn they_are_scikit_images() {
    let file: File = serde_json::from_str(include_str!("quality.json")).unwrap();
    let mut worst: f64 = 0.0;
    for ((seed, shape), expected) in (0..).zip(SIZES).zip(file.expected) {
        let [x, y] = pair(seed, shape);
        let mut hold = |of: Of, border: usize, [psnr, ssim]: [f64; 2]| {
            let found: Quality = compare(&x, &y, shape, of, border).unwrap();
            for (found, wanted) in [(found.psnr, psnr), (found.ssim, ssim)] {
                let off = (found - wanted).abs();
                assert!(off < TOLERANCE, "{shape:?} {of:?}: {found}, not {wanted}");
                worst = worst.max(off);
            }
        };
        hold(Of::Channels, 0, expected.channels);
        if let Some(luma) = expected.luma {
            hold(Of::Luma, BORDER, luma);
        }
    }
    println!("largest difference from scikit-image: {worst:.1e}");
}
