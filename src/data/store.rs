//! The pixels of a set: read, kept, and given up where they cannot be read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use flate2::Crc;

use super::journal::Journal;
use super::manner::Manner;
use super::source::{Fault, Pictures, Raw};
use super::stack::Stack;
use super::{Report, picture, shown};
use crate::error::{Error, Result};

/// Decoded images kept in memory, in bytes, with what it takes to keep them.
const CACHE_BYTES: usize = 512 << 20;

/// Bytes that keeping an image takes beside its pixels.
const CACHE_ENTRY: usize = 64;

/// Milliseconds before a read that failed is tried again.
const WAITS: [u64; 3] = [50, 250, 1000];

/// So many reads in a row, failed for the file system's sake, are not about
/// single files any more; fewer in a small set.
const LOST: usize = 16;

/// Images of one shape, whose owner may use a part of them.
pub(super) struct Store {
    pub(super) source: Source,
    pub(super) shape: [usize; 3],
    pub(super) manner: Manner,
    /// The first images, as many as there is room for. There is no eviction:
    /// every epoch asks for every item once, so that whatever is kept serves
    /// equally often.
    kept: Vec<OnceLock<Box<[u8]>>>,
    /// Items that cannot be read, with the reason.
    bad: Mutex<HashMap<usize, String>>,
    /// Why nothing can be read any more.
    gone: OnceLock<String>,
    /// Reads in a row that the file system failed.
    lost: AtomicUsize,
    /// A stack shares that of the set it is made of.
    pub(super) journal: Arc<Journal>,
}

pub(super) enum Source {
    Pictures(Arc<dyn Pictures>),
    /// Images of the store's shape, one behind the other.
    Memory(Vec<u8>),
    Stack(Stack),
}

impl Store {
    pub(super) fn new(
        source: Source,
        shape: [usize; 3],
        manner: Manner,
        journal: Arc<Journal>,
    ) -> Self {
        let size: usize = shape.iter().product();
        let mut store = Self {
            source,
            shape,
            manner,
            kept: Vec::new(),
            bad: Mutex::default(),
            gone: OnceLock::new(),
            lost: AtomicUsize::new(0),
            journal,
        };
        // What lies in memory and is not resized is as fast as a look-up.
        let worth = match &store.source {
            Source::Pictures(pictures) => {
                pictures.root().is_some() || !store.is_plain(pictures.as_ref())
            }
            Source::Memory(_) | Source::Stack(_) => false,
        };
        if worth {
            let room = (CACHE_BYTES / (size + CACHE_ENTRY)).min(store.len());
            store.kept.resize_with(room, OnceLock::new);
        }
        store
    }

    /// Whether images in memory need no resizing.
    fn is_plain(&self, pictures: &dyn Pictures) -> bool {
        let [_, height, width] = self.shape;
        pictures.head(0).is_ok_and(|head| {
            let from = [head.height as usize, head.width as usize];
            let fit = self.manner.fit;
            from == [height, width]
                || (pictures.drawings() && picture::is_padded(from, [height, width], fit))
        })
    }

    pub(super) fn len(&self) -> usize {
        match &self.source {
            Source::Pictures(pictures) => pictures.len(),
            Source::Memory(pixels) => pixels.len() / self.shape.iter().product::<usize>(),
            Source::Stack(stack) => stack.len(),
        }
    }

    /// The pixels of an item, channel by channel.
    pub(super) fn pixels(&self, item: usize) -> Result<Vec<u8>, Fault> {
        let pictures = match &self.source {
            Source::Pictures(pictures) => pictures.as_ref(),
            Source::Stack(stack) => return stack.pixels(item),
            Source::Memory(pixels) => {
                let size: usize = self.shape.iter().product();
                return Ok(pixels[item * size..][..size].to_vec());
            }
        };
        if let Some(pixels) = self.kept.get(item).and_then(OnceLock::get) {
            return Ok(pixels.to_vec());
        }
        if let Some(reason) = self.bad().get(&item) {
            return Err(Fault::Bad(reason.clone()));
        }
        match self.load(pictures, item) {
            Ok(pixels) => {
                self.lost.store(0, Ordering::Relaxed);
                if let Some(place) = self.kept.get(item) {
                    // Another thread may have kept the same pixels already.
                    let _ = place.set(pixels.clone().into());
                }
                Ok(pixels)
            }
            Err(fault) => Err(self.give_up(pictures, item, fault)),
        }
    }

    /// Keeps no pixels from here on: for images that are asked for once.
    pub(super) fn forgetful(mut self) -> Self {
        self.kept.clear();
        self
    }

    /// The pixels of an item at the size that its picture has, which comes with them.
    pub(super) fn whole(&self, item: usize) -> Result<(Vec<u8>, [usize; 2]), Fault> {
        match &self.source {
            Source::Pictures(pictures) => {
                let raw = self.read(pictures.as_ref(), item)?;
                picture::whole(raw, self.shape[0], self.manner)
            }
            Source::Memory(_) | Source::Stack(_) => {
                let [_, height, width] = self.shape;
                Ok((self.pixels(item)?, [height, width]))
            }
        }
    }

