//! Scores of a run's samples at each snapshot, and the best checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::training::Run;
use crate::config::options::TrainOptions;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Observer, unseen};
use crate::gpu::Gpu;
use crate::metrics::{Metric, Samples, Score};
use crate::run::progress::Progress;
use crate::run::session::Session;
use crate::run::shown::Asked;
use crate::run::state;
use crate::store::checkpoint::{Checkpoint, load_metadata};
use crate::store::replace::replace;
use crate::store::run_folder::RunFolder;

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

/// Metadata entries of a checkpoint that is to be scored: the scores, and the
/// classifier's file where one was named.
const METRICS: &str = "metrics";
const FEATURES: &str = "features";
/// Metadata entry of the best checkpoint: its [`Best`].
const BEST: &str = "best";

/// What the best snapshot is the best by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Best {
    /// The name of the score.
    score: String,
    /// The classifier's file, where one was named.
    features: Option<PathBuf>,
    /// [`Score::loss`].
    loss: f64,
}

impl Best {
    /// Of these scores, by the first that has a value.
    fn of(scores: &[Score], features: Option<&Path>) -> Option<Self> {
        scores.iter().find_map(|score| {
            Some(Self {
                score: score.name.clone(),
                features: features.map(Path::to_path_buf),
                loss: score.loss()?,
            })
        })
    }

    /// Whether it is better than an earlier one. Where a resumed run is scored otherwise
    /// than before, the two cannot be compared, and what is asked for now counts.
    fn beats(&self, earlier: &Self) -> bool {
        let alike = self.score == earlier.score && self.features == earlier.features;
        !alike || self.loss < earlier.loss
    }

    /// Of the best checkpoint of a folder; programs before this one did not say.
    fn stored(path: &Path) -> Option<Self> {
        let metadata = load_metadata(path).ok()?;
        serde_json::from_str(metadata.get(BEST)?).ok()
    }
}

/// The scores that were asked for; those of its checkpoint, of a run that goes on
/// and names none.
///
/// # Errors
/// As of [`Scores::new`], where they were asked for by name.
pub(super) fn asked(
    gpu: &Gpu,
    data: &Dataset,
    options: &TrainOptions,
    newest: Option<&Checkpoint>,
) -> Result<Option<Scores>> {
    let source = &options.config.data.source;
    if !options.metrics.is_empty() {
        let features = options.features.as_deref();
        return Scores::new(gpu, data, source, &options.metrics, features).map(Some);
    }
    let known = newest.map(|file| &file.metadata);
    let Some(list) = known.and_then(|metadata| metadata.get(METRICS)) else {
        return Ok(None);
    };
    let features = known.and_then(|metadata| metadata.get(FEATURES));
    let scores = Metric::list(list)
        .and_then(|kinds| Scores::new(gpu, data, source, &kinds, features.map(Path::new)));
    // A classifier may have gone; that ends the scores, not the run.
    if let Err(error) = &scores {
        crate::console::warn(&format!("this run is no longer scored: {error}"));
    }
    Ok(scores.ok())
}

/// Refuses scores that were asked for by name and cannot be measured, without a device.
///
/// # Errors
/// As of [`Observer::check`].
pub(super) fn check(data: &Dataset, options: &TrainOptions) -> Result<()> {
    if options.metrics.is_empty() {
        return Ok(());
    }
    let features = options.features.as_deref();
    let source = &options.config.data.source;
    Observer::check(data, source, features, &options.metrics)
}

