//! Parts of data sets: test images, held-out items, and sets made of pixels at
//! hand.

use std::path::Path;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use super::dataset::Source;
use super::idx::{self, Idx};
use super::{Dataset, normalized};
use crate::error::{Error, Result};

impl Dataset {
    /// The test images of `data`, prepared as by [`Dataset::open`]: of a folder
    /// of IDX files those named `t10k` or `test`. `None` where there are none.
    ///
    /// # Errors
    /// As of [`Dataset::open`].
    pub fn open_test(
        data: &str,
        height: usize,
        width: usize,
        channels: Option<usize>,
    ) -> Result<Option<Self>> {
        let folder = Path::new(data);
        if matches!(data, "fashion" | "digits") || !folder.is_dir() {
            return Ok(None);
        }
        let Some(images) = idx::images_file_in(folder, idx::Split::Test)? else {
            return Ok(None);
        };
        Self::open(&images.to_string_lossy(), height, width, channels).map(Some)
    }

    /// A set of images `[count, C, H, W]` of 8-bit pixels, with a label each or
    /// none at all.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths do not fit together.
    pub fn of_pixels(
        name: impl Into<String>,
        shape: [usize; 3],
        pixels: &[u8],
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let size: usize = shape.iter().product();
        let count = pixels.len() / size.max(1);
        let labelled = labels.is_empty() || labels.len() == count;
        if count == 0 || count * size != pixels.len() || !labelled {
            return Err(Error::shape(
                "Dataset",
                format!(
                    "{} pixels and {} labels are no images of {shape:?}",
                    pixels.len(),
                    labels.len()
                ),
            ));
        }
        let mut set = Self::new(name.into(), Source::Memory, shape);
        set.known = pixels
            .chunks_exact(size)
            .map(|image| OnceLock::from(Ok(image.into())))
            .collect();
        set.labels = labels;
        set.classes = classes;
        Ok(set)
    }

    /// Divides the set: every `every`-th item of each class, the first left
    /// out, goes to the second part, and so do unlabelled ones.
    ///
    /// # Panics
    /// If `every` is below 2.
    pub fn hold_out(&self, every: usize) -> (Self, Self) {
        assert!(every > 1, "a part of every item would leave nothing");
        let mut seen = vec![0_usize; self.classes.len().max(1)];
        let held: Vec<bool> = (0..self.len())
            .map(|item| {
                let class = self.label(item).unwrap_or(0) as usize;
                seen[class] += 1;
                seen[class].is_multiple_of(every)
            })
            .collect();
        let part = |wanted: bool| {
            let items: Vec<usize> = (0..held.len()).filter(|&i| held[i] == wanted).collect();
            self.part(&items)
        };
        (part(false), part(true))
    }

    /// The set of these items, in this order.
    ///
    /// # Panics
    /// If an item is not below [`Dataset::len`].
    pub fn part(&self, items: &[usize]) -> Self {
        let source = match &self.source {
            Source::Idx(idx) => {
                let area = idx.height * idx.width;
                let values = items
                    .iter()
                    .flat_map(|item| &idx.values[item * area..][..area]);
                Source::Idx(Idx {
                    path: idx.path.clone(),
                    count: items.len(),
                    height: idx.height,
                    width: idx.width,
                    values: values.copied().collect(),
                    labels: Vec::new(),
                })
            }
            Source::Files { root, files } => Source::Files {
                root: root.clone(),
                files: items.iter().map(|&item| files[item].clone()).collect(),
            },
            Source::Memory => Source::Memory,
            Source::Stack(stack) => Source::Stack(stack.part(items)),
        };
        let mut part = Self::new(self.name.clone(), source, self.shape());
        part.known = items.iter().map(|&item| self.known[item].clone()).collect();
        part.labels = items.iter().filter_map(|&item| self.label(item)).collect();
        part.classes.clone_from(&self.classes);
        // Stacks share one journal.
        if !matches!(self.source, Source::Stack(_)) {
            part.note_all(self.skipped());
        }
        part
    }

    /// All readable images of the items, as 8-bit pixels `[count, C, H, W]`,
    /// with their labels where there are any.
    pub fn pixels(&self, items: impl Iterator<Item = usize>) -> (Vec<u8>, Vec<u32>) {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for item in items {
            // The set reports what cannot be read.
            if let Ok(image) = self.decode(item) {
                pixels.extend(image);
                labels.extend(self.label(item));
            }
        }
        (pixels, labels)
    }

    /// At most `count` items, evenly spread over the set.
    pub fn spread(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (len, count) = (self.len(), count.min(self.len()));
        (0..count).map(move |index| index * len / count)
    }

    /// A number that changes with the images: of all values of IDX files, of
    /// names, lengths and times of picture files.
    pub fn fingerprint(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        for side in self.shape() {
            crc.update(&side.to_le_bytes());
        }
        match &self.source {
            Source::Idx(idx) => crc.update(&idx.values),
            Source::Stack(stack) => {
                crc.update(&stack.of.fingerprint().to_le_bytes());
                for part in &stack.parts {
                    crc.update(&part.to_le_bytes());
                }
            }
            Source::Files { files, .. } => {
                for file in files {
                    crc.update(&signature(file));
                }
            }
            Source::Memory => {
                for pixels in self.known.iter().filter_map(|known| known.get()).flatten() {
                    crc.update(pixels);
                }
            }
        }
        for label in &self.labels {
            crc.update(&label.to_le_bytes());
        }
        crc.sum()
    }
}

/// What tells a file from a changed one without reading it.
fn signature(file: &Path) -> Vec<u8> {
    let mut bytes = file.as_os_str().as_encoded_bytes().to_vec();
    if let Ok(about) = file.metadata() {
        bytes.extend(about.len().to_le_bytes());
        let time = about.modified().ok();
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        bytes.extend(since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    }
    bytes
}

/// 8-bit pixels as values in [-1, 1].
pub fn to_floats(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&byte| normalized(byte)).collect()
}

/// Values in [-1, 1] as 8-bit pixels, rounded; what is outside counts as the
/// nearest end and what is no number as 0.
pub fn to_pixels(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .map(|x| ((x + 1.0) * 127.5).round() as u8)
        .collect()
}
