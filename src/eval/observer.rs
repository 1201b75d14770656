//! Real images and samples through the eyes of a classifier, or as pixels alone.

use std::path::{Path, PathBuf};

use crate::classify::{About, Classifier, Kind, Seen, Stored, kept_at};
use crate::data::{Dataset, STACKED, TURNS, to_floats, to_pixels};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, cache_folder};
use crate::metrics::{self, Features, Metric, Rows, Samples, Score, modes};
use crate::store::checkpoint::Checkpoint;

/// Images looked at between two reports of progress.
pub(super) const CHUNK: usize = 512;

/// Unseen real images for the memorisation ratio at most.
const UNSEEN: usize = 500;

/// Real stacks that are looked at, of all that there are.
const STACKS: usize = 10_000;

/// Measures samples against real images, with a classifier where there is one. Of
/// stacks it sees one channel after the other: their features are those of the channels
/// in a row, and their class is the number that the channels' classes are the digits of.
pub struct Observer {
    eye: Option<Eye>,
    /// `[C, H, W]` of the images.
    shape: [usize; 3],
    /// Channels that are images of their own; 1 where images are no stacks.
    stack: usize,
    /// What can be measured of what was asked for.
    metrics: Vec<Metric>,
    /// What cannot, where everything was asked for, and why.
    left_out: Option<String>,
}

struct Eye {
    classifier: Classifier,
    /// Where it was read from.
    path: PathBuf,
}

/// How to come to a classifier of images.
fn mend(data: &Dataset, source: &str) -> String {
    let [c, h, w] = data.shape();
    if h != w {
        return "give a classifier for such images with --features".to_owned();
    }
    let labels = match data.label(0) {
        Some(_) => "",
        None => " --rotations",
    };
    let sets = data.reading().changes();
    format!("make one: `gpugan classify --data {source} --size {h} --channels {c}{labels}{sets}`")
}

/// What is measured, and with which network.
struct Chosen {
    stored: Option<Stored>,
    metrics: Vec<Metric>,
    left_out: Option<String>,
}

/// The classifier of a file, or the one that is kept for the data, if any, with what can
/// be measured of what was asked for.
///
/// # Errors
/// As of [`Observer::check`].
fn chosen(data: &Dataset, source: &str, file: Option<&Path>, metrics: &[Metric]) -> Result<Chosen> {
    let (single, stack) = data.single();
    let path = match file {
        Some(path) => path.to_owned(),
        None => kept_at(single)?,
    };
    let stored = match file.is_some() || path.is_file() {
        true => Some(Stored::read(&path, single.shape(), &mend(single, source))?),
        false => None,
    };
    let kind = stored.as_ref().map(Stored::kind);
    let classes = kind.map_or(0, Kind::classes);
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
    let (missing, kept): (Vec<_>, Vec<_>) =
        metrics.iter().copied().partition(|metric| match kind {
            None => metric.is_of_features(),
            Some(Kind::Own(about)) => metric.is_of_classes() && about.classes == TURNS,
            // Its classes are its own, but a published score is of their probabilities.
            Some(Kind::Inception) => *metric == Metric::Modes,
        });
    let left_out = if missing.is_empty() {
        None
    } else {
        let words: Vec<&str> = missing.iter().map(|metric| metric.word()).collect();
        let words = words.join(", ");
        let other = |what: String| {
            let mend = format!("for {words}, give a classifier of labelled images with --features");
            Error::usage(what, mend)
        };
        let reason = match kind {
            None => Observer::no_classifier(data, source),
            Some(Kind::Own(about)) => other(format!(
                "{} tells which way up images are, not their class",
                about.features
            )),
            Some(Kind::Inception) => {
                other("the FID's Inception network does not know the classes of the data".into())
            }
        };
        if metrics != Metric::ALL || kind.is_none() && single.label(0).is_some() {
            return Err(reason);
        }
        Some(format!("{words} ({reason})"))
    };
    Ok(Chosen {
        stored,
        metrics: kept,
        left_out,
    })
}

impl Observer {
    /// With the classifier of a file, or the one that is kept for the data. Of all
    /// metrics those that cannot be measured are left out: without a classifier those of
    /// features, and with one of rotations, or Inception, those of classes.
    ///
    /// # Errors
    /// As of [`Observer::check`]; errors of the device.
    pub fn open(
        gpu: &Gpu,
        data: &Dataset,
        source: &str,
        file: Option<&Path>,
        metrics: &[Metric],
    ) -> Result<Self> {
        let Chosen {
            stored,
            metrics,
            left_out,
        } = chosen(data, source, file, metrics)?;
        let open = |stored: Stored| {
            Ok::<_, Error>(Eye {
                classifier: stored.on(gpu)?,
                path: stored.path().to_owned(),
            })
        };
        Ok(Self {
            eye: stored.map(open).transpose()?,
            shape: data.shape(),
            stack: data.single().1,
            metrics,
            left_out,
        })
    }

