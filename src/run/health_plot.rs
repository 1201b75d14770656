//! `health.png`: the curves of the training's health.

use std::path::Path;

use image::RgbImage;

use super::health::{ACCURACY, DIVERSITY, GRADIENT, LOGIT_GRADIENT, MEMORY, Measures, TWINS};
use super::stats::{self, Tick};
use crate::error::Result;
use crate::media::figures::save_png;
use crate::plot::{COLOURS, Panel, Series, charts, y_range};

/// Width and height of the plot in pixels.
pub const SIZE: (u32, u32) = (1000, 1020);

/// Least value of a logarithmic axis.
const SMALLEST: f64 = 1e-12;

/// Draws, over the steps, what was measured of: D's accuracy on real and generated
/// images; how samples compare with the data (diversity, nearest samples, nearest
/// training images); and the logarithms of the gradients' lengths; with the limits of the
/// verdicts that lie within.
///
/// # Errors
/// As of [`super::loss_plot::losses`].
pub fn health(ticks: &[Tick]) -> Result<RgbImage> {
    // A run that was stopped between two ticks measured nothing at its end.
    let measured = ticks.iter().filter(|tick| tick.health.is_some());
    let ticks = &measured.cloned().collect::<Vec<Tick>>()[..];
    let of = |label: &str, colour: usize, value: &dyn Fn(&Measures) -> f64| {
        let values = ticks
            .iter()
            .map(|tick| tick.health.as_ref().map_or(f64::NAN, value));
        Series::new(label, COLOURS[colour % COLOURS.len()], values)
    };
    let log = |x: f64| x.clamp(SMALLEST, f64::MAX).log10();
    let accuracy = vec![
        of("accuracy on real", 2, &|m| m.accuracy_real),
        of("on generated", 3, &|m| m.accuracy_fake),
    ];
    let mut ratios = vec![
        of("diversity (distance of samples)", 0, &|m| m.diversity_ratio),
        of("nearest sample", 1, &|m| m.twin_ratio),
        of("nearest training image", 2, &|m| m.memory_ratio),
    ];
    let last = ticks.last().and_then(|tick| tick.health.as_ref());
    let networks = last.map(|measures| measures.all("gradient").map(|(name, _)| name));
    let mut gradients: Vec<Series> = networks
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, network)| {
            let label = format!("gradient {}", network.to_uppercase());
            // One colour is that of logits.
            let colour = if index < 3 { index } else { index + 1 };
            of(&label, colour, &|m| log(m.gradient(network)))
        })
        .collect();
    let is_there = |series: &[Series]| series.iter().flat_map(Series::finite).next().is_some();
    // A batch of one has no distances within it.
    ratios.retain(|series| is_there(std::slice::from_ref(series)));
    let logits = of("gradient per logit", 3, &|m| log(m.gradient_logits));
    if is_there(std::slice::from_ref(&logits)) {
        gradients.push(logits);
    }
    let top = ratios.iter().flat_map(Series::finite).fold(1.0, f64::max);
    let mut panels = Vec::new();
    if is_there(&accuracy) {
        panels.push(Panel {
            y_label: "fraction of the batch",
            x_label: "",
            y: 0.0..1.0,
            series: accuracy,
            limits: vec![(ACCURACY, "overpowered: above, with a low loss")],
            height: 320,
        });
    }
    if is_there(&ratios) {
        panels.push(Panel {
            y_label: "ratio to the data",
            x_label: "",
            y: 0.0..top.min(2.0) * 1.05,
            series: ratios,
            limits: vec![
                (MEMORY, "memorising: nearest training image below"),
                (DIVERSITY, "collapse: diversity below"),
                (TWINS, "collapse: nearest sample below"),
            ],
            height: 340,
        });
    }
    panels.push(Panel {
        y_label: "log10 of norm",
        x_label: "step",
        y: y_range(&gradients),
        series: gradients,
        limits: vec![
            (
                LOGIT_GRADIENT.log10(),
                "vanishing: gradient per logit below",
            ),
            (GRADIENT.log10(), "vanishing: of G below"),
        ],
        height: 0,
    });
    charts(
        &stats::steps(ticks),
        &panels,
        &stats::rollbacks(ticks),
        SIZE,
    )
}

/// Draws [`health`] into a PNG file, which is replaced whole.
///
/// # Errors
/// As of [`health`], and [`crate::Error::Io`] if the file cannot be written.
pub fn save(ticks: &[Tick], path: &Path) -> Result<()> {
    save_png(health(ticks)?, path)
}
