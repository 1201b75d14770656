//! Real images and samples through the eyes of a classifier.

use std::path::{Path, PathBuf};

use crate::classify::{Classifier, Seen, kept_at};
use crate::data::{Dataset, to_floats, to_pixels};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, cache_folder};
use crate::metrics::modes::histogram;
use crate::metrics::{Rows, Samples};
use crate::train::checkpoint::Checkpoint;

/// Images looked at between two reports of progress.
pub(super) const CHUNK: usize = 512;

/// A classifier with the real images as it sees them.
pub struct Observer {
    classifier: Classifier,
    /// Where it was read from.
    path: PathBuf,
}

impl Observer {
    /// The classifier of a file, or the one that is kept for the data.
    ///
    /// # Errors
    /// [`Error::Usage`] with the command that makes one where there is none, or
    /// where it is for images of another shape.
    pub fn open(gpu: &Gpu, data: &Dataset, source: &str, file: Option<&Path>) -> Result<Self> {
        let [c, h, w] = data.shape();
        let command = if h == w {
            format!("make one: `gpugan classify --data {source} --size {h} --channels {c}`")
        } else {
            "give one for such images with --features".to_owned()
        };
        let path = match file {
            Some(path) => path.to_owned(),
            None => {
                let path = kept_at(data)?;
                if !path.is_file() {
                    return Err(Error::usage(
                        format!("no classifier is kept for {} at {c}x{h}x{w}", data.name()),
                        command,
                    ));
                }
                path
            }
        };
        let classifier = Classifier::load(gpu, &path)?;
        let image = classifier.about().network.image;
        if image != data.shape() {
            let [cc, ch, cw] = image;
            return Err(Error::usage(
                format!(
                    "{} is for images of {cc}x{ch}x{cw}, these are {c}x{h}x{w}",
                    path.display()
                ),
                command,
            ));
        }
        Ok(Self { classifier, path })
    }

    /// The classifier.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// All readable images of the data. What the classifier sees in them is
    /// kept in the user's cache folder for the next time; `watch` hears how many
    /// more were looked at.
    ///
    /// # Errors
    /// [`Error::Usage`] where none can be read; errors of the device.
    pub fn real(&mut self, data: &Dataset, watch: impl FnMut(usize)) -> Result<Samples> {
        let (pixels, _) = data.pixels(0..data.len());
        if pixels.is_empty() {
            return Err(Error::usage(
                format!("no image of {} can be read", data.name()),
                "give other --data",
            ));
        }
        let kept = self.kept(data);
        let known = kept.as_ref().and_then(|path| self.known(path, &pixels));
        let seen = match known {
            Some(seen) => seen,
            None => {
                let seen = self.look(&pixels, watch)?;
                if let Some(path) = kept {
                    self.keep(&seen, &path);
                }
                seen
            }
        };
        Ok(self.samples(pixels, seen))
    }

    /// Generated images `[count, C, H, W]` in [-1, 1], rounded to 8 bits as
    /// files would have them.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn generated(&mut self, images: &[f32], watch: impl FnMut(usize)) -> Result<Samples> {
        let pixels = to_pixels(images);
        let seen = self.look(&pixels, watch)?;
        Ok(self.samples(pixels, seen))
    }

    fn look(&mut self, pixels: &[u8], mut watch: impl FnMut(usize)) -> Result<Seen> {
        let one: usize = self.classifier.about().network.image.iter().product();
        let mut all = Seen::default();
        for part in pixels.chunks(CHUNK * one) {
            let seen = self.classifier.look(&to_floats(part))?;
            all.features.extend(seen.features);
            all.logits.extend(seen.logits);
            watch(part.len() / one);
        }
        Ok(all)
    }

    fn samples(&self, pixels: Vec<u8>, seen: Seen) -> Samples {
        let network = &self.classifier.about().network;
        Samples {
            shape: network.image,
            pixels,
            probabilities: seen.probabilities(network.classes),
            classes: histogram(seen.classes(network.classes), network.classes),
            features: Rows {
                values: seen.features,
                width: network.features,
            },
        }
    }

    /// Where features of the data are kept; the name changes with the images and
    /// with the classifier.
    fn kept(&self, data: &Dataset) -> Option<PathBuf> {
        let bytes = std::fs::read(&self.path).ok()?;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        let name = format!(
            "real-{:08x}-{:08x}.safetensors",
            data.fingerprint(),
            crc.sum()
        );
        Some(cache_folder().ok()?.join(name))
    }

    /// What was kept; a file that is missing, damaged or of another number of
    /// images is as good as none.
    fn known(&self, path: &Path, pixels: &[u8]) -> Option<Seen> {
        let mut file = Checkpoint::load(path).ok()?;
        let network = &self.classifier.about().network;
        let count = pixels.len() / network.image.iter().product::<usize>();
        let mut tensor = |name: &str, width: usize| {
            let (shape, values) = file.tensors.remove(name)?;
            (shape == [count, width]).then_some(values)
        };
        Some(Seen {
            features: tensor("features", network.features)?,
            logits: tensor("logits", network.classes)?,
        })
    }

    /// Purely an acceleration, so a failure is none of the evaluation.
    fn keep(&self, seen: &Seen, path: &Path) {
        let network = &self.classifier.about().network;
        let mut file = Checkpoint::default();
        for (name, values, width) in [
            ("features", &seen.features, network.features),
            ("logits", &seen.logits, network.classes),
        ] {
            let shape = vec![values.len() / width, width];
            file.tensors
                .insert(name.to_owned(), (shape, values.clone()));
        }
        if let Some(folder) = path.parent()
            && std::fs::create_dir_all(folder).is_ok()
        {
            let _ = file.save(path);
        }
    }
}
