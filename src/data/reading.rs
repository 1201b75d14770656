//! How data is read, and what `--data` can name.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::found::{Kinds, listed, survey};
use super::idx::Split;
use super::labels::{self, Labels};
use super::manner::{Fit, Manner, colour};
use super::source::{Fault, Pictures};
use super::store::{Source, Store};
use super::{Dataset, Report, archive, built_in, cifar, folder, idx, numpy, shown};
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
#[derive(Clone, Debug)]
pub struct Reading {
    size: [usize; 2],
    channels: Option<usize>,
    manner: Manner,
}

/// Pictures with their labels, before it is known how they are read.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) pictures: Box<dyn Pictures>,
    pub(super) labels: Labels,
    pub(super) strays: Kinds,
    pub(super) reports: Vec<Report>,
}

impl Opened {
    pub(super) fn new(path: &Path, pictures: Box<dyn Pictures>, labels: Labels) -> Self {
        Self {
            name: name_of(path),
            pictures,
            labels,
            strays: Kinds::new(),
            reports: Vec::new(),
        }
    }
}

impl Reading {
    /// Images of `height` x `width` pixels, grey or RGB as the data is, cropped.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            size: [height, width],
            channels: None,
            manner: Manner::default(),
        }
    }

    /// With 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA) channels; with
    /// `None`, RGB if any picture has colours and grey otherwise.
    #[must_use]
    pub fn channels(mut self, channels: Option<usize>) -> Self {
        self.channels = channels;
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

    /// Opens the data that `--data` names:
    /// - `fashion` (4,370 images of clothes, 28x28, 10 classes) or `digits`
    ///   (1,797 handwritten digits, 8x8, 10 classes), which are part of the
    ///   program; write `./fashion` for a folder of that name;
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
        if let Some(opened) = built_in::open(data) {
            return self.dataset(opened?);
        }
        match find(Path::new(data), Split::Train)? {
            Some(opened) => self.dataset(opened),
            None => Err(nothing_in(Path::new(data))),
        }
    }

    /// The test images of `data`: of a folder of IDX or CIFAR files those named
    /// `t10k` or `test`, of a `.npz` archive `x_test`. `None` where there are
    /// none.
    ///
    /// # Errors
    /// As of [`Reading::open`].
    pub fn open_test(&self, data: &str) -> Result<Option<Dataset>> {
        self.check()?;
        let path = Path::new(data);
        if built_in::NAMES.contains(&data) || !path.exists() {
            return Ok(None);
        }
        let opened = find(path, Split::Test)?;
        opened.map(|opened| self.dataset(opened)).transpose()
    }

    fn check(&self) -> Result<()> {
        let [height, width] = self.size;
        if height == 0 || width == 0 || height.max(width) > 1 << 16 {
            return Err(Error::usage(
                format!("images of {height}x{width} pixels are impossible"),
                "ask for a height and a width from 1 to 65536",
            ));
        }
        match self.channels {
            Some(channels) if !(1..=4).contains(&channels) => Err(Error::usage(
                format!("images cannot have {channels} channels"),
                "ask for 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA)",
            )),
            _ => Ok(()),
        }
    }

    /// The set of what was opened, unless too much of it is bad.
    fn dataset(&self, opened: Opened) -> Result<Dataset> {
        let Opened {
            name,
            pictures,
            labels,
            strays,
            reports,
        } = opened;
        let (mut found, unread) = survey(pictures.as_ref(), self.manner.half);
        found.strays = strays;
        if unread
            .iter()
            .any(|unread| matches!(unread.fault, Fault::Lost(_)))
        {
            thread::sleep(Duration::from_millis(250));
        }
        let mut bad = Vec::new();
        for unread in unread {
            // What the file system failed may work now, or when it is read.
            match pictures.head(unread.item) {
                Err(fault) => bad.push((unread.item, fault.reason().to_string())),
                Ok(head) => found.add_late(head, self.manner.half),
            }
        }
        let [height, width] = self.size;
        let channels = self.channels.unwrap_or_else(|| found.channels());
        let store = Store::new(
            Source::Pictures(pictures),
            [channels, height, width],
            self.manner,
            Arc::default(),
        );
        reports
            .into_iter()
            .for_each(|report| store.journal.note(report));
        for (item, reason) in bad {
            store.fail(item, reason);
        }
        store.check(None)?;
        let reading = self.clone().channels(Some(channels));
        Ok(Dataset::new(name, store, labels, reading, found))
    }

    /// How pictures of other proportions and with alpha are read.
    pub(super) fn manner(&self) -> Manner {
        self.manner
    }

    pub(super) fn of_shape([channels, height, width]: [usize; 3]) -> Self {
        Self::new(height, width).channels(Some(channels))
    }
}

