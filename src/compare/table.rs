//! A comparison as a table in Markdown: a column for each preset.

use super::outcome::{Entry, Outcome};
use crate::metrics::Score;
use crate::run::health::VERDICTS;

/// A column for each preset, a row for each figure: mean and standard deviation
/// over the seeds of what could be measured.
pub fn table(entries: &[Entry]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut row = |name: &str, cell: &dyn Fn(&Entry) -> String| {
        rows.push((name.to_owned(), entries.iter().map(cell).collect()));
    };
    row("steps", &|entry| entry.steps.to_string());
    row("batch", &|entry| entry.batch.to_string());
    row("thousands of real images", &|entry| {
        over_seeds(entry, |run| Some(run.kimg))
    });
    row("ms per step, measured alone", &|entry| {
        format!("{:.1}", 1e3 * entry.sec_per_update)
    });
    row("ms per step in training", &|entry| {
        over_seeds(entry, |run| Some(1e3 * run.sec_per_step))
    });
    let runs = entries.iter().flat_map(|entry| &entry.runs);
    let mut names: Vec<&str> = Vec::new();
    for score in runs.clone().flat_map(|run| &run.scores) {
        if !names.contains(&score.name.as_str()) {
            names.push(&score.name);
        }
    }
    for name in names {
        row(name, &|entry| {
            over_seeds(entry, |run| score(run, name).and_then(|s| s.value))
        });
    }
    row("verdicts", &verdicts);
    let seeds = entries.first().map_or(0, |entry| entry.runs.len());
    let seeds = match seeds.saturating_sub(1) {
        0 => "seed 0".to_owned(),
        last => format!("mean ± deviation over seeds 0 to {last}"),
    };
    let heads: String = entries.iter().map(|e| format!(" {} |", e.preset)).collect();
    let mut text = format!(
        "| {seeds} |{heads}\n|---|{}\n",
        "---|".repeat(entries.len())
    );
    for (name, cells) in rows {
        text += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    let ended = runs.filter_map(|run| Some((run, run.ended.as_ref()?)));
    for (run, why) in ended {
        text += &format!("\n`{}` ended early: {why}\n", run.folder.display());
    }
    text
}

fn score<'a>(run: &'a Outcome, name: &str) -> Option<&'a Score> {
    run.scores.iter().find(|score| score.name == name)
}

/// Mean and standard deviation over the runs that have the value, `-` where none
/// has.
fn over_seeds(entry: &Entry, value: impl Fn(&Outcome) -> Option<f64>) -> String {
    let values: Vec<f64> = entry.runs.iter().filter_map(value).collect();
    let count = values.len() as f64;
    if values.is_empty() {
        return "-".to_owned();
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    let digits = digits(mean);
    let mut cell = format!("{mean:.digits$}");
    // What is the same in each run, as a number of images, has no spread.
    if deviation > 0.0 {
        cell += &format!(" ± {deviation:.digits$}");
    }
    if values.len() < entry.runs.len() {
        cell += &format!(" ({} of {})", values.len(), entry.runs.len());
    }
    cell
}

/// Digits behind the point that leave about three that count.
fn digits(x: f64) -> usize {
    match x.abs() {
        size if size.fract() == 0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    }
}

/// Each verdict with the runs that got it, and early ends.
fn verdicts(entry: &Entry) -> String {
    let count = entry.runs.len();
    let mut all: Vec<String> = VERDICTS
        .into_iter()
        .filter_map(|verdict| {
            let runs = entry.runs.iter();
            let with = runs
                .filter(|run| run.verdicts.iter().any(|(v, _)| *v == verdict))
                .count();
            (with > 0).then(|| format!("{} ({with} of {count})", verdict.name()))
        })
        .collect();
    let ended = entry.runs.iter().filter(|run| run.ended.is_some()).count();
    if ended > 0 {
        all.push(format!("ended early ({ended} of {count})"));
    }
    if all.is_empty() {
        return "none".to_owned();
    }
    all.join(", ")
}
