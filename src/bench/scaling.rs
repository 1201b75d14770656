//! How step time and memory grow with the batch and with the pixels.

use std::fmt::Write;
use std::path::Path;

use image::RgbImage;
use plotters::{
    backend::BitMapBackend,
    chart::{ChartBuilder, SeriesLabelPosition},
    drawing::IntoDrawingArea,
    element::{Circle, PathElement},
    series::LineSeries,
    style::{Color, RGBColor, ShapeStyle, WHITE},
};

use super::measure::Times;
use super::report::Row;
use super::step::{measure_step, networks};
use crate::config::{Config, Size};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::media::figures::save_png;
use crate::plot::{self, COLOURS, Drawn, FRAME, GRID, SCALE, font, px, shrink};
use crate::run::memory::mebibytes;

/// Batches that are measured.
const BATCHES: [usize; 5] = [16, 32, 64, 128, 256];
/// Side lengths in pixels that are measured, at the batch that was asked for.
const SIDES: [usize; 4] = [28, 32, 48, 64];

/// Step time at one batch and image size.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    networks: String,
    /// Images in a step.
    pub batch: usize,
    /// Side length of an image in pixels.
    pub side: usize,
    /// Of a step.
    pub times: Times,
    /// Bytes of all tensors of the run, as planned.
    pub bytes: u64,
}

impl Point {
    /// As a row of a report.
    pub fn row(&self) -> Row {
        let case = format!(
            "scaling {} batch {}: {}x{}",
            self.networks, self.batch, self.side, self.side
        );
        Row::new(case, &self.times, format!("{} MiB", mebibytes(self.bytes)))
    }

    fn pixels(&self) -> f64 {
        (self.batch * self.side * self.side) as f64
    }
}

/// Measures steps over batches, then over image sizes.
///
/// # Errors
/// Where a size does not suit the configuration or the device failed.
pub fn measure_scaling(gpu: &Gpu, config: &Config) -> Result<Vec<Point>> {
    let side = config.data.size.height;
    let batches = BATCHES.map(|batch| (batch, side));
    let sides = SIDES.map(|side| (config.batch, side));
    let mut points: Vec<Point> = Vec::new();
    for (batch, side) in batches.into_iter().chain(sides) {
        if points.iter().any(|p| (p.batch, p.side) == (batch, side)) {
            continue;
        }
        let mut scaled = config.clone();
        scaled.batch = batch;
        scaled.data.size = Size::square(side);
        let figures = measure_step(gpu, &scaled)?;
        points.push(Point {
            networks: networks(config),
            batch,
            side,
            times: figures.times,
            bytes: figures.bytes,
        });
    }
    Ok(points)
}

/// Time per pixel, over the mean of all points, less 1.
fn deviations(points: &[Point]) -> Vec<f64> {
    let rates: Vec<f64> = points
        .iter()
        .map(|p| p.times.median() / p.pixels())
        .collect();
    let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    rates.iter().map(|rate| rate / mean - 1.0).collect()
}

/// A table, with how far each point is from growing in proportion to pixels.
pub(super) fn text(points: &[Point]) -> String {
    let mut text = format!(
        "{:>6} {:>8} {:>10} {:>9} {:>14} {:>16}\n",
        "batch", "image", "median ms", "MiB", "us a kilopixel", "off proportion"
    );
    for (point, deviation) in points.iter().zip(deviations(points)) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>6} {:>8} {:>10.1} {:>9} {:>14.2} {:>14.1} %",
            point.batch,
            format!("{0}x{0}", point.side),
            1e3 * point.times.median(),
            mebibytes(point.bytes),
            1e9 * point.times.median() / point.pixels(),
            100.0 * deviation
        );
    }
    text
}

/// Width and height of the plot in pixels.
const PICTURE: (u32, u32) = (800, 460);

/// Draws step times over pixels a step into a PNG file, with the line of growth
/// in proportion.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub(super) fn plot(points: &[Point], path: &Path) -> Result<()> {
    let size = (PICTURE.0 * SCALE, PICTURE.1 * SCALE);
    let mut canvas = RgbImage::new(size.0, size.1);
    draw(&mut canvas, size, points).map_err(|e| {
        Error::usage(
            format!("cannot draw the scaling plot: {e}"),
            "this is a bug, report it with the table",
        )
    })?;
    save_png(shrink(&canvas, SCALE), path)
}

fn draw(canvas: &mut [u8], size: (u32, u32), points: &[Point]) -> Drawn {
    plot::register();
    let place = |p: &Point| (1e-3 * p.pixels(), 1e3 * p.times.median());
    let most = points
        .iter()
        .map(place)
        .fold((0.0, 0.0), |most: (f64, f64), p| {
            (most.0.max(p.0), most.1.max(p.1))
        });
    let rate = points.iter().map(|p| place(p).1 / place(p).0).sum::<f64>() / points.len() as f64;
    let root = BitMapBackend::with_buffer(canvas, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(px(20))
        .x_label_area_size(px(45))
        .y_label_area_size(px(60))
        .build_cartesian_2d(0.0..1.08 * most.0, 0.0..1.1 * most.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(ShapeStyle::from(GRID).stroke_width(SCALE))
        .axis_style(ShapeStyle::from(FRAME).stroke_width(SCALE))
        .x_desc("thousand pixels a step (batch x height x width)")
        .y_desc("milliseconds a step")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(font(13))
        .axis_desc_style(font(14))
        .draw()?;
    let line = [(0.0, 0.0), (1.08 * most.0, 1.08 * most.0 * rate)];
    chart
        .draw_series(LineSeries::new(
            line,
            ShapeStyle::from(FRAME).stroke_width(SCALE),
        ))?
        .label("in proportion")
        .legend(|(x, y)| {
            PathElement::new(
                [(x, y), (x + px(16), y)],
                ShapeStyle::from(FRAME).stroke_width(SCALE),
            )
        });
    let first = points.first().map_or(0, |p| p.side);
    for (label, colour, of_batches) in [
        ("batches 16 to 256", COLOURS[0], true),
        ("images 28x28 to 64x64", COLOURS[1], false),
    ] {
        let colour = RGBColor(colour[0], colour[1], colour[2]);
        let shown = points.iter().filter(|p| (p.side == first) == of_batches);
        chart
            .draw_series(shown.map(|p| Circle::new(place(p), px(5), colour.filled())))?
            .label(label)
            .legend(move |(x, y)| Circle::new((x + px(8), y), px(5), colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(13))
        .legend_area_size(px(28))
        .margin(px(10))
        .draw()?;
    root.present()
}
