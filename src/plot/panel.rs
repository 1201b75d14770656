//! Charts of series over steps, below each other.

use std::ops::Range;

use image::RgbImage;
use plotters::{
    backend::BitMapBackend,
    chart::ChartBuilder,
    drawing::IntoDrawingArea,
    element::{Circle, PathElement, Rectangle},
    style::{
        Color, FontTransform, RGBColor, ShapeStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::curve::{runs, smoothed, span, thinned, x_range};
use super::{
    Area, Chart, Drawn, FRAME, GRID, SCALE, font, px, register, short, shrink, thick_line,
};
use crate::error::{Error, Result};

/// Colour of limits and marks, and of their words.
const MARK: RGBColor = RGBColor(140, 90, 40);

/// Losses are drawn within this bound, which leaves the axis free of overflow.
const BOUND: f64 = 1e38;

/// One curve: a value a tick.
pub(crate) struct Series {
    label: String,
    colour: RGBColor,
    values: Vec<f64>,
}

impl Series {
    pub(crate) fn new(
        label: impl Into<String>,
        colour: [u8; 3],
        values: impl Iterator<Item = f64>,
    ) -> Self {
        Self {
            label: label.into(),
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

    pub(crate) fn finite(&self) -> impl Iterator<Item = f64> {
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
pub(crate) struct Panel {
    pub(crate) y_label: &'static str,
    pub(crate) x_label: &'static str,
    pub(crate) series: Vec<Series>,
    pub(crate) y: Range<f64>,
    /// Limits that are drawn as lines across the chart, with what lies beyond them.
    pub(crate) limits: Vec<(f64, &'static str)>,
    /// Pixels from its top to the next chart's; the last takes the rest.
    pub(crate) height: u32,
}

/// Steps that are marked in all charts by a line with these words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) steps: Vec<f64>,
    pub(crate) words: &'static str,
}

/// Draws charts of values at `steps` below each other into a picture of this size.
///
/// # Errors
/// [`Error::Usage`] if drawing fails, which no values cause.
pub(crate) fn charts(
    steps: &[f64],
    panels: &[Panel],
    marks: &Marks,
    size: (u32, u32),
) -> Result<RgbImage> {
    let size = (size.0 * SCALE, size.1 * SCALE);
    let mut canvas = RgbImage::new(size.0, size.1);
    draw(&mut canvas, size, steps, (panels, marks)).map_err(|e| {
        Error::usage(
            format!("cannot draw the training curves: {e}"),
            "this is a bug, report it with stats.jsonl",
        )
    })?;
    Ok(shrink(&canvas, SCALE))
}

fn draw(
    canvas: &mut [u8],
    size: (u32, u32),
    steps: &[f64],
    (panels, marks): (&[Panel], &Marks),
) -> Drawn {
    register();
    let root = BitMapBackend::with_buffer(canvas, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut rest = root.clone();
    for (index, panel) in panels.iter().enumerate() {
        let (area, below) = match index + 1 == panels.len() {
            true => (rest.clone(), rest),
            false => rest.split_vertically(px(panel.height)),
        };
        draw_panel(&area, steps, panel, marks)?;
        rest = below;
    }
    root.present()
}

fn draw_panel(area: &Area<'_>, steps: &[f64], panel: &Panel, marks: &Marks) -> Drawn {
    let rows = legend_rows(area, &panel.series)?;
    let bottom = if panel.x_label.is_empty() { 12 } else { 52 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(40 + LEGEND_ROW * (rows.len() as u32 - 1)))
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

    let words = font(11).color(&MARK);
    let within = |value: f64, range: &Range<f64>| (range.start..range.end).contains(&value);
    let limits = panel.limits.iter();
    for &(limit, beyond) in limits.filter(|(limit, _)| within(*limit, &panel.y)) {
        let ends = [chart.x_range().start, chart.x_range().end].map(|x| (x, limit));
        let plot = chart.plotting_area();
        plot.draw(&PathElement::new(ends, MARK.mix(0.6).stroke_width(SCALE)))?;
        let (x, y) = plot.map_coordinate(&ends[1]);
        let origin = area.get_base_pixel();
        // Below a limit at the top of the chart.
        let (at, shift) = match limit > panel.y.end - 0.1 * y_span {
            true => (VPos::Top, px(4)),
            false => (VPos::Bottom, -px(1)),
        };
        let style = words.pos(Pos::new(HPos::Right, at));
        let place = (x - origin.0 - px(6), y - origin.1 + shift);
        area.draw_text(beyond, &style, place)?;
    }
    for &step in marks
        .steps
        .iter()
        .filter(|step| within(**step, &chart.x_range()))
    {
        let ends = [panel.y.start, panel.y.end].map(|y| (step, y));
        let plot = chart.plotting_area();
        plot.draw(&PathElement::new(ends, MARK.stroke_width(SCALE)))?;
        let (x, y) = plot.map_coordinate(&ends[1]);
        let origin = area.get_base_pixel();
        let style = words.pos(Pos::new(HPos::Left, VPos::Top));
        area.draw_text(
            marks.words,
            &style,
            (x - origin.0 + px(4), y - origin.1 + px(6)),
        )?;
    }
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
    for (above, row) in rows.iter().rev().enumerate() {
        let middle = top - px(18 + LEGEND_ROW * above as u32);
        draw_legend(area, left, middle, row)?;
    }
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

/// Pixels from one row of a legend to the next.
const LEGEND_ROW: u32 = 20;

/// Pixels that a curve takes in a legend.
fn legend_width(area: &Area<'_>, text: &str) -> Drawn<i32> {
    Ok(px(29) + area.estimate_text_size(text, &font(14))?.0 as i32 + px(26))
}

/// The curves of a legend in rows that are no wider than the chart, one at least.
fn legend_rows<'a>(area: &Area<'_>, series: &'a [Series]) -> Drawn<Vec<Vec<&'a Series>>> {
    let room = area.dim_in_pixel().0 as i32 - px(26 + 52 + 24);
    let (mut rows, mut taken) = (vec![Vec::new()], 0);
    for series in series {
        let width = legend_width(area, &series.legend())?;
        if taken > 0 && taken + width - px(26) > room {
            rows.push(Vec::new());
            taken = 0;
        }
        taken += width;
        if let Some(row) = rows.last_mut() {
            row.push(series);
        }
    }
    Ok(rows)
}

/// A row above the chart: a swatch of each curve, its name and last value.
fn draw_legend(area: &Area<'_>, left: i32, middle: i32, series: &[&Series]) -> Drawn {
    let style = font(14).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = left;
    for series in series {
        let text = series.legend();
        area.draw(&Rectangle::new(
            [(x, middle - px(2)), (x + px(22), middle + px(2) - 1)],
            series.colour.filled(),
        ))?;
        area.draw_text(&text, &style, (x + px(29), middle + px(3)))?;
        x += legend_width(area, &text)?;
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

/// A point moved onto the edge of the chart if it lies outside.
fn inside(chart: &Chart<'_, '_>, (x, y): (f64, f64)) -> (f64, f64) {
    let range = chart.y_range();
    (x, y.clamp(range.start, range.end))
}

/// How far beyond nine tenths of the values others may lie, in their span, and still be
/// shown whole.
const BEYOND: f64 = 3.0;

/// The values but for the outermost half percent at each end and for what lies far beyond
/// nine tenths of them, so that a spike does not flatten the curves, with a margin.
pub(crate) fn y_range(series: &[Series]) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for series in series {
        let mut values: Vec<f64> = series.finite().collect();
        values.sort_unstable_by(f64::total_cmp);
        if let Some(last) = values.len().checked_sub(1) {
            let cut = values.len() / 200;
            let (few, many) = (values[values.len() / 20], values[last - values.len() / 20]);
            let far = BEYOND * (many - few);
            let near = |value: &&f64| far == 0.0 || (few - far..=many + far).contains(*value);
            let mut shown = values[cut..=last - cut].iter().filter(near);
            low = low.min(shown.next().copied().unwrap_or(few));
            high = high.max(shown.next_back().copied().unwrap_or(many));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(values: Vec<f64>) -> Range<f64> {
        y_range(&[Series::new("loss", [0; 3], values.into_iter())])
    }

    #[test]
    fn a_spike_does_not_flatten_a_short_curve() {
        let wave = |i: usize| 1.0 + (i as f64).sin();
        let mut values: Vec<f64> = (0..40).map(wave).collect();
        let whole = range(values.clone());
        values[20] = 500.0;
        assert_eq!(range(values.clone()).end, whole.end);
        values[21] = -90.0;
        assert_eq!(range(values), whole);
    }

    #[test]
    fn what_falls_or_steps_is_shown_whole() {
        let falling = range(
            (0..60)
                .map(|i| 8.0 * (-f64::from(i) / 15.0).exp())
                .collect(),
        );
        assert!(falling.end > 8.0 && falling.start < 0.2, "{falling:?}");
        let mut step = vec![0.0; 60];
        step[59] = 1.0;
        assert!(range(step).end > 1.0);
    }
}
