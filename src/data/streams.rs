//! What a run trains on: one data set, or one for each of two sides that do not
//! pair; and the batches that are drawn from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Columns, Dataset, Feed, Layout, Loader, Position, Reading, Report, to_floats};
use crate::error::{Error, Result};

/// What a data set has beside the images that are learned: shapes are `[C, H, W]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Nothing.
    #[default]
    Images,
    /// The input of each image, the column [`INPUT`](super::INPUT) of the first stream.
    Paired([usize; 3]),
    /// Inputs of their own, the images of the second stream.
    Unpaired([usize; 3]),
}

impl Sides {
    /// `[C, H, W]` of the inputs, where there are any.
    pub fn input(self) -> Option<[usize; 3]> {
        match self {
            Self::Images => None,
            Self::Paired(shape) | Self::Unpaired(shape) => Some(shape),
        }
    }
}

/// The data of a run.
#[derive(Clone)]
pub struct Streams {
    /// What is learned: the first stream.
    images: Arc<Dataset>,
    /// The second, where the sides do not pair.
    inputs: Option<Arc<Dataset>>,
}

impl Streams {
    /// One stream, with the inputs of its images if it has them.
    pub fn one(images: Arc<Dataset>) -> Self {
        Self {
            images,
            inputs: None,
        }
    }

    /// Two streams: images, and inputs that do not pair with them.
    pub fn unpaired(inputs: Arc<Dataset>, images: Arc<Dataset>) -> Self {
        Self {
            images,
            inputs: Some(inputs),
        }
    }

    /// The data that `--data` names, read like this; `stack` grey images make one.
    ///
    /// # Errors
    /// As of [`Reading::open`] and [`Dataset::stacked`].
    pub fn open(reading: &Reading, data: &str, stack: usize) -> Result<Self> {
        match reading.is_layout(Layout::Unpaired) {
            false => {
                let images = reading.open(data)?.stacked(stack)?;
                Ok(Self::one(Arc::new(images)))
            }
            true if stack > 1 => Err(Error::usage(
                format!(
                    "data.stack = {stack} stacks the images of one set, but data.layout = unpaired has two"
                ),
                "use data.stack = 1",
            )),
            true => {
                let [inputs, images] = reading.open_unpaired(data)?.map(Arc::new);
                Ok(Self::unpaired(inputs, images))
            }
        }
    }

    /// The images that are learned.
    pub fn images(&self) -> &Arc<Dataset> {
        &self.images
    }

    /// What there is beside them.
    pub fn sides(&self) -> Sides {
        match (&self.inputs, self.images.input_shape()) {
            (Some(inputs), _) => Sides::Unpaired(inputs.shape()),
            (None, Some(shape)) => Sides::Paired(shape),
            (None, None) => Sides::Images,
        }
    }

    /// All sets, in the order of their streams.
    pub fn sets(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        [&self.images].into_iter().chain(&self.inputs)
    }

    /// What the data holds, a line a matter.
    pub fn found(&self) -> Vec<String> {
        self.sets().flat_map(|set| set.found()).collect()
    }

    /// What was left out, as [`Dataset::left_out`] of each set.
    pub fn left_out(&self, at_most: usize) -> Vec<String> {
        self.sets().flat_map(|set| set.left_out(at_most)).collect()
    }

    /// One line for the log.
    pub fn describe(&self) -> String {
        let sets: Vec<String> = self.sets().map(|set| set.describe()).collect();
        sets.join("; ")
    }

    /// Calls `listener` as [`Dataset::on_report`], for every set.
    pub fn on_report(&self, listener: impl Fn(&Report) + Clone + Send + Sync + 'static) {
        for set in self.sets() {
            set.on_report(listener.clone());
        }
    }

    /// Readable records of a stream for figures, `count` at most and evenly spread
    /// over the set: images and their inputs, empty where there are none, row-major
    /// in [-1, 1].
    ///
    /// # Errors
    /// [`Error::Shape`] where there is no such stream.
    pub fn records(&self, stream: usize, count: usize) -> Result<Records> {
        let set = self.sets().nth(stream);
        let set =
            set.ok_or_else(|| Error::shape("data", format!("there is no stream {stream}")))?;
        let mut shown = Records::default();
        let items = set.steps(count);
        let pairs = items.filter_map(|item| set.decode_pair(item).ok());
        for pair in pairs.take(count) {
            shown.add(pair);
        }
        Ok(shown)
    }
}

/// Records for figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// How many there are.
    pub count: usize,
    /// `[count, C, H, W]`.
    pub images: Vec<f32>,
    /// The inputs of the images.
    pub inputs: Vec<f32>,
}

impl Records {
    /// Adds an input and its image.
    pub(super) fn add(&mut self, (input, image): (Vec<u8>, Vec<u8>)) {
        self.inputs.extend(to_floats(&input));
        self.images.extend(to_floats(&image));
        self.count += 1;
    }
}

/// A loader for each stream.
pub struct Loaders(Vec<Loader>);

impl Loaders {
    /// Starts to draw batches as [`Loader::new`], each stream in an order of its own.
    /// `positions` are those of [`Loaders::positions`]; a stream without one begins.
    ///
    /// # Errors
    /// [`Error::Usage`] if `batch` is 0.
    pub fn new(
        streams: &Streams,
        batch: usize,
        seed: u64,
        positions: &[Position],
        mirror: bool,
    ) -> Result<Self> {
        let loaders = streams.sets().enumerate().map(|(stream, set)| {
            let position = positions.get(stream).copied().unwrap_or_default();
            let seed = seed.wrapping_add(stream as u64);
            Loader::new(Arc::clone(set), batch, seed, position, mirror)
        });
        Ok(Self(loaders.collect::<Result<_>>()?))
    }

    /// Where the next batch of each stream begins; what a checkpoint keeps.
    pub fn positions(&self) -> Vec<Position> {
        self.0.iter().map(Loader::position).collect()
    }
}

impl Feed for Loaders {
    fn next_columns(&mut self, stream: usize) -> Result<Columns> {
        let loader = self.0.get_mut(stream);
        let loader =
            loader.ok_or_else(|| Error::shape("data", format!("there is no stream {stream}")))?;
        loader.next_columns(0)
    }
}
