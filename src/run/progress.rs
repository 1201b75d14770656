//! What a run shows: a progress bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stats::Tick;
use crate::console::plain;
use crate::error::Result;
use crate::store::run_folder::Log;
use crate::systems::{Report, Unit};

/// The bar and the log of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    log: Option<Log>,
    quiet: bool,
}

impl Progress {
    /// Shows nothing if `quiet`; no bar where standard error is no terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            log: None,
            quiet,
        }
    }

    /// Lines go to this log too from here on.
    pub(crate) fn log_to(&mut self, log: Log) {
        self.log = Some(log);
    }

    /// Starts the bar at `done` of `steps`.
    pub(crate) fn start(&mut self, done: u64, steps: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let style = "{bar:24} {pos}/{len} {msg} eta {eta}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_position(done);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = bar;
    }

    /// A line for the screen and the log.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        let text = &*plain(text);
        if !self.quiet {
            if self.bar.is_hidden() {
                crate::console::print(&format!("{text}\n"))?;
            } else {
                self.bar.println(text);
            }
        }
        self.note(text)
    }

    /// A line for the log alone.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn note(&mut self, text: &str) -> Result<()> {
        match &mut self.log {
            Some(log) => log.line(&plain(text)),
            None => Ok(()),
        }
    }

    /// One step is done, with so many images a second; `latest` are the last values
    /// of these reports, if any have arrived.
    pub(crate) fn step(&self, reports: &[Report], speed: f64, seconds: f64, latest: &[f64]) {
        self.bar.inc(1);
        if self.bar.is_hidden() {
            return;
        }
        let mut message = format!("{speed:.0} img/s {seconds:.3} s/step ");
        for (report, value) in reports.iter().zip(latest) {
            message += &match report.unit {
                Unit::Loss => format!(" {} {value:.3}", short(report.label)),
                _ => format!(" {} {value:.2}", report.label),
            };
        }
        self.bar.set_message(message);
    }

    /// One step is done; the bar says this.
    pub(crate) fn advance(&self, message: String) {
        self.advance_by(1, message);
    }

    /// Several are.
    pub(crate) fn advance_by(&self, count: usize, message: String) {
        self.bar.inc(count as u64);
        self.bar.set_message(message);
    }

    /// Whether the steps are shown by a bar.
    pub(crate) fn has_bar(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// The line of a tick with so many images a second: on the screen only where there is no bar.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn tick(
        &mut self,
        tick: &Tick,
        reports: &[Report],
        steps: u64,
        speed: f64,
    ) -> Result<()> {
        let left = tick.sec_per_step * steps.saturating_sub(tick.step) as f64;
        let mut text = format!(
            "step {}/{steps}  kimg {:.1}  {speed:.0} img/s  {:.3} s/step  left {}",
            tick.step,
            tick.kimg,
            tick.sec_per_step,
            clock(left),
        );
        for report in reports {
            text += &format!("  {} {:.3}", report.label, tick.report(report.name));
        }
        let shown = tick.reports.iter();
        for (name, value) in shown.filter(|(name, _)| reports.iter().all(|r| r.name != *name)) {
            text += &format!("  {} {value:.3}", name.replace('_', " "));
        }
        if let Some(health) = &tick.health {
            if !health.accuracy_real.is_nan() {
                text += &format!(
                    "  accuracy {:.2}/{:.2}",
                    health.accuracy_real, health.accuracy_fake
                );
            }
            if !health.diversity_ratio.is_nan() {
                text += &format!("  diversity {:.2}", health.diversity_ratio);
            }
            for verdict in health.verdicts.iter() {
                text += &format!("  {}!", verdict.name());
            }
        }
        if !self.quiet && self.bar.is_hidden() {
            crate::console::print(&format!("{text}\n"))?;
        }
        self.note(&text)
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A loss as the bar calls it: `loss D` is `D` there.
fn short(label: &str) -> &str {
    label.strip_prefix("loss ").unwrap_or(label)
}

/// `1:02:03` or `2:03`.
pub(crate) fn clock(seconds: f64) -> String {
    // Saturates where the rate is not known yet.
    let seconds = seconds as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}
