//! Points of a line: densities, and D beside D* as curves.

use plotters::{
    element::{Circle, PathElement, Polygon},
    style::{Color, RGBColor, ShapeStyle},
};

use super::density::REACH;
use super::picture::{
    BEST, FAKE, LEFT, Mark, REAL, SIZE, Scene, arrow, arrows, axes, caption, finish, part,
};
use crate::plot::{Area, Chart, Drawn, INK, SCALE, px, thick_line};

/// Generated points that are drawn on D with their pulls.
const ARROWS: usize = 40;

/// The axis of densities reaches this many times as high as the data's density.
const ROOM: f64 = 1.8;

pub(super) fn draw(area: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    let (width, height) = (SIZE.0 / 2, area.dim_in_pixel().1 / px(1) as u32);
    densities(&part(area, [0, 0], [width, height]), scene)?;
    discriminator(&part(area, [width, 0], [width, height]), scene)
}

/// The points of a curve on the lattice, within the chart.
fn curve(scene: &Scene<'_>, values: &[f64], [low, high]: [f64; 2]) -> Vec<(f64, f64)> {
    let lattice = scene.watcher.lattice;
    let places = values.iter().enumerate();
    places
        .map(|(index, &value)| (lattice.at(index), value.clamp(low, high)))
        .collect()
}

fn line(chart: &Chart<'_, '_>, points: &[(f64, f64)], colour: RGBColor) -> Drawn {
    let style = colour.filled().stroke_width(2 * SCALE);
    for run in points.split(|(_, y)| y.is_nan()) {
        thick_line(chart.plotting_area(), run, style)?;
    }
    Ok(())
}

fn densities(area: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    let most = scene.watcher.p.iter().copied().fold(0.0, f64::max);
    let y = [0.0, ROOM * most];
    let mut chart = axes(area, ["x", ""], [-REACH, REACH], y)?;
    let curves = [(&scene.watcher.p, REAL), (&scene.view.q, FAKE)];
    for (values, colour) in curves {
        let mut below = curve(scene, values, y);
        below.insert(0, (-REACH, 0.0));
        below.push((REACH, 0.0));
        chart
            .plotting_area()
            .draw(&Polygon::new(below, colour.mix(0.15).filled()))?;
    }
    for (values, colour) in curves {
        line(&chart, &curve(scene, values, y), colour)?;
    }
    finish(area, &mut chart)?;
    let items = [
        (Mark::Line(REAL), "p(x), density of the data".into()),
        (Mark::Line(FAKE), "q(x), density of generated points".into()),
    ];
    caption(area, LEFT, 13, &items)
}

fn discriminator(area: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    let optimum = &scene.watcher.optimum;
    let best = optimum.surface(&scene.watcher.p, &scene.view.q);
    let y = optimum.range().map_or_else(
        || {
            let of = scene.view.surface.iter().copied();
            let (low, high) = (
                of.clone().fold(f64::INFINITY, f64::min),
                of.fold(f64::MIN, f64::max),
            );
            let margin = 0.08 * (high - low).max(1e-6);
            [low - margin, high + margin]
        },
        |[low, high]| [low - 0.06 * (high - low), high + 0.06 * (high - low)],
    );
    let mut chart = axes(area, ["x", ""], [-REACH, REACH], y)?;
    let middle = ShapeStyle::from(RGBColor(176, 182, 190)).stroke_width(SCALE);
    if let Some([low, high]) = optimum.range() {
        let level = (low + high) / 2.0;
        chart
            .plotting_area()
            .draw(&PathElement::new([(-REACH, level), (REACH, level)], middle))?;
    }
    let mut items = vec![(Mark::Line(INK), "D(x)".to_owned())];
    match &best {
        Some(best) => {
            line(&chart, &curve(scene, best, y), BEST)?;
            let what = match optimum.range() {
                Some([-1.0, _]) => "sign(p - q)",
                _ => "p / (p + q)",
            };
            items.push((Mark::Line(BEST), format!("D*(x) = {what}, the best D")));
        }
        None => items.push((Mark::Word, "(a critic's score: there is no D*)".into())),
    }
    line(&chart, &curve(scene, &scene.view.surface, y), INK)?;

    let plot = chart.plotting_area();
    let origin = area.get_base_pixel();
    let pixel = |x: f64, y: f64| {
        let (x, y) = plot.map_coordinate(&(x, y));
        (x - origin.0, y - origin.1)
    };
    for (index, end) in arrows(scene, ARROWS) {
        let x = f64::from(scene.view.generated[index]);
        let d = scene.view.judged[index].clamp(y[0], y[1]);
        plot.draw(&Circle::new((x, d), px(3), FAKE.filled()))?;
        arrow(area, pixel(x, d), pixel(end[0], d))?;
    }
    finish(area, &mut chart)?;
    caption(area, LEFT, 13, &items)
}
