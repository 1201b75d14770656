//! Training a classifier by a recipe.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Override};
use crate::data::{Dataset, Loader, Position};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::nets;
use crate::run::Next;
use crate::run::capacity;
use crate::run::session::Session;
use crate::run::state;
use crate::store::checkpoint::Checkpoint;
use crate::store::classifier::About;
use crate::systems::{self, Given, presets};

/// The preset of the recipe.
const PRESET: &str = "classifier";

/// How a classifier is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Updates; the learning rate falls linearly to 0 in them.
    pub steps: u64,
    /// Images in an update.
    pub batch: usize,
    /// Adam's first learning rate.
    pub lr: f64,
    /// Seed of weights, batches and dropout.
    pub seed: u64,
    /// Whether images are mirrored by chance.
    pub mirror: bool,
    /// Length of the feature vector.
    pub features: usize,
}

impl Recipe {
    /// So many epochs of a set, at least one update.
    pub fn of_epochs(epochs: f64, images: usize, batch: usize) -> Self {
        let steps = (epochs * images as f64 / batch as f64).ceil().max(1.0);
        Self {
            steps: steps as u64,
            batch,
            lr: 3e-3,
            seed: 0,
            mirror: false,
            features: nets::Classifier::FEATURES,
        }
    }

    /// The network that learns images `[C, H, W]` of so many classes by it.
    pub fn network(&self, image: [usize; 3], classes: usize) -> nets::Classifier {
        nets::Classifier {
            features: self.features,
            ..nets::Classifier::new(image, classes)
        }
    }

    /// As a run's configuration.
    fn config(&self) -> Result<Config> {
        let changes = [
            // All are far below 2^63.
            Override::new("batch", self.batch as i64),
            Override::new("steps", self.steps as i64),
            Override::new("model.features", self.features as i64),
            Override::new("optimizer.c.lr_steps", self.steps as i64),
            Override::new("optimizer.c.lr", self.lr),
            Override::new("train.health", false),
        ];
        let mut config = presets::load(PRESET)?.with(changes)?;
        // Any seed is one, those beyond what TOML can hold too.
        config.seed = self.seed;
        Ok(config)
    }
}

/// One update's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Its number, from 1.
    pub step: u64,
    /// Cross-entropy of the batch, in nats.
    pub loss: f64,
    /// Share of the batch told right.
    pub accuracy: f64,
}

/// Trains a network on labelled data and returns its tensors, without metadata.
/// `watch` hears of every update, late but in order, and may end the training;
/// then there is no result.
///
/// # Errors
/// [`Error::Usage`] for data without labels and a batch that does not fit; [`Error::Gpu`] where the training
/// diverged or the device failed.
pub fn train(
    gpu: &Gpu,
    data: &Arc<Dataset>,
    recipe: &Recipe,
    mut watch: impl FnMut(Update) -> Result<Next>,
) -> Result<Option<Checkpoint>> {
    if data.label(0).is_none() {
        return Err(Error::usage(
            format!("{} has no labels to learn", data.name()),
            "give IDX files with labels, or a folder with a folder for each class",
        ));
    }
    let config = recipe.config()?;
    let given = Given {
        classes: data.class_names(),
        ..Given::images(data.shape())
    };
    let open = |config: &Config| systems::open(config, &given);
    let (system, blueprint) = capacity::plan(&gpu.facts, &config, open)?;
    let mut session = Session::new(gpu, &config, system, blueprint)?;
    let start = Position::default();
    let mut loader = Loader::new(
        Arc::clone(data),
        recipe.batch,
        recipe.seed,
        start,
        recipe.mirror,
    )?;
    for number in 1..=recipe.steps {
        session.step(&mut loader)?;
        let arrived = if number == recipe.steps {
            session.finish()?
        } else {
            session.arrived()?
        };
        for (step, reports) in arrived {
            if watch(outcome(step, &reports)?)? == Next::Stop {
                return Ok(None);
            }
        }
    }
    state::network(&session).map(Some)
}

fn outcome(step: u64, reports: &[f32]) -> Result<Update> {
    let [loss, accuracy] = [0, 1].map(|index| f64::from(reports[index]));
    if !loss.is_finite() {
        return Err(Error::gpu(
            format!("training diverged: the loss at step {step} is {loss}"),
            "lower the learning rate (--lr)",
        ));
    }
    Ok(Update {
        step,
        loss,
        accuracy,
    })
}

/// The tensors of a trained classifier with what is known about it.
pub(super) fn described(mut tensors: Checkpoint, about: &About) -> Checkpoint {
    tensors.metadata = about.metadata().into();
    tensors
}

/// Keeps a classifier's file, in a folder that is made if it is missing.
pub(super) fn keep(file: &Checkpoint, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    file.save(path)
}
