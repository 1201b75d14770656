//! A run that goes on, and what it is compared with first: its checkpoint's own
//! configuration, its data and its adapter.

use std::path::{Path, PathBuf};

use crate::config::{Config, Difference};
use crate::data::Streams;
use crate::error::{Error, Result};
use crate::gpu::AdapterFacts;
use crate::run::state::{self, About};
use crate::run::stats;
use crate::store::checkpoint::{self, Checkpoint};
use crate::store::lock::Lock;
use crate::store::run_folder::RunFolder;
use crate::systems::presets;

/// A run that goes on.
pub(super) struct Resumed {
    /// None of a dry run, which writes nothing.
    lock: Option<Lock>,
    pub(super) newest: Option<(PathBuf, Checkpoint)>,
    /// What the newest was made for.
    about: Option<About>,
    step: u64,
    /// For the log: what is otherwise than when the checkpoint was saved, and
    /// checkpoints that were passed over.
    pub(super) notes: Vec<String>,
}

impl Resumed {
    /// Takes the folder and finds the newest checkpoint that can be read. A run
    /// that was killed before its first one starts over.
    ///
    /// # Errors
    /// [`Error::Usage`] where another process has the folder, where no checkpoint
    /// can be read or one is missing, where the run is at its end, and where the
    /// checkpoint is of another configuration.
    pub(super) fn open(path: &Path, config: &Config, dry_run: bool) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let lock = (!dry_run).then(|| Lock::take(&folder)).transpose()?;
        let mut skipped = Vec::new();
        let newest = checkpoint::newest_readable(path, |e| skipped.push(e.to_string()));
        let mut notes: Vec<String> = skipped.iter().map(|e| format!("warning: {e}")).collect();
        let (mut step, mut made_for) = (0, None);
        match &newest {
            Some((file, checkpoint)) => {
                step = state::progress(checkpoint, file)?.0.step;
                let (saved, about) = state::description(checkpoint, file)?;
                notes.extend(compare(file, &saved, config, &about)?);
                made_for = Some(about);
                if step >= config.steps {
                    return Err(Error::usage(
                        format!(
                            "{} is already at step {step}, and the run ends at step {}",
                            path.display(),
                            config.steps
                        ),
                        format!("give --steps above {step}"),
                    ));
                }
            }
            None if skipped.is_empty() => check_statistics(&folder)?,
            None => {
                return Err(Error::usage(
                    format!(
                        "no checkpoint of {} can be read: {}",
                        path.display(),
                        skipped.join("; ")
                    ),
                    "start a new run, or copy an intact checkpoint there",
                ));
            }
        }
        Ok(Self {
            lock,
            newest,
            about: made_for,
            step,
            notes,
        })
    }

    /// Refuses other data than those of the checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] naming both.
    pub(super) fn check_data(&self, data: &Streams, source: &str) -> Result<()> {
        let (Some((path, _)), Some(about)) = (&self.newest, &self.about) else {
            return Ok(());
        };
        let images = data.images();
        let same = match &about.data {
            Some(saved) => {
                *saved == state::identity(data)
                    && about.sides == data.sides()
                    && about.classes == images.class_names()
            }
            // Files of earlier programs do not say.
            None => true,
        };
        if same && about.channels == images.shape()[0] {
            return Ok(());
        }
        Err(Error::usage(
            format!(
                "--data {source} are not the images that {} was trained on",
                path.display()
            ),
            "bring the same images back, in the same order and with the same classes, or start a new run, perhaps with --init",
        ))
    }

    /// Says where the checkpoint was saved on another adapter or driver.
    pub(super) fn compare_adapter(&mut self, facts: &AdapterFacts) {
        let newest = self.newest.as_ref();
        let saved = newest.and_then(|(_, file)| file.metadata.get(state::ADAPTER));
        let here = facts.identity();
        if let Some(saved) = saved.filter(|saved| **saved != here) {
            self.notes.push(format!(
                "warning: the checkpoint was saved on {saved}, and the run continues on {here}: \
                 from here on its results are not bit for bit those of that adapter"
            ));
        }
    }

    /// Says where the checkpoint was trained by other kernels, of an earlier program or
    /// before `--tune`.
    pub(super) fn compare_arithmetic(&mut self, here: &str) {
        let Some((path, file)) = &self.newest else {
            return;
        };
        let saved = file.metadata.get(state::ARITHMETIC);
        if saved.is_none_or(|saved| saved != here) {
            let saved = saved.map_or("those of an earlier version", String::as_str);
            self.notes.push(format!(
                "{} was trained with other kernels ({saved}, now {here}): \
                 from here on results may round differently",
                path.display()
            ));
        }
    }

    /// The stage that it goes on in.
    pub(super) fn stage(&self) -> usize {
        self.about.as_ref().map_or(0, |about| about.stage)
    }

    /// What the checkpoint keeps; none where weights are drawn anew.
    pub(super) fn kept(&self) -> Option<&str> {
        self.about.as_ref().map(|about| about.kept.as_str())
    }

    /// The step that it goes on from; 0 of one that starts over.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// The lock, for as long as the run writes into its folder.
    pub(super) fn lock(&mut self) -> Option<Lock> {
        self.lock.take()
    }
}

