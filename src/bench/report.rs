//! Rows of figures, as a table and as one JSON object a line.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measure::{Timer, Times};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::store::file;
use crate::store::replace::replace;

/// Longest file of saved rows that is read, in bytes; all kernel cases take 100,000.
const LONGEST: u64 = 8 << 20;

/// A row of a report: what was measured and how long it took.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// The adapter's name; empty until the row is shown, as the next two.
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
    pub(super) fn on(self, gpu: &Gpu) -> Self {
        Self {
            adapter: gpu.facts.name.clone(),
            driver: gpu.facts.driver_and_version(),
            timer: Timer::of(gpu).to_string(),
            ..self
        }
    }

    /// What it was measured on and by.
    pub(super) fn place(&self) -> String {
        format!("{}, {}; timed by {}", self.adapter, self.driver, self.timer)
    }

    /// As one JSON object.
    pub fn json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// As a line of the table.
    pub fn line(&self) -> String {
        let rate = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
        let percent = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.0} %"));
        format!(
            "{} {:>9.3} {:>9.3} {:>6} {:>8} {:>6} {:>8}  {}",
            cell(&self.case),
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

/// Width of the column of cases.
const CASE: usize = 48;

/// A case as tables show it: of one that is too long the end, which tells it from others
/// of the same step.
pub(super) fn cell(case: &str) -> String {
    let length = case.chars().count();
    if length <= CASE {
        return format!("{case:<CASE$}");
    }
    let end: String = case.chars().skip(length + 3 - CASE).collect();
    format!("...{end}")
}

/// The head of the table.
pub(super) fn header() -> String {
    format!(
        "{} {:>9} {:>9} {:>6} {:>8} {:>6} {:>8}  variant\n",
        cell("case"),
        "median ms",
        "least ms",
        "spread",
        "GFLOP/s",
        "GB/s",
        "ceiling"
    )
}

/// Checks before anything is measured that a file can be written where `option` wants it.
///
/// # Errors
/// [`Error::Usage`] where it is a folder or would lie in none.
pub(super) fn check_place(path: &Path, option: &str) -> Result<()> {
    if path.is_dir() {
        return Err(Error::usage(
            format!("{option} {} is a folder", path.display()),
            "give a file",
        ));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(Error::usage(
            format!(
                "{option} {} lies in a folder that is not there",
                path.display()
            ),
            "make the folder, or give another file",
        )),
        _ => Ok(()),
    }
}

/// Writes rows to a file for `--compare`, one JSON object a line.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let text: String = rows.iter().map(|row| row.json() + "\n").collect();
    replace(path, |out| out.write_all(text.as_bytes()))
}

/// Rows that [`write`] wrote.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Usage`] where it holds
/// something else or no rows.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let refused = |what| Error::usage(what, "give a file that gpugan bench --save wrote");
    let text = file::read_text_within(path, LONGEST).map_err(|error| match error {
        Error::Usage { what, .. } => refused(what),
        error => error,
    })?;
    let rows = text.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| refused(format!("{}, line {}: {error}", path.display(), number + 1)))
    });
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    if rows.is_empty() {
        return Err(refused(format!("{} has no rows", path.display())));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_saved_result_is_refused_with_the_same_mend() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let times = Times::new(vec![1e-3]).unwrap();
        let rows = [Row::new("a", &times, String::new())];
        write(&at("saved"), &rows).unwrap();
        assert_eq!(read(&at("saved")).unwrap(), rows);

        std::fs::write(at("empty"), "").unwrap();
        std::fs::write(at("bytes"), [0xff]).unwrap();
        std::fs::write(at("other"), "{\"case\": 1}\n").unwrap();
        std::fs::write(at("long"), vec![b' '; LONGEST as usize + 1]).unwrap();
        let mut cases = vec![
            (at("empty"), "has no rows"),
            (at("bytes"), "not UTF-8"),
            (at("other"), "line 1"),
            (at("long"), "longer than"),
            (folder.path().to_owned(), "is a folder"),
        ];
        if cfg!(unix) {
            // Without an end.
            cases.push(("/dev/zero".into(), "a device"));
        }
        for (path, said) in cases {
            let refused = read(&path).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
            let mend = "; give a file that gpugan bench --save wrote";
            assert!(refused.ends_with(mend), "{refused}");
        }
    }

    #[test]
    fn a_long_case_shows_its_end_in_its_column() {
        assert_eq!(cell("a"), format!("a{}", " ".repeat(47)));
        let case = "step dcgan28 width 64 batch 64: conv_weight_grad_tile subgroup";
        assert_eq!(
            cell(case),
            "...h 64 batch 64: conv_weight_grad_tile subgroup"
        );
    }

    #[test]
    fn a_place_to_write_is_checked_before_there_is_anything_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| check_place(path, "--save").unwrap_err().to_string();
        assert!(said(folder.path()).contains("is a folder"));
        assert!(said(&folder.path().join("no/file")).contains("that is not there"));
        check_place(&folder.path().join("file"), "--save").unwrap();
        check_place(Path::new("file"), "--save").unwrap();
    }
}
