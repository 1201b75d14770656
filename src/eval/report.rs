//! What an evaluation found, as a table and as JSON.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::metrics::Score;
use crate::store::replace::replace;

/// Columns of a terminal.
const WIDTH: usize = 80;

/// The protocol and the scores of one evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file that was scored.
    pub checkpoint: String,
    /// Generator steps that it had.
    pub step: Option<u64>,
    /// Real images: their source and number.
    pub data: String,
    /// How many there were.
    pub real: usize,
    /// Images generated, of the seeds from 0 on.
    pub samples: usize,
    /// Which weights were sampled, as `G_ema` or `G`.
    pub weights: String,
    /// Name of the features; `None` where pixels alone were compared.
    pub features: Option<String>,
    /// Test accuracy of their classifier, 0 to 1, where it is one of the data.
    pub classifier_accuracy: Option<f64>,
    /// Everything that was measured.
    pub scores: Vec<Score>,
    /// The same of other weights of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherWeights>,
    /// Time of it all, in seconds.
    pub seconds: f64,
}

/// What was measured of samples of other weights.
#[derive(Clone, Debug, Serialize)]
pub struct OtherWeights {
    /// Which, as `G`.
    pub weights: String,
    /// In the order of the report's.
    pub scores: Vec<Score>,
}

impl Report {
    /// As one JSON object on several lines.
    ///
    /// # Errors
    /// None for finite scores.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| Error::usage(e.to_string(), "report this as a bug"))
    }

    /// Writes the JSON to a file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = self.json()?;
        replace(path, |out| std::io::Write::write_all(out, text.as_bytes()))
    }

    /// The protocol, then the scores of each kind of features, in 80 columns
    /// unless the names of files are longer.
    pub fn table(&self) -> String {
        let step = self
            .step
            .map_or_else(String::new, |s| format!(" (step {s})"));
        let mut text = format!(
            "{}{step}\n{} samples of {}, {} real images of {}\n",
            self.checkpoint, self.samples, self.weights, self.real, self.data,
        );
        if self.features.is_none() {
            text += "no features: only pixels were compared\n";
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        if !self.others.is_empty() {
            let others = self.others.iter().map(|other| other.weights.clone());
            let head = [String::new(), self.weights.clone()];
            rows.push(head.into_iter().chain(others).collect());
        }
        let heads = rows.len();
        for (index, score) in self.scores.iter().enumerate() {
            // What is measured of one kind of weights alone comes last.
            let others = self.others.iter().map(|other| other.scores.get(index));
            let others = others.map(|score| score.map_or_else(String::new, value));
            let own = [score.kind_and_features().0.to_owned(), value(score)];
            rows.push(own.into_iter().chain(others).collect());
        }
        let columns = self.others.len() + 2;
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0)
            })
            .collect();
        let mut lines = rows.iter().map(|row| {
            let cells = row.iter().zip(&widths);
            cells
                .map(|(cell, width)| format!("  {cell:width$}"))
                .collect::<String>()
        });
        for head in lines.by_ref().take(heads) {
            text += &format!("{}\n", head.trim_end());
        }
        let mut section = None;
        for (score, line) in self.scores.iter().zip(lines) {
            let features = score.kind_and_features().1;
            if section != Some(features) {
                section = Some(features);
                text += &format!("{}\n", self.heading(features));
            }
            let with_note = format!("{line}  {}", score.note);
            if with_note.trim_end().chars().count() <= WIDTH {
                text += &format!("{}\n", with_note.trim_end());
            } else {
                text += &format!("{}\n      {}\n", line.trim_end(), score.note);
            }
        }
        text
    }

    /// What stands above the scores of these features.
    fn heading(&self, features: Option<&str>) -> String {
        let Some(name) = features else {
            return "other scores".to_owned();
        };
        let own = self.features.as_deref() == features;
        match self.classifier_accuracy.filter(|_| own) {
            Some(share) => format!("features of {name} ({:.2} % accurate)", 100.0 * share),
            None => format!("features of {name}"),
        }
    }
}

/// A score with its deviation, or a dash where there is none.
fn value(score: &Score) -> String {
    let value = score.value.map_or_else(|| "-".to_owned(), number);
    let spread = score.spread.map(|s| format!(" ± {}", number(s)));
    value + &spread.unwrap_or_default()
}

/// Four digits behind the first that counts, but no exponent for usual sizes.
fn number(x: f64) -> String {
    match x.abs() {
        size if size.fract() == 0.0 && size < 1e9 => format!("{x:.0}"),
        size if size >= 100.0 => format!("{x:.1}"),
        size if size >= 1.0 => format!("{x:.3}"),
        size if size >= 1e-3 => format!("{x:.4}"),
        _ => format!("{x:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(name: &str, value: Option<f64>, spread: Option<f64>, note: &str) -> Score {
        Score {
            name: name.to_owned(),
            value,
            spread,
            note: note.to_owned(),
        }
    }

    fn report(scores: Vec<Score>) -> Report {
        Report {
            checkpoint: "c".into(),
            step: Some(3),
            data: "d".into(),
            real: 10,
            samples: 5,
            weights: "G_ema".into(),
            features: Some("d-classifier".into()),
            classifier_accuracy: Some(0.9869),
            others: Vec::new(),
            scores,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_table_has_no_nan_and_an_absent_score_a_dash() {
        let report = report(vec![
            score("frechet(d-classifier)", None, None, "why"),
            score("kernel(d-classifier)", Some(0.01234), Some(0.002), "why"),
            score("swd", Some(12.0), None, ""),
        ]);
        let table = report.table();
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            [
                "c (step 3)",
                "5 samples of G_ema, 10 real images of d",
                "features of d-classifier (98.69 % accurate)",
                "  frechet  -                why",
                "  kernel   0.0123 ± 0.0020  why",
                "other scores",
                "  swd      12",
            ]
        );
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert!(json["scores"][0]["value"].is_null());
        assert_eq!(json["scores"][1]["value"], 0.01234);
    }

    #[test]
    fn a_table_of_three_kinds_of_weights_fits_a_terminal() {
        let long = "nearest in pixels, against other training images; 0 copies";
        let scores = || {
            vec![
                score(
                    "inception-style(d-classifier)",
                    Some(5.8167),
                    Some(0.1352),
                    "real 9.751",
                ),
                score("memorisation", Some(1.3421), None, long),
            ]
        };
        let mut report = report(scores());
        report.others = ["G_ema, standing", "G"]
            .map(|weights| OtherWeights {
                weights: weights.to_owned(),
                scores: scores(),
            })
            .into();
        let table = report.table();
        assert!(
            table.lines().all(|line| line.chars().count() <= WIDTH),
            "{table}"
        );
        assert!(
            table.contains(long) && table.contains("G_ema, standing"),
            "{table}"
        );
    }

    #[test]
    fn published_scores_stand_under_their_features() {
        let mut report = report(vec![
            score("fid", Some(3.0), None, ""),
            score("precision(inception)", Some(1.0), None, ""),
        ]);
        report.features = Some("inception".into());
        report.classifier_accuracy = None;
        let table = report.table();
        let tail: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            tail,
            ["features of inception", "  fid        3", "  precision  1"]
        );
    }
}
