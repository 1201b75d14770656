//! What an evaluation found, as a table and as JSON.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::metrics::Score;
use crate::store::run_folder::replace;

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
    /// Test accuracy of their classifier, 0 to 1.
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

    /// A line for the protocol and one for each score.
    pub fn table(&self) -> String {
        let step = self
            .step
            .map_or_else(String::new, |s| format!(" (step {s})"));
        let features = self.features.as_ref().zip(self.classifier_accuracy);
        let features = features.map_or_else(
            || "no features".to_owned(),
            |(name, accuracy)| format!("features {name} ({:.2} % accurate)", 100.0 * accuracy),
        );
        let mut text = format!(
            "{}{step}: {} samples of {}, {} real images of {}, {features}\n",
            self.checkpoint, self.samples, self.weights, self.real, self.data,
        );
        let mut rows = Vec::new();
        if !self.others.is_empty() {
            let others = self.others.iter().map(|other| other.weights.clone());
            let head = [String::new(), self.weights.clone()];
            rows.push(head.into_iter().chain(others).collect());
        }
        for (index, score) in self.scores.iter().enumerate() {
            let mut row = vec![score.name.clone(), value(score)];
            // What is measured of one kind of weights alone comes last.
            let others = self.others.iter().map(|other| other.scores.get(index));
            row.extend(others.map(|score| score.map_or_else(String::new, value)));
            row.push(score.note.clone());
            rows.push(row);
        }
        let columns = self.others.len() + 2;
        let widest = |column: usize| {
            let widths = rows
                .iter()
                .map(|row: &Vec<String>| row[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths.iter().chain([&0])) {
                line += &format!("  {cell:width$}");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
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

    #[test]
    fn a_table_has_no_nan_and_an_absent_score_a_dash() {
        let score = |name: &str, value, spread| Score {
            name: name.to_owned(),
            value,
            spread,
            note: "why".to_owned(),
        };
        let report = Report {
            checkpoint: "c".into(),
            step: Some(3),
            data: "d".into(),
            real: 10,
            samples: 5,
            weights: "G".into(),
            features: Some("d-classifier".into()),
            classifier_accuracy: Some(0.9869),
            others: Vec::new(),
            scores: vec![
                score("frechet(d-classifier)", None, None),
                score("kernel(d-classifier)", Some(0.01234), Some(0.002)),
            ],
            seconds: 1.0,
        };
        let table = report.table();
        assert_eq!(
            table.lines().collect::<Vec<_>>(),
            [
                "c (step 3): 5 samples of G, 10 real images of d, features d-classifier (98.69 % accurate)",
                "  frechet(d-classifier)  -                why",
                "  kernel(d-classifier)   0.0123 ± 0.0020  why",
            ]
        );
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert!(json["scores"][0]["value"].is_null());
        assert_eq!(json["scores"][1]["value"], 0.01234);
    }
}