/// What a run needs to score its samples.
pub(super) struct Scores {
    observer: Observer,
    kinds: Vec<Metric>,
    real: Samples,
    unseen: Option<Vec<u8>>,
    /// The classifier's file, where one was named.
    features: Option<PathBuf>,
    /// Of the best snapshot so far.
    best: Option<Best>,
    /// Steps with a line.
    scored: BTreeSet<u64>,
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
        kinds: &[Metric],
        features: Option<&Path>,
    ) -> Result<Self> {
        let mut observer = Observer::open(gpu, data, source, features, kinds)?;
        let real = observer.real(data, |_| {})?;
        Ok(Self {
            observer,
            kinds: kinds.to_vec(),
            real,
            unseen: unseen(data, source)?,
            features: features.map(Path::to_path_buf),
            best: None,
            scored: BTreeSet::new(),
        })
    }

    /// Forgets what was written after `step`, for a run that goes on there. The best
    /// checkpoint stays the best, of whatever step it is.
    ///
    /// # Errors
    /// [`Error::Usage`] for a line that is none, errors of reading and writing.
    pub(super) fn go_on(&mut self, folder: &RunFolder, step: u64) -> Result<()> {
        (self.best, self.scored) = Default::default();
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
                    self.scored.insert(line.step);
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
        if let Some(stored) = Best::stored(&folder.best()) {
            self.best = Some(stored);
        }
        replace(&path, |out| std::io::Write::write_all(out, kept.as_bytes()))
    }

    /// What a checkpoint says of its scores, for its metadata.
    pub(super) fn asked_for(&self) -> Vec<(String, String)> {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.word()).collect();
        let mut entries = vec![(METRICS.to_owned(), kinds.join(","))];
        if let Some(path) = &self.features {
            entries.push((FEATURES.to_owned(), path.display().to_string()));
        }
        entries
    }

    /// Scores the checkpoints of a stage up to `step` that were to be scored and have
    /// no line, as of a run that was killed between the two. The session is left in
    /// any of their states.
    ///
    /// # Errors
    /// Errors of the device, of reading and of writing.
    pub(super) fn make_up(
        &mut self,
        folder: &RunFolder,
        (step, stage): (u64, usize),
        session: &mut Session,
        progress: &mut Progress,
    ) -> Result<()> {
        for (of, path) in folder.checkpoints()? {
            // That of before the first step belongs to no snapshot.
            let asked = 1..=step;
            if !asked.contains(&of) || self.scored.contains(&of) || session.image().is_none() {
                continue;
            }
            // The newest can be read; older ones are not worth an error.
            let Ok(file) = Checkpoint::load(&path) else {
                continue;
            };
            // Of another stage it would be other networks.
            let (_, about) = state::description(&file, &path)?;
            if file.metadata.contains_key(METRICS) && about.stage == stage {
                state::restore(session, &file, &path)?;
                let images = session.show(&Asked::seeds(0..SAMPLES as u64))?;
                progress.line(&self.take(folder, of, &images, &path)?.0)?;
            }
        }
        Ok(())
    }

    /// Scores generated images `[count, C, H, W]` in [-1, 1] and appends a line.
    /// Returns the line for the log, and the scores by name. Where they are the best so far,
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
    ) -> Result<(String, BTreeMap<String, f64>)> {
        if images.iter().any(|pixel| !pixel.is_finite()) {
            let none = format!("no scores at step {step}: the samples are not finite");
            return Ok((none, BTreeMap::new()));
        }
        let start = Instant::now();
        let fake = self.observer.generated(images, |_| {})?;
        let unseen = self.unseen.as_deref();
        let scores = self.observer.measure(&self.real, unseen, &fake);
        let line = Line {
            step,
            samples: fake.count(),
            scores,
            seconds: start.elapsed().as_secs_f64(),
        };
        let mut text: String = format!("scores at step {step}:");
        for score in &line.scores {
            let value = score
                .value
                .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
            text += &format!("  {} {value}", score.name);
        }
        if self.is_best(&line.scores) {
            self.keep_best(folder, checkpoint)?;
            text += "  (the best so far)";
        }
        // Last, so that a kill before it leaves a checkpoint without a score, which
        // is made up for, and no best one that was never kept.
        append(&folder.metrics(), &line)?;
        self.scored.insert(step);
        let scores = line.scores.into_iter();
        let known = scores.filter_map(|score| Some((score.name, score.value?)));
        Ok((text, known.collect()))
    }

    /// Whether these are better than all before; they are remembered then.
    fn is_best(&mut self, scores: &[Score]) -> bool {
        let Some(new) = Best::of(scores, self.features.as_deref()) else {
            return false;
        };
        let better = self.best.as_ref().is_none_or(|best| new.beats(best));
        if better {
            self.best = Some(new);
        }
        better
    }

    /// Copies a checkpoint to `best.safetensors`, which says what it is the best by.
    fn keep_best(&self, folder: &RunFolder, checkpoint: &Path) -> Result<()> {
        let mut file = Checkpoint::load(checkpoint)?;
        let about = serde_json::json!(self.best).to_string();
        file.metadata.insert(BEST.to_owned(), about);
        file.save(&folder.best())
    }
}

impl Run<'_> {
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
        let (line, known) = scores.take(&self.folder, step, &images, &checkpoint)?;
        if let Some(events) = &mut self.events {
            events.scalars(step, &serde_json::json!({ "scores": known }))?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn best(score: &str, features: Option<&str>, loss: f64) -> Best {
        Best {
            score: score.to_owned(),
            features: features.map(PathBuf::from),
            loss,
        }
    }

    #[test]
    fn scores_of_another_kind_are_no_bar_for_new_ones() {
        let old = best("frechet", None, 5.0);
        assert!(best("frechet", None, 4.9).beats(&old));
        assert!(!best("frechet", None, 5.0).beats(&old));
        // Shares are negative: a worse precision would always be less than a distance.
        assert!(best("precision", None, -0.8).beats(&old));
        let shares = best("precision", None, -0.8);
        assert!(best("frechet", None, 50.0).beats(&shares));
        let other = best("frechet", Some("inception.safetensors"), 50.0);
        assert!(other.beats(&old) && !best("frechet", None, 5.1).beats(&old));
    }

    #[test]
    fn the_best_checkpoint_says_by_what_it_is_the_best() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("best.safetensors");
        assert_eq!(Best::stored(&path), None);
        let mut file = Checkpoint::default();
        file.tensors.insert("x".into(), (vec![1], vec![0.5]));
        file.save(&path).expect("saved");
        assert_eq!(Best::stored(&path), None);
        let kept = best("kernel", Some("f.safetensors"), 0.25);
        let about = serde_json::json!(kept).to_string();
        file.metadata.insert(BEST.to_owned(), about);
        file.save(&path).expect("saved");
        assert_eq!(Best::stored(&path), Some(kept));
    }
}
