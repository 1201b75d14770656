//! `losses.png`: the training curves.

use std::{ops::Range, path::Path, sync::OnceLock};

use image::RgbImage;
use plotters::{
    backend::{BitMapBackend, DrawingBackend},
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, types::RangedCoordf64},
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Rectangle},
    prelude::Cartesian2d,
    style::{
        Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE,
        register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{
    error::{Error, Result},
    train::{
        figures::{save_png, shrink},
        stats::Tick,
    },
};

/// Width and height of the plot in pixels.
pub const SIZE: (u32, u32) = (1000, 700);
/// Colours of the smoothed lines: loss D, loss G, D(x), D(G(z)).
pub const COLOURS: [[u8; 3]; 4] = [[31, 104, 176], [222, 98, 22], [24, 138, 96], [176, 42, 108]];

/// The plot is drawn this many times larger and averaged down, as the bitmap
/// backend smooths no thick lines.
pub(crate) const SCALE: u32 = 2;
/// Points to which a smoothed line is thinned: about one a pixel.
const COLUMNS: usize = 900;
/// A moving average spans this part of all ticks.
const WINDOW_PART: usize = 30;
/// Losses are drawn within this bound, which leaves the axis free of overflow.
const BOUND: f64 = 1e38;

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

/// One curve: a value a tick.
pub(super) struct Series {
    label: &'static str,
    colour: RGBColor,
    values: Vec<f64>,
}

impl Series {
    pub(super) fn new(
        label: &'static str,
        colour: [u8; 3],
        values: impl Iterator<Item = f64>,
    ) -> Self {
        Self {
            label,
            colour: RGBColor(colour[0], colour[1], colour[2]),
            values: values
                .map(|v| {
                    if v.is_finite() {
                        v.clamp(-BOUND, BOUND)
                    } else {
                        f64::NAN
                    }
                })
                .collect(),
        }
    }

    pub(super) fn finite(&self) -> impl Iterator<Item = f64> {
        self.values.iter().copied().filter(|v| v.is_finite())
    }

    /// The label, the last value, and how many are missing.
    fn legend(&self) -> String {
        let last = self.finite().last().map(|v| format!(" {}", short(v, 0.0)));
        let missing = self.values.iter().filter(|v| !v.is_finite()).count();
        let missing = match missing {
            0 => String::new(),
            n => format!(" ({n} not finite)"),
        };
        format!("{}{}{missing}", self.label, last.unwrap_or_default())
    }
}

/// One of the charts below each other.
pub(super) struct Panel {
    pub(super) y_label: &'static str,
    pub(super) x_label: &'static str,
    pub(super) series: Vec<Series>,
    pub(super) y: Range<f64>,
    /// Pixels from its top to the next chart's; the last takes the rest.
    pub(super) height: u32,
}

/// Draws the losses of D and G (above) and D(x) and D(G(z)) (below) over the
/// steps: every tick as a thin pale line, which breaks where a value is not
/// finite, and a moving average over a thirtieth of the ticks on top. The lower
/// axis is [0, 1] unless D is a critic whose scores exceed it.
///
/// # Errors
/// [`Error::Usage`] if drawing fails, which no values of the ticks cause.
pub fn losses(ticks: &[Tick]) -> Result<RgbImage> {
    let of = |label, colour, value: fn(&Tick) -> f64| {
        Series::new(label, colour, ticks.iter().map(value))
    };
    let loss = [
        of("loss D", COLOURS[0], |t| t.loss_d),
        of("loss G", COLOURS[1], |t| t.loss_g),
    ];
    let outputs = [
        of("D(x)", COLOURS[2], |t| t.d_real),
        of("D(G(z))", COLOURS[3], |t| t.d_fake),
    ];
    let probabilities = outputs
        .iter()
        .flat_map(Series::finite)
        .all(|v| (0.0..=1.0).contains(&v));
    let panels = [
        Panel {
            y_label: "loss",
            x_label: "",
            y: y_range(&loss),
            series: loss.into(),
            height: 385,
        },
        Panel {
            y_label: if probabilities {
                "probability"
            } else {
                "critic score"
            },
            x_label: "step",
            y: if probabilities {
                0.0..1.0
            } else {
                y_range(&outputs)
            },
            series: outputs.into(),
            height: 0,
        },
    ];
    charts(ticks, &panels, SIZE)
}

/// Draws charts below each other into a picture of this size.
///
/// # Errors
/// As of [`losses`].
pub(super) fn charts(ticks: &[Tick], panels: &[Panel], size: (u32, u32)) -> Result<RgbImage> {
    let steps: Vec<f64> = ticks.iter().map(|t| t.step as f64).collect();
    let size = (size.0 * SCALE, size.1 * SCALE);
    let mut canvas = RgbImage::new(size.0, size.1);
    draw(&mut canvas, size, &steps, panels).map_err(|e| {
        Error::usage(
            format!("cannot draw the training curves: {e}"),
            "this is a bug, report it with stats.jsonl",
        )
    })?;
    Ok(shrink(&canvas, SCALE))
}

/// Draws [`losses`] into a PNG file, which is replaced whole.
///
/// # Errors
/// As of [`losses`], and [`Error::Io`] if the file cannot be written.
pub fn save_losses(ticks: &[Tick], path: &Path) -> Result<()> {
    save_png(losses(ticks)?, path)
}

fn draw(canvas: &mut [u8], size: (u32, u32), steps: &[f64], panels: &[Panel]) -> Drawn {
    register();
    let root = BitMapBackend::with_buffer(canvas, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut rest = root.clone();
    for (index, panel) in panels.iter().enumerate() {
        let (area, below) = match index + 1 == panels.len() {
            true => (rest.clone(), rest),
            false => rest.split_vertically(px(panel.height)),
        };
        draw_panel(&area, steps, panel)?;
        rest = below;
    }
    root.present()
}

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

fn draw_panel(area: &Area<'_>, steps: &[f64], panel: &Panel) -> Drawn {
    let bottom = if panel.x_label.is_empty() { 12 } else { 52 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(40))
        .margin_right(px(24))
        .margin_bottom(px(bottom) - px(30))
        .margin_left(px(26))
        .x_label_area_size(px(30))
        .y_label_area_size(px(52))
        .build_cartesian_2d(x_range(steps), panel.y.clone())?;
    let (x_span, y_span) = (span(&x_range(steps)), span(&panel.y));
    let with_x_labels = !panel.x_label.is_empty();
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(ShapeStyle::from(GRID).stroke_width(SCALE))
        .axis_style(ShapeStyle::from(FRAME).stroke_width(SCALE))
        .set_all_tick_mark_size(px(5))
        .x_labels(10)
        .y_labels(6)
        .x_label_formatter(&|x| match (with_x_labels, x.fract() == 0.0) {
            (true, true) => short(*x, x_span),
            _ => String::new(),
        })
        .y_label_formatter(&|y| short(*y, y_span))
        .label_style(font(13))
        // The font backend sets text above the middle of its box.
        .y_label_offset(px(3))
        .draw()?;

    for series in &panel.series {
        draw_raw(&chart, steps, series)?;
    }
    for series in &panel.series {
        draw_smoothed(&chart, steps, series)?;
    }

    let (width, height) = chart.plotting_area().dim_in_pixel();
    let (x0, y0) = chart.plotting_area().get_base_pixel();
    let origin = area.get_base_pixel();
    let (left, top) = (x0 - origin.0, y0 - origin.1);
    let (right, base) = (left + width as i32, top + height as i32);
    let outline = ShapeStyle::from(FRAME).stroke_width(SCALE);
    area.draw(&PathElement::new(
        [
            (left, top),
            (right, top),
            (right, base),
            (left, base),
            (left, top),
        ],
        outline,
    ))?;
    draw_legend(area, left, top - px(18), &panel.series)?;
    let centred = font(14).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw_text(
        panel.y_label,
        &centred.transform(FontTransform::Rotate270),
        (px(20), (top + base) / 2),
    )?;
    if with_x_labels {
        let style = font(14).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw_text(panel.x_label, &style, ((left + right) / 2, base + px(40)))?;
    }
    Ok(())
}

/// A row above the chart: a swatch of each curve, its name and last value.
fn draw_legend(area: &Area<'_>, left: i32, middle: i32, series: &[Series]) -> Drawn {
    let style = font(14).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = left;
    for series in series {
        let text = series.legend();
        area.draw(&Rectangle::new(
            [(x, middle - px(2)), (x + px(22), middle + px(2) - 1)],
            series.colour.filled(),
        ))?;
        area.draw_text(&text, &style, (x + px(29), middle + px(3)))?;
        x += px(29) + area.estimate_text_size(&text, &style)?.0 as i32 + px(26);
    }
    Ok(())
}

fn draw_raw(chart: &Chart<'_, '_>, steps: &[f64], series: &Series) -> Drawn {
    let area = chart.plotting_area();
    let style = ShapeStyle::from(series.colour.mix(0.55));
    for run in runs(&thinned(steps, &series.values)) {
        match run {
            // A lone tick between gaps would have no line.
            [point] => area.draw(&Circle::new(
                inside(chart, *point),
                SCALE * 2,
                style.filled(),
            ))?,
            _ => area.draw(&PathElement::new(
                run.iter().map(|p| inside(chart, *p)).collect::<Vec<_>>(),
                style,
            ))?,
        }
    }
    Ok(())
}

fn draw_smoothed(chart: &Chart<'_, '_>, steps: &[f64], series: &Series) -> Drawn {
    let area = chart.plotting_area();
    let style = series.colour.filled().stroke_width(px(2) as u32 + 1);
    for run in runs(&smoothed(steps, &series.values, &chart.y_range())) {
        let run: Vec<_> = run.iter().map(|p| inside(chart, *p)).collect();
        thick_line(area, &run, style)?;
    }
    Ok(())
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

/// A point moved onto the edge of the chart if it lies outside.
fn inside(chart: &Chart<'_, '_>, (x, y): (f64, f64)) -> (f64, f64) {
    let range = chart.y_range();
    (x, y.clamp(range.start, range.end))
}

/// The stretches of points between those that are not finite.
fn runs(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    points
        .split(|(_, y)| !y.is_finite())
        .filter(|run| !run.is_empty())
}

/// At most about four points a column of the chart: first, least, greatest and
/// last of the ticks in it, in order, so that no spike is lost.
fn thinned(steps: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let point = |i: usize| (steps[i], values[i]);
    if values.len() <= 4 * COLUMNS {
        return (0..values.len()).map(point).collect();
    }
    let mut points = Vec::with_capacity(4 * COLUMNS);
    for column in columns(values.len()) {
        let finite = || column.clone().filter(|i| values[*i].is_finite());
        let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        let mut chosen: Vec<usize> = [
            finite().next(),
            finite().min_by(by_value),
            finite().max_by(by_value),
            finite().next_back(),
        ]
        .into_iter()
        .flatten()
        .collect();
        if chosen.is_empty() {
            chosen.push(column.start);
        }
        chosen.sort_unstable();
        chosen.dedup();
        points.extend(chosen.into_iter().map(point));
    }
    points
}

/// The centred moving average of the finite values, at most one point a column
/// of the chart. Values count as at most the ends of the axis `y`, or one spike
/// would lift the line out of the chart for a whole window. Each window is
/// summed anew, which costs less than it seems with one window a column.
fn smoothed(steps: &[f64], values: &[f64], y: &Range<f64>) -> Vec<(f64, f64)> {
    let reach = values.len() / WINDOW_PART / 2;
    columns(values.len())
        .map(|column| {
            let middle = (column.start + column.end - 1) / 2;
            if !values[column].iter().any(|v| v.is_finite()) {
                return (steps[middle], f64::NAN);
            }
            let window = middle.saturating_sub(reach)..(middle + reach + 1).min(values.len());
            let finite = values[window].iter().filter(|v| v.is_finite());
            let (sum, count) = finite.fold((0.0, 0.0), |(sum, n), v| {
                (sum + v.clamp(y.start, y.end), n + 1.0)
            });
            // 0 / 0, a gap, where only the rest of the column is finite.
            (steps[middle], sum / count)
        })
        .collect()
}

/// `0..n` in at most [`COLUMNS`] parts of nearly equal length.
fn columns(n: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = n.min(COLUMNS);
    (0..parts).map(move |i| i * n / parts..(i + 1) * n / parts)
}

fn span(range: &Range<f64>) -> f64 {
    range.end - range.start
}

fn x_range(steps: &[f64]) -> Range<f64> {
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if last > first => *first..*last,
        (Some(first), _) => first - 1.0..first + 1.0,
        _ => 0.0..1.0,
    }
}

/// The values but for the outermost half percent at each end, so that a single
/// spike does not flatten the curves, with a margin.
pub(super) fn y_range(series: &[Series]) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for series in series {
        let mut values: Vec<f64> = series.finite().collect();
        values.sort_unstable_by(f64::total_cmp);
        if let Some(last) = values.len().checked_sub(1) {
            let cut = values.len() / 200;
            low = low.min(values[cut]);
            high = high.max(values[last - cut]);
        }
    }
    if low > high {
        return 0.0..1.0;
    }
    let size = low.abs().max(high.abs());
    let margin = if high - low > (size * 1e-6).max(1e-9) {
        (high - low) * 0.06
    } else {
        (size * 0.5).max(0.5)
    };
    low - margin..high + margin
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
