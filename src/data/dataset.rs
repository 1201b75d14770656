//! A set of images of one shape, whatever it was read from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use image::{DynamicImage, GrayImage};

use super::idx::Idx;
use super::journal::Journal;
use super::stack::Stack;
use super::{Report, folder, idx, picture};
use crate::error::{Error, Result};

/// Decoded images kept in memory, in bytes.
const CACHE_BYTES: usize = 512 << 20;

/// The names of Fashion-MNIST's classes, as its authors list them.
const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Images of one shape `[channels, height, width]`, perhaps with labels.
///
/// IDX files lie in memory whole. Pictures are decoded when asked for, and the
/// first 512 MiB of decoded pixels are kept.
pub struct Dataset {
    pub(super) name: String,
    pub(super) source: Source,
    shape: [usize; 3],
    pub(super) classes: Vec<String>,
    /// One for each item, or empty.
    pub(super) labels: Vec<u32>,
    /// What is known of each item: its pixels, or why it cannot be read. There
    /// is no eviction: every epoch asks for every item once, so that whatever
    /// is kept serves equally often.
    pub(super) known: Vec<OnceLock<Result<Box<[u8]>, String>>>,
    /// Bytes that may still be kept.
    room: AtomicUsize,
    /// Items known to be unreadable.
    failed: AtomicUsize,
    /// A stack shares that of the set it is made of.
    pub(super) journal: Arc<Journal>,
}

pub(super) enum Source {
    Idx(Idx),
    Files {
        root: PathBuf,
        files: Vec<PathBuf>,
    },
    /// Nothing to read: all pixels are known.
    Memory,
    Stack(Stack),
}

impl Dataset {
    /// Opens the data that `--data` names and prepares it for images of
    /// `height` x `width` pixels with 1 (grey), 3 (RGB) or 4 (RGBA)
    /// `channels`; with `None`, grey or RGB as the first readable image has it.
    ///
    /// `data` is one of
    /// - `fashion` (4,370 images of clothes, 28x28, 10 classes) or `digits`
    ///   (1,797 handwritten digits, 8x8, 10 classes), which are part of the
    ///   program; write `./fashion` for a folder of that name;
    /// - an IDX images file, raw or gzipped, or a folder with one
    ///   (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`, with or without
    ///   `.gz`; training images are preferred); labels are read from the file
    ///   beside it that has `labels` and `idx1` in its name;
    /// - a folder of pictures, at any depth. The folders on its first level are
    ///   the classes, if there are several and no picture lies outside them.
    ///
    /// Pictures are cropped around their centre to the wanted proportions and
    /// resized. IDX images are padded with 0 instead where no side grows by
    /// more than a quarter (28x28 to 32x32), which keeps their strokes sharp.
    ///
    /// # Errors
    /// [`Error::Usage`] when nothing readable is there, with what was looked
    /// for; [`Error::Io`] when a folder or an IDX file cannot be opened.
    pub fn open(data: &str, height: usize, width: usize, channels: Option<usize>) -> Result<Self> {
        if height == 0 || width == 0 || height.max(width) > 1 << 16 {
            return Err(Error::usage(
                format!("images of {height}x{width} pixels are impossible"),
                "ask for a height and a width from 1 to 65536",
            ));
        }
        if let Some(channels) = channels
            && ![1, 3, 4].contains(&channels)
        {
            return Err(Error::usage(
                format!("images cannot have {channels} channels"),
                "ask for 1 (grey), 3 (RGB) or 4 (RGBA)",
            ));
        }
        let size = [height, width];
        match data {
            "fashion" => Self::built_in(
                data,
                include_bytes!("../../assets/data/fashion-images-idx3-ubyte.gz"),
                include_bytes!("../../assets/data/fashion-labels-idx1-ubyte.gz"),
                &FASHION_CLASSES,
                size,
                channels,
            ),
            "digits" => Self::built_in(
                data,
                include_bytes!("../../assets/data/digits-images-idx3-ubyte.gz"),
                include_bytes!("../../assets/data/digits-labels-idx1-ubyte.gz"),
                &[],
                size,
                channels,
            ),
            _ => Self::open_path(Path::new(data), size, channels),
        }
    }

    fn built_in(
        name: &str,
        images: &[u8],
        labels: &[u8],
        classes: &[&str],
        size: [usize; 2],
        channels: Option<usize>,
    ) -> Result<Self> {
        let idx = idx::read_built_in(name, images, labels)?;
        let mut set = Self::from_idx(name.to_string(), idx, size, channels, Vec::new());
        if !classes.is_empty() {
            set.classes = classes.iter().map(|name| (*name).to_string()).collect();
        }
        Ok(set)
    }

