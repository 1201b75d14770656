//! One moment of a run as a picture: points and surfaces above, charts over the
//! steps below.

use image::RgbImage;
use plotters::{
    backend::BitMapBackend,
    chart::ChartBuilder,
    drawing::IntoDrawingArea,
    element::{Circle, PathElement, Rectangle},
    style::{
        Color, RGBColor, ShapeStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::density::{BANDWIDTH, REACH};
use super::watch::{Record, View, Watcher};
use super::{line, plane};
use crate::adversarial::{Form, Loss};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::plot::{
    Area, Chart, Drawn, FRAME, GRID, INK, SCALE, font, px, register, short, thick_line,
};

/// Width and height in pixels.
pub const SIZE: (u32, u32) = (1200, 764);

/// What is real: data and where D says so.
pub(super) const REAL: RGBColor = RGBColor(31, 104, 176);
/// What is generated, and where D says so.
pub(super) const FAKE: RGBColor = RGBColor(222, 98, 22);
/// What is best.
pub(super) const BEST: RGBColor = RGBColor(24, 138, 96);

/// A level to be reached.
const LEVEL: RGBColor = RGBColor(176, 42, 108);

/// Length of a full arrow.
const ARROW: f64 = 0.35;

/// Where captions of parts begin.
pub(super) const LEFT: (i32, i32) = (50 * SCALE as i32, 18 * SCALE as i32);

/// The rows: header, what is seen, charts; the rest is the footer.
const ROWS: [u32; 3] = [64, 404, 262];

/// Everything that a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Of the run.
    pub config: &'a Config,
    /// What the players minimise.
    pub loss: &'a Loss,
    /// The report of the discriminator's loss.
    pub loss_d: &'a str,
    /// What distinguishes the game.
    pub traits: &'a [String],
    /// Name of the data.
    pub data: &'a str,
    /// Its modes, where there are any.
    pub modes: Option<usize>,
    /// What does not change.
    pub watcher: &'a Watcher,
    /// All moments so far.
    pub records: &'a [Record],
    /// The last of them.
    pub view: &'a View,
}

/// Draws a scene, twice as large as [`SIZE`], to be shrunk.
///
/// # Errors
/// [`Error::Usage`] if drawing fails, which no values cause.
pub fn draw(scene: &Scene<'_>) -> Result<RgbImage> {
    let size = (SIZE.0 * SCALE, SIZE.1 * SCALE);
    let mut canvas = RgbImage::new(size.0, size.1);
    paint(&mut canvas, size, scene).map_err(|e| {
        Error::usage(
            format!("cannot draw the run: {e}"),
            "this is a bug, report it with stats.jsonl",
        )
    })?;
    Ok(canvas)
}

fn paint(canvas: &mut [u8], size: (u32, u32), scene: &Scene<'_>) -> Drawn {
    register();
    let root = BitMapBackend::with_buffer(canvas, size).into_drawing_area();
    root.fill(&WHITE)?;
    header(&root, scene)?;
    let seen = part(&root, [0, ROWS[0]], [SIZE.0, ROWS[1]]);
    match scene.watcher.lattice.dimensions {
        1 => line::draw(&seen, scene)?,
        _ => plane::draw(&seen, scene)?,
    }
    let width = SIZE.0 / 3;
    for (index, panel) in charts(scene).iter().enumerate() {
        let corner = [index as u32 * width, ROWS[0] + ROWS[1]];
        chart(&part(&root, corner, [width, ROWS[2]]), scene, panel)?;
    }
    let style = font(12).pos(Pos::new(HPos::Left, VPos::Center));
    let middle = (SIZE.1 + ROWS.iter().sum::<u32>()) / 2;
    root.draw_text(&footer(scene), &style, (px(24), px(middle)))?;
    root.present()
}

/// A part of an area, in pixels of the final picture.
pub(super) fn part<'a>(area: &Area<'a>, corner: [u32; 2], size: [u32; 2]) -> Area<'a> {
    let [corner, size] = [corner, size].map(|pair| (px(pair[0]), px(pair[1])));
    area.clone().shrink(corner, (size.0 as u32, size.1 as u32))
}

