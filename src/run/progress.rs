//! What a run shows: lines on standard output, and on a terminal a bar below them.

use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use ::console::Term;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};

use super::pace::Pace;
use super::stats::Tick;
use crate::console::plain;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::store::run_folder::Log;
use crate::systems::{Report, Unit};

/// Columns that the bar itself takes at least, with the gap after it.
const LEAST_BAR: usize = 10;

/// Times a second that the bar is drawn, at most.
const DRAWN: u8 = 20;

/// The bar and the log of a run.
pub(crate) struct Progress {
    /// What stands below the lines; hidden where standard error is no terminal.
    screen: MultiProgress,
    bar: ProgressBar,
    pace: Pace,
    /// Lines until there is a log.
    early: Vec<String>,
    log: Option<Log>,
    quiet: bool,
}

impl Progress {
    /// Shows nothing if `quiet`; no bar where standard error is no terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        let target = match quiet || !io::stderr().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::term_like_with_hz(Box::new(Margin::default()), DRAWN),
        };
        Self {
            screen: MultiProgress::with_draw_target(target),
            bar: ProgressBar::hidden(),
            pace: Pace::default(),
            early: Vec::new(),
            log: None,
            quiet,
        }
    }

    /// Lines go to this log too, those of before first.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn log_to(&mut self, mut log: Log) -> Result<()> {
        for line in self.early.drain(..) {
            log.line(&line)?;
        }
        self.log = Some(log);
        Ok(())
    }

    /// Shows on standard error what another thread says: above the bar, or as the `last`
    /// words of the program in its place.
    pub(crate) fn voice(&self) -> impl Fn(&str, bool) + Send + 'static {
        let (screen, quiet) = (self.screen.clone(), self.quiet);
        move |text, last| {
            if quiet {
                return;
            }
            if last {
                // Drawing does not fail.
                let _ = screen.clear();
                screen.set_draw_target(ProgressDrawTarget::hidden());
            }
            // Where standard error is closed, nobody is there to be told.
            screen.suspend(|| _ = writeln!(io::stderr(), "{text}"));
        }
    }

    /// Starts the bar at `done` of `steps` on a device; while that compiles, the bar says
    /// how far it is.
    pub(crate) fn start(&mut self, gpu: &Gpu, done: u64, steps: u64) {
        self.end();
        self.pace = Pace::default();
        self.bar = self.below(gpu, ProgressBar::new(steps), "{wide_bar} {msg}{compiling}");
        self.bar.set_position(done);
        self.bar.set_message(format!("{done}/{steps}"));
    }

    /// Puts a bar on the screen, whose template may say `{compiling}`.
    fn below(&self, gpu: &Gpu, bar: ProgressBar, template: &str) -> ProgressBar {
        let compiling = gpu.compiling();
        let now = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let (kernels, done) = (compiling.kernels(), compiling.done());
            if kernels > 0 && done < 1.0 {
                let percent = 100.0 * done;
                // Writing into the line of the bar does not fail.
                let _ = write!(out, " compiling {kernels} kernels, {percent:.0} %");
            }
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("compiling", now));
        // A bar that ticks before it belongs to the screen draws a line of its own.
        let bar = self.screen.add(bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Does what compiles kernels of a device while the screen says how far that is.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn waiting<T>(&self, gpu: &Gpu, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let template = "{spinner} preparing{compiling} {elapsed}";
        let bar = self.below(gpu, ProgressBar::new_spinner(), template);
        let made = work();
        bar.finish_and_clear();
        made
    }

    /// As [`Progress::waiting`], and says then how long it took.
    ///
    /// # Errors
    /// Those of `work`, and where the log cannot be written.
    pub(crate) fn compiling<T>(
        &mut self,
        gpu: &Gpu,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let begin = Instant::now();
        let before = gpu.compiling().kernels();
        let made = self.waiting(gpu, work)?;
        let kernels = gpu.compiling().kernels() - before;
        self.line(&format!(
            "kernels: {kernels}, ready after {:.1} s",
            begin.elapsed().as_secs_f64()
        ))?;
        Ok(made)
    }

    /// A line for the screen and the log.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        if !self.quiet {
            let text = format!("{text}\n");
            self.screen.suspend(|| crate::console::print(&text))?;
        }
        self.note(text)
    }

    /// A line for the log alone.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn note(&mut self, text: &str) -> Result<()> {
        let text = plain(text);
        match &mut self.log {
            Some(log) => log.line(&text),
            None => {
                self.early.push(text.into_owned());
                Ok(())
            }
        }
    }

    /// One step is done, over so many images; `latest` are the last values of these
    /// reports, if any have arrived.
    pub(crate) fn step(&mut self, reports: &[Report], images: f64, latest: &[f64]) {
        self.pace.steps(Instant::now(), 1, images);
        self.bar.inc(1);
        if self.bar.is_hidden() {
            return;
        }
        let mut parts = Vec::new();
        parts.extend(self.pace.images().map(|speed| format!("{speed:.0} img/s")));
        parts.extend(self.pace.seconds().map(|time| format!("{time:.3} s/step")));
        for (report, value) in reports.iter().zip(latest) {
            parts.push(match report.unit {
                Unit::Loss => format!("{} {value:.3}", short(report.label)),
                _ => format!("{} {value:.2}", report.label),
            });
        }
        self.say(parts);
    }

    /// One step is done; the bar says this.
    pub(crate) fn advance(&mut self, message: String) {
        self.advance_by(1, message);
    }

    /// Several are.
    pub(crate) fn advance_by(&mut self, count: usize, message: String) {
        self.pace.steps(Instant::now(), count as u64, 0.0);
        self.bar.inc(count as u64);
        self.say(vec![message]);
    }

    /// Says beside the bar where it is, and of these parts what fits.
    fn say(&self, parts: Vec<String>) {
        let (done, steps) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let mut all = vec![format!("{done}/{steps}")];
        let left = self.left();
        all.extend(left.map(|left| format!("{} left", clock(left))));
        all.extend(parts);
        let columns = Margin::default().width();
        self.bar.set_message(fitting(&all, columns.into()));
    }

    /// Seconds that the steps take that are left, where that is known.
    pub(crate) fn left(&self) -> Option<f64> {
        let left = self.bar.length()?.saturating_sub(self.bar.position());
        Some(self.pace.seconds()? * left as f64)
    }

    /// The line of a tick with so many images a second.
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
        let rest = steps.saturating_sub(tick.step) as f64;
        let left = self.left().unwrap_or(tick.sec_per_step * rest);
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
        self.line(&text)
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A terminal whose last columns stay free: there it shows `^C` when that is typed, even
/// twice at once, which would begin a new line else and leave the bar behind. Where the
/// terminal has gone, as when its window was closed, nobody sees what is not drawn.
#[derive(Debug)]
struct Margin(Term);