    fn load(&self, pictures: &dyn Pictures, item: usize) -> Result<Vec<u8>, Fault> {
        match self.read(pictures, item)? {
            Raw::Picture(image) if pictures.drawings() => {
                picture::drawing(image, self.shape, self.manner)
            }
            raw => picture::image(raw, self.shape, self.manner),
        }
    }

    /// Reads an item, again where the file system failed.
    fn read(&self, pictures: &dyn Pictures, item: usize) -> Result<Raw, Fault> {
        for wait in WAITS {
            if let Some(reason) = self.gone.get() {
                return Err(Fault::Lost(reason.clone()));
            }
            match pictures.read(item) {
                Err(Fault::Lost(_)) => thread::sleep(Duration::from_millis(wait)),
                outcome => return outcome,
            }
        }
        pictures.read(item)
    }

    /// Notes what cannot be read: an item, or everything.
    fn give_up(&self, pictures: &dyn Pictures, item: usize, fault: Fault) -> Fault {
        let Fault::Lost(reason) = fault else {
            self.fail(item, fault.reason().to_string());
            return fault;
        };
        if self.gone.get().is_some() {
            return Fault::Lost(reason);
        }
        let row = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        let root = pictures.root().unwrap_or(Path::new(""));
        if row >= LOST.min(self.len().div_ceil(2)) || root.metadata().is_err() {
            let what = format!(
                "--data {} is gone: {}: {reason}",
                shown(root),
                shown(&pictures.path(item))
            );
            if self.gone.set(what).is_ok() {
                let seconds = WAITS.iter().sum::<u64>() as f64 / 1e3;
                let why = format!("is gone: nothing could be read in {seconds} s");
                self.journal.note(Report::new(root, why));
            }
        } else {
            let tries = WAITS.len() + 1;
            self.fail(item, format!("{reason}, {tries} times"));
        }
        Fault::Lost(reason)
    }

    fn bad(&self) -> MutexGuard<'_, HashMap<usize, String>> {
        // An insertion is the only change, and never half made.
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an item cannot be read, and reports it the first time.
    pub(super) fn fail(&self, item: usize, reason: String) {
        let Source::Pictures(pictures) = &self.source else {
            return;
        };
        let report = Report::new(pictures.path(item), reason.clone());
        let first = self.bad().insert(item, reason).is_none();
        if first {
            self.journal.note(report);
        }
    }

    /// Notes that an item cannot be used, for a reason that is reported
    /// elsewhere.
    pub(super) fn leave_out(&self, item: usize, reason: &str) {
        self.bad().insert(item, reason.to_string());
    }

    /// Adds what tells an item from a changed one.
    pub(super) fn sign(&self, item: usize, crc: &mut Crc) {
        match &self.source {
            Source::Pictures(pictures) => pictures.sign(item, crc),
            Source::Memory(_) | Source::Stack(_) => self.identify(item, crc),
        }
    }

    /// Adds what tells an item from another, wherever it lies.
    pub(super) fn identify(&self, item: usize, crc: &mut Crc) {
        match &self.source {
            Source::Pictures(pictures) => pictures.identify(item, crc),
            Source::Memory(pixels) => {
                let size: usize = self.shape.iter().product();
                crc.update(&pixels[item * size..][..size]);
            }
            Source::Stack(stack) => {
                for part in stack.parts(item) {
                    crc.update(&part.to_le_bytes());
                }
            }
        }
    }

    /// The file of an item, for messages.
    pub(super) fn path(&self, item: usize) -> PathBuf {
        match &self.source {
            Source::Pictures(pictures) => pictures.path(item),
            Source::Memory(_) | Source::Stack(_) => Path::new("memory").into(),
        }
    }

    /// Whether the set, or those of its items that are given, can still be
    /// trained on.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has gone, and where more than half cannot be
    /// read.
    pub(super) fn check(&self, items: Option<&[usize]>) -> Result<()> {
        let pictures = match &self.source {
            Source::Pictures(pictures) => pictures.as_ref(),
            Source::Stack(stack) => return stack.of.check(),
            Source::Memory(_) => return Ok(()),
        };
        if let Some(what) = self.gone.get() {
            return Err(Error::usage(
                what.clone(),
                "bring it back and continue with --resume",
            ));
        }
        let bad = self.bad();
        let (count, len) = match items {
            Some(items) => (
                items.iter().filter(|item| bad.contains_key(item)).count(),
                items.len(),
            ),
            None => (bad.len(), self.len()),
        };
        if 2 * count <= len {
            return Ok(());
        }
        let first = bad.iter().min_by_key(|(item, _)| **item);
        let first = first.map_or(String::new(), |(&item, reason)| {
            let path = pictures.path(item);
            format!(", {}: {}", shown(&path), super::plain(reason))
        });
        let share = if count == len {
            format!("none of the {len} pictures in")
        } else {
            format!("more than half, {count} of the {len} pictures in")
        };
        let outcome = if count == len { "can" } else { "cannot" };
        Err(Error::usage(
            format!(
                "{share} --data {} {outcome} be read{first}",
                shown(pictures.root().unwrap_or(&pictures.path(0)))
            ),
            format!(
                "repair or remove them, or give pictures of these kinds: {}",
                super::folder::KINDS
            ),
        ))
    }
}
