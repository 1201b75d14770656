//! Animations: GIF, APNG, and MP4 by a program that is there or not.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, RgbImage};

use super::figures::encoding;
use crate::config::options::Animation;
use crate::error::{Error, Result};
use crate::store::replace::replace;

/// The program that encodes MP4.
const FFMPEG: &str = "ffmpeg";

/// Writes pictures of one size as an animation of so many frames a second, endless
/// where the format can say so. An existing file is replaced whole.
///
/// # Errors
/// [`Error::Usage`] without frames, for frames of different sizes or too large ones, and
/// for MP4 where ffmpeg is not there; [`Error::Io`] if the file cannot be written.
pub fn save(frames: &[RgbImage], path: &Path, format: Animation, fps: f64) -> Result<()> {
    let size = size(frames, path)?;
    match format {
        Animation::Gif => save_gif(frames, path, fps),
        Animation::Apng => save_apng(frames, size, path, fps),
        Animation::Mp4 => save_mp4(frames, size, path, fps),
    }
}

/// Whether a format can be written here.
///
/// # Errors
/// [`Error::Usage`] that says what is missing.
pub(crate) fn check(format: Animation) -> Result<()> {
    match format {
        Animation::Gif | Animation::Apng => Ok(()),
        Animation::Mp4 => {
            let mut command = Command::new(FFMPEG);
            command.arg("-version").stdin(Stdio::null());
            let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            match ran {
                Ok(status) if status.success() => Ok(()),
                _ => Err(Error::usage(
                    format!("MP4 needs the program {FFMPEG}, which does not run here"),
                    format!("install {FFMPEG}, or use a name that ends in .gif or .apng"),
                )),
            }
        }
    }
}

/// The one size of all frames.
fn size(frames: &[RgbImage], path: &Path) -> Result<(u32, u32)> {
    let Some(first) = frames.first() else {
        return Err(Error::usage(
            format!("{} would have no frames", path.display()),
            "give at least one",
        ));
    };
    let size = first.dimensions();
    match frames.iter().find(|frame| frame.dimensions() != size) {
        None => Ok(size),
        Some(other) => Err(Error::usage(
            format!(
                "the frames of {} have the sizes {size:?} and {:?}",
                path.display(),
                other.dimensions()
            ),
            "give frames of one size",
        )),
    }
}

/// Writes an endless GIF. GIF counts time in hundredths of a second, so `fps` (frames
/// a second) is rounded to the nearest such pause and limited to [0.1, 50],
/// the fastest that viewers show. Neighbours that are equal become one frame.
fn save_gif(frames: &[RgbImage], path: &Path, fps: f64) -> Result<()> {
    // NaN falls through the clamp and becomes 0 hundredths, the viewer's default.
    let hundredths = (100.0 / fps.clamp(0.1, 50.0)).round() as u32;
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder
        .set_repeat(Repeat::Infinite)
        .map_err(encoding(path))?;
    // A picture that stays is one frame shown longer.
    for still in frames.chunk_by(|a, b| a == b) {
        let rgba = DynamicImage::ImageRgb8(still[0].clone()).into_rgba8();
        let delay = Delay::from_numer_denom_ms(hundredths * 10 * still.len() as u32, 1);
        encoder
            .encode_frame(Frame::from_parts(rgba, 0, 0, delay))
            .map_err(encoding(path))?;
    }
    drop(encoder);
    replace(path, |out| out.write_all(&bytes))
}

/// Writes an endless animated PNG, without loss of colours.
fn save_apng(
    frames: &[RgbImage],
    (width, height): (u32, u32),
    path: &Path,
    fps: f64,
) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Milliseconds; a frame stays for at most a minute.
    let millis = (1000.0 / fps.clamp(0.1, 1000.0)).round() as u16;
    let written = encoder
        .set_animated(frames.len() as u32, 0)
        .and_then(|()| encoder.set_frame_delay(millis, 1000))
        .and_then(|()| {
            let mut writer = encoder.write_header()?;
            for frame in frames {
                writer.write_image_data(frame.as_raw())?;
            }
            writer.finish()
        });
    written.map_err(encoding(path))?;
    replace(path, |out| out.write_all(bytes.get_ref()))
}

/// Hands raw frames to the program that encodes MP4.
fn save_mp4(frames: &[RgbImage], (width, height): (u32, u32), path: &Path, fps: f64) -> Result<()> {
    check(Animation::Mp4)?;
    let failed = |what: String| {
        Error::usage(
            format!("{FFMPEG} cannot write {}: {what}", path.display()),
            "use a name that ends in .gif or .apng",
        )
    };
    let io = |e: std::io::Error| failed(e.to_string());
    let folder = tempfile::tempdir().map_err(io)?;
    let made = folder.path().join("made.mp4");
    let mut child = Command::new(FFMPEG)
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-s", &format!("{width}x{height}"), "-r", &fps.to_string()])
        // Players want even sides and this order of colours.
        .args(["-i", "-", "-an", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"])
        .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-y"])
        .arg(&made)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let written = match child.stdin.take() {
        Some(mut input) => frames
            .iter()
            .try_for_each(|frame| input.write_all(frame.as_raw())),
        None => Ok(()),
    };
    let output = child.wait_with_output().map_err(io)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(
            said.lines().next().unwrap_or("it failed").to_owned(),
        ));
    }
    written.map_err(io)?;
    let bytes = std::fs::read(&made).map_err(Error::io("read", &made))?;
    replace(path, |out| out.write_all(&bytes))
}