impl Margin {
    const COLUMNS: u16 = 5;
}

impl Default for Margin {
    fn default() -> Self {
        Self(Term::buffered_stderr())
    }
}

/// Nothing, whether it could be drawn or not: a bar whose drawing fails panics.
fn drawn(_: io::Result<()>) -> io::Result<()> {
    Ok(())
}

impl TermLike for Margin {
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(Self::COLUMNS)
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_up(lines))
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_down(lines))
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_right(columns))
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_left(columns))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        drawn(self.0.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        drawn(self.0.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        drawn(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        drawn(self.0.flush())
    }
}

/// The first of these parts that fit beside a bar on a line of so many columns.
fn fitting(parts: &[String], columns: usize) -> String {
    let room = columns.saturating_sub(LEAST_BAR);
    let mut text = String::new();
    for part in parts {
        let longer = match text.is_empty() {
            true => part.clone(),
            false => format!("{text}  {part}"),
        };
        if ::console::measure_text_width(&longer) > room {
            break;
        }
        text = longer;
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_beside_the_bar_is_left_out_from_the_end() {
        let parts = [
            "1800/2500",
            "1:02:03 left",
            "117 img/s",
            "0.547 s/step",
            "D 0.693",
            "G 0.693",
            "D(x) 0.50",
            "D(G(z)) 0.50",
        ]
        .map(str::to_owned);
        assert_eq!(fitting(&parts, 250), parts.join("  "));
        assert_eq!(fitting(&parts, 80), parts[..6].join("  "));
        assert_eq!(fitting(&parts, 60), parts[..4].join("  "));
        assert_eq!(fitting(&parts, 10), "");
        for columns in 0..120 {
            let fitting = fitting(&parts, columns);
            assert!(fitting.is_empty() || fitting.len() + LEAST_BAR <= columns);
        }
    }

    #[test]
    fn the_log_holds_what_was_said_before_it_began() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.txt");
        let mut progress = Progress::new(true);
        progress.line("adapter: one").expect("said");
        let log = Log::open(&path).expect("a log");
        progress.log_to(log).expect("a log");
        progress.line("run: two").expect("said");
        let text = std::fs::read_to_string(path).expect("a log");
        let lines: Vec<&str> = text.lines().map(|line| &line[9..]).collect();
        assert_eq!(lines, ["adapter: one", "run: two"]);
    }
}
