//! Drawing batches on threads of their own, ahead of the GPU.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{Columns, Dataset, Feed, IMAGE, INPUT, LABEL, normalized};
use crate::error::{Error, Result};

/// Batches kept ready.
const AHEAD: usize = 4;

/// Decoding threads of [`Loader::new`] at most: the GPU's driver wants some.
const MAX_THREADS: usize = 8;

/// How far a run has come in its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Items drawn since the beginning, unreadable ones included. Item number
    /// `drawn % len` of the permutation of epoch `drawn / len` is next.
    pub drawn: u64,
}

/// Images to train on.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[batch, channels, height, width]`, in [-1, 1].
    pub images: Vec<f32>,
    /// The input of each image, `[batch, ...]` of [`Dataset::input_shape`], in
    /// [-1, 1]; empty where the data has none.
    pub inputs: Vec<f32>,
    /// The class of each image; empty where the data has no labels.
    pub labels: Vec<u32>,
    /// Where the batch after this one begins.
    pub position: Position,
}

/// An endless stream of full batches.
///
/// Every epoch draws each item once, in an order that follows from seed and
/// epoch alone; a batch that an epoch cannot fill goes on into the next. An
/// unreadable item is passed over, its read tried again first where the file
/// system failed. A batch is thus a function of data, batch
/// size, seed and position, however many threads decode it, and a run resumes
/// bit-exactly from a [`Position`].
///
/// Dropping the loader stops its threads.
pub struct Loader {
    /// `None` only while it is dropped.
    batches: Option<Receiver<Result<Batch>>>,
    position: Position,
    stop: Arc<AtomicBool>,
    producer: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts to draw batches of `batch` items from `position` on, with as many
    /// threads as the machine has cores, 8 at most. With `mirror`, half of the
    /// images drawn, by chance, are flipped left to right. Where images are parts of
    /// what is read ([`super::Reading::load_size`]), each drawing takes another part.
    ///
    /// # Errors
    /// [`Error::Usage`] if `batch` is 0.
    pub fn new(
        dataset: Arc<Dataset>,
        batch: usize,
        seed: u64,
        position: Position,
        mirror: bool,
    ) -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(MAX_THREADS);
        Self::with_threads(dataset, batch, seed, position, mirror, threads)
    }

    /// The same with a given number of decoding threads, which changes the
    /// speed and nothing else; 0 counts as 1.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_threads(
        dataset: Arc<Dataset>,
        batch: usize,
        seed: u64,
        position: Position,
        mirror: bool,
        threads: usize,
    ) -> Result<Self> {
        if batch == 0 {
            return Err(Error::usage(
                "a batch of 0 images trains nothing",
                "give --batch 1 or more",
            ));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let producer = Producer {
            order: Order::new(seed, dataset.len(), dataset.slack()),
            dataset,
            batch,
            position,
            mirror,
            threads: threads.max(1),
            stop: Arc::clone(&stop),
        };
        let (sender, receiver) = sync_channel(AHEAD);
        let producer = thread::Builder::new()
            .name("data".to_string())
            .spawn(move || producer.run(&sender))
            .map_err(|error| {
                Error::usage(
                    format!("cannot start the thread that reads the data: {error}"),
                    "raise the limit of threads or end other programs",
                )
            })?;
        Ok(Self {
            batches: Some(receiver),
            position,
            stop,
            producer: Some(producer),
        })
    }

    /// The next batch; waits for it if it is not ready.
    ///
    /// # Errors
    /// [`Error::Usage`] when the data has gone, and when more than half of it
    /// cannot be read ([`Dataset::check`]). No batch comes after an error.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let received = self.batches.as_ref().map(Receiver::recv);
        match received {
            Some(Ok(batch)) => {
                let batch = batch?;
                self.position = batch.position;
                Ok(batch)
            }
            _ => Err(Error::usage(
                "the data has ended after an error",
                "see the error before this one",
            )),
        }
    }

    /// Where the next batch begins; what a checkpoint keeps.
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Feed for Loader {
    fn next_columns(&mut self, _: usize) -> Result<Columns> {
        let batch = self.next_batch()?;
        let labels = batch.labels.into_iter().map(|label| label as f32);
        Ok(vec![
            (IMAGE, batch.images),
            (INPUT, batch.inputs),
            (LABEL, labels.collect()),
        ])
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Without a receiver a producer that waits to send goes on and ends.
        self.batches = None;
        if let Some(producer) = self.producer.take() {
            // A panic has printed its message where it happened.
            let _ = producer.join();
        }
    }
}

/// The side of the loader that works ahead.
struct Producer {
    dataset: Arc<Dataset>,
    order: Order,
    batch: usize,
    position: Position,
    mirror: bool,
    threads: usize,
    stop: Arc<AtomicBool>,
}

impl Producer {
    fn run(mut self, sender: &SyncSender<Result<Batch>>) {
        while let Some(batch) = self.produce() {
            let last = batch.is_err();
            if sender.send(batch).is_err() || last {
                return;
            }
        }
    }

