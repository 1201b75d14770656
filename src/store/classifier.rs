//! What a classifier's file says about it.

use std::path::Path;

use super::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::nets;

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

    /// Whether a file says that it is a classifier's.
    pub fn is_of(file: &Checkpoint) -> bool {
        file.metadata
            .get(FORMAT.0)
            .is_some_and(|text| text == FORMAT.1)
    }

    /// From the metadata of a file.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is no classifier's.
    pub fn of(file: &Checkpoint, path: &Path) -> Result<Self> {
        let wrong = |what: String| {
            Error::usage(
                format!("{} is not a classifier: {what}", path.display()),
                "give a file that `gpugan classify` wrote, or for scores the FID's Inception network (docs/measuring.md)",
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
        if !about.network.is_possible() || classes != about.classes.len() {
            return Err(wrong(format!(
                "a network of {classes} classes, {width} channels and {features} features for images of {c}x{h}x{w} is out of range"
            )));
        }
        if !(0.0..=1.0).contains(&about.accuracy) {
            return Err(wrong(format!(
                "an accuracy of {} is not between 0 and 1",
                about.accuracy
            )));
        }
        Ok(about)
    }
}
