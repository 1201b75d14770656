//! What a batch, or a view, takes.

use crate::config::{Latent, Output};
use crate::data::{IMAGE, INPUT, LABEL, Sides};
use crate::graph::Shape;

/// Something that a batch, or a view, takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The tensor's name.
    pub name: &'static str,
    /// The shape of one record's part.
    pub record: Vec<usize>,
    /// Where its values come from.
    pub source: Source,
}

impl Field {
    /// Images `[C, H, W]` of the first stream, scaled for a network of this output.
    pub fn pixels(name: &'static str, image: [usize; 3], range: Output) -> Self {
        Self {
            name,
            record: image.to_vec(),
            source: Source::Pixels {
                stream: 0,
                column: IMAGE,
                range,
            },
        }
    }

    /// Inputs `[C, H, W]`: those of the first stream's images where they are paired,
    /// else the second stream's images.
    pub fn inputs(name: &'static str, sides: Sides, range: Output) -> Self {
        let (stream, column) = match sides {
            Sides::Images | Sides::Paired(_) => (0, INPUT),
            Sides::Unpaired(_) => (1, IMAGE),
        };
        Self {
            name,
            record: sides.input().unwrap_or_default().to_vec(),
            source: Source::Pixels {
                stream,
                column,
                range,
            },
        }
    }

    /// The class of each record of the first stream.
    pub fn labels(name: &'static str) -> Self {
        Self {
            name,
            record: vec![1],
            source: Source::Column {
                stream: 0,
                column: LABEL,
            },
        }
    }

    /// The shape of a batch.
    pub fn shape(&self, batch: usize) -> Shape {
        match self.source {
            Source::Scalar => [1; 4].into(),
            _ => [&[batch], &self.record[..]].concat().into(),
        }
    }
}

/// Where the values of a field come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Pixels of a column of a data stream, in the range of this output.
    Pixels {
        /// Which stream, counted from 0.
        stream: usize,
        /// The column's name.
        column: &'static str,
        /// What black and white are to the networks.
        range: Output,
    },
    /// Other numbers of a column of a data stream, as they are.
    Column {
        /// Which stream, counted from 0.
        stream: usize,
        /// The column's name.
        column: &'static str,
    },
    /// Random numbers, drawn on the host.
    Latent(Latent),
    /// One number that follows from what the run has done ([`super::System::scalar`]).
    Scalar,
    /// Zeros at the first replay of a view.
    Zero,
}
