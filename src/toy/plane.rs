//! Points of the plane: the points with their pulls, D's surface, and D*.

use plotters::{
    element::{BitMapElement, Circle, Rectangle},
    style::{
        Color, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::density::{REACH, share};
use super::picture::{FAKE, LEFT, Mark, REAL, Scene, arrow, arrows, axes, caption, finish, part};
use crate::plot::{Area, Chart, Drawn, font, px, short};

/// Width of a map with its axes, and of the colour bar.
const MAP: u32 = 374;
const BAR: u32 = 70;

/// Generated points with an arrow.
const ARROWS: usize = 160;

/// Colours between the least and the greatest value of a surface.
const BANDS: f64 = 21.0;

/// Where nothing is known.
const UNKNOWN: RGBColor = RGBColor(214, 216, 219);

pub(super) fn draw(area: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    let height = area.dim_in_pixel().1 / px(1) as u32;
    let map = |index: u32| part(area, [index * MAP, 0], [MAP, height]);
    points(&map(0), scene)?;
    let optimum = &scene.watcher.optimum;
    let (p, q) = (&scene.watcher.p, &scene.view.q);
    let ends = optimum
        .range()
        .unwrap_or_else(|| percentiles(&scene.view.surface));
    let title = match (optimum.range(), optimum.is_probability()) {
        (Some(_), true) => "D(x), the discriminator",
        (Some(_), false) => "D(x), the discriminator's score",
        (None, _) => "D(x), the critic's score",
    };
    surface(&map(1), scene, title, &scene.view.surface, ends)?;
    match optimum.surface(p, q) {
        Some(best) => {
            let title = match optimum.range() {
                Some([-1.0, _]) => "D*(x) = sign(p - q), the best D",
                _ => "D*(x) = p / (p + q), the best D",
            };
            surface(&map(2), scene, title, &best, ends)?;
        }
        None => {
            let title = "p / (p + q), 0 to 1 (a critic has no D*)";
            let shares: Vec<f64> = share(p, q, 1).collect();
            surface(&map(2), scene, title, &shares, [0.0, 1.0])?;
        }
    }
    bar(&part(area, [3 * MAP, 0], [BAR, height]), ends)
}

fn map<'a, 'b>(area: &'a Area<'b>) -> Drawn<Chart<'a, 'b>> {
    axes(area, ["x1", "x2"], [-REACH, REACH], [-REACH, REACH])
}

fn heading(area: &Area<'_>, text: &str) -> Drawn {
    caption(area, LEFT, 13, &[(Mark::Word, text.to_owned())])
}

fn points(area: &Area<'_>, scene: &Scene<'_>) -> Drawn {
    heading(area, "points")?;
    let mut chart = map(area)?;
    let plot = chart.plotting_area();
    let inside = |point: &[f32]| point.iter().all(|x| f64::from(x.abs()) < REACH);
    let generated = &scene.view.generated;
    // Larger, to be seen around the generated points that hide them.
    let real = (&scene.watcher.real, REAL, px(3));
    for (points, colour, radius) in [real, (generated, FAKE, px(1) + 1)] {
        for point in points.chunks(2).filter(|point| inside(point)) {
            let place = (f64::from(point[0]), f64::from(point[1]));
            plot.draw(&Circle::new(place, radius, colour.mix(0.75).filled()))?;
        }
    }
    let origin = area.get_base_pixel();
    let pixel = |x: f64, y: f64| {
        let (x, y) = plot.map_coordinate(&(x, y));
        (x - origin.0, y - origin.1)
    };
    for (index, end) in arrows(scene, ARROWS) {
        let [x, y] = [0, 1].map(|axis| f64::from(generated[2 * index + axis]));
        arrow(area, pixel(x, y), pixel(end[0], end[1]))?;
    }
    finish(area, &mut chart)
}

/// Values on the lattice as colours from `low` to `high`.
fn surface(
    area: &Area<'_>,
    scene: &Scene<'_>,
    title: &str,
    values: &[f64],
    [low, high]: [f64; 2],
) -> Drawn {
    heading(area, title)?;
    let mut chart = map(area)?;
    let plot = chart.plotting_area();
    let (width, height) = plot.dim_in_pixel();
    let side = scene.watcher.lattice.side;
    let between = |x: f64, y: f64| {
        // Middles of cells stand for what is between them; the outermost halves
        // of cells repeat them.
        let place = |t: f64| (t * side as f64 - 0.5).clamp(0.0, side as f64 - 1.0);
        let (x, y) = (place(x), place(y));
        let (i, j) = (x as usize, y as usize);
        let (next_i, next_j) = ((i + 1).min(side - 1), (j + 1).min(side - 1));
        let (u, v) = (x.fract(), y.fract());
        let row = |j: usize| (1.0 - u) * values[j * side + i] + u * values[j * side + next_i];
        (1.0 - v) * row(j) + v * row(next_j)
    };
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for row in 0..height {
        for column in 0..width {
            let x = (f64::from(column) + 0.5) / f64::from(width);
            let y = 1.0 - (f64::from(row) + 0.5) / f64::from(height);
            let colour = colour((between(x, y) - low) / (high - low));
            pixels.extend_from_slice(&[colour.0, colour.1, colour.2]);
        }
    }
    if let Some(picture) =
        BitMapElement::with_owned_buffer((-REACH, REACH), (width, height), pixels)
    {
        plot.draw(&picture)?;
    }
    finish(area, &mut chart)
}

/// A value from 0, generated, to 1, real, in bands; the middle one is pale.
fn colour(value: f64) -> RGBColor {
    if value.is_nan() {
        return UNKNOWN;
    }
    let band = (value.clamp(0.0, 1.0) * BANDS).floor().min(BANDS - 1.0);
    let away = (2.0 * band / (BANDS - 1.0) - 1.0) * 0.85;
    let end = if away < 0.0 { FAKE } else { REAL };
    let mix = |end: u8| (f64::from(end) * away.abs() + 250.0 * (1.0 - away.abs())) as u8;
    RGBColor(mix(end.0), mix(end.1), mix(end.2))
}

/// The colours with the values at their ends and in the middle.
fn bar(area: &Area<'_>, [low, high]: [f64; 2]) -> Drawn {
    let (top, base) = (px(32), area.dim_in_pixel().1 as i32 - px(40));
    let style = font(12).pos(Pos::new(HPos::Left, VPos::Center));
    let height = f64::from(base - top) / BANDS;
    for band in 0..BANDS as i32 {
        let at = |band: i32| base - (f64::from(band) * height) as i32;
        let shade = colour((f64::from(band) + 0.5) / BANDS);
        let corners = [(0, at(band + 1)), (px(14), at(band))];
        area.draw(&Rectangle::new(corners, shade.filled()))?;
    }
    for (part, value) in [(0.0, low), (0.5, (low + high) / 2.0), (1.0, high)] {
        let y = f64::from(base) - part * f64::from(base - top);
        let y = (y as i32).clamp(top + px(5), base - px(5));
        let text = short(value, 10.0 * (high - low));
        area.draw_text(&text, &style, (px(19), y + px(3)))?;
    }
    let words = [("real", top - px(12)), ("generated", base + px(12))];
    for (word, y) in words {
        area.draw_text(word, &style, (0, y + px(3)))?;
    }
    Ok(())
}

/// Ends of a scale without the outermost hundredth at each side.
fn percentiles(values: &[f64]) -> [f64; 2] {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => [0.0, 1.0],
        n => {
            let (low, high) = (sorted[n / 100], sorted[n - 1 - n / 100]);
            [low, high.max(low + 1e-6)]
        }
    }
}