/// Whether a key decides what the weights and the state of a run mean, or which
/// data it sees in which order, or has been used up; else a run may go on with another
/// value.
fn is_fixed(key: &str, about: &About) -> bool {
    let of_state = key.ends_with(".kind") || key.ends_with(".momentum_form");
    let optimizer = key.starts_with("optimizer.") && of_state;
    let data = key.starts_with("data.") && key != "data.source";
    let top = ["system", "seed", "batch", "loss.pack"].contains(&key);
    // The network that a file gave is the run's own from then on.
    let features = ["loss.features", "loss.layer"].contains(&key) && !about.kept.is_empty();
    let stage = key == "loss.pretrain" && about.stage > 0;
    top || data || optimizer || features || stage || key.starts_with("model.")
}

/// What is otherwise in a run's configuration than in that of its checkpoint.
///
/// # Errors
/// [`Error::Usage`] with all keys that may not change.
fn compare(path: &Path, saved: &Config, asked: &Config, about: &About) -> Result<Option<String>> {
    let found = saved.differences(asked);
    let (fixed, free): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| is_fixed(&d.key, about));
    let listed = |found: &[Difference]| {
        let one =
            |d: &Difference| format!("{} = {}, but {} in the checkpoint", d.key, d.theirs, d.ours);
        found.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    if !fixed.is_empty() {
        return Err(Error::usage(
            format!(
                "{} was saved with a configuration other than this run's: {}",
                path.display(),
                listed(&fixed)
            ),
            "leave out what was set, bring config.toml and the checkpoints of one run together, or start a new run",
        ));
    }
    let note = || format!("changed since {}: {}", path.display(), listed(&free));
    Ok((!free.is_empty()).then(note))
}

/// Refuses statistics that go beyond the first checkpoint where there is none:
/// what they tell of is lost, and the run would start over under them.
fn check_statistics(folder: &RunFolder) -> Result<()> {
    if !folder.stats().is_file() {
        return Ok(());
    }
    let train = presets::read(&folder.config())?.train;
    let first = train.tick.saturating_mul(train.snap);
    let ticks = stats::read(&folder.stats())?;
    match ticks.last().filter(|last| last.step > first) {
        None => Ok(()),
        Some(last) => Err(Error::usage(
            format!(
                "{} has statistics up to step {} but no checkpoint; the first is saved at step {first}",
                folder.path().display(),
                last.step
            ),
            "copy a checkpoint of this run there, or start a new run",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::systems::presets;

    fn changed(changes: &[(&str, toml::Value)]) -> Config {
        let changes = changes.iter();
        let changes = changes.map(|(key, value)| Override::new(*key, value.clone()));
        let base = presets::load("dcgan28").expect("a preset");
        base.with(changes).expect("goes together")
    }

    #[test]
    fn what_may_change_is_stated_and_what_may_not_is_refused() {
        let saved = changed(&[]);
        let path = Path::new("checkpoint-000002.safetensors");
        let about = About::default();
        assert_eq!(
            compare(path, &saved, &saved, &about).expect("the same"),
            None
        );
        let free = changed(&[
            ("steps", 77.into()),
            ("train.keep", 5.into()),
            ("optimizer.g.lr", 2e-3.into()),
            ("data.source", "elsewhere".into()),
        ]);
        let note = compare(path, &saved, &free, &about).expect("allowed");
        let note = note.expect("stated");
        for part in [
            "steps = 77, but 2000 in the checkpoint",
            "train.keep = 5, but 3 in the checkpoint",
            "optimizer.g.lr = 0.002, but 0.001 in the checkpoint",
            "data.source = \"elsewhere\", but \"fashion\" in the checkpoint",
        ] {
            assert!(note.contains(part), "`{part}` is not in: {note}");
        }
        for (key, value) in [
            ("seed", 1.into()),
            ("batch", 16.into()),
            ("data.mirror", true.into()),
            ("data.size", 32.into()),
            ("model.width", 8.into()),
            ("model.output", "sigmoid".into()),
            ("optimizer.d.kind", "sgd".into()),
        ] {
            let value: toml::Value = value;
            let refused = compare(path, &saved, &changed(&[(key, value)]), &about);
            let said = refused.expect_err(key).to_string();
            assert!(
                said.contains(key) && said.contains("in the checkpoint;"),
                "{said}"
            );
        }
        let mlp = presets::load("mlp").expect("a preset");
        let form = Override::new("optimizer.g.momentum_form", "torch");
        let other = mlp.with([form]).expect("goes together");
        assert!(compare(path, &mlp, &other, &about).is_err());
    }

    #[test]
    fn what_a_stage_has_used_up_stays_as_it_was() {
        let saved = presets::load("srgan32").expect("a preset");
        let path = Path::new("checkpoint-000002.safetensors");
        let before = About::default();
        let in_the_game = About {
            stage: 1,
            kept: "a classifier".to_owned(),
            ..About::default()
        };
        for (key, value) in [
            ("loss.pretrain", toml::Value::from(4000)),
            ("loss.features", "other.safetensors".into()),
        ] {
            let changes = [
                Override::new("loss.features", "features.safetensors"),
                Override::new(key, value),
            ];
            let saved = saved.with(changes[..1].to_vec()).expect("goes together");
            let asked = saved.with(changes).expect("goes together");
            assert!(compare(path, &saved, &asked, &before).is_ok(), "{key}");
            let refused = compare(path, &saved, &asked, &in_the_game).expect_err(key);
            assert!(refused.to_string().contains(key), "{refused}");
        }
    }
}
