//! `stats.jsonl`: what was measured, one JSON object a line.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    plot::Marks,
    run::health::{Measures, number_or_null, numbers_or_null},
    store::replace::replace,
};

/// The state of the training after `step` steps. A value that is not finite or
/// does not exist is NaN here and `null` in the file, as JSON has no NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Steps since the start of the training.
    pub step: u64,
    /// Thousands of real records that were taken from the data.
    #[serde(deserialize_with = "number_or_null")]
    pub kimg: f64,
    /// Wall-clock seconds a step.
    #[serde(deserialize_with = "number_or_null")]
    pub sec_per_step: f64,
    /// GPU memory held by the run, in bytes.
    pub memory_bytes: u64,
    /// Rollbacks until then.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rollbacks: u32,
    /// The training's health at the end of the tick, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Measures>,
    /// What the steps reported, mean over the tick, and what the system shows of
    /// its memory.
    #[serde(flatten, deserialize_with = "numbers_or_null")]
    pub reports: BTreeMap<String, f64>,
}

// As serde asks for it.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl Tick {
    /// A report, NaN where there is none.
    pub fn report(&self, name: &str) -> f64 {
        self.reports.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// The steps that rollbacks led to, as marks of a plot.
pub(crate) fn rollbacks(ticks: &[Tick]) -> Marks {
    let pairs = ticks.windows(2);
    let found = pairs.filter(|pair| pair[1].rollbacks > pair[0].rollbacks);
    Marks {
        steps: found.map(|pair| pair[0].step as f64).collect(),
        words: "rollback",
    }
}

/// The steps of ticks, as the axis of a plot.
pub(crate) fn steps(ticks: &[Tick]) -> Vec<f64> {
    ticks.iter().map(|tick| tick.step as f64).collect()
}

/// Sums over the steps of a tick, by report in the system's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct TickSums {
    pub(crate) count: u64,
    pub(crate) sums: Vec<f64>,
    squares: Vec<f64>,
    pub(crate) latest: Vec<f64>,
    /// The first step whose reports are not finite, and those.
    pub(crate) broken: Option<(u64, Vec<f32>)>,
}

impl TickSums {
    /// Adds a step; one whose reports are not finite is only noted.
    pub(crate) fn add(&mut self, step: u64, reports: Vec<f32>) {
        if reports.iter().any(|x| !x.is_finite()) {
            self.broken.get_or_insert((step, reports));
            return;
        }
        self.count += 1;
        self.latest = reports.into_iter().map(f64::from).collect();
        for sums in [&mut self.sums, &mut self.squares] {
            sums.resize(self.latest.len(), 0.0);
        }
        for (index, value) in self.latest.iter().enumerate() {
            self.sums[index] += value;
            self.squares[index] += value * value;
        }
    }

    /// Means over the steps.
    pub(crate) fn means(&self) -> Vec<f64> {
        let count = self.count as f64;
        self.sums.iter().map(|sum| sum / count).collect()
    }

    /// Standard deviations over the steps.
    pub(crate) fn deviations(&self) -> Vec<f64> {
        let count = self.count as f64;
        let of = |(sum, square): (&f64, &f64)| {
            let mean = sum / count;
            (square / count - mean * mean).max(0.0).sqrt()
        };
        self.sums.iter().zip(&self.squares).map(of).collect()
    }
}

/// Appends ticks to a file, each at once, so that a killed run loses at most
/// the line being written.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
}

impl Writer {
    /// Opens `path` for appending, creating it if it is missing. A torn last
    /// line is cut off first.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened or mended, [`Error::Usage`]
    /// if it is not a statistics file.
    pub fn append(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = read_text(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            rewrite(&path, lines(&path, &text)?)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        Ok(Self { path, file })
    }

    /// Appends one tick, or more that begins with one.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&mut self, tick: &impl Serialize) -> Result<()> {
        let failed = Error::io("write", &self.path);
        match serde_json::to_string(tick) {
            // One call writes the line and its end, so they are torn apart
            // only if the system is.
            Ok(line) => self
                .file
                .write_all(format!("{line}\n").as_bytes())
                .map_err(failed),
            Err(e) => Err(failed(e.into())),
        }
    }
}

/// All ticks of a file, in the order written. A last line that a killed run
/// left torn is ignored.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Usage`] naming the first
/// line that is not a tick.
pub fn read(path: &Path) -> Result<Vec<Tick>> {
    let text = fs::read(path).map_err(Error::io("read", path))?;
    let text = String::from_utf8_lossy(&text);
    Ok(lines(path, &text)?.map(|(tick, _)| tick).collect())
}

/// Removes the ticks of steps after `step`, for a run that resumes there, so
/// that no step occurs twice. A missing file is left missing.
///
/// # Errors
/// As of [`read`], and [`Error::Io`] if the file cannot be rewritten; it is
/// then as it was.
pub fn truncate_after(path: &Path, step: u64) -> Result<()> {
    let text = read_text(path)?;
    if text.is_empty() {
        return Ok(());
    }
    let kept = lines(path, &text)?.filter(|(tick, _)| tick.step <= step);
    rewrite(path, kept)
}

/// The file's text, empty if there is no file. A character torn in the middle
/// becomes a replacement character, which no tick contains.
fn read_text(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// The ticks with their lines, without a torn last one.
fn lines<'a>(path: &Path, text: &'a str) -> Result<impl Iterator<Item = (Tick, &'a str)>> {
    let mut found = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(tick) => found.push((tick, line.trim_end())),
            Err(_) if !line.ends_with('\n') => {}
            Err(e) => {
                return Err(Error::usage(
                    format!(
                        "line {} of {} is not a tick: {e}",
                        index + 1,
                        path.display()
                    ),
                    "remove that line, or the whole file to start the statistics over",
                ));
            }
        }
    }
    Ok(found.into_iter())
}

fn rewrite<'a>(path: &Path, kept: impl Iterator<Item = (Tick, &'a str)>) -> Result<()> {
    replace(path, |out| {
        for (_, line) in kept {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}
