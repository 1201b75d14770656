//! A stored classifier on a device: features and class probabilities of images.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::nets;
use crate::run::viewer::Viewer;
use crate::store::checkpoint::Checkpoint;
use crate::systems::classifier;

/// Images of one pass.
const PASS: usize = 128;

/// The metadata entry that tells a classifier from other files, and its value.
const FORMAT: (&str, &str) = ("format", "gpugan classifier 1");

/// What a classifier's file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The name of its features, a part of the name of every score made with
    /// them.
    pub features: String,
    /// What it was trained on, as `--data` names it.
    pub data: String,
    /// Names of the classes in the order of the logits.
    pub classes: Vec<String>,
    /// Share of the test images that it tells right, 0 to 1.
    pub accuracy: f64,
    /// How many test images there were, and what they were.
    pub tested_on: String,
    /// The sizes that the network was built with.
    pub network: nets::Classifier,
}

impl About {
    /// As metadata of a file.
    pub fn metadata(&self) -> [(String, String); 8] {
        let [c, h, w] = self.network.image;
        [
            (FORMAT.0, FORMAT.1.to_owned()),
            ("features", self.features.clone()),
            ("data", self.data.clone()),
            ("classes", serde_json::json!(self.classes).to_string()),
            ("size", format!("{c}x{h}x{w}")),
            ("accuracy", self.accuracy.to_string()),
            ("tested_on", self.tested_on.clone()),
            ("network", serde_json::json!(self.network).to_string()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
    }

    /// From the metadata of a file.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is no classifier's.
    pub fn of(file: &Checkpoint, path: &Path) -> Result<Self> {
        let wrong = |what: String| {
            Error::usage(
                format!("{} is no classifier: {what}", path.display()),
                "give a file that `gpugan classify` wrote",
            )
        };
        let text = |name: &str| {
            let text = file.metadata.get(name).cloned();
            text.ok_or_else(|| wrong(format!("it has no {name} in its metadata")))
        };
        let format = text(FORMAT.0)?;
        if format != FORMAT.1 {
            return Err(wrong(format!("its format is {format}, not {}", FORMAT.1)));
        }
        let parsed =
            |name: &str, error: String| wrong(format!("its {name} cannot be read: {error}"));
        let about = Self {
            features: text("features")?,
            data: text("data")?,
            classes: serde_json::from_str(&text("classes")?)
                .map_err(|e| parsed("classes", e.to_string()))?,
            accuracy: text("accuracy")?
                .parse()
                .map_err(|e: std::num::ParseFloatError| parsed("accuracy", e.to_string()))?,
            tested_on: text("tested_on")?,
            network: serde_json::from_str(&text("network")?)
                .map_err(|e| parsed("network", e.to_string()))?,
        };
        let nets::Classifier {
            image: [c, h, w],
            classes,
            width,
            features,
        } = about.network;
        let sizes = (1..=4).contains(&c)
            && [h, w].iter().all(|side| (1..=1024).contains(side))
            && [width, features]
                .iter()
                .all(|size| (1..=4096).contains(size));
        if !sizes || classes < 2 || classes != about.classes.len() {
            return Err(wrong(format!(
                "a network of {classes} classes, {width} channels and {features} features for images of {c}x{h}x{w} is out of range"
            )));
        }
        if !(0.0..=1.0).contains(&about.accuracy) {
            return Err(wrong(format!(
                "an accuracy of {} is no share",
                about.accuracy
            )));
        }
        Ok(about)
    }
}

/// What a classifier says of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Features, row-major `[count, features]`.
    pub features: Vec<f32>,
    /// Logits, row-major `[count, classes]`.
    pub logits: Vec<f32>,
}

/// A classifier with its weights on a device.
pub struct Classifier {
    about: About,
    network: Viewer,
}

impl Classifier {
    /// Loads a classifier's file.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that is none; errors of the device.
    pub fn load(gpu: &Gpu, path: &Path) -> Result<Self> {
        let file = Checkpoint::load(path)?;
        Self::new(gpu, &file, path)
    }

    /// The classifier of a file that was read from `path`.
    ///
    /// # Errors
    /// As of [`Classifier::load`].
    pub fn new(gpu: &Gpu, file: &Checkpoint, path: &Path) -> Result<Self> {
        let about = About::of(file, path)?;
        let system = classifier::Classifier::of(about.network.clone());
        let mend = "give a file that `gpugan classify` wrote";
        let view = ("features", PASS);
        let network = Viewer::new(gpu, &system, view, false, (file, path), mend)?;
        Ok(Self { network, about })
    }

    /// What is known about it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Features and logits of images `[count, C, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// Where the device failed.
    pub fn look(&mut self, images: &[f32]) -> Result<Seen> {
        let mut outputs = self.network.look_at(images)?.into_iter();
        let [features, logits] = [(); 2].map(|()| outputs.next().unwrap_or_default());
        Ok(Seen { features, logits })
    }

    /// Share of images `[count, C, H, W]` in [-1, 1] that it tells right.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn accuracy(&mut self, images: &[f32], labels: &[u32]) -> Result<f64> {
        let seen = self.look(images)?;
        let right = seen
            .classes(self.about.network.classes)
            .zip(labels)
            .filter(|(class, label)| *class == **label as usize)
            .count();
        Ok(right as f64 / labels.len().max(1) as f64)
    }
}

impl Seen {
    /// The class of each image: the first largest logit.
    pub fn classes(&self, classes: usize) -> impl Iterator<Item = usize> {
        self.logits.chunks_exact(classes).map(|row| {
            let mut best = 0;
            for (class, logit) in row.iter().enumerate() {
                if *logit > row[best] {
                    best = class;
                }
            }
            best
        })
    }

    /// Class probabilities, row-major `[count, classes]`: the softmax of the
    /// logits.
    pub fn probabilities(&self, classes: usize) -> Vec<f64> {
        self.logits
            .chunks_exact(classes)
            .flat_map(|row| {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exponentials: Vec<f64> =
                    row.iter().map(|x| f64::from(x - largest).exp()).collect();
                let sum: f64 = exponentials.iter().sum();
                exponentials.into_iter().map(move |x| x / sum)
            })
            .collect()
    }
}

/// Where the classifier of a data set is kept when no file is named: in the
/// user's cache folder, under the data's name, image shape and fingerprint.
///
/// # Errors
/// [`Error::Usage`] where the system names no such folder.
pub fn kept_at(data: &crate::data::Dataset) -> Result<PathBuf> {
    let [c, h, w] = data.shape();
    let name: String = data
        .name()
        .chars()
        .map(|x| if x.is_ascii_alphanumeric() { x } else { '-' })
        .take(60)
        .collect();
    let mark = data.fingerprint();
    Ok(crate::gpu::cache_folder()?.join(format!(
        "classifier-{name}-{c}x{h}x{w}-{mark:08x}.safetensors"
    )))
}
