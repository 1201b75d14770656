//! `gpugan classify`: a classifier of labelled data, whose features score
//! samples.

use std::path::PathBuf;

use super::{AdapterArg, group};
use crate::config::options::ClassifyOptions;
use crate::config::{Override, assignment};
use crate::data::{Reading, from_anywhere};
use crate::error::{Error, Result};
use crate::nets::Classifier;
use crate::systems::presets;

/// Keys that change how pictures become images of one size.
const OF_FITTING: [&str; 3] = ["data.fit", "data.background", "data.load_size"];

/// Arguments of `gpugan classify`.
#[derive(Debug, clap::Parser)]
pub struct ClassifyArgs {
    /// Labelled data: a built-in set, IDX files, or a folder with a folder for each class
    #[arg(long, help_heading = group::DATA, value_name = "SOURCE", default_value = "fashion")]
    data: String,
    /// Test images [default: t10k files beside the data, else every tenth image of each class]
    #[arg(long, help_heading = group::DATA, value_name = "SOURCE")]
    test: Option<String>,
    /// Height and width of the images in pixels
    #[arg(long, help_heading = group::DATA, value_name = "N", default_value_t = 28, value_parser = clap::value_parser!(u32).range(4..=1024))]
    size: u32,
    /// Channels of the images [default: those of the data]
    #[arg(long, help_heading = group::DATA, value_name = "N")]
    channels: Option<usize>,
    /// Set data.fit, data.background or data.load_size, as for the training that is scored; may be
    /// repeated
    #[arg(long, help_heading = group::DATA, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Images per step
    #[arg(long, help_heading = group::DATA, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=65536))]
    batch: u32,
    /// Mirror each image left to right with probability 1/2
    #[arg(long, help_heading = group::DATA)]
    mirror: bool,
    /// Learn which way up images are instead of labels, to score unlabelled data
    #[arg(long, help_heading = group::DATA, conflicts_with = "mirror")]
    rotations: bool,
    /// Length of the feature vector
    #[arg(long, help_heading = group::MODEL, value_name = "N", default_value_t = Classifier::FEATURES as u32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    features: u32,
    /// Passes over the training images
    #[arg(long, help_heading = group::RUN, value_name = "N", default_value_t = 3.0)]
    epochs: f64,
    /// Initial learning rate of Adam, which falls linearly to 0
    #[arg(long, help_heading = group::RUN, value_name = "X", default_value_t = 3e-3)]
    lr: f64,
    /// Seed of weights, batches and dropout
    #[arg(long, help_heading = group::RUN, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    adapter: AdapterArg,
    /// File to write [default: in the user's cache folder, where `gpugan eval` looks for it]
    #[arg(long, help_heading = group::OUTPUT, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print only errors
    #[arg(long, help_heading = group::OUTPUT)]
    quiet: bool,
}
impl ClassifyArgs {
    /// What was asked, checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for numbers that make no sense.
    pub fn options(self) -> Result<ClassifyOptions> {
        for (flag, value, most) in [("--epochs", self.epochs, 1e6), ("--lr", self.lr, 1.0)] {
            if !(value > 0.0 && value <= most) {
                return Err(Error::usage(
                    format!("{flag} {value} is not allowed"),
                    format!("use a number above 0 and at most {most}"),
                ));
            }
        }
        Ok(ClassifyOptions {
            reading: self.reading()?,
            // As a training names them, so that it finds the classifier.
            data: from_anywhere(&self.data),
            test: self.test.as_deref().map(from_anywhere),
            epochs: self.epochs,
            batch: self.batch as usize,
            lr: self.lr,
            seed: self.seed,
            mirror: self.mirror,
            rotations: self.rotations,
            features: self.features as usize,
            out: self.out,
            adapter: self.adapter.chosen(),
            quiet: self.quiet,
        })
    }

    /// How the images are read.
    fn reading(&self) -> Result<Reading> {
        let mut changes = vec![Override::new("data.size", i64::from(self.size))];
        // Beyond any number of channels, which the key refuses.
        let channels = self.channels.map(|c| i64::try_from(c).unwrap_or(i64::MAX));
        changes.extend(channels.map(|channels| Override::new("data.channels", channels)));
        for text in &self.set {
            let change = assignment(text)?;
            if !OF_FITTING.contains(&change.key()) {
                return Err(Error::usage(
                    format!("--set {text} is not a key of a classifier"),
                    format!("use {}", OF_FITTING.join(", ")),
                ));
            }
            changes.push(change);
        }
        let config = presets::load(presets::DEFAULT)?.with(changes)?;
        config.data.reading()
    }
}
