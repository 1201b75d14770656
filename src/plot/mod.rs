//! Charts and their style: what every plot of the program shares.

mod curve;
mod panel;

use std::sync::OnceLock;

use crate::error::{Error, Result};
use plotters::{
    backend::{BitMapBackend, DrawingBackend},
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement},
    prelude::Cartesian2d,
    style::{
        FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

pub(crate) use panel::{Marks, Panel, Series, charts, y_range};

/// Colours of lines: of the losses of a GAN they are loss D, loss G, D(x), D(G(z)).
pub const COLOURS: [[u8; 3]; 8] = [
    [31, 104, 176],
    [222, 98, 22],
    [24, 138, 96],
    [176, 42, 108],
    [108, 190, 232],
    [232, 180, 40],
    [128, 96, 72],
    [124, 88, 196],
];

/// The plot is drawn this many times larger and averaged down, as the bitmap
/// backend smooths no thick lines.
pub(crate) const SCALE: u32 = 2;

const FONT: &[u8] = include_bytes!("../../assets/font/DejaVuSans-ascii.ttf");
const FAMILY: &str = "DejaVu Sans";
pub(crate) const INK: RGBColor = RGBColor(51, 56, 64);
pub(crate) const FRAME: RGBColor = RGBColor(176, 182, 190);
pub(crate) const GRID: RGBColor = RGBColor(232, 235, 239);

pub(crate) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
pub(crate) type Chart<'a, 'b> =
    ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(crate) type Drawn<T = ()> = std::result::Result<
    T,
    DrawingAreaErrorKind<<BitMapBackend<'static> as DrawingBackend>::ErrorType>,
>;

/// Makes the embedded font known to the plotting library, once.
pub(crate) fn register() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        // The embedded file is a valid font, which the tests see in the plot;
        // otherwise drawing text returns an error.
        let _ = register_font(FAMILY, FontStyle::Normal, FONT);
    });
}

/// Pixels of the final picture in pixels of the canvas.
pub(crate) fn px(pixels: u32) -> i32 {
    (pixels * SCALE) as i32
}

pub(crate) fn font(size: u32) -> TextStyle<'static> {
    (FAMILY, px(size)).into_font().color(&INK)
}

/// A line through points. Thick lines of the backend have no joints, so each
/// has a round one; a lone point shows as a larger dot.
pub(crate) fn thick_line(
    area: &DrawingArea<BitMapBackend<'_>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    points: &[(f64, f64)],
    style: ShapeStyle,
) -> Drawn {
    let radius = if points.len() == 1 { 3 * SCALE } else { SCALE };
    for point in points {
        area.draw(&Circle::new(*point, radius, style))?;
    }
    for ends in points.windows(2) {
        if area.map_coordinate(&ends[0]) != area.map_coordinate(&ends[1]) {
            area.draw(&PathElement::new(ends.to_vec(), style))?;
        }
    }
    Ok(())
}

/// A number for a label: at most four significant digits, none of the rounding
/// noise that is tiny beside `span`, thousands as `k` on an axis that reaches
/// ten of them.
pub(crate) fn short(value: f64, span: f64) -> String {
    if value.abs() <= span * 1e-9 {
        return "0".into();
    }
    // A printed number always parses.
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    match rounded.abs() {
        0.0 => "0".into(),
        1e6..1e9 => format!("{}M", short(rounded / 1e6, 0.0)),
        1e3..1e6 if span.max(rounded.abs()) >= 1e4 => {
            format!("{}k", short(rounded / 1e3, 0.0))
        }
        1e-3..1e6 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}

/// Pixels of the column that names rows of a picture.
const NAMES: u32 = 140;

/// A picture with a name before each of its rows of equal height.
///
/// # Errors
/// [`Error::Usage`] if drawing fails, which no names cause.
pub(crate) fn named_rows(picture: &image::RgbImage, names: &[&str]) -> Result<image::RgbImage> {
    let (width, height) = picture.dimensions();
    let size = (NAMES * SCALE, height * SCALE);
    let mut canvas = image::RgbImage::new(size.0, size.1);
    let drawn = (|| -> Drawn {
        register();
        let root = BitMapBackend::with_buffer(&mut canvas, size).into_drawing_area();
        root.fill(&plotters::style::WHITE)?;
        let style = font(14).pos(Pos::new(HPos::Right, VPos::Center));
        for (index, name) in names.iter().enumerate() {
            let middle = (2 * index as u32 + 1) * height / (2 * names.len() as u32);
            root.draw_text(name, &style, (px(NAMES - 8), px(middle)))?;
        }
        root.present()
    })();
    drawn.map_err(|e| {
        Error::usage(
            format!("cannot draw names: {e}"),
            "this is a bug, report it",
        )
    })?;
    let mut all = image::RgbImage::new(NAMES + width, height);
    image::imageops::replace(&mut all, &shrink(&canvas, SCALE), 0, 0);
    image::imageops::replace(&mut all, picture, NAMES.into(), 0);
    Ok(all)
}

/// A picture shrunk to 1 / `factor` of its sides by averaging.
pub(crate) fn shrink(picture: &image::RgbImage, factor: u32) -> image::RgbImage {
    image::imageops::thumbnail(picture, picture.width() / factor, picture.height() / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_name_before_it() {
        let picture = image::RgbImage::from_pixel(50, 120, image::Rgb([1, 2, 3]));
        let named = named_rows(&picture, &["dcgan28", "wgan-gp", "mlp"]).expect("drawn");
        assert_eq!(named.dimensions(), (NAMES + 50, 120));
        assert_eq!(named.get_pixel(NAMES, 60).0, [1, 2, 3]);
        let ink = |rows: std::ops::Range<u32>| {
            let mut places = rows.flat_map(|y| (0..NAMES).map(move |x| (x, y)));
            places.any(|(x, y)| named.get_pixel(x, y).0[0] < 128)
        };
        for row in 0..3 {
            assert!(ink(40 * row + 8..40 * row + 32), "row {row}");
            assert!(!ink(40 * row..40 * row + 4), "row {row}");
        }
    }
}
