//! Images that are several grey ones, one a channel. Three digits make 1000
//! classes, of which a generator that loses modes draws few (Metz et al. 2017,
//! Srivastava et al. 2017, Lin et al. 2018).

use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::Dataset;
use super::found::Found;
use super::labels::Labels;
use super::source::Fault;
use super::store::{Source, Store};
use crate::error::{Error, Result};

/// Images of a stacked set: of three digits 128 a class on average.
pub const STACKED: usize = 128_000;

/// Which images make each stack.
pub(super) struct Stack {
    pub(super) of: Arc<Dataset>,
    /// Items of `of`, `depth` for each stack.
    pub(super) parts: Vec<usize>,
    pub(super) depth: usize,
}

impl Stack {
    pub(super) fn len(&self) -> usize {
        self.parts.len() / self.depth
    }

    pub(super) fn parts(&self, item: usize) -> &[usize] {
        &self.parts[item * self.depth..][..self.depth]
    }

    pub(super) fn pixels(&self, item: usize) -> Result<Vec<u8>, Fault> {
        let parts = self.parts(item).iter();
        let channels: Result<Vec<_>, _> = parts.map(|&part| self.of.pixels_of(part)).collect();
        Ok(channels?.concat())
    }

    /// The labels of an item's parts as digits.
    fn label(&self, item: usize) -> Option<u32> {
        let base = self.of.class_names().len() as u32;
        let digits = self.parts(item).iter();
        digits
            .map(|&part| self.of.label(part))
            .try_fold(0, |number, digit| Some(number * base + digit?))
    }
}

impl Dataset {
    /// The set of [`STACKED`] images whose channels are `depth` images of this
    /// one each, drawn at random, with replacement and the same in every run.
    /// They are put together when asked for. Labels are read as the digits of
    /// one number, the first channel's before all others, so that there are
    /// `classes ^ depth` classes. A depth of 1 is this set as it is.
    ///
    /// # Errors
    /// [`Error::Usage`] where the images are not grey, where there would be more
    /// classes than images, and for a depth of 0.
    pub fn stacked(self, depth: usize) -> Result<Self> {
        if depth == 1 {
            return Ok(self);
        }
        let [channels, height, width] = self.shape();
        if depth == 0 {
            return Err(Error::usage(
                "a stack of 0 images is empty",
                "use data.stack = 1 for images as they are",
            ));
        }
        if channels != 1 {
            return Err(Error::usage(
                format!(
                    "data.stack = {depth} turns each image into a channel, but those of {} have {channels}",
                    self.name()
                ),
                "use data.channels = 1, which reads them as grey",
            ));
        }
        let base = self.class_names().len();
        let classes = u32::try_from(depth)
            .ok()
            .and_then(|depth| base.checked_pow(depth));
        if classes.is_none_or(|classes| classes > STACKED) {
            return Err(Error::usage(
                format!(
                    "data.stack = {depth} of {} with {base} classes has more classes than the {STACKED} images it makes",
                    self.name()
                ),
                "use a lower stack, or data with fewer classes",
            ));
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
        // As in the loader: the high word of a product with 2^64 as denominator.
        let count = self.len() as u128;
        let mut draw = || ((u128::from(random.next_u64()) * count) >> 64) as usize;
        let stack = Stack {
            parts: (0..STACKED * depth).map(|_| draw()).collect(),
            of: Arc::new(self),
            depth,
        };
        let name = format!("{}-stack{depth}", stack.of.name());
        let labels = (0..STACKED).filter_map(|item| stack.label(item)).collect();
        let names = match base {
            0 => Vec::new(),
            _ => names(stack.of.class_names(), depth),
        };
        let labels = Labels::new(labels, names);
        let (reading, found) = (stack.of.reading.clone(), Found::default());
        let journal = Arc::clone(&stack.of.store.journal);
        let shape = [depth, height, width];
        let store = Store::new(Source::Stack(stack), shape, reading.manner(), journal);
        Ok(Self::new(name, store, labels, reading, found))
    }

    /// The set whose images this one's channels are, with how many of them make
    /// an image; a set that is no stack is its own.
    pub fn single(&self) -> (&Self, usize) {
        match &self.store.source {
            Source::Stack(stack) => (&stack.of, stack.depth),
            _ => (self, 1),
        }
    }
}

/// The names of the classes of stacks, in the order of their labels.
fn names(of: &[String], depth: usize) -> Vec<String> {
    (1..depth).fold(of.to_vec(), |names, _| {
        let longer = names
            .iter()
            .flat_map(|name| of.iter().map(move |last| format!("{name} {last}")));
        longer.collect()
    })
}
