//! Parts of data sets: test images, held-out items, and sets made of pixels at
//! hand.

use std::sync::Arc;

use super::found::Found;
use super::labels::Labels;
use super::manner::Manner;
use super::store::{Source, Store};
use super::{Dataset, Reading, Records, normalized};
use crate::error::{Error, Result};

/// Images whose pixels are a part of a set's identity, evenly spread over it.
const DECODED: usize = 64;

impl Dataset {
    /// The test images of `data`, prepared as by [`Dataset::open`]; `None` where
    /// there are none. [`Reading::open_test`] says which they are.
    ///
    /// # Errors
    /// As of [`Reading::open`].
    pub fn open_test(
        data: &str,
        height: usize,
        width: usize,
        channels: Option<usize>,
    ) -> Result<Option<Self>> {
        Reading::new(height, width)
            .channels(channels)
            .open_test(data)
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
                    "{} pixels and {} labels do not make images of {shape:?}",
                    pixels.len(),
                    labels.len()
                ),
            ));
        }
        let source = Source::Memory(pixels.to_vec());
        let store = Store::new(source, shape, Manner::default(), Arc::default());
        let labels = Labels::new(labels, classes);
        let reading = Reading::of_shape(shape);
        let found = Found::default();
        Ok(Self::new(name.into(), store, labels, reading, found))
    }

    /// At most `count` of the images, each in four ways up ([`TURNS`], which are the
    /// classes): what a network learns of images that have no labels (Gidaris, Singh
    /// and Komodakis 2018, 1803.07728).
    ///
    /// # Errors
    /// [`Error::Usage`] for images that are not square, and where none can be read.
    pub fn turned(&self, count: usize) -> Result<Self> {
        let shape @ [_, side, width] = self.shape();
        if side != width {
            return Err(Error::usage(
                format!("images of {side}x{width} cannot be rotated"),
                "use square images",
            ));
        }
        let (upright, _) = self.pixels(self.evenly(count));
        if upright.is_empty() {
            return Err(Error::usage(
                format!("no image in {} can be read", self.name),
                "give other --data",
            ));
        }
        let mut pixels = Vec::with_capacity(TURNS.len() * upright.len());
        let mut labels = Vec::new();
        let size = shape.iter().product();
        for image in upright.chunks(size) {
            pixels.extend(image);
            labels.extend(0..TURNS.len() as u32);
            for _ in 1..TURNS.len() {
                let last = pixels[pixels.len() - size..].to_vec();
                let planes = last.chunks(side * side);
                pixels.extend(planes.flat_map(|plane| quarter(plane, side)));
            }
        }
        let classes = TURNS.map(str::to_owned).to_vec();
        Self::of_pixels(self.name.clone(), shape, &pixels, labels, classes)
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

    /// The set of these items, in this order. It shares pixels and reports with
    /// this one.
    ///
    /// # Panics
    /// If an item is not below [`Dataset::len`].
    pub fn part(&self, items: &[usize]) -> Self {
        assert!(items.iter().all(|&item| item < self.len()));
        Self {
            name: self.name.clone(),
            classes: self.classes.clone(),
            labels: items.iter().filter_map(|&item| self.label(item)).collect(),
            store: Arc::clone(&self.store),
            items: Some(items.iter().map(|&item| self.index(item)).collect()),
            reading: self.reading.clone(),
            found: Arc::clone(&self.found),
            inputs: self.inputs.clone(),
        }
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

    /// Items in equal steps from the first, `count` or more: so that some are left where
    /// others cannot be read.
    pub(crate) fn steps(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let step = (self.len() / count.max(1)).max(1);
        (0..self.len()).step_by(step)
    }

    /// At most `count` items, evenly spread over the set.
    pub fn evenly(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (len, count) = (self.len(), count.min(self.len()));
        (0..count).map(move |index| index * len / count)
    }

    /// At most `count` readable records for figures, evenly spread over the set: in
    /// place of one that cannot be read the next that can, up to where the following one
    /// is taken from.
    pub fn spread(&self, count: usize) -> Records {
        let starts: Vec<usize> = self.evenly(count).collect();
        let ends = starts.iter().skip(1).copied().chain([self.len()]);
        let mut shown = Records::default();
        for (&start, end) in starts.iter().zip(ends) {
            // The set reports what cannot be read.
            let readable = (start..end).find_map(|item| self.decode_pair(item).ok());
            if let Some(pair) = readable {
                shown.add(pair);
            }
        }
        shown
    }

    /// A number that changes with the images: of all values of images in
    /// memory, of names, lengths and times of picture files.
    pub fn fingerprint(&self) -> u32 {
        self.summed(Self::fingerprint, Store::sign)
    }

    /// A number that tells this set from others, wherever it lies: of all values of
    /// images in memory; of names below the set's folder, lengths and some pixels of
    /// picture files. A copy has the same one, one with other items or classes, or
    /// in another order, another.
    pub fn identity(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(&self.summed(Self::identity, Store::identify).to_le_bytes());
        for item in self.evenly(DECODED) {
            // What cannot be read has no pixels, here and in training.
            let (input, image) = self.decode_pair(item).unwrap_or_default();
            crc.update(&input);
            crc.update(&image);
        }
        for class in &self.classes {
            crc.update(class.as_bytes());
            crc.update(&[0]);
        }
        crc.sum()
    }

    /// The sum of all items and labels, each item added by `add` and a set that
    /// this one is made of by `inner`.
    fn summed(&self, inner: fn(&Self) -> u32, add: fn(&Store, usize, &mut flate2::Crc)) -> u32 {
        let mut crc = flate2::Crc::new();
        for side in self.shape() {
            crc.update(&side.to_le_bytes());
        }
        // The usual manner adds nothing.
        let manner = self.reading.manner();
        if manner != Manner::default() {
            crc.update(format!("{manner:?}").as_bytes());
        }
        if let Some(size) = self.reading.parts_of() {
            crc.update(format!("{size:?}").as_bytes());
        }
        if let Source::Stack(stack) = &self.store.source {
            crc.update(&inner(&stack.of).to_le_bytes());
        }
        for item in 0..self.len() {
            add(&self.store, self.index(item), &mut crc);
        }
        for label in &self.labels {
            crc.update(&label.to_le_bytes());
        }
        crc.sum()
    }
}

/// The ways up of [`Dataset::turned`], against the clock.
pub const TURNS: [&str; 4] = ["0 degrees", "90 degrees", "180 degrees", "270 degrees"];

/// A square plane turned by a quarter against the clock.
fn quarter(plane: &[u8], side: usize) -> Vec<u8> {
    let places = (0..side).flat_map(|y| (0..side).map(move |x| (y, x)));
    places
        .map(|(y, x)| plane[x * side + side - 1 - y])
        .collect()
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
