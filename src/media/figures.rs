//! Pictures of batches of images: grids and single images.
//!
//! A batch is NCHW with values in [-1, 1], where 1 (grey), 2 (grey, alpha),
//! 3 (RGB) or 4 (RGBA) channels are understood. Values outside are clamped. A
//! pixel that holds a NaN becomes magenta, so that it does not pass for black.

use std::{
    io::{Cursor, Write},
    path::Path,
};

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Pixel, Rgb, RgbImage, Rgba};

use crate::{
    error::{Error, Result},
    store::replace::replace,
};

/// The colour of a pixel that holds a NaN.
pub const NAN_COLOUR: [u8; 3] = [255, 0, 255];
/// The colour between and around the cells of a grid.
pub const GAP_COLOUR: [u8; 3] = [56, 60, 66];
/// Pixels between and around the cells of a grid.
pub const GAP: u32 = 2;

/// Small images are enlarged until their longer side has this many pixels...
const SMALLEST_CELL: usize = 64;
/// ...unless the grid's longer side would exceed this many.
const LARGEST_ENLARGED: u32 = 2048;
/// Longest side of any picture; beyond it, viewers give up.
const LARGEST: u32 = 32_768;

/// The two greys of the board behind transparent pixels, and its square's side.
const BOARD: ([u8; 2], u32) = ([255, 216], 8);

/// The pixels of a batch, checked to fit its shape.
struct Pixels<'a> {
    values: &'a [f32],
    shape: [usize; 4],
}

impl<'a> Pixels<'a> {
    fn new(values: &'a [f32], shape: [usize; 4]) -> Result<Self> {
        let [_, c, h, w] = shape;
        let size = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if size != Some(values.len()) {
            return Err(Error::shape(
                "image",
                format!("the shape {shape:?} does not fit {} values", values.len()),
            ));
        }
        if !(1..=4).contains(&c) {
            return Err(Error::usage(
                format!("images with {c} channels cannot be drawn"),
                "use 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels",
            ));
        }
        if values.is_empty() || h.max(w) > LARGEST as usize {
            return Err(Error::usage(
                format!("images of shape {shape:?} cannot be drawn"),
                format!("use 1 to {LARGEST} pixels a side and at least one image"),
            ));
        }
        Ok(Self { values, shape })
    }

    /// The channels of a pixel as bytes; `None` if one is NaN.
    fn pixel<const C: usize>(&self, image: usize, x: usize, y: usize) -> Option<[u8; C]> {
        let [_, c, h, w] = self.shape;
        let mut bytes = [0; C];
        for (channel, byte) in bytes.iter_mut().enumerate() {
            let value = self.values[((image * c + channel) * h + y) * w + x];
            if value.is_nan() {
                return None;
            }
            *byte = ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        }
        Some(bytes)
    }

    /// The opaque colour of a pixel over a background of the given grey.
    fn colour(&self, image: usize, x: usize, y: usize, behind: u8) -> [u8; 3] {
        let over = |colour: u8, alpha: u8| {
            let (colour, alpha, behind) = (u32::from(colour), u32::from(alpha), u32::from(behind));
            // Below 256 by construction.
            ((colour * alpha + behind * (255 - alpha) + 127) / 255) as u8
        };
        let rgb = match self.shape[1] {
            1 => self.pixel(image, x, y).map(|[l]| [l; 3]),
            2 => self.pixel(image, x, y).map(|[l, a]| [over(l, a); 3]),
            3 => self.pixel(image, x, y),
            _ => self
                .pixel(image, x, y)
                .map(|[r, g, b, a]| [r, g, b].map(|v| over(v, a))),
        };
        rgb.unwrap_or(NAN_COLOUR)
    }

    fn has_nan(&self, image: usize) -> bool {
        let size = self.values.len() / self.shape[0];
        self.values[image * size..][..size]
            .iter()
            .any(|v| v.is_nan())
    }

    /// One image with one stored pixel type.
    fn typed<P, const C: usize>(
        &self,
        image: usize,
        pixel: impl Fn([u8; C]) -> P,
    ) -> ImageBuffer<P, Vec<u8>>
    where
        P: Pixel<Subpixel = u8>,
    {
        let [_, _, h, w] = self.shape;
        ImageBuffer::from_fn(w as u32, h as u32, |x, y| {
            // Only called on images without NaN.
            pixel(self.pixel(image, x as usize, y as usize).unwrap_or([0; C]))
        })
    }
}

/// How many times images of the given size are enlarged in a grid.
fn enlargement(cells: (u32, u32), h: u32, w: u32) -> u32 {
    let (columns, rows) = cells;
    let mut factor = (SMALLEST_CELL as u32).div_ceil(h.max(w));
    while factor > 1
        && extent(columns, w * factor).max(extent(rows, h * factor)) > u64::from(LARGEST_ENLARGED)
    {
        factor -= 1;
    }
    factor
}

/// Pixels that a row of cells takes with the gaps around them.
fn extent(cells: u32, cell: u32) -> u64 {
    u64::from(cells) * (u64::from(cell) + u64::from(GAP)) + u64::from(GAP)
}