    /// The next batch, or `None` when nobody waits for it any more.
    fn produce(&mut self) -> Option<Result<Batch>> {
        let size: usize = self.dataset.shape().iter().product();
        let mut images = Vec::with_capacity(self.batch * size);
        let mut inputs = Vec::new();
        let mut labels = Vec::new();
        let mut missing = self.batch;
        while missing > 0 {
            // No more than are missing, so that the position ends right behind
            // the batch's last item.
            let from = self.position.drawn;
            let draws: Vec<_> = (from..from + missing as u64)
                .map(|number| self.order.draw(number))
                .collect();
            let decoded = self.decode(&draws);
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            self.position.drawn += missing as u64;
            for (draw, pair) in draws.iter().zip(decoded) {
                if let Some((input, image)) = pair {
                    images.extend(image);
                    inputs.extend(input);
                    labels.extend(self.dataset.label(draw.item));
                    missing -= 1;
                }
            }
            if missing > 0
                && let Err(error) = self.dataset.check()
            {
                return Some(Err(error));
            }
        }
        Some(Ok(Batch {
            images,
            inputs,
            labels,
            position: self.position,
        }))
    }

    /// Decodes items on all threads; `None` for the unreadable.
    fn decode(&self, draws: &[Draw]) -> Vec<Option<Pair>> {
        let mut decoded = vec![None; draws.len()];
        let share = draws.len().div_ceil(self.threads);
        let work = |draws: &[Draw], decoded: &mut [Option<Pair>]| {
            for (draw, decoded) in draws.iter().zip(decoded) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                *decoded = self.decode_one(draw);
            }
        };
        thread::scope(|scope| {
            let mut parts = draws.chunks(share).zip(decoded.chunks_mut(share));
            // This thread takes a part itself.
            let own = parts.next();
            for (draws, decoded) in parts {
                scope.spawn(move || work(draws, decoded));
            }
            if let Some((draws, decoded)) = own {
                work(draws, decoded);
            }
        });
        decoded
    }

    fn decode_one(&self, draw: &Draw) -> Option<Pair> {
        // The dataset has reported the error.
        let (input, image) = self.dataset.pair_of(draw.item, draw.corner).ok()?;
        let floats = |mut pixels: Vec<u8>, [_, _, width]: [usize; 3]| -> Vec<f32> {
            if self.mirror && draw.flip {
                pixels.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
            pixels.into_iter().map(normalized).collect()
        };
        let shape = self.dataset.shape();
        let input_shape = self.dataset.input_shape().unwrap_or(shape);
        Some((floats(input, input_shape), floats(image, shape)))
    }
}

/// An input, perhaps empty, and its image.
type Pair = (Vec<f32>, Vec<f32>);

/// One draw of an item.
struct Draw {
    item: usize,
    flip: bool,
    /// Where the image begins in what was read of it.
    corner: [usize; 2],
}

/// The order of all draws.
struct Order {
    seed: u64,
    len: u64,
    /// The epoch whose permutation is at hand.
    epoch: Option<u64>,
    items: Vec<u32>,
    flips: Vec<bool>,
    /// What a corner is at most; without, corners are not drawn.
    slack: [usize; 2],
    corners: Vec<[usize; 2]>,
}

impl Order {
    fn new(seed: u64, len: usize, slack: [usize; 2]) -> Self {
        Self {
            seed,
            len: len as u64,
            epoch: None,
            items: Vec::new(),
            flips: Vec::new(),
            slack,
            corners: Vec::new(),
        }
    }

    fn draw(&mut self, number: u64) -> Draw {
        let epoch = number / self.len;
        if self.epoch != Some(epoch) {
            self.shuffle(epoch);
        }
        let place = (number % self.len) as usize;
        Draw {
            item: self.items[place] as usize,
            flip: self.flips[place],
            corner: self.corners.get(place).copied().unwrap_or_default(),
        }
    }

    /// Fisher and Yates' shuffle. It is spelled out on a generator that is
    /// named, since a resumed run must find the same order in later versions.
    fn shuffle(&mut self, epoch: u64) {
        let key = Xoshiro256PlusPlus::seed_from_u64(self.seed).next_u64();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(epoch));
        self.items = (0..self.len as u32).collect();
        // One of 0 to `last`: the high word of a product with 2^64 as denominator, which is
        // even enough, as the bias is below last / 2^64.
        let one_of = |random: &mut Xoshiro256PlusPlus, last: usize| {
            ((u128::from(random.next_u64()) * (last as u128 + 1)) >> 64) as usize
        };
        for last in (1..self.items.len()).rev() {
            self.items.swap(last, one_of(&mut random, last));
        }
        self.flips = (0..self.len)
            .map(|_| random.next_u64() >> 63 == 1)
            .collect();
        if self.slack != [0, 0] {
            self.corners = (0..self.len)
                .map(|_| self.slack.map(|most| one_of(&mut random, most)))
                .collect();
        }
        self.epoch = Some(epoch);
    }
}
