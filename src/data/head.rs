//! What the front of a picture file tells: size and colours.

use std::io::{BufRead, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::ImageError;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader};

use super::budget;
use super::source::{Fault, Head};

/// Size and colours of a picture that is turned upright, read from the front of its
/// file.
pub(super) fn head(reader: impl BufRead + Seek) -> Result<Head, Fault> {
    let head = guarded(|| read_head(reader))?;
    if head.width == 0 || head.height == 0 {
        return Err(Fault::Bad("it has no pixels".to_string()));
    }
    head.checked_need(false, 0)?;
    Ok(head)
}

/// A decoder that panics on a damaged file has met a damaged file.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::Bad("its decoder failed".to_string())))
}

pub(super) fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::IoError(error) => error.into(),
        other => Fault::Bad(other.to_string()),
    }
}

fn read_head(mut reader: impl BufRead + Seek) -> Result<Head, Fault> {
    let format = image::guess_format(reader.fill_buf()?)
        .ok()
        .filter(|format| format.reading_enabled());
    match format {
        None => Err(Fault::Bad(
            "it is not a picture of a known kind".to_string(),
        )),
        Some(ImageFormat::Jpeg) => jpeg_head(reader),
        Some(ImageFormat::Gif) => gif_head(reader),
        Some(format) => {
            let mut decoder = ImageReader::with_format(reader, format)
                .into_decoder()
                .map_err(fault)?;
            let (width, height) = decoder.dimensions();
            let kind = decoder.color_type();
            let head = Head {
                width,
                height,
                colour: kind.has_color(),
                alpha: kind.has_alpha(),
                bytes: decoder.total_bytes(),
            };
            // A wrong orientation tag is no reason to lose the picture.
            Ok(head.upright(decoder.orientation().ok()))
        }
    }
}

/// The decoder reads whole files, so the frame's header is looked up here, and before
/// it which way up the picture is.
fn jpeg_head(mut reader: impl BufRead + Seek) -> Result<Head, Fault> {
    let mut orientation = None;
    reader.seek_relative(2)?;
    loop {
        let mut marker = [0; 2];
        reader.read_exact(&mut marker)?;
        match marker {
            [0xff, 0xff] => reader.seek_relative(-1)?,
            [0xff, 0x01 | 0xd0..=0xd8] => {}
            // Frames: length, precision, height, width, components.
            [0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf] => {
                let mut frame = [0; 8];
                reader.read_exact(&mut frame)?;
                let [_, _, _, h1, h0, w1, w0, components] = frame;
                let [height, width] = [[h1, h0], [w1, w0]].map(u16::from_be_bytes).map(u32::from);
                let colour = components > 1;
                let values = if colour { 3 } else { 1 };
                let head = Head {
                    width,
                    height,
                    colour,
                    alpha: false,
                    bytes: u64::from(width) * u64::from(height) * values,
                };
                return Ok(head.upright(orientation));
            }
            [0xff, 0xd9 | 0xda] => break,
            [0xff, kind] => {
                let mut length = [0; 2];
                reader.read_exact(&mut length)?;
                let length = u16::from_be_bytes(length).max(2) - 2;
                // What cameras write about a picture.
                if kind == 0xe1 {
                    let mut segment = vec![0; usize::from(length)];
                    reader.read_exact(&mut segment)?;
                    if let Some(exif) = segment.strip_prefix(b"Exif\0\0") {
                        orientation = Orientation::from_exif_chunk(exif);
                    }
                } else {
                    reader.seek_relative(i64::from(length))?;
                }
            }
            _ => break,
        }
    }
    Err(Fault::Bad("it has no frame of pixels".to_string()))
}

/// A GIF may be transparent, and its decoder always says that it is.
fn gif_head(reader: impl Read) -> Result<Head, Fault> {
    let bad = |error: gif::DecodingError| match error {
        gif::DecodingError::Io(error) => error.into(),
        other => Fault::Bad(other.to_string()),
    };
    let mut decoder = gif::DecodeOptions::new().read_info(reader).map_err(bad)?;
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(bad)?;
    let Some(frame) = frame else {
        return Err(Fault::Bad("it has no frame of pixels".to_string()));
    };
    Ok(Head {
        width,
        height,
        colour: true,
        alpha: frame.transparent.is_some(),
        bytes: u64::from(width) * u64::from(height) * 4,
    })
}

impl Head {
    /// The same of the picture as it is turned upright.
    fn upright(self, orientation: Option<Orientation>) -> Self {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        match orientation {
            Some(Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH) => Self {
                width: self.height,
                height: self.width,
                ..self
            },
            _ => self,
        }
    }

    /// Bytes that decoding and resizing take at most: twice the pixels (the
    /// decoder's own, or before and after they are cropped), once more as bytes,
    /// and again where alpha is laid on a colour; `weighted` with alpha they are
    /// floats. A resize goes by way of floats of the full width and as many
    /// `rows` as are wanted.
    fn need(&self, weighted: bool, rows: usize) -> u64 {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let laid = if self.alpha { 4 } else { 0 };
        let float = if weighted { 12 } else { 0 };
        2 * self.bytes + (4 + laid + float) * width * height + 16 * width * rows as u64
    }

    /// The same, as long as the budget has as many.
    pub(super) fn checked_need(&self, weighted: bool, rows: usize) -> Result<u64, Fault> {
        let need = self.need(weighted, rows);
        if need <= budget::BYTES {
            return Ok(need);
        }
        Err(Fault::Bad(format!(
            "its {}x{} pixels take {:.1} GiB to read, more than the {} GiB that a picture may \
             take; make it smaller",
            self.width,
            self.height,
            need as f64 / f64::from(1 << 30),
            budget::BYTES >> 30
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageEncoder, RgbImage};

    use super::*;

    /// What a camera writes of a picture that it took on its side.
    const TURNED: &[u8] = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    /// A picture of 40x20 pixels that is to be turned by a quarter.
    fn turned(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::new(40, 20);
        let mut bytes = Cursor::new(Vec::new());
        match format {
            ImageFormat::Jpeg => {
                let mut encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
                encoder.set_exif_metadata(TURNED.to_vec()).unwrap();
                encoder.encode_image(&picture).unwrap();
            }
            _ => {
                let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
                encoder.set_exif_metadata(TURNED.to_vec()).unwrap();
                let picture = DynamicImage::from(picture);
                picture.write_with_encoder(encoder).unwrap();
            }
        }
        bytes.into_inner()
    }

    #[test]
    fn the_front_of_a_file_tells_the_size_of_the_upright_picture() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = turned(format);
            let found = head(Cursor::new(&bytes)).unwrap();
            assert_eq!((found.width, found.height), (20, 40), "{format:?}");
        }
        let bytes = turned(ImageFormat::Jpeg);
        let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]);
        let front = &bytes[..frame.unwrap() + 10];
        assert_eq!(head(Cursor::new(front)).unwrap().height, 40);
    }
}