    fn open_path(path: &Path, size: [usize; 2], channels: Option<usize>) -> Result<Self> {
        const MEND: &str = "give `fashion`, `digits`, a folder of pictures, or a folder with IDX \
                            files (train-images-idx3-ubyte[.gz])";
        let kind = path.metadata().map_err(|error| {
            Error::usage(
                format!("--data {} cannot be opened: {error}", path.display()),
                MEND,
            )
        })?;
        let mut reports = Vec::new();
        let name = name_of(path);
        if kind.is_file() {
            if !idx::looks_like_idx(path) && !path.to_string_lossy().contains("idx3-ubyte") {
                return Err(Error::usage(
                    format!("--data {} is a file, but no IDX file", path.display()),
                    "give the folder that holds the pictures, unpacked",
                ));
            }
            let idx = idx::read(path, &mut reports)?;
            return Ok(Self::from_idx(name, idx, size, channels, reports));
        }
        if !kind.is_dir() {
            return Err(Error::usage(
                format!("--data {} is neither file nor folder", path.display()),
                MEND,
            ));
        }
        if let Some(images) = idx::images_file_in(path, idx::Split::Train)? {
            let idx = idx::read(&images, &mut reports)?;
            return Ok(Self::from_idx(name, idx, size, channels, reports));
        }
        let pictures = folder::scan(path, &mut reports)?;
        if pictures.files.is_empty() {
            return Err(Error::usage(
                format!(
                    "no image in --data {}: looked there, and in every folder below, for IDX files \
                     and for pictures ({}), and found {} other files",
                    path.display(),
                    folder::KINDS,
                    pictures.others
                ),
                "put pictures there, or give `fashion`, `digits` or another folder",
            ));
        }
        let source = Source::Files {
            root: path.to_path_buf(),
            files: pictures.files,
        };
        let [height, width] = size;
        let mut set = Self::new(name, source, [channels.unwrap_or(3), height, width]);
        set.labels = pictures.labels;
        set.classes = pictures.classes;
        set.note_all(reports);
        set.settle_channels(channels)?;
        Ok(set)
    }

    pub(super) fn from_idx(
        name: String,
        idx: Idx,
        [height, width]: [usize; 2],
        channels: Option<usize>,
        reports: Vec<Report>,
    ) -> Self {
        let labels = idx.labels.clone();
        let classes = labels.iter().max().map_or(0, |&last| last + 1);
        // Padding is as fast as a look-up.
        let padded = picture::is_padded([idx.height, idx.width], [height, width]);
        let shape = [channels.unwrap_or(1), height, width];
        let mut set = Self::new(name, Source::Idx(idx), shape);
        set.labels = labels;
        set.classes = (0..classes).map(|class| class.to_string()).collect();
        if padded {
            set.room = AtomicUsize::new(0);
        }
        set.note_all(reports);
        set
    }

    pub(super) fn new(name: String, source: Source, shape: [usize; 3]) -> Self {
        let count = match &source {
            Source::Idx(idx) => idx.count,
            Source::Files { files, .. } => files.len(),
            Source::Memory => 0,
            Source::Stack(stack) => stack.parts.len() / stack.depth,
        };
        let journal = match &source {
            Source::Stack(stack) => Arc::clone(&stack.of.journal),
            _ => Arc::default(),
        };
        Self {
            name,
            source,
            shape,
            classes: Vec::new(),
            labels: Vec::new(),
            known: (0..count).map(|_| OnceLock::new()).collect(),
            room: AtomicUsize::new(CACHE_BYTES),
            failed: AtomicUsize::new(0),
            journal,
        }
    }

    /// Finds the first readable picture, which also shows that there is one,
    /// and takes the channels from it unless they are asked for.
    fn settle_channels(&mut self, asked: Option<usize>) -> Result<()> {
        for item in 0..self.len() {
            match self.load(item) {
                Ok(image) => {
                    self.shape[0] = asked.unwrap_or_else(|| picture::channels(&image));
                    return Ok(());
                }
                Err(reason) => self.fail(item, reason),
            }
        }
        Err(self.nothing_readable())
    }

