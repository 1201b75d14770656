//! Rows of figures, as a table and as one JSON object a line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::{Timer, Times};
use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// A row of a report: what was measured and how long it took.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// The adapter's name and its driver; filled in where rows are written.
    #[serde(default)]
    pub adapter: String,
    /// Name and version of the driver.
    #[serde(default)]
    pub driver: String,
    /// `timestamps` or `clock`.
    #[serde(default)]
    pub timer: String,
    /// The rungs of the kernels that ran.
    pub variant: String,
    /// Median time in milliseconds.
    pub ms_median: f64,
    /// Least time in milliseconds.
    pub ms_min: f64,
    /// Distance of the quartiles over the median.
    pub spread: f64,
    /// 1e9 multiplications and additions a second, of contractions.
    pub gflops: Option<f64>,
    /// 1e9 bytes a second: inputs read and results written once.
    pub gbps: Option<f64>,
    /// Of the adapter's own ceiling, of arithmetic where there is any, else of
    /// bandwidth.
    pub percent_of_ceiling: Option<f64>,
}

impl Row {
    /// Times without rates.
    pub fn new(case: impl Into<String>, times: &Times, variant: String) -> Self {
        Self {
            case: case.into(),
            adapter: String::new(),
            driver: String::new(),
            timer: String::new(),
            variant,
            ms_median: 1e3 * times.median(),
            ms_min: 1e3 * times.min(),
            spread: times.spread(),
            gflops: None,
            gbps: None,
            percent_of_ceiling: None,
        }
    }

    /// With what it was measured on.
    fn on(&self, gpu: &Gpu) -> Self {
        Self {
            adapter: gpu.facts.name.clone(),
            driver: gpu.facts.driver_and_version(),
            timer: format!("{:?}", Timer::of(gpu)).to_lowercase(),
            ..self.clone()
        }
    }

    /// As one JSON object.
    pub fn json(&self, gpu: &Gpu) -> String {
        serde_json::json!(self.on(gpu)).to_string()
    }

    /// As a line of the table.
    pub fn line(&self) -> String {
        let rate = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
        let percent = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.0} %"));
        format!(
            "{:<48} {:>9.3} {:>9.3} {:>6} {:>8} {:>6} {:>8}  {}",
            self.case,
            self.ms_median,
            self.ms_min,
            percent(Some(100.0 * self.spread)),
            rate(self.gflops),
            rate(self.gbps),
            percent(self.percent_of_ceiling),
            self.variant
        )
        .trim_end()
        .to_owned()
    }
}

/// The head of the table.
pub(super) fn header() -> String {
    format!(
        "{:<48} {:>9} {:>9} {:>6} {:>8} {:>6} {:>8}  variant\n",
        "case", "median ms", "least ms", "spread", "GFLOP/s", "GB/s", "ceiling"
    )
}

/// Writes rows to a file for `--compare`, one JSON object a line.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub(super) fn write(path: &Path, rows: &[Row], gpu: &Gpu) -> Result<()> {
    let text: String = rows.iter().map(|row| row.json(gpu) + "\n").collect();
    std::fs::write(path, text).map_err(Error::io("write", path))
}

/// Rows that [`write`] wrote.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Usage`] where it holds
/// something else.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| {
                Error::usage(
                    format!("{}, line {}: {error}", path.display(), number + 1),
                    "give a file that gpugan bench --save wrote",
                )
            })
        })
        .collect()
}
