//! Real images and samples through the eyes of a classifier.

use std::path::{Path, PathBuf};

use crate::classify::{Classifier, Seen, kept_at};
use crate::data::{Dataset, STACKED, to_floats, to_pixels};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, cache_folder};
use crate::metrics::modes;
use crate::metrics::{Rows, Samples};
use crate::store::checkpoint::Checkpoint;

/// Images looked at between two reports of progress.
pub(super) const CHUNK: usize = 512;

/// Unseen real images for the memorisation ratio at most.
const UNSEEN: usize = 500;

/// Real stacks that are looked at, of all that there are.
const STACKS: usize = 10_000;

/// A classifier with the real images as it sees them. Of stacks it sees one
/// channel after the other: their features are those of the channels in a row,
/// and their class is the number that the channels' classes are the digits of.
pub struct Observer {
    classifier: Classifier,
    /// Channels that are images of their own; 1 where images are no stacks.
    stack: usize,
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
        let (data, stack) = data.single();
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
        let classes = classifier.about().network.classes;
        let stacks = classes.checked_pow(stack as u32);
        if stacks.is_none_or(|stacks| stack > 1 && stacks > STACKED) {
            return Err(Error::usage(
                format!(
                    "{} tells {classes} classes, of which stacks of {stack} make more than {STACKED}",
                    path.display()
                ),
                "give a classifier of fewer classes with --features",
            ));
        }
        Ok(Self {
            classifier,
            stack,
            path,
        })
    }

    /// The classifier whose features are used.
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// All readable images of the data, or 10,000 of a stacked set. What the
    /// classifier sees in them is kept in the user's cache folder for the next
    /// time; `watch` hears how many more were looked at.
    ///
    /// Parts of real stacks are independent, so the classes of all stacks are
    /// taken to be as frequent as the product of their parts'.
    ///
    /// # Errors
    /// [`Error::Usage`] where none can be read; errors of the device.
    pub fn real(&mut self, data: &Dataset, watch: impl FnMut(usize)) -> Result<Samples> {
        let (pixels, _) = data.pixels(data.evenly(self.reals(data)));
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
        let mut samples = self.samples(pixels, seen);
        if self.stack > 1 {
            let classes = self.classifier.about().network.classes;
            samples.classes = modes::of_stacks(&samples.classes, classes, self.stack);
        }
        Ok(samples)
    }

    /// How many images of the data are looked at.
    pub(super) fn reals(&self, data: &Dataset) -> usize {
        if self.stack > 1 {
            STACKS.min(data.len())
        } else {
            data.len()
        }
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
        let image = self.classifier.about().network.image;
        let one = self.stack * image.iter().product::<usize>();
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
        let [channels, height, width] = network.image;
        let seen_classes: Vec<usize> = seen.classes(network.classes).collect();
        let numbers = seen_classes
            .chunks_exact(self.stack)
            .map(|digits| modes::number(digits, network.classes));
        Samples {
            shape: [channels * self.stack, height, width],
            stack: self.stack,
            pixels,
            probabilities: seen.probabilities(network.classes),
            classes: modes::histogram(numbers, network.classes.pow(self.stack as u32)),
            features: Rows {
                values: seen.features,
                width: network.features * self.stack,
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

/// Test images of `source`, 500 at most, in the shape of `data`; `None` where
/// there are none, and of stacks.
///
/// # Errors
/// As of [`Dataset::open_test`].
pub fn unseen(data: &Dataset, source: &str) -> Result<Option<Vec<u8>>> {
    if data.single().1 > 1 {
        return Ok(None);
    }
    let test = data.reading().open_test(source)?;
    Ok(test.map(|test| test.pixels(test.evenly(UNSEEN)).0))
}
