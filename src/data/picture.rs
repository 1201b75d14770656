//! From the bytes of a picture file to pixels of a given shape.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, LumaA, Pixel,
    Rgb, Rgba, Rgba32FImage,
};

use super::budget;
use super::head::{fault, guarded, head};
use super::manner::{Fit, Half, Manner};
use super::source::{Fault, Raw};

/// A file larger than this is refused.
pub(super) const MAX_FILE: u64 = 512 << 20;

/// Decodes a picture, turns it upright and brings it to the wanted shape,
/// planar. Waits until the memory budget allows it.
pub(super) fn image(raw: Raw, shape: [usize; 3], manner: Manner) -> Result<Vec<u8>, Fault> {
    match raw {
        Raw::Picture(picture) => fitted(picture, shape, manner),
        Raw::File(bytes) => {
            let weighted = matches!(shape[0], 2 | 4);
            let head = head(Cursor::new(&bytes[..]))?;
            // Crops and margins leave no more pixels than the picture has.
            let rows = if manner.fit == Fit::Stretch {
                shape[1]
            } else {
                0
            };
            let _share = budget::take(head.checked_need(weighted, rows)?);
            fitted(guarded(|| decode(&bytes))?, shape, manner)
        }
    }
}

fn fitted(picture: DynamicImage, shape: [usize; 3], manner: Manner) -> Result<Vec<u8>, Fault> {
    let margins = ground(manner.paper(), shape[0]);
    Ok(fit(half(picture, manner.half)?, shape, manner, &margins))
}

/// Brings a drawing to the wanted shape, planar: sharp within margins where these are
/// small. Margins are black where no background is chosen.
pub(super) fn drawing(
    image: DynamicImage,
    shape: [usize; 3],
    manner: Manner,
) -> Result<Vec<u8>, Fault> {
    let image = half(image, manner.half)?;
    let mut margins = ground(manner.background.unwrap_or([0; 3]), shape[0]);
    if manner.background.is_none() && matches!(shape[0], 2 | 4) {
        // Black is a part of the drawing.
        margins[shape[0] - 1] = 255;
    }
    let [channels, height, width] = shape;
    let from = [image.height(), image.width()].map(|side| side as usize);
    if !is_padded(from, [height, width], manner.fit) {
        return Ok(fit(image, shape, manner, &margins));
    }
    let pixels = resized(image, [channels, from[0], from[1]], manner.paper());
    Ok(framed(&pixels, from, shape, &margins))
}

