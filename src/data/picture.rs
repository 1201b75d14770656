//! From the bytes of a picture file to pixels of a given shape.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{
    DynamicImage, GrayImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits, Pixel,
    Rgba32FImage,
};

/// A file or a decoded picture larger than this is refused.
const MAX_BYTES: u64 = 512 << 20;

/// Decodes a file, whatever its ending says, and turns it upright.
pub(super) fn read(path: &Path) -> Result<DynamicImage, String> {
    let size = path.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!(
            "its {size} bytes are more than the {MAX_BYTES} a picture may have"
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    // A decoder that panics on a damaged file has met a damaged file.
    catch_unwind(AssertUnwindSafe(|| decode(&bytes)))
        .unwrap_or_else(|_| Err("its decoder failed".to_string()))
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    match reader.format() {
        None => return Err("it is no picture of a known kind".to_string()),
        Some(ImageFormat::Jpeg) if !jpeg_is_whole(bytes) => {
            return Err("it ends before the end of its picture".to_string());
        }
        Some(_) => {}
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let size = decoder.total_bytes();
    if size > MAX_BYTES {
        return Err(format!(
            "its {size} bytes of pixels are more than the {MAX_BYTES} a picture may have"
        ));
    }
    // A wrong orientation tag is no reason to lose the picture.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    if image.width() == 0 || image.height() == 0 {
        return Err("it has no pixels".to_string());
    }
    Ok(image)
}

/// Whether the end-of-image marker is there. The decoder fills what is missing
/// with grey and says nothing, and a model would learn the grey.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2; // behind the start-of-image marker
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (0xff, 0xd9) => return true,
            // Padding before a marker.
            (0xff, 0xff) => at += 1,
            // Stuffed bytes and restarts inside the scan, markers without length.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
            _ => at += 1,
        }
    }
    false
}

/// How many channels a model of this picture needs: 1 or 3.
pub(super) fn channels(image: &DynamicImage) -> usize {
    if image.color().has_color() { 3 } else { 1 }
}

/// Brings a picture to `[channels, height, width]`, planar: the largest centred
/// part of the wanted proportions, resized. Grey is Rec. 709 luma; where no
/// alpha is wanted (1 or 3 channels) the picture is laid on white.
pub(super) fn fit(image: DynamicImage, [channels, height, width]: [usize; 3]) -> Vec<u8> {
    let image = crop(image, height, width);
    match channels {
        1 => planes(&resize(&on_white(image).to_luma8(), height, width)),
        4 => planes(&resize_rgba(&image, height, width)),
        _ => planes(&resize(&on_white(image).to_rgb8(), height, width)),
    }
}

/// The largest centred part with the proportions `height : width`. Cropping
/// before resizing gives the same picture as after it, and a very long one
/// costs no memory.
fn crop(image: DynamicImage, height: usize, width: usize) -> DynamicImage {
    let [height, width] = [height as f64, width as f64];
    let (w, h) = (image.width(), image.height());
    let part = |side: u32, other: u32, ratio: f64| {
        let wanted = (f64::from(other) * ratio).round() as u32;
        wanted.clamp(1, side)
    };
    let (cw, ch) = (part(w, h, width / height), part(h, w, height / width));
    if (cw, ch) == (w, h) {
        image
    } else {
        image.crop_imm((w - cw) / 2, (h - ch) / 2, cw, ch)
    }
}

/// Lays a picture with transparency on white.
fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut rgba = image.to_rgba8();
    for pixel in rgba.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for value in &mut pixel.0[..3] {
            let sum = u32::from(*value) * alpha + 255 * (255 - alpha);
            *value = ((sum + 127) / 255) as u8;
        }
        pixel[3] = 255;
    }
    DynamicImage::ImageRgba8(rgba)
}

/// Lanczos keeps fine lines when shrinking but rings when enlarging.
fn filter(from: (u32, u32), height: usize, width: usize) -> FilterType {
    if from.0 as usize > width || from.1 as usize > height {
        FilterType::Lanczos3
    } else {
        FilterType::CatmullRom
    }
}

fn resize<P>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    height: usize,
    width: usize,
) -> ImageBuffer<P, Vec<P::Subpixel>>
where
    P: Pixel + 'static,
    P::Subpixel: 'static,
{
    let filter = filter(image.dimensions(), height, width);
    imageops::resize(image, width as u32, height as u32, filter)
}

/// Resizes colours weighted by alpha, or the hidden colour of transparent
/// pixels would show along every edge.
fn resize_rgba(image: &DynamicImage, height: usize, width: usize) -> image::RgbaImage {
    if (image.width() as usize, image.height() as usize) == (width, height) {
        return image.to_rgba8();
    }
    let mut weighted: Rgba32FImage = image.to_rgba32f();
    for pixel in weighted.pixels_mut() {
        let alpha = pixel[3];
        pixel.0[..3].iter_mut().for_each(|value| *value *= alpha);
    }
    let mut resized = resize(&weighted, height, width);
    for pixel in resized.pixels_mut() {
        let alpha = pixel[3].max(1e-6);
        pixel.0[..3]
            .iter_mut()
            .for_each(|value| *value = (*value / alpha).min(1.0));
    }
    DynamicImage::ImageRgba32F(resized).to_rgba8()
}

/// Interleaved pixels as planes.
fn planes<P: Pixel<Subpixel = u8>>(image: &ImageBuffer<P, Vec<u8>>) -> Vec<u8> {
    let channels = usize::from(P::CHANNEL_COUNT);
    let values = image.as_raw();
    (0..channels)
        .flat_map(|channel| values[channel..].iter().step_by(channels).copied())
        .collect()
}

/// Whether a drawing of the size `from` is padded rather than resized to `to`:
/// when no side shrinks or grows by more than a quarter.
pub(super) fn is_padded(from: [usize; 2], to: [usize; 2]) -> bool {
    from.iter()
        .zip(&to)
        .all(|(&from, &to)| from <= to && 4 * to <= 5 * from)
}

/// Lays a grey drawing in the middle of black, to `[height, width]`.
pub(super) fn pad(image: &GrayImage, [height, width]: [usize; 2]) -> GrayImage {
    let mut padded = GrayImage::new(width as u32, height as u32);
    let x = (padded.width() - image.width()) / 2;
    let y = (padded.height() - image.height()) / 2;
    imageops::replace(&mut padded, image, i64::from(x), i64::from(y));
    padded
}