/// A sign and what it stands for.
pub(super) enum Mark {
    Word,
    Dot(RGBColor),
    Line(RGBColor),
    Arrow,
}

/// A row of signs with words; its height is given by the middle of the text.
pub(super) fn caption(
    area: &Area<'_>,
    (mut x, y): (i32, i32),
    size: u32,
    items: &[(Mark, String)],
) -> Drawn {
    let style = font(size).pos(Pos::new(HPos::Left, VPos::Center));
    for (mark, text) in items {
        match mark {
            Mark::Word => {}
            Mark::Dot(colour) => {
                area.draw(&Circle::new((x + px(5), y), px(4), colour.filled()))?;
                x += px(14);
            }
            Mark::Line(colour) => {
                let ends = [(x, y - px(2) + 1), (x + px(16), y + px(1))];
                area.draw(&Rectangle::new(ends, colour.filled()))?;
                x += px(22);
            }
            Mark::Arrow => {
                arrow(area, (x, y), (x + px(18), y))?;
                x += px(24);
            }
        }
        // The font backend sets text above the middle of its box.
        area.draw_text(text, &style, (x, y + px(3)))?;
        x += area.estimate_text_size(text, &style)?.0 as i32 + px(18);
    }
    Ok(())
}

/// An arrow between two pixels.
pub(super) fn arrow(area: &Area<'_>, from: (i32, i32), to: (i32, i32)) -> Drawn {
    let style = ShapeStyle::from(INK).stroke_width(SCALE);
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy);
    if length < 2.0 {
        return Ok(());
    }
    area.draw(&PathElement::new([from, to], style))?;
    let head = (0.4 * length).min(f64::from(px(5)));
    for side in [-0.45, 0.45] {
        let (along, across) = (head / length, head * side / length);
        let tip = (
            to.0 - (dx * along - dy * across) as i32,
            to.1 - (dy * along + dx * across) as i32,
        );
        area.draw(&PathElement::new([to, tip], style))?;
    }
    Ok(())
}

fn header(root: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    let config = scene.config;
    let step = scene.records.last().map_or(0, |record| record.tick.step);
    let mut text = format!("{}: {}", scene.data, scene.traits.join(", "));
    text += &format!(", step {step} of {}", config.steps);
    caption(root, (px(24), px(22)), 18, &[(Mark::Word, text)])?;
    let pull = match scene.loss.kind.facts().pull {
        None => "slope of D at a generated point",
        Some(_) => "pull of the generator's loss on a generated point",
    };
    let items = [
        (Mark::Dot(REAL), "data".into()),
        (Mark::Dot(FAKE), "generated".into()),
        (
            Mark::Arrow,
            format!(
                "{pull} (of full length: {} or more)",
                short(full_length(scene), 0.0)
            ),
        ),
    ];
    caption(root, (px(24), px(48)), 14, &items)
}

/// The pull whose arrow has full length: 95 in 100 are shorter.
fn full_length(scene: &Scene<'_>) -> f64 {
    let of = |pull: &[f32]| pull.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let pulls = scene.view.pull.chunks(scene.watcher.lattice.dimensions);
    let mut lengths: Vec<f64> = pulls.map(|pull| of(pull).sqrt()).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let place = lengths.len() * 95 / 100;
    lengths.get(place).map_or(1.0, |x| x.max(f64::MIN_POSITIVE))
}

/// The generated points in view, the first `count` of them, each with its place
/// in the view and the end of its arrow.
pub(super) fn arrows(scene: &Scene<'_>, count: usize) -> Vec<(usize, Vec<f64>)> {
    let (view, dimensions) = (scene.view, scene.watcher.lattice.dimensions);
    let full = full_length(scene);
    let points = view.generated.chunks(dimensions);
    points
        .zip(view.pull.chunks(dimensions))
        .enumerate()
        .filter(|(_, (point, _))| point.iter().all(|x| f64::from(x.abs()) < REACH))
        .take(count)
        .map(|(index, (point, pull))| {
            let length = pull.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
            let scale = ARROW / length.sqrt().max(full);
            let end = point.iter().zip(pull).map(|(&x, &dx)| {
                let end = f64::from(x) + scale * f64::from(dx);
                end.clamp(-REACH, REACH)
            });
            (index, end.collect())
        })
        .collect()
}

