//! The runs of a folder and how they stand, from their files alone.

use std::path::Path;

use crate::data::name_of;
use crate::error::{Error, Result};
use crate::run::health::Verdicts;
use crate::run::stats::{self, Tick};
use crate::store::checkpoint;
use crate::store::lock;
use crate::store::run_folder::RunFolder;
use crate::systems::presets;

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A process trains it.
    Running,
    /// It is at its last step.
    Done,
    /// It was ended for its health.
    Ended,
    /// It can go on.
    Stopped,
}

impl Standing {
    /// The word for it in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }
}

/// A run as its files describe it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its folder.
    pub folder: RunFolder,
    /// The preset that it began with.
    pub preset: String,
    /// The name of its data.
    pub data: String,
    /// Steps at its end.
    pub steps: u64,
    /// Its last tick, if there was one.
    pub last: Option<Tick>,
    /// How it stands.
    pub standing: Standing,
}

impl Known {
    /// Reads what there is of a run.
    ///
    /// # Errors
    /// Where its configuration or its statistics cannot be read.
    pub fn read(folder: RunFolder) -> Result<Self> {
        let config = presets::read(&folder.config())?;
        let last = match folder.stats().is_file() {
            true => stats::read(&folder.stats())?.pop(),
            false => None,
        };
        let newest = checkpoint::list(folder.path())?.pop();
        let reached = newest.map_or(0, |(step, _)| step);
        let reached = reached.max(last.as_ref().map_or(0, |tick| tick.step));
        let standing = match () {
            () if lock::is_held(&folder) => Standing::Running,
            () if folder.ended().is_file() => Standing::Ended,
            () if reached >= config.steps => Standing::Done,
            () => Standing::Stopped,
        };
        Ok(Self {
            preset: config.preset.clone(),
            data: name_of(Path::new(&config.data.source)),
            steps: config.steps,
            folder,
            last,
            standing,
        })
    }

    /// Its losses in the last tick, by name.
    pub fn losses(&self) -> Vec<(&str, f64)> {
        let reports = self.last.iter().flat_map(|tick| &tick.reports);
        let losses = reports.filter_map(|(name, &value)| Some((name.strip_prefix("loss")?, value)));
        let named = losses.map(|(name, value)| (name.trim_start_matches('_'), value));
        named.filter(|(_, value)| value.is_finite()).collect()
    }

    /// What its last tick was found to be.
    pub fn verdicts(&self) -> Verdicts {
        let health = self.last.as_ref().and_then(|tick| tick.health.as_ref());
        health.map(|health| health.verdicts).unwrap_or_default()
    }
}

/// The runs below a folder in the order of their numbers, each as it is known or why it
/// is not.
///
/// # Errors
/// [`Error::Usage`] where the folder cannot be read or holds no run.
pub fn list(outdir: &Path) -> Result<Vec<(String, Result<Known>)>> {
    let runs = RunFolder::all(outdir).map_err(|e| {
        Error::usage(
            format!("cannot list {}: {e}", outdir.display()),
            "give a folder of runs, such as runs",
        )
    })?;
    if runs.is_empty() {
        return Err(Error::usage(
            format!("no runs in {}", outdir.display()),
            "give a folder of runs, or start a run with `gpugan train`",
        ));
    }
    let known = |folder: RunFolder| (folder.name(), Known::read(folder));
    Ok(runs.into_iter().map(known).collect())
}

/// A table of runs, a line each.
pub fn table(runs: &[(String, Result<Known>)]) -> String {
    let head = ["run", "data", "step", "state", "losses", "health"].map(str::to_owned);
    let mut rows = vec![head];
    for (_, run) in runs {
        rows.extend(run.as_ref().ok().map(row));
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        text += line.trim_end();
        text += "\n";
    }
    for (name, run) in runs {
        if let Err(error) = run {
            text += &format!("{name}: {error}\n");
        }
    }
    text
}

fn row(run: &Known) -> [String; 6] {
    let losses = run.losses().into_iter();
    let losses: Vec<String> = losses
        .map(|(name, value)| format!("{name} {value:.3}").trim_start().to_owned())
        .collect();
    let verdicts: Vec<&str> = run
        .verdicts()
        .iter()
        .map(|verdict| verdict.name())
        .collect();
    let measured = run.last.as_ref().is_some_and(|tick| tick.health.is_some());
    let health = match verdicts.is_empty() {
        false => verdicts.join(", "),
        true if measured => "healthy".to_owned(),
        true => "-".to_owned(),
    };
    let step = run.last.as_ref().map_or(0, |tick| tick.step);
    [
        run.folder.name(),
        run.data.clone(),
        format!("{step}/{}", run.steps),
        run.standing.word().to_owned(),
        losses.join("  "),
        health,
    ]
}