    /// Which of all metrics cannot be measured, and why.
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// Refuses what [`Observer::open`] would, without a device.
    ///
    /// # Errors
    /// [`Error::Usage`] with what to do where a chosen metric cannot be measured, where
    /// there is no classifier for labelled data, or where it is for images of another
    /// shape; for a file that holds none.
    pub fn check(
        data: &Dataset,
        source: &str,
        file: Option<&Path>,
        metrics: &[Metric],
    ) -> Result<()> {
        chosen(data, source, file, metrics).map(drop)
    }

    /// That there is no classifier, with the command that makes one.
    pub(super) fn no_classifier(data: &Dataset, source: &str) -> Error {
        let data = data.single().0;
        let [c, h, w] = data.shape();
        Error::usage(
            format!("there is no classifier for {} at {c}x{h}x{w}", data.name()),
            mend(data, source),
        )
    }

    /// What the network is whose features are used, if any.
    pub fn kind(&self) -> Option<&Kind> {
        self.eye.as_ref().map(|eye| eye.classifier.kind())
    }

    /// What is known of it, where `gpugan classify` wrote it.
    pub fn about(&self) -> Option<&About> {
        self.kind().and_then(Kind::about)
    }

    /// Scores samples against real images. `unseen` are pixels of real images that the
    /// generator was not trained on, where there are any.
    pub fn measure(&self, real: &Samples, unseen: Option<&[u8]>, fake: &Samples) -> Vec<Score> {
        let features = self.kind().map_or(Features::Own(""), Kind::features);
        metrics::measure(&self.metrics, features, real, unseen, fake)
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
                format!("no image in {} can be read", data.name()),
                "give other --data",
            ));
        }
        let kept = self.eye.as_ref().and_then(|eye| eye.kept(data));
        let known = kept.as_ref().zip(self.eye.as_ref());
        // Of a stack each channel is an image of its own.
        let count = self.stack * pixels.len() / self.shape.iter().product::<usize>();
        let known = known.and_then(|(path, eye)| eye.known(path, count));
        let seen = match known {
            Some(seen) => seen,
            None => {
                let seen = self.look(&pixels, watch)?;
                if let Some((eye, path)) = self.eye.as_ref().zip(kept) {
                    eye.keep(&seen, &path);
                }
                seen
            }
        };
        let mut samples = self.samples(pixels, seen);
        if self.stack > 1
            && let Some(kind) = self.kind()
        {
            samples.classes = modes::of_stacks(&samples.classes, kind.classes(), self.stack);
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

    /// What the classifier sees, nothing where there is none.
    fn look(&mut self, pixels: &[u8], mut watch: impl FnMut(usize)) -> Result<Seen> {
        let one: usize = self.shape.iter().product();
        let mut all = Seen::default();
        for part in pixels.chunks(CHUNK * one) {
            if let Some(eye) = &mut self.eye {
                let seen = eye.classifier.look(&to_floats(part))?;
                all.features.extend(seen.features);
                all.logits.extend(seen.logits);
            }
            watch(part.len() / one);
        }
        Ok(all)
    }

    fn samples(&self, pixels: Vec<u8>, seen: Seen) -> Samples {
        let mut samples = Samples {
            shape: self.shape,
            stack: self.stack,
            pixels,
            ..Samples::default()
        };
        if let Some(eye) = &self.eye {
            let [features, classes] = eye.classifier.widths();
            let seen_classes: Vec<usize> = seen.classes(classes).collect();
            let numbers = seen_classes
                .chunks_exact(self.stack)
                .map(|digits| modes::number(digits, classes));
            samples.classes = modes::histogram(numbers, classes.pow(self.stack as u32));
            samples.probabilities = seen.probabilities(classes);
            samples.features = Rows {
                values: seen.features,
                width: features * self.stack,
            };
        }
        samples
    }
}

impl Eye {
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
    fn known(&self, path: &Path, count: usize) -> Option<Seen> {
        let mut file = Checkpoint::load(path).ok()?;
        let [features, classes] = self.classifier.widths();
        let mut tensor = |name: &str, width: usize| {
            let (shape, values) = file.tensors.remove(name)?;
            (shape == [count, width]).then_some(values)
        };
        Some(Seen {
            features: tensor("features", features)?,
            logits: tensor("logits", classes)?,
        })
    }

    /// Purely an acceleration, so a failure is none of the evaluation.
    fn keep(&self, seen: &Seen, path: &Path) {
        let [features, classes] = self.classifier.widths();
        let mut file = Checkpoint::default();
        for (name, values, width) in [
            ("features", &seen.features, features),
            ("logits", &seen.logits, classes),
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