/// How the densities are known.
fn footer(scene: &Scene<'_>) -> String {
    let watcher = scene.watcher;
    let p = if watcher.exact {
        "p is the exact density of the data".to_owned()
    } else {
        format!("p is estimated from {} data points", watcher.estimated())
    };
    let mut text = format!(
        "{p}, q is estimated from {} generated points; both are smoothed by a normal kernel of deviation {BANDWIDTH}.",
        watcher.estimated(),
    );
    if scene.modes.is_some_and(|modes| modes > 1) {
        text += " High quality: within 3 deviations of a mode.";
    }
    if watcher.lattice.dimensions == 2 {
        text += " Grey: neither p nor q.";
    }
    text
}

/// A chart over the steps.
struct Panel {
    /// Names, colours and values of the curves.
    curves: Vec<(&'static str, RGBColor, Vec<f64>)>,
    /// What it is, and a level to be reached; NaN where there is none.
    level: (String, f64),
    /// Ends of the axis where they do not follow the values.
    axis: Option<[f64; 2]>,
}

fn charts(scene: &Scene<'_>) -> [Panel; 3] {
    let series = |of: &dyn Fn(&Record) -> f64| scene.records.iter().map(of).collect::<Vec<_>>();
    let optimum = &scene.watcher.optimum;
    let d_weight = scene.loss.d_weight;
    let (sign, name, name_best) = match scene.loss.kind.facts().form {
        Form::Entropy => (-1.0, "V(D, G)", "V(D*, G)"),
        Form::Gap => (-1.0, "gap E D(x) - E D(G(z))", ""),
        Form::Relative | Form::Square | Form::Margin => (1.0, "loss of D", "loss of D*"),
    };
    let mut curves = vec![(
        name,
        INK,
        series(&|record| sign * record.tick.report(scene.loss_d) / d_weight),
    )];
    if scene
        .records
        .iter()
        .any(|record| record.best_loss_d.is_some())
    {
        let best = series(&|record| record.best_loss_d.map_or(f64::NAN, |loss| sign * loss));
        curves.push((name_best, BEST, best));
    }
    let joint = sign * optimum.joint();
    let game = Panel {
        curves,
        level: (format!("if q = p: {}", short(joint, 10.0)), joint),
        axis: None,
    };
    let divergence = Panel {
        curves: vec![("Jensen-Shannon divergence, nats", INK, series(&|r| r.jsd))],
        level: ("if q = p: 0".into(), 0.0),
        axis: Some([0.0, 0.72]),
    };
    let Some(modes) = scene.modes.filter(|&modes| modes > 1) else {
        let outputs = Panel {
            curves: vec![
                ("mean D(x)", REAL, series(&|r| r.tick.report("d_real"))),
                ("mean D(G(z))", FAKE, series(&|r| r.tick.report("d_fake"))),
            ],
            level: (String::new(), f64::NAN),
            axis: optimum.is_probability().then_some([0.0, 1.0]),
        };
        return [game, divergence, outputs];
    };
    let score = |of: fn(&super::score::Coverage) -> f64| {
        series(&|record| record.score.as_ref().map_or(f64::NAN, of))
    };
    let captured = Panel {
        curves: vec![("modes captured", INK, score(|s| s.modes as f64))],
        level: (format!("all {modes}"), modes as f64),
        axis: Some([0.0, modes as f64 * 1.1]),
    };
    // Of a normal distribution, what lies within three deviations.
    let ceiling = if scene.watcher.lattice.dimensions == 1 {
        99.7
    } else {
        98.9
    };
    let quality = Panel {
        curves: vec![("high quality samples, %", INK, score(|s| 100.0 * s.quality))],
        level: (format!("data {ceiling}"), ceiling),
        axis: Some([0.0, 110.0]),
    };
    [game, captured, quality]
}

/// The axis of a panel: wide enough for its values and the best one.
fn axis(panel: &Panel) -> [f64; 2] {
    if let Some(axis) = panel.axis {
        return axis;
    }
    let values = panel.curves.iter().flat_map(|(_, _, values)| values);
    let finite = values.chain([&panel.level.1]).filter(|v| v.is_finite());
    let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &v| {
        [low.min(v), high.max(v)]
    });
    if low > high {
        // Before the first step there are no losses.
        return [0.0, 1.0];
    }
    let margin = 0.08 * (high - low).max(0.1);
    [low - margin, high + margin]
}