    /// Images, those that turn out unreadable included.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Never: an empty set cannot be opened.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// `[channels, height, width]` of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// A short name: the built-in set's, the file's or the folder's.
    pub fn name(&self) -> &str {
        &self.name
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

    /// The pixels of an item, channel by channel (`C`, `H`, `W`), 0 to 255.
    ///
    /// # Errors
    /// [`Error::Usage`] when its file cannot be read; the first time this is
    /// also reported.
    ///
    /// # Panics
    /// If `item` is not below [`Self::len`].
    pub fn decode(&self, item: usize) -> Result<Vec<u8>> {
        if let Source::Stack(stack) = &self.source {
            return stack.decode(item);
        }
        if let Some(known) = self.known[item].get() {
            return match known {
                Ok(pixels) => Ok(pixels.to_vec()),
                Err(reason) => Err(self.unreadable(item, reason)),
            };
        }
        match self.load(item) {
            Ok(image) => {
                let pixels = picture::fit(image, self.shape);
                let take = |room: usize| room.checked_sub(pixels.len());
                let order = Ordering::Relaxed;
                if self.room.fetch_update(order, order, take).is_ok() {
                    // Another thread may have kept the same pixels already.
                    let _ = self.known[item].set(Ok(pixels.clone().into()));
                }
                Ok(pixels)
            }
            Err(reason) => {
                let error = self.unreadable(item, &reason);
                self.fail(item, reason);
                Err(error)
            }
        }
    }

    /// The picture before it is brought to the set's shape.
    fn load(&self, item: usize) -> Result<DynamicImage, String> {
        match &self.source {
            Source::Files { files, .. } => picture::read(&files[item]),
            Source::Memory | Source::Stack(_) => Err("it is not in memory".to_owned()),
            Source::Idx(idx) => {
                let area = idx.height * idx.width;
                let values = idx.values[item * area..][..area].to_vec();
                let image = GrayImage::from_raw(idx.width as u32, idx.height as u32, values)
                    .ok_or("its size is impossible")?;
                let [_, height, width] = self.shape;
                let size = [height, width];
                Ok(if picture::is_padded([idx.height, idx.width], size) {
                    picture::pad(&image, size).into()
                } else {
                    image.into()
                })
            }
        }
    }

    fn path(&self, item: usize) -> &Path {
        match &self.source {
            Source::Idx(idx) => &idx.path,
            Source::Files { files, .. } => &files[item],
            Source::Memory | Source::Stack(_) => Path::new(&self.name),
        }
    }

    fn unreadable(&self, item: usize, reason: &str) -> Error {
        Error::usage(
            format!("cannot read {}: {reason}", self.path(item).display()),
            "replace the file or remove it",
        )
    }

    /// The error for a set of which no item can be read.
    pub(super) fn nothing_readable(&self) -> Error {
        let root = match &self.source {
            Source::Stack(stack) => return stack.of.nothing_readable(),
            Source::Idx(idx) => &idx.path,
            Source::Files { root, .. } => root,
            Source::Memory => Path::new(&self.name),
        };
        let first = self.known.iter().enumerate().find_map(|(item, known)| {
            let reason = known.get()?.as_ref().err()?;
            Some(format!(", {}: {reason}", self.path(item).display()))
        });
        Error::usage(
            format!(
                "none of the {} pictures in --data {} can be read{}",
                self.len(),
                root.display(),
                first.unwrap_or_default()
            ),
            format!("give pictures of these kinds: {}", folder::KINDS),
        )
    }

    /// Whether every item is known to be unreadable.
    pub(super) fn all_failed(&self) -> bool {
        match &self.source {
            Source::Stack(stack) => stack.of.all_failed(),
            _ => self.failed.load(Ordering::Acquire) == self.len(),
        }
    }

    fn fail(&self, item: usize, reason: String) {
        let report = Report::new(self.path(item), reason.clone());
        if self.known[item].set(Err(reason)).is_ok() {
            self.failed.fetch_add(1, Ordering::Release);
            self.journal.note(report);
        }
    }

    pub(super) fn note_all(&self, reports: Vec<Report>) {
        reports
            .into_iter()
            .for_each(|report| self.journal.note(report));
    }

    /// Calls `listener` for every report: those made up to now at once, later
    /// ones as they happen, from the thread that met the file.
    pub fn on_report(&mut self, listener: impl Fn(&Report) + Send + Sync + 'static) {
        self.journal.listen(Arc::new(listener));
    }

    /// What was left out up to now and why, in the order it was met.
    pub fn skipped(&self) -> Vec<Report> {
        self.journal.reports()
    }

    /// One line for the log: name, count, shape, classes, reports.
    pub fn describe(&self) -> String {
        let [channels, height, width] = self.shape;
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

/// The last part of a path, or of what it leads to (`.`).
fn name_of(path: &Path) -> String {
    let real = path.canonicalize();
    let named = path
        .file_name()
        .or_else(|| real.as_ref().ok()?.file_name())
        .unwrap_or(path.as_os_str());
    named.to_string_lossy().into_owned()
}
