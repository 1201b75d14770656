//! A set of images of one shape, whatever it was read from.

use std::sync::Arc;

use super::found::Found;
use super::labels::Labels;
use super::source::Fault;
use super::store::{Source, Store};
use super::{Input, Reading, Report, found, shown};
use crate::error::{Error, Result};

/// Images of one shape `[channels, height, width]`, perhaps with labels.
///
/// IDX, CIFAR and NumPy files lie in memory whole. Pictures are decoded when
/// asked for, and the first of them are kept, in at most 512 MiB.
pub struct Dataset {
    pub(super) name: String,
    pub(super) classes: Vec<String>,
    /// One for each item, or empty.
    pub(super) labels: Vec<u32>,
    /// Shared by the parts of a set.
    pub(super) store: Arc<Store>,
    /// The items of the store that are this set's, where not all are.
    pub(super) items: Option<Arc<[usize]>>,
    pub(super) reading: Reading,
    pub(super) found: Arc<Found>,
    pub(super) inputs: Inputs,
}

/// What goes in where an image shall come out.
#[derive(Clone, Default)]
pub(super) enum Inputs {
    #[default]
    None,
    Computed(Input),
    /// Images with the same items as the set's store.
    Stored(Arc<Store>),
}

impl Dataset {
    /// Opens the data that `--data` names, cropped to images of `height` x
    /// `width` pixels: [`Reading::open`] says what it can be. `channels` are 1
    /// (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA); with `None`, RGB if any
    /// picture has colours and grey otherwise.
    ///
    /// # Errors
    /// As of [`Reading::open`].
    pub fn open(data: &str, height: usize, width: usize, channels: Option<usize>) -> Result<Self> {
        Reading::new(height, width).channels(channels).open(data)
    }

    pub(super) fn new(
        name: String,
        store: Store,
        labels: Labels,
        reading: Reading,
        found: Found,
    ) -> Self {
        Self {
            name,
            classes: labels.classes,
            labels: labels.of,
            store: Arc::new(store),
            items: None,
            reading,
            found: Arc::new(found),
            inputs: Inputs::None,
        }
    }

    /// Images, those that turn out unreadable included.
    pub fn len(&self) -> usize {
        match &self.items {
            Some(items) => items.len(),
            None => self.store.len(),
        }
    }

    /// Never: an empty set cannot be opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[channels, height, width]` of every image.
    pub fn shape(&self) -> [usize; 3] {
        let [height, width] = self.reading.size();
        [self.store.shape[0], height, width]
    }

    /// A short name: the built-in set's, the file's or the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `[channels, height, width]` of the input of every image; `None` where the
    /// set is not one of pairs.
    pub fn input_shape(&self) -> Option<[usize; 3]> {
        match &self.inputs {
            Inputs::None => None,
            Inputs::Computed(input) => Some(input.shape(self.shape())),
            Inputs::Stored(store) => {
                let [_, height, width] = self.shape();
                Some([store.shape[0], height, width])
            }
        }
    }

    /// The file that an item is read from, or what else tells it from others.
    pub fn item_name(&self, item: usize) -> String {
        shown(&self.store.path(self.index(item)))
    }

    /// The classes in the order of their labels; empty without labels.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The class of an item, an index into [`Self::class_names`]; `None`
    /// without labels.
    pub fn label(&self, item: usize) -> Option<u32> {
        self.labels.get(item).copied()
    }

    /// How the set was read, for reading others alike.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The item of the store that an item of this set is.
    pub(super) fn index(&self, item: usize) -> usize {
        self.items.as_ref().map_or(item, |items| items[item])
    }

    /// How many rows, and columns, larger the stored images are than those of the set,
    /// which are parts of them.
    pub(super) fn slack(&self) -> [usize; 2] {
        let [[_, rows, columns], [_, height, width]] = [self.store.shape, self.shape()];
        [rows - height, columns - width]
    }

    /// The part of a stored image whose first pixel lies at this row and column.
    fn part_of(&self, pixels: Vec<u8>, [top, left]: [usize; 2]) -> Vec<u8> {
        if self.slack() == [0, 0] {
            return pixels;
        }
        let [[_, rows, columns], [_, height, width]] = [self.store.shape, self.shape()];
        let planes = pixels.chunks_exact(rows * columns);
        let lines = planes.flat_map(|plane| plane.chunks_exact(columns).skip(top).take(height));
        lines
            .flat_map(|line| &line[left..][..width])
            .copied()
            .collect()
    }

    /// The pixels of an item, channel by channel (`C`, `H`, `W`), 0 to 255; the middle
    /// where images are parts of what is read.
    ///
    /// A read that the file system failed is tried again for 1.3 seconds.
    ///
    /// # Errors
    /// [`Error::Usage`] when its file cannot be read; the first time this is
    /// also reported.
    ///
    /// # Panics
    /// If `item` is not below [`Self::len`].
    pub fn decode(&self, item: usize) -> Result<Vec<u8>> {
        self.pixels_of(item).map_err(|fault| {
            let path = self.store.path(self.index(item));
            Error::usage(
                format!(
                    "cannot read {}: {}",
                    shown(&path),
                    super::plain(fault.reason())
                ),
                "replace the file or remove it",
            )
        })
    }

