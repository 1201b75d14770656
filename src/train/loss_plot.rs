//! `losses.png`: the training curves.

use std::path::Path;

use image::RgbImage;

use super::figures::save_png;
use super::stats::{self, Tick};
use crate::error::Result;
use crate::plot::{COLOURS, Panel, Series, charts, y_range};

/// Width and height of the plot in pixels.
pub const SIZE: (u32, u32) = (1000, 700);

/// Draws the losses of D and G (above) and D(x) and D(G(z)) (below) over the
/// steps: every tick as a thin pale line, which breaks where a value is not
/// finite, and a moving average over a thirtieth of the ticks on top. The lower
/// axis is [0, 1] unless D is a critic whose scores exceed it.
///
/// # Errors
/// [`crate::Error::Usage`] if drawing fails, which no values of the ticks cause.
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
    charts(&stats::steps(ticks), &panels, SIZE)
}

/// Draws [`losses`] into a PNG file, which is replaced whole.
///
/// # Errors
/// As of [`losses`], and [`crate::Error::Io`] if the file cannot be written.
pub fn save_losses(ticks: &[Tick], path: &Path) -> Result<()> {
    save_png(losses(ticks)?, path)
}
