//! Scores of a run's samples at each snapshot, and the best checkpoint.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::training::Run;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Observer, unseen};
use crate::gpu::Gpu;
use crate::metrics::{self, Kind, Samples, Score};
use crate::run::shown::Asked;
use crate::store::run_folder::{RunFolder, replace};

/// Images that are scored at a snapshot, of the seeds from 0 on.
const SAMPLES: usize = 2000;

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    step: u64,
    samples: usize,
    scores: Vec<Score>,
    seconds: f64,
}

/// What a run needs to score its samples.
pub(super) struct Scores {
    observer: Observer,
    kinds: Vec<Kind>,
    real: Samples,
    unseen: Option<Vec<u8>>,
    /// The deciding value of the best snapshot so far.
    best: Option<f64>,
}

impl Scores {
    /// Looks at the real images with the classifier of a file, or with the one
    /// that is kept for the data.
    ///
    /// # Errors
    /// As of [`Observer::open`] and [`Observer::real`].
    pub(super) fn new(
        gpu: &Gpu,
        data: &Dataset,
        source: &str,
        kinds: &[Kind],
        features: Option<&Path>,
    ) -> Result<Self> {
        let mut observer = Observer::open(gpu, data, source, features)?;
        let real = observer.real(data, |_| {})?;
        Ok(Self {
            observer,
            kinds: kinds.to_vec(),
            real,
            unseen: unseen(data, source)?,
            best: None,
        })
    }

    /// Forgets what was written after `step`, for a run that goes on there, and
    /// finds the best of the rest.
    ///
    /// # Errors
    /// [`Error::Usage`] for a line that is none, errors of reading and writing.
    pub(super) fn go_on(&mut self, folder: &RunFolder, step: u64) -> Result<()> {
        let path = folder.metrics();
        if !path.is_file() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let mut kept = String::new();
        for text in text.split_inclusive('\n') {
            match serde_json::from_str::<Line>(text) {
                Ok(line) if line.step <= step => {
                    kept += text;
                    self.is_best(&line.scores);
                }
                Ok(_) => {}
                // A killed run may leave its last line torn.
                Err(_) if !text.ends_with('\n') => {}
                Err(e) => {
                    return Err(Error::usage(
                        format!("a line of {} cannot be read: {e}", path.display()),
                        "remove that line, or the whole file",
                    ));
                }
            }
        }
        replace(&path, |out| std::io::Write::write_all(out, kept.as_bytes()))
    }

    /// Scores generated images `[count, C, H, W]` in [-1, 1] and appends a line.
    /// Returns the line for the log. Where they are the best so far,
    /// `checkpoint` is copied to `best.safetensors`.
    ///
    /// # Errors
    /// Errors of the device and of writing.
    pub(super) fn take(
        &mut self,
        folder: &RunFolder,
        step: u64,
        images: &[f32],
        checkpoint: &Path,
    ) -> Result<String> {
        let start = Instant::now();
        let fake = self.observer.generated(images, |_| {})?;
        let features = &self.observer.classifier().about().features;
        let unseen = self.unseen.as_deref();
        let scores = metrics::measure(&self.kinds, features, &self.real, unseen, &fake);
        let line = Line {
            step,
            samples: fake.features.count(),
            scores,
            seconds: start.elapsed().as_secs_f64(),
        };
        append(&folder.metrics(), &line)?;
        let mut text: String = format!("scores at step {step}:");
        for score in &line.scores {
            let value = score
                .value
                .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
            text += &format!("  {} {value}", score.name);
        }
        if self.is_best(&line.scores) {
            let bytes = fs::read(checkpoint).map_err(Error::io("read", checkpoint))?;
            replace(&folder.best(), |out| std::io::Write::write_all(out, &bytes))?;
            text += "  (the best so far)";
        }
        Ok(text)
    }

    /// Whether these are better than all before, by the first score that has a
    /// value; they are remembered then.
    fn is_best(&mut self, scores: &[Score]) -> bool {
        let deciding = scores.iter().find_map(Score::loss);
        let better = deciding.is_some_and(|loss| self.best.is_none_or(|best| loss < best));
        if better {
            self.best = deciding;
        }
        better
    }
}

impl Run {
    /// Scores samples where that was asked for.
    ///
    /// # Errors
    /// Errors of the device and of writing.
    pub(super) fn score(&mut self) -> Result<()> {
        let Some(scores) = &mut self.scores else {
            return Ok(());
        };
        let step = self.session.counters.step;
        if self.session.image().is_none() {
            return Ok(());
        }
        let images = self.session.show(&Asked::seeds(0..SAMPLES as u64))?;
        let checkpoint = self.folder.checkpoint(step);
        let line = scores.take(&self.folder, step, &images, &checkpoint)?;
        self.progress.line(&line)
    }
}

fn append(path: &Path, line: &Line) -> Result<()> {
    let failed = |e| Error::io("write", path)(e);
    let text = serde_json::to_string(line).map_err(|e| failed(e.into()))?;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes()).map_err(failed)
}