/// A picture of a batch of images in rows of `columns`, in reading order, with
/// gaps of 2 pixels in a dark grey. Images whose longer side has less than 64
/// pixels are enlarged by a whole factor without smoothing. Transparent pixels
/// show a board of light squares.
///
/// `images` has the shape `[n, c, h, w]`.
///
/// # Errors
/// [`Error::Shape`] if the shape does not fit the values, [`Error::Usage`] if
/// there is nothing to draw, or too much: at most 32768 pixels a side.
pub fn grid(images: &[f32], shape: [usize; 4], columns: usize) -> Result<RgbImage> {
    grid_of(images, shape, columns, None)
}

/// A [`grid`] of images that are enlarged by this factor, where it is given.
///
/// # Errors
/// As of [`grid`].
pub fn grid_of(
    images: &[f32],
    shape: [usize; 4],
    columns: usize,
    scale: Option<u32>,
) -> Result<RgbImage> {
    let batch = Pixels::new(images, shape)?;
    let [n, _, h, w] = shape;
    let columns = columns.clamp(1, n);
    let rows = n.div_ceil(columns);
    if columns.max(rows) > LARGEST as usize {
        return Err(too_large(n));
    }
    // All four are at most LARGEST.
    let (columns, rows, h, w) = (columns as u32, rows as u32, h as u32, w as u32);
    let factor = scale.unwrap_or_else(|| enlargement((columns, rows), h, w));
    let side = |count: u32, side: u32| {
        let cell = side.checked_mul(factor)?;
        Some((cell, extent(count, cell))).filter(|(_, all)| *all <= u64::from(LARGEST))
    };
    let (Some((cell_w, width)), Some((cell_h, height))) = (side(columns, w), side(rows, h)) else {
        return Err(too_large(n));
    };
    let mut picture = RgbImage::from_pixel(width as u32, height as u32, Rgb(GAP_COLOUR));
    for image in 0..n {
        let left = GAP + (image as u32 % columns) * (cell_w + GAP);
        let top = GAP + (image as u32 / columns) * (cell_h + GAP);
        for y in 0..cell_h {
            for x in 0..cell_w {
                let (source_x, source_y) = ((x / factor) as usize, (y / factor) as usize);
                let behind = BOARD.0[((x / BOARD.1 + y / BOARD.1) % 2) as usize];
                let colour = batch.colour(image, source_x, source_y, behind);
                picture.put_pixel(left + x, top + y, Rgb(colour));
            }
        }
    }
    Ok(picture)
}

fn too_large(n: usize) -> Error {
    Error::usage(
        format!("a grid of {n} such images has more than {LARGEST} pixels a side"),
        "draw fewer images or another number of columns",
    )
}

/// One image of a batch of the shape `[n, c, h, w]`, pixel for pixel, with its
/// own number of channels. (A grey image with a NaN becomes RGB, as magenta
/// needs it.)
///
/// # Errors
/// As of [`grid`], and [`Error::Usage`] if there is no image `index`.
pub fn single(images: &[f32], shape: [usize; 4], index: usize) -> Result<DynamicImage> {
    let batch = Pixels::new(images, shape)?;
    let [n, c, h, w] = shape;
    if index >= n {
        return Err(Error::usage(
            format!("there is no image {index} in a batch of {n}"),
            format!("use 0 to {}", n - 1),
        ));
    }
    Ok(match c {
        _ if batch.has_nan(index) => RgbImage::from_fn(w as u32, h as u32, |x, y| {
            Rgb(batch.colour(index, x as usize, y as usize, BOARD.0[0]))
        })
        .into(),
        1 => batch.typed(index, Luma::<u8>).into(),
        2 => batch.typed(index, LumaA::<u8>).into(),
        3 => batch.typed(index, Rgb::<u8>).into(),
        _ => batch.typed(index, Rgba::<u8>).into(),
    })
}

/// A picture enlarged by a whole factor, without smoothing.
///
/// # Errors
/// [`Error::Usage`] where a side would exceed 32768 pixels.
pub fn enlarged(picture: DynamicImage, factor: u32) -> Result<DynamicImage> {
    let side = |pixels: u32| pixels.checked_mul(factor).filter(|side| *side <= LARGEST);
    match (side(picture.width()), side(picture.height())) {
        (Some(width), Some(height)) => {
            Ok(picture.resize_exact(width, height, image::imageops::FilterType::Nearest))
        }
        _ => Err(too_large(1)),
    }
}

/// Writes a picture as PNG. An existing file is replaced whole.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save_png(picture: impl Into<DynamicImage>, path: &Path) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .into()
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(encoding(path))?;
    replace(path, |out| out.write_all(bytes.get_ref()))
}

/// An error of encoding a file.
pub(super) fn encoding<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Error + '_ {
    move |e| {
        Error::usage(
            format!("cannot encode {}: {e}", path.display()),
            "use smaller pictures",
        )
    }
}