/// Decodes a picture and turns it upright: its planes at the size `[height, width]`
/// that it has, which comes with them. Waits until the memory budget allows it.
pub(super) fn whole(
    raw: Raw,
    channels: usize,
    manner: Manner,
) -> Result<(Vec<u8>, [usize; 2]), Fault> {
    let planes = |image: DynamicImage| {
        let size = [image.height(), image.width()].map(|side| side as usize);
        let shape = [channels, size[0], size[1]];
        (resized(image, shape, manner.paper()), size)
    };
    match raw {
        Raw::Picture(picture) => Ok(planes(picture)),
        Raw::File(bytes) => {
            let head = head(Cursor::new(&bytes[..]))?;
            let _share = budget::take(head.checked_need(matches!(channels, 2 | 4), 0)?);
            Ok(planes(guarded(|| decode(&bytes))?))
        }
    }
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, Fault> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    match reader.format() {
        None => {
            return Err(Fault::Bad(
                "it is not a picture of a known kind".to_string(),
            ));
        }
        Some(ImageFormat::Jpeg) if !jpeg_is_whole(bytes) => {
            let reason = "it ends in the middle of its picture";
            return Err(Fault::Bad(reason.to_string()));
        }
        Some(_) => {}
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(budget::BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    // A wrong orientation tag is no reason to lose the picture.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
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

/// One side of a picture that holds two beside each other.
fn half(image: DynamicImage, half: Half) -> Result<DynamicImage, Fault> {
    let (width, height) = (half.width(image.width())?, image.height());
    Ok(match half {
        Half::Whole => image,
        Half::Left => image.crop_imm(0, 0, width, height),
        Half::Right => image.crop_imm(image.width() - width, 0, width, height),
    })
}

/// Brings a picture to `[channels, height, width]`, planar. Grey is Rec. 709
/// luma; where no alpha is wanted (1 or 3 channels) the picture is laid on the
/// background. `margins` is a pixel of those.
fn fit(image: DynamicImage, shape: [usize; 3], manner: Manner, margins: &[u8]) -> Vec<u8> {
    let [channels, height, width] = shape;
    let paper = manner.paper();
    match manner.fit {
        Fit::Crop => resized(crop(image, height, width), shape, paper),
        Fit::Stretch => resized(image, shape, paper),
        Fit::Pad => {
            let inner = inside([image.height(), image.width()], [height, width]);
            let pixels = resized(image, [channels, inner[0], inner[1]], paper);
            framed(&pixels, inner, shape, margins)
        }
    }
}

fn resized(image: DynamicImage, [channels, height, width]: [usize; 3], paper: [u8; 3]) -> Vec<u8> {
    match channels {
        1 => planes(&resize(&laid_on(image, paper).into_luma8(), height, width)),
        2 => {
            let rgba = resize_rgba(image, height, width);
            planes(&DynamicImage::ImageRgba8(rgba).into_luma_alpha8())
        }
        3 => planes(&resize(&laid_on(image, paper).into_rgb8(), height, width)),
        _ => planes(&resize_rgba(image, height, width)),
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

/// The largest size with the proportions of `from` that has room in `to`.
fn inside(from: [u32; 2], to: [usize; 2]) -> [usize; 2] {
    let [h, w] = from.map(f64::from);
    let [height, width] = to.map(|side| side as f64);
    let scale = (height / h).min(width / w);
    let side = |side: f64, most: usize| ((side * scale).round() as usize).clamp(1, most);
    [side(h, to[0]), side(w, to[1])]
}

/// A pixel of the background; where there is alpha it is transparent.
fn ground(paper: [u8; 3], channels: usize) -> Vec<u8> {
    let rgb = Rgb(paper);
    let Luma([grey]) = rgb.to_luma();
    match channels {
        1 => vec![grey],
        2 => LumaA([grey, 0]).0.to_vec(),
        3 => paper.to_vec(),
        _ => Rgba([paper[0], paper[1], paper[2], 0]).0.to_vec(),
    }
}

/// Lays planes of the size `inner` in the middle of planes of `shape`, filled
/// with `ground`.
pub(super) fn framed(
    pixels: &[u8],
    inner: [usize; 2],
    [_, height, width]: [usize; 3],
    ground: &[u8],
) -> Vec<u8> {
    let [h, w] = inner;
    let (top, left) = ((height - h) / 2, (width - w) / 2);
    let mut filled = Vec::with_capacity(ground.len() * height * width);
    for (plane, &value) in pixels.chunks_exact(h * w).zip(ground) {
        let start = filled.len();
        filled.resize(start + height * width, value);
        for (y, row) in plane.chunks_exact(w).enumerate() {
            filled[start + (top + y) * width + left..][..w].copy_from_slice(row);
        }
    }
    filled
}

/// Lays a picture with transparency on a colour.
fn laid_on(image: DynamicImage, paper: [u8; 3]) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let mut rgba = image.into_rgba8();
    for pixel in rgba.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for (value, paper) in pixel.0[..3].iter_mut().zip(paper) {
            let sum = u32::from(*value) * alpha + u32::from(paper) * (255 - alpha);
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
fn resize_rgba(image: DynamicImage, height: usize, width: usize) -> image::RgbaImage {
    if (image.width() as usize, image.height() as usize) == (width, height) {
        return image.into_rgba8();
    }
    let mut weighted: Rgba32FImage = image.into_rgba32f();
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
    DynamicImage::ImageRgba32F(resized).into_rgba8()
}

/// Interleaved pixels as planes.
pub(super) fn planes<P: Pixel<Subpixel = u8>>(image: &ImageBuffer<P, Vec<u8>>) -> Vec<u8> {
    let channels = usize::from(P::CHANNEL_COUNT);
    let values = image.as_raw();
    (0..channels)
        .flat_map(|channel| values[channel..].iter().step_by(channels).copied())
        .collect()
}

/// Whether a drawing of the size `from` is padded rather than resized to `to`:
/// when no side shrinks or grows by more than a quarter.
pub(super) fn is_padded(from: [usize; 2], to: [usize; 2], fit: Fit) -> bool {
    let mut sides = from.iter().zip(&to);
    fit != Fit::Stretch && sides.all(|(&from, &to)| from <= to && 4 * to <= 5 * from)
}

/// A picture made of planes `[channels, height, width]` of 1 to 4 channels.
pub(super) fn of_planes(planes: &[u8], [channels, height, width]: [usize; 3]) -> DynamicImage {
    let area = height * width;
    let values = (0..area)
        .flat_map(|pixel| (0..channels).map(move |c| planes[c * area + pixel]))
        .collect();
    let (w, h) = (width as u32, height as u32);
    let image = match channels {
        1 => ImageBuffer::from_raw(w, h, values).map(DynamicImage::ImageLuma8),
        2 => ImageBuffer::from_raw(w, h, values).map(DynamicImage::ImageLumaA8),
        3 => ImageBuffer::from_raw(w, h, values).map(DynamicImage::ImageRgb8),
        _ => ImageBuffer::from_raw(w, h, values).map(DynamicImage::ImageRgba8),
    };
    // There are as many values as the size asks for.
    image.unwrap_or_default()
}
