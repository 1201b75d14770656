//! How data is read, and what `--data` can name.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::dataset::Inputs;
use super::found::{Found, survey};
use super::idx::Split;
use super::journal::Journal;
use super::labels::Labels;
use super::manner::{Fit, Half, Manner, colour};
use super::opened::{Opened, find, nothing_in};
use super::pairs::{self, Direction, Layout};
use super::source::Fault;
use super::store::{Source, Store};
use super::{Dataset, Input, built_in};
use crate::error::{Error, Result};

/// How pictures become images of one shape.
///
/// ```no_run
/// use gpugan::data::{Fit, Reading};
///
/// let reading = Reading::new(64, 96).channels(Some(3)).fit(Fit::Pad);
/// let photos = reading.open("photos/")?;
/// # Ok::<(), gpugan::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    size: [usize; 2],
    /// Rows and columns to which pictures are read, where images are parts of them.
    load_size: Option<[usize; 2]>,
    channels: Option<usize>,
    manner: Manner,
    layout: Layout,
    direction: Direction,
    input: Input,
}

/// A store that is not yet one to draw from.
struct Surveyed {
    store: Store,
    found: Found,
    /// What could not be read, and is not reported yet.
    bad: Vec<(usize, String)>,
}

impl Reading {
    /// Images of `height` x `width` pixels, grey or RGB as the data is, cropped.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            size: [height, width],
            load_size: None,
            channels: None,
            manner: Manner::default(),
            layout: Layout::Images,
            direction: Direction::AToB,
            input: Input::None,
        }
    }

    /// With 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA) channels; with
    /// `None`, RGB if any picture has colours and grey otherwise.
    #[must_use]
    pub fn channels(mut self, channels: Option<usize>) -> Self {
        self.channels = channels;
        self
    }

    /// Reads pictures as `[height, width]` pixels, of which images are parts: a
    /// [`super::Loader`] draws where each part lies, everything else takes the middle.
    #[must_use]
    pub fn load_size(mut self, size: Option<[usize; 2]>) -> Self {
        self.load_size = size;
        self
    }

    /// What becomes of pictures of other proportions.
    #[must_use]
    pub fn fit(mut self, fit: Fit) -> Self {
        self.manner.fit = fit;
        self
    }

    /// The colour of margins, and behind transparent pixels where images have
    /// no alpha: `white`, `black`, `grey`, `#rrggbb`, or `auto`, which is white,
    /// and black around drawings (grey IDX and NumPy images).
    ///
    /// # Errors
    /// [`Error::Usage`] for other words.
    pub fn background(mut self, background: &str) -> Result<Self> {
        self.manner.background = colour(background)?;
        Ok(self)
    }

    /// What the pictures are to each other.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Which of two sides is the input.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// What inputs are computed of the images, where they are not a side of
    /// their own.
    #[must_use]
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Opens the data that `--data` names:
    /// - `fashion` (4,370 images of clothes, 28x28, 10 classes), `digits` (1,797
    ///   handwritten digits, 8x8, 10 classes) or `emoji` (300 things, 32x32 RGB,
    ///   8 classes, each as Noto and as Twemoji draw it; as pairs, Noto is A),
    ///   which are part of the program; write `./fashion` for a folder of that
    ///   name;
    /// - an IDX images file, raw or gzipped, or a folder with one
    ///   (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`, with or without
    ///   `.gz`; training images are preferred); labels are read from the file
    ///   beside it that has `labels` and `idx1` in its name;
    /// - CIFAR-10 or CIFAR-100 in the binary version: the folder with
    ///   `data_batch_1.bin` or `train.bin`, or one such file;
    /// - a `.npy` file of unsigned bytes `[N, H, W]`, `[N, H, W, C]` or
    ///   `[N, C, H, W]`, or a `.npz` archive with `x_train` or `images` and
    ///   perhaps `y_train` or `labels`;
    /// - a folder, or a ZIP or tar archive, of pictures at any depth. Classes
    ///   are read from `labels.csv` (`file,class` a line) or NVlabs'
    ///   `dataset.json`; without them the folders on the first level are the
    ///   classes, if there are several and no picture lies outside them.
    ///
    /// The first bytes of every picture are looked at, so that sizes, colours
    /// and unreadable files are known ([`Dataset::found`],
    /// [`Dataset::left_out`]). Grey IDX and NumPy images are padded with black
    /// instead of resized where no side grows by more than a quarter (28x28 to
    /// 32x32), which keeps their strokes sharp.
    ///
    /// # Errors
    /// [`Error::Usage`] when nothing readable is there, with what was looked
    /// for, when more than half of the pictures cannot be read, and for files
    /// that would expand to more than 2 GiB or 16,777,216 images in memory;
    /// [`Error::Io`] when a folder or an IDX file cannot be opened.
    pub fn open(&self, data: &str) -> Result<Dataset> {
        self.check()?;
        match self.layout {
            Layout::Images => {
                let opened = match built_in::open(data) {
                    Some(opened) => opened?,
                    None => named(data)?,
                };
                self.dataset(opened)
            }
            Layout::Pairs | Layout::SideBySide => self.pairs(data),
            Layout::Unpaired => Err(Error::usage(
                "data.layout = unpaired means two sets, but one is needed here",
                "use data.layout = images, pairs or side-by-side",
            )),
        }
    }

    /// Opens the two sets of an unpaired layout: the inputs and the images, as
    /// the direction has them. Each is drawn from by a [`super::Loader`] and a
    /// position of its own.
    ///
    /// # Errors
    /// As of [`Reading::open`], for either side; [`Error::Usage`] where a side
    /// is missing or empty.
    pub fn open_unpaired(&self, data: &str) -> Result<[Dataset; 2]> {
        self.check()?;
        let [a, b] = self.sides(data)?;
        Ok([self.dataset(a)?, self.dataset(b)?])
    }

    /// The test images of `data`: of a folder of IDX or CIFAR files those named
    /// `t10k` or `test`, of a `.npz` archive `x_test`. `None` where there are
    /// none. They are read whole, not in parts.
    ///
    /// # Errors
    /// As of [`Reading::open`].
    pub fn open_test(&self, data: &str) -> Result<Option<Dataset>> {
        self.check()?;
        let path = Path::new(data);
        if built_in::is_embedded(data) || !path.exists() {
            return Ok(None);
        }
        let opened = find(path, Split::Test)?;
        let reading = self.clone().load_size(None);
        opened.map(|opened| reading.dataset(opened)).transpose()
    }

    fn check(&self) -> Result<()> {
        let [height, width] = self.size;
        if height == 0 || width == 0 || height.max(width) > 1 << 16 {
            return Err(Error::usage(
                format!("images cannot have {height}x{width} pixels"),
                "use a height and a width from 1 to 65536",
            ));
        }
        if let Some([rows, columns]) = self.load_size
            && (rows < height || columns < width || rows.max(columns) > 1 << 16)
        {
            return Err(Error::usage(
                format!(
                    "data.load_size = {rows}x{columns} is smaller than data.size = {height}x{width}"
                ),
                "use a load size of at least the image size, or leave it out",
            ));
        }
        match self.channels {
            Some(channels) if !(1..=4).contains(&channels) => Err(Error::usage(
                format!("images cannot have {channels} channels"),
                "use 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA)",
            )),
            _ => Ok(()),
        }
    }

    /// The set of what was opened, unless too much of it is bad.
    fn dataset(&self, opened: Opened) -> Result<Dataset> {
        let journal = Arc::default();
        let surveyed = self.survey(&opened, self.channels, self.manner, &journal);
        let Surveyed { store, found, bad } = surveyed;
        for (item, reason) in bad {
            store.fail(item, reason);
        }
        store.check(None)?;
        let reading = self.clone().channels(Some(store.shape[0]));
        let mut set = Dataset::new(opened.name, store, opened.labels, reading, found);
        if self.input != Input::None {
            set.inputs = Inputs::Computed(self.input);
        }
        Ok(set)
    }

    /// Looks at what was opened and tells its reports to the journal.
    fn survey(
        &self,
        opened: &Opened,
        channels: Option<usize>,
        manner: Manner,
        journal: &Arc<Journal>,
    ) -> Surveyed {
        let pictures = &opened.pictures;
        let (mut found, unread) = survey(pictures.as_ref(), manner.half);
        found.strays.clone_from(&opened.strays);
        if (unread.iter()).any(|unread| matches!(unread.fault, Fault::Lost(_))) {
            thread::sleep(Duration::from_millis(250));
        }
        let mut bad = Vec::new();
        for unread in unread {
            // What the file system failed may work now, or when it is read.
            let head = pictures.head(unread.item);
            if let Err(fault) = head.and_then(|head| found.add_late(head, manner.half)) {
                bad.push((unread.item, fault.reason().to_string()));
            }
        }
        for report in opened.reports.iter().chain(&opened.labels.dropped) {
            journal.note(report.clone());
        }
        let [height, width] = self.load_size.unwrap_or(self.size);
        let channels = channels.unwrap_or_else(|| found.channels());
        let source = Source::Pictures(Arc::clone(pictures));
        let shape = [channels, height, width];
        Surveyed {
            store: Store::new(source, shape, manner, Arc::clone(journal)),
            found,
            bad,
        }
    }

    /// The set of pairs. A pair of which one side is bad is left out as a
    /// whole, and reported once.
    fn pairs(&self, data: &str) -> Result<Dataset> {
        if self.input != Input::None {
            return Err(Error::usage(
                "data.input computes inputs, but data.layout already provides them",
                "use data.input = none, or data.layout = images",
            ));
        }
        let [input, image] = self.sides(data)?;
        let in_halves = Arc::ptr_eq(&input.pictures, &image.pictures);
        let halves = match (in_halves, self.direction) {
            (false, _) => [Half::Whole; 2],
            (true, Direction::AToB) => [Half::Left, Half::Right],
            (true, Direction::BToA) => [Half::Right, Half::Left],
        };
        let [of_input, of_image] = halves.map(|half| Manner {
            half,
            ..self.manner
        });
        let journal = Arc::default();
        let surveyed = self.survey(&input, None, of_input, &journal);
        let (inputs, bad_inputs) = (surveyed.store, surveyed.bad);
        let surveyed = self.survey(&image, self.channels, of_image, &journal);
        let (images, bad_images, found) = (surveyed.store, surveyed.bad, surveyed.found);
        for (item, reason) in bad_inputs {
            images.leave_out(item, &reason);
            inputs.fail(item, reason);
        }
        let unequal = if in_halves {
            Vec::new()
        } else {
            pairs::of_other_size(input.pictures.as_ref(), image.pictures.as_ref())
        };
        for (item, reason) in bad_images.into_iter().chain(unequal) {
            inputs.leave_out(item, &reason);
            images.fail(item, reason);
        }
        images.check(None)?;
        let reading = self.clone().channels(Some(images.shape[0]));
        let mut set = Dataset::new(image.name, images, image.labels, reading, found);
        set.inputs = Inputs::Stored(Arc::new(inputs));
        Ok(set)
    }

    /// The inputs and the images of a set with two sides.
    fn sides(&self, data: &str) -> Result<[Opened; 2]> {
        let [a, b] = if let Some(sides) = built_in::sides(data) {
            sides?
        } else if self.layout == Layout::SideBySide {
            let b = named(data)?;
            let a = Opened::new(Path::new(data), Arc::clone(&b.pictures), Labels::default());
            [a, b]
        } else {
            pairs::open(Path::new(data), self.layout == Layout::Pairs)?
        };
        Ok(match self.direction {
            Direction::AToB => [a, b],
            Direction::BToA => [b, a],
        })
    }

    /// How the options of `gpugan classify` say what is not the default of how pictures are
    /// fitted; each begins with a space.
    pub(crate) fn changes(&self) -> String {
        let Manner {
            fit,
            background,
            half: _,
        } = self.manner;
        let mut text = match fit {
            Fit::Crop => String::new(),
            Fit::Pad => " --set data.fit=pad".to_owned(),
            Fit::Stretch => " --set data.fit=stretch".to_owned(),
        };
        if let Some([r, g, b]) = background {
            text += &format!(" --set data.background=#{r:02x}{g:02x}{b:02x}");
        }
        if let Some([height, width]) = self.load_size {
            text += &format!(" --set \"data.load_size=[{height}, {width}]\"");
        }
        text
    }

    /// `[height, width]` of the images.
    pub(super) fn size(&self) -> [usize; 2] {
        self.size
    }

    /// `[height, width]` of what images are parts of, where they are.
    pub(super) fn parts_of(&self) -> Option<[usize; 2]> {
        self.load_size
    }

    /// Whether the pictures are this to each other.
    pub(super) fn is_layout(&self, layout: Layout) -> bool {
        self.layout == layout
    }

    /// How pictures of other proportions and with alpha are read.
    pub(super) fn manner(&self) -> Manner {
        self.manner
    }

    pub(super) fn of_shape([channels, height, width]: [usize; 3]) -> Self {
        Self::new(height, width).channels(Some(channels))
    }
}

/// What a path names, for training.
fn named(data: &str) -> Result<Opened> {
    find(Path::new(data), Split::Train)?.ok_or_else(|| nothing_in(Path::new(data)))
}