/// What can be given as `--data`.
const MEND: &str = "give `fashion`, `digits`, a folder or a ZIP or tar archive of pictures, or \
                    IDX, CIFAR or NumPy files";

/// Finds out what a path names and opens it; `None` where there is no image of
/// that split.
fn find(path: &Path, split: Split) -> Result<Option<Opened>> {
    let kind = path.metadata().map_err(|error| {
        Error::usage(
            format!("--data {} cannot be opened: {error}", shown(path)),
            MEND,
        )
    })?;
    if kind.is_dir() {
        in_folder(path, split)
    } else if kind.is_file() {
        in_file(path, split)
    } else {
        // Reading from a pipe or a device could block for ever.
        Err(Error::usage(
            format!("--data {} is neither file nor folder", shown(path)),
            MEND,
        ))
    }
}

fn in_folder(path: &Path, split: Split) -> Result<Option<Opened>> {
    let mut reports = Vec::new();
    if let Some(images) = idx::images_file_in(path, split)? {
        let named = if split == Split::Test { &images } else { path };
        return of_idx(named, &images).map(Some);
    }
    let files = cifar::files_in(path, split);
    if let Some(first) = files.first() {
        let named = if split == Split::Test { first } else { path };
        return of_cifar(named, &files).map(Some);
    }
    if split == Split::Test {
        return Ok(None);
    }
    let (pictures, strays) = folder::scan(path, &mut reports)?;
    if pictures.files.is_empty() {
        return Err(nothing_but(path, &strays));
    }
    let list = labels::list_in(path);
    let labels = labels::of_files(path, &pictures.names(), list, &mut reports);
    Ok(Some(Opened {
        strays,
        reports,
        ..Opened::new(path, Box::new(pictures), labels)
    }))
}

fn in_file(path: &Path, split: Split) -> Result<Option<Opened>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    let outcome = file.take(512).read_to_end(&mut head);
    outcome.map_err(Error::io("read", path))?;
    let mut reports = Vec::new();
    if numpy::begins_like_one(&head) || (archive::is_zip(&head) && numpy::is_npz(path)) {
        let found = numpy::read(path, split, &mut reports)?;
        return Ok(found.map(|(array, labels)| Opened {
            reports,
            ..Opened::new(path, Box::new(array), labels)
        }));
    }
    if split == Split::Test {
        return Ok(None);
    }
    if archive::begins_like_one(&head) {
        let archive::Opened {
            archive,
            strays,
            labels,
        } = archive::open(path, &mut reports)?;
        if archive.len() == 0 {
            return Err(nothing_but(path, &strays));
        }
        return Ok(Some(Opened {
            strays,
            reports,
            ..Opened::new(path, Box::new(archive), labels)
        }));
    }
    if idx::looks_like_idx(path) || path.to_string_lossy().contains("idx3-ubyte") {
        return of_idx(path, path).map(Some);
    }
    if cifar::looks_like_it(path) {
        return of_cifar(path, &[path.to_path_buf()]).map(Some);
    }
    Err(if head.starts_with(&[0x1f, 0x8b]) {
        Error::usage(
            format!("--data {} is packed as a whole by gzip", shown(path)),
            "unpack it (gunzip, tar xf) and give the archive or folder",
        )
    } else {
        Error::usage(
            format!("--data {} is a file, but none of images", shown(path)),
            MEND,
        )
    })
}

fn of_idx(named: &Path, images: &Path) -> Result<Opened> {
    let mut reports = Vec::new();
    let (array, of) = idx::read(images, &mut reports)?;
    Ok(Opened {
        reports,
        ..Opened::new(named, Box::new(array), Labels::numbered(of))
    })
}

fn of_cifar(named: &Path, files: &[PathBuf]) -> Result<Opened> {
    let mut reports = Vec::new();
    let (array, labels) = cifar::read(files, &mut reports)?;
    Ok(Opened {
        reports,
        ..Opened::new(named, Box::new(array), labels)
    })
}

fn nothing_in(path: &Path) -> Error {
    Error::usage(
        format!("--data {} has no training images", shown(path)),
        MEND,
    )
}

fn nothing_but(path: &Path, strays: &Kinds) -> Error {
    let others = match strays.values().sum::<usize>() {
        0 => "found nothing".to_string(),
        count => format!("found {count} other files ({})", listed(strays)),
    };
    Error::usage(
        format!(
            "no image in --data {}: looked there, and in every folder below, for IDX files and for \
             pictures ({}), and {others}",
            shown(path),
            folder::KINDS
        ),
        "put pictures there, or give `fashion`, `digits` or other data",
    )
}

/// The last part of a path, or of what it leads to (`.`).
fn name_of(path: &Path) -> String {
    let real = path.canonicalize();
    let named = path
        .file_name()
        .or_else(|| real.as_ref().ok()?.file_name())
        .unwrap_or(path.as_os_str());
    super::plain(&named.to_string_lossy())
}