    /// The pixels of an item's input, of [`Self::input_shape`], and those of the
    /// item. Without inputs the first are empty.
    ///
    /// # Errors
    /// As of [`Self::decode`], of either side.
    ///
    /// # Panics
    /// If `item` is not below [`Self::len`].
    pub fn decode_pair(&self, item: usize) -> Result<(Vec<u8>, Vec<u8>)> {
        self.pair_of(item, self.middle()).map_err(|fault| {
            Error::usage(
                format!(
                    "cannot read the pair of {}: {}",
                    self.item_name(item),
                    super::plain(fault.reason())
                ),
                "replace the file or remove it",
            )
        })
    }

    /// As [`Self::decode_pair`], of the part that begins at `corner`, a row and a column
    /// of at most [`Self::slack`].
    pub(super) fn pair_of(
        &self,
        item: usize,
        corner: [usize; 2],
    ) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let index = self.index(item);
        let image = || Ok::<_, Fault>(self.part_of(self.store.pixels(index)?, corner));
        match &self.inputs {
            Inputs::None => Ok((Vec::new(), image()?)),
            Inputs::Computed(input) => {
                let pixels = image()?;
                Ok((input.of(&pixels, self.shape()), pixels))
            }
            Inputs::Stored(store) => {
                match store.pixels(index) {
                    Ok(input) => Ok((self.part_of(input, corner), image()?)),
                    Err(fault) => {
                        // A pair is left out as a whole.
                        if let Fault::Bad(reason) = &fault {
                            self.store.leave_out(index, reason);
                        }
                        Err(fault)
                    }
                }
            }
        }
    }

    pub(super) fn pixels_of(&self, item: usize) -> Result<Vec<u8>, Fault> {
        let pixels = self.store.pixels(self.index(item))?;
        Ok(self.part_of(pixels, self.middle()))
    }

    fn middle(&self) -> [usize; 2] {
        self.slack().map(|slack| slack / 2)
    }

    /// Whether the set can still be trained on; a [`super::Loader`] asks after
    /// every batch that met an unreadable file.
    ///
    /// # Errors
    /// [`Error::Usage`] where more than half of the set cannot be read, and
    /// where nothing can be read any more: the set has gone.
    pub fn check(&self) -> Result<()> {
        if let Inputs::Stored(store) = &self.inputs {
            store.check(self.items.as_deref())?;
        }
        self.store.check(self.items.as_deref())
    }

    /// Calls `listener` for every report: those made up to now at once, later
    /// ones as they happen, from the thread that met the file.
    pub fn on_report(&self, listener: impl Fn(&Report) + Send + Sync + 'static) {
        self.store.journal.listen(Arc::new(listener));
    }

    /// What was left out up to now and why, in the order it was met.
    pub fn skipped(&self) -> Vec<Report> {
        self.store.journal.reports()
    }

    /// What the data holds, a line a matter: how many images of which colours
    /// and sizes, what becomes of them, and kinds of files.
    pub fn found(&self) -> Vec<String> {
        let set = self.single().0;
        let count = match &set.store.source {
            Source::Memory(_) => return Vec::new(),
            Source::Pictures(_) | Source::Stack(_) => set.store.len(),
        };
        let manner = set.reading.manner();
        let mut lines = set.found.lines(count, set.store.shape, manner);
        if set.slack() != [0, 0] {
            let [_, height, width] = set.shape();
            lines.push(format!(
                "training takes parts of {width}x{height} at random places"
            ));
        }
        lines
    }

    /// What was left out up to now, for people: a count by type of file, the
    /// first `at_most` by name with the reason, and how many more there are.
    /// Empty where nothing was.
    pub fn left_out(&self, at_most: usize) -> Vec<String> {
        let reports = self.skipped();
        if reports.is_empty() {
            return Vec::new();
        }
        let mut kinds = found::Kinds::new();
        for report in &reports {
            *kinds.entry(found::kind(&report.path)).or_default() += 1;
        }
        let mut lines = vec![format!("left out: {}", found::listed(&kinds))];
        lines.extend(
            reports
                .iter()
                .take(at_most)
                .map(|report| format!("  {report}")),
        );
        if reports.len() > at_most {
            lines.push(format!("  and {} more", reports.len() - at_most));
        }
        lines
    }

    /// One line for the log: name, count, shape, classes, reports.
    pub fn describe(&self) -> String {
        let [channels, height, width] = self.shape();
        let classes = match self.classes.len() {
            0 => "no labels".to_string(),
            count => format!("{count} classes"),
        };
        let skipped = self.skipped().len();
        format!(
            "{}: {} images, {channels}x{height}x{width}, {classes}, {skipped} skipped",
            self.name,
            self.len()
        )
    }
}
