//! `losses.png`: the training curves.

use std::path::Path;

use image::RgbImage;

use super::stats::{self, Tick};
use crate::error::Result;
use crate::media::figures::save_png;
use crate::plot::{COLOURS, Panel, Series, charts, y_range};
use crate::systems::{Report, Unit};

/// Width and height of the plot in pixels.
pub const SIZE: (u32, u32) = (1000, 700);

/// Height of the losses' panel where there is another below.
const LOSSES: u32 = 385;

/// Draws reports over the steps, losses above and the others below: every tick as
/// a thin pale line, which breaks where a value is not finite, and a moving average
/// over a thirtieth of the ticks on top. Rollbacks are marked at the steps that they led
/// to. An axis of outputs is [0, 1] unless the
/// discriminator is a critic whose scores exceed it.
///
/// # Errors
/// [`crate::Error::Usage`] if drawing fails, which no values of the ticks cause.
pub fn losses(ticks: &[Tick], reports: &[Report]) -> Result<RgbImage> {
    let of = |wanted: &[Unit]| -> Vec<Series> {
        let colours = COLOURS.iter().cycle();
        let all = reports.iter().zip(colours);
        let chosen = all.filter(|(report, _)| wanted.contains(&report.unit));
        chosen
            .map(|(report, &colour)| {
                let values = ticks.iter().map(|tick| tick.report(report.name));
                Series::new(report.label, colour, values)
            })
            .collect()
    };
    let loss = of(&[Unit::Loss]);
    let others = of(&[Unit::Output, Unit::Share, Unit::Nats]);
    let inside = |v: f64| (0.0..=1.0).contains(&v);
    let shares = others.iter().flat_map(Series::finite).all(inside);
    let mut panels = vec![Panel {
        y_label: "loss",
        x_label: if others.is_empty() { "step" } else { "" },
        y: y_range(&loss),
        series: loss,
        limits: Vec::new(),
        height: if others.is_empty() { 0 } else { LOSSES },
    }];
    if !others.is_empty() {
        let any = |unit| reports.iter().any(|report| report.unit == unit);
        panels.push(Panel {
            y_label: match shares {
                _ if any(Unit::Nats) => "nats",
                true if any(Unit::Output) => "probability",
                true => "fraction",
                false => "critic score",
            },
            x_label: "step",
            y: if shares { 0.0..1.0 } else { y_range(&others) },
            series: others,
            limits: Vec::new(),
            height: 0,
        });
    }
    charts(
        &stats::steps(ticks),
        &panels,
        &stats::rollbacks(ticks),
        SIZE,
    )
}

/// Draws [`losses`] into a PNG file, which is replaced whole.
///
/// # Errors
/// As of [`losses`], and [`crate::Error::Io`] if the file cannot be written.
pub fn save(ticks: &[Tick], reports: &[Report], path: &Path) -> Result<()> {
    save_png(losses(ticks, reports)?, path)
}
