//! Values over steps as points of a line: thinned, smoothed, and the axes that hold
//! them.

use std::ops::Range;

/// Points to which a smoothed line is thinned: about one a pixel.
const COLUMNS: usize = 900;
/// A moving average spans this part of all ticks.
const WINDOW_PART: usize = 30;

/// The stretches of points between those that are not finite.
pub(super) fn runs(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    points
        .split(|(_, y)| !y.is_finite())
        .filter(|run| !run.is_empty())
}

/// At most about four points a column of the chart: first, least, greatest and
/// last of the ticks in it, in order, so that no spike is lost.
pub(super) fn thinned(steps: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
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
pub(super) fn smoothed(steps: &[f64], values: &[f64], y: &Range<f64>) -> Vec<(f64, f64)> {
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

pub(super) fn span(range: &Range<f64>) -> f64 {
    range.end - range.start
}

pub(super) fn x_range(steps: &[f64]) -> Range<f64> {
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if last > first => *first..*last,
        (Some(first), _) => first - 1.0..first + 1.0,
        _ => 0.0..1.0,
    }
}