fn chart(area: &Area<'_>, scene: &Scene<'_>, panel: &Panel) -> Drawn {
    let [low, high] = axis(panel);
    let steps = scene.config.steps as f64;
    let mut chart = axes(area, ["step", ""], [0.0, steps], [low, high])?;
    let plot = chart.plotting_area();
    if panel.level.1.is_finite() {
        let ends = [(0.0, panel.level.1), (steps, panel.level.1)];
        let style = ShapeStyle::from(LEVEL).stroke_width(SCALE);
        plot.draw(&PathElement::new(ends, style))?;
    }
    for (_, colour, values) in &panel.curves {
        let points: Vec<(f64, f64)> = scene
            .records
            .iter()
            .zip(values)
            .filter(|(_, value)| value.is_finite())
            .map(|(record, value)| (record.tick.step as f64, value.clamp(low, high)))
            .collect();
        thick_line(plot, &points, colour.filled().stroke_width(2 * SCALE))?;
    }
    finish(area, &mut chart)?;
    let mut items: Vec<(Mark, String)> = panel
        .curves
        .iter()
        .map(|(name, colour, values)| {
            let last = values.iter().rev().find(|v| v.is_finite());
            let last = last.map_or(String::new(), |v| format!(" {}", short(*v, 0.0)));
            (Mark::Line(*colour), format!("{name}{last}"))
        })
        .collect();
    if panel.level.1.is_finite() {
        items.push((Mark::Line(LEVEL), panel.level.0.clone()));
    }
    caption(area, LEFT, 13, &items)
}

/// Named axes over an area, below a caption.
pub(super) fn axes<'a, 'b>(
    area: &'a Area<'b>,
    [x_name, y_name]: [&str; 2],
    x: [f64; 2],
    y: [f64; 2],
) -> Drawn<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(32))
        .margin_right(px(12))
        .margin_left(px(8))
        .x_label_area_size(px(36))
        .y_label_area_size(px(42))
        .build_cartesian_2d(x[0]..x[1], y[0]..y[1])?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(ShapeStyle::from(GRID).stroke_width(SCALE))
        .axis_style(ShapeStyle::from(FRAME).stroke_width(SCALE))
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|v| short(*v, x[1] - x[0]))
        .y_label_formatter(&|v| short(*v, y[1] - y[0]))
        .label_style(font(12))
        .axis_desc_style(font(12))
        .x_desc(x_name)
        .y_desc(y_name)
        .draw()?;
    Ok(chart)
}

/// The outline of a chart, over what lies in it.
pub(super) fn finish(area: &Area<'_>, chart: &mut Chart<'_, '_>) -> Drawn {
    let (xs, ys) = chart.plotting_area().get_pixel_range();
    let origin = area.get_base_pixel();
    let [left, right] = [xs.start, xs.end].map(|x| x - origin.0);
    let [top, base] = [ys.start, ys.end].map(|y| y - origin.1);
    let corners = [
        (left, top),
        (right, top),
        (right, base),
        (left, base),
        (left, top),
    ];
    area.draw(&PathElement::new(
        corners,
        ShapeStyle::from(FRAME).stroke_width(SCALE),
    ))
}
