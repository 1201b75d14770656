//! What a set holds before anything is decoded: kinds of files, sizes, colours.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use crate::console::counted;

use super::manner::{Fit, Half, Manner};
use super::source::{Fault, Head, Pictures};

/// Threads that look at files: waiting for a disk costs no core.
const THREADS: usize = 8;

/// Files by their ending.
pub(super) type Kinds = BTreeMap<String, usize>;

/// Counts of what was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    grey: usize,
    colour: usize,
    alpha: usize,
    /// Whether any has colours, with alpha or without.
    coloured: bool,
    /// Width and height.
    sizes: HashSet<(u32, u32)>,
    /// Files whose first bytes cannot be read.
    unknown: usize,
    /// Pictures in files of their own.
    pub(super) files: Kinds,
    /// Files that are no pictures.
    pub(super) strays: Kinds,
}

/// Items that a survey could not read.
pub(super) struct Unread {
    pub(super) item: usize,
    pub(super) fault: Fault,
}

/// Looks at the head of every picture.
pub(super) fn survey(pictures: &dyn Pictures, half: Half) -> (Found, Vec<Unread>) {
    let mut found = Found::default();
    let mut unread = Vec::new();
    let count = pictures.len();
    let in_files = pictures.root().is_some();
    // In memory all heads are alike.
    let looks = if in_files { count } else { count.min(1) };
    for (item, head) in heads(pictures, looks).into_iter().enumerate() {
        let times = if in_files { 1 } else { count };
        match head.and_then(|head| found.add(head, half, times)) {
            Ok(()) => {}
            Err(fault) => unread.push(Unread { item, fault }),
        }
    }
    found.unknown = unread.len();
    if in_files {
        for item in 0..count {
            *found.files.entry(kind(&pictures.path(item))).or_default() += 1;
        }
    }
    (found, unread)
}

/// The heads of the first `count` pictures.
pub(super) fn heads(pictures: &dyn Pictures, count: usize) -> Vec<Result<Head, Fault>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // So few are faster than a thread.
    let threads = if count < 64 { 1 } else { THREADS.max(cores) };
    let share = count.div_ceil(threads).max(1);
    let starts: Vec<usize> = (0..count).step_by(share).collect();
    thread::scope(|scope| {
        let work = |start: usize| {
            let end = (start + share).min(count);
            (start..end).map(|item| pictures.head(item)).collect()
        };
        let others: Vec<_> = starts[1.min(starts.len())..]
            .iter()
            .map(|&start| scope.spawn(move || work(start)))
            .collect();
        let mut heads: Vec<_> = if count > 0 { work(0) } else { Vec::new() };
        for other in others {
            // A decoder's panic is caught where it happens.
            heads.extend(other.join().unwrap_or_default());
        }
        heads
    })
}

/// The ending of a file, in small letters.
pub(super) fn kind(path: &Path) -> String {
    match path.extension() {
        Some(ending) => ending.to_string_lossy().to_lowercase(),
        None => "without extension".to_string(),
    }
}

/// Kinds as a list, the most frequent first: `380 png, 29 webp`.
pub(super) fn listed(kinds: &Kinds) -> String {
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let listed: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {}", super::plain(kind)))
        .collect();
    listed.join(", ")
}

impl Found {
    /// Adds a picture so many times.
    ///
    /// # Errors
    /// [`Fault::Bad`] where it has no such half.
    fn add(&mut self, head: Head, half: Half, times: usize) -> Result<(), Fault> {
        let width = half.width(head.width)?;
        let kind = match head {
            Head { alpha: true, .. } => &mut self.alpha,
            Head { colour: true, .. } => &mut self.colour,
            _ => &mut self.grey,
        };
        *kind += times;
        self.sizes.insert((width, head.height));
        self.coloured |= head.colour;
        Ok(())
    }

    /// Adds a picture whose head could only be read later.
    ///
    /// # Errors
    /// [`Fault::Bad`] where it has no such half.
    pub(super) fn add_late(&mut self, head: Head, half: Half) -> Result<(), Fault> {
        self.add(head, half, 1)?;
        self.unknown -= 1;
        Ok(())
    }

    /// The channels that keep the colours of every picture, alpha left out: 3,
    /// or 1 where all are grey.
    pub(super) fn channels(&self) -> usize {
        if self.coloured { 3 } else { 1 }
    }

    /// What was found and what becomes of it, one line a matter.
    pub(super) fn lines(&self, count: usize, shape: [usize; 3], manner: Manner) -> Vec<String> {
        let [channels, height, width] = shape;
        let paper = manner.paper_name();
        let made = |wanted: bool, what: &str| {
            if wanted {
                String::new()
            } else {
                format!(" ({what})")
            }
        };
        let mut colours = Vec::new();
        if self.grey > 0 {
            colours.push(format!("{} grey", self.grey));
        }
        if self.colour > 0 {
            colours.push(format!(
                "{} colour{}",
                self.colour,
                made(channels > 2, "converted to grey")
            ));
        }
        if self.alpha > 0 {
            let laid = made(channels.is_multiple_of(2), &format!("laid on {paper}"));
            colours.push(format!("{} with alpha{laid}", self.alpha));
        }
        if self.unknown > 0 {
            colours.push(format!("{} unreadable", self.unknown));
        }
        let by_area = |&&(w, h): &&(u32, u32)| u64::from(w) * u64::from(h);
        let ends = self
            .sizes
            .iter()
            .min_by_key(by_area)
            .zip(self.sizes.iter().max_by_key(by_area));
        let sizes = match ends {
            Some(((w, h), _)) if self.sizes.len() == 1 => format!("; all {w}x{h}"),
            Some(((w, h), (w2, h2))) => {
                format!("; {} sizes from {w}x{h} to {w2}x{h2}", self.sizes.len())
            }
            None => String::new(),
        };
        let mut lines = vec![format!(
            "{}: {}{sizes}",
            counted(count, "images"),
            colours.join(", ")
        )];
        if self
            .sizes
            .iter()
            .any(|&size| size != (width as u32, height as u32))
        {
            let how = match manner.fit {
                Fit::Crop => "cropped to their middle and resized",
                Fit::Pad => "resized, with margins where proportions differ",
                Fit::Stretch => "resized without keeping proportions",
            };
            lines.push(format!("as {width}x{height}: {how}"));
        }
        if !self.files.is_empty() {
            let strays = match self.strays.is_empty() {
                true => String::new(),
                false => format!("; not pictures: {}", listed(&self.strays)),
            };
            lines.push(format!("files: {}{strays}", listed(&self.files)));
        }
        lines
    }
}
