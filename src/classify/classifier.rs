//! A stored classifier on a device: features and class probabilities of images.

use std::path::{Path, PathBuf};

use super::stored::{Kind, Stored};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::run::viewer::Viewer;
use crate::store::checkpoint::Checkpoint;

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
    pub(super) kind: Kind,
    pub(super) network: Viewer,
}

impl Classifier {
    /// The classifier of a file that `gpugan classify` makes, read from `path`.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a file that is none; errors of the device.
    pub fn new(gpu: &Gpu, file: &Checkpoint, path: &Path) -> Result<Self> {
        Stored::classifier(file.clone(), path)?.on(gpu)
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Length of a feature vector, and number of classes.
    pub fn widths(&self) -> [usize; 2] {
        let mut widths = self.network.widths().into_iter();
        [(); 2].map(|()| widths.next().unwrap_or_default())
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
            .classes(self.widths()[1])
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
/// [`crate::Error::Usage`] where the system names no such folder.
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
