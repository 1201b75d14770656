//! What can be looked at.

use super::{Field, Source};
use crate::config::Output;

/// Something to look at: a function of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name; its tensors are named `<name>.<tensor>`.
    pub name: &'static str,
    /// What it takes.
    pub inputs: Vec<Field>,
    /// Names of what it gives, the main thing first.
    pub outputs: Vec<String>,
    /// What its first output is.
    pub medium: Medium,
    /// The number of records is a multiple of this.
    pub multiple: usize,
    /// How often it is replayed. From one replay to the next an output becomes the
    /// input of the same name.
    pub repeat: usize,
    /// Whether figures of a training show it, as they do the first view.
    pub figured: bool,
    /// Whether random numbers are drawn in it. Then each record is computed alone,
    /// so that what it becomes follows from its own seed.
    pub draws: bool,
    /// Which other sizes its first input may have, where it makes images of images and
    /// its networks take any.
    pub any_size: Option<AnySize>,
}

impl View {
    /// The tensor of an output.
    pub(crate) fn output_tensor(&self, output: &str) -> String {
        output_tensor(&format!("{}.", self.name), &self.inputs, output)
    }
}

/// The tensor of an output, behind the prefix of its pass or view. One that becomes
/// the input of the next replay has a name beside that input's.
pub(super) fn output_tensor(prefix: &str, inputs: &[Field], output: &str) -> String {
    let again = inputs.iter().any(|field| field.name == output);
    let next = if again { ".next" } else { "" };
    format!("{prefix}{output}{next}")
}

/// What sizes of images fully convolutional networks take, and what of an image an
/// output pixel depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnySize {
    /// Sides of inputs are multiples of this.
    pub multiple: usize,
    /// No side is shorter; a multiple.
    pub least: usize,
    /// Pixels of the input, around the square of `multiple` pixels that an output pixel
    /// lies in, that it depends on; none where that is the whole image, as with a
    /// normalisation by its statistics.
    pub reach: Option<usize>,
}

impl AnySize {
    /// With these values.
    pub fn new(multiple: usize, least: usize, reach: Option<usize>) -> Self {
        Self {
            multiple,
            least,
            reach,
        }
    }

    /// The nearest size that is allowed and not smaller.
    pub fn fitting(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|side| side.next_multiple_of(self.multiple).max(self.least))
    }
}

impl View {
    /// A view of this name that is replayed once and draws nothing.
    pub fn new(name: &'static str, inputs: Vec<Field>, outputs: &[&str], medium: Medium) -> Self {
        Self {
            name,
            inputs,
            outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
            medium,
            multiple: 1,
            repeat: 1,
            figured: false,
            draws: false,
            any_size: None,
        }
    }

    /// What it makes images of, where that are images.
    pub fn translation(&self) -> Option<Translation> {
        let field = self.inputs.first()?;
        let &[c, h, w] = &field.record[..] else {
            return None;
        };
        match field.source {
            Source::Pixels { stream, column, .. } => Some(Translation {
                input: field.name,
                stream,
                column,
                from: [c, h, w],
                to: self.medium.image()?,
            }),
            _ => None,
        }
    }

    /// The same of inputs of another size `[height, width]`, which [`View::any_size`]
    /// allows; none where it allows no other.
    pub fn at(&self, size: [usize; 2]) -> Option<Self> {
        let Translation { from, to, .. } = self.translation()?;
        self.any_size?;
        let mut view = self.clone();
        let [rows, columns] = [1, 2].map(|axis| size[axis - 1] * to[axis] / from[axis]);
        view.inputs[0].record = vec![from[0], size[0], size[1]];
        if let Medium::Images { shape, .. } = &mut view.medium {
            *shape = [to[0], rows, columns];
        }
        Some(view)
    }

    /// Records of a replay that is to show at least `count`, or as few as can be
    /// where each is computed alone.
    pub fn records(&self, count: usize) -> usize {
        let least = if self.draws { 1 } else { count };
        least.next_multiple_of(self.multiple)
    }
}

/// What a view that makes images of images takes and gives; shapes are `[C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The name of the input.
    pub input: &'static str,
    /// The data stream that inputs come from.
    pub stream: usize,
    /// The column of that stream.
    pub column: &'static str,
    /// Of an input.
    pub from: [usize; 3],
    /// Of an output.
    pub to: [usize; 3],
}

/// What a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Images `[N, C, H, W]`.
    Images {
        /// `[C, H, W]`.
        shape: [usize; 3],
        /// What black and white are to the networks.
        range: Output,
    },
    /// Numbers of any meaning.
    Numbers,
}

impl Medium {
    /// Values that a view gave, images in [-1, 1].
    pub fn to_unit(self, values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Images { range, .. } => range.to_unit(&values),
            Self::Numbers => values,
        }
    }

    /// `[C, H, W]` of images.
    pub fn image(self) -> Option<[usize; 3]> {
        match self {
            Self::Images { shape, .. } => Some(shape),
            Self::Numbers => None,
        }
    }
}

/// The logarithm of a record's probability, or of its density, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likelihood {
    /// The view whose first output it is, `[N, 1]`.
    pub view: &'static str,
    /// How it is known.
    pub known: Known,
}

/// How a likelihood is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By a closed form or by enumeration.
    Exactly,
    /// From below, by a bound.
    AsBound,
    /// By sampling, with an error of its own.
    AsEstimate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Sides;

    #[test]
    fn a_view_of_another_size_keeps_its_scale() {
        let input = Field::inputs("small", Sides::Paired([3, 8, 6]), Output::Tanh);
        let medium = Medium::Images {
            shape: [1, 32, 24],
            range: Output::Tanh,
        };
        let any_size = AnySize {
            multiple: 4,
            least: 8,
            reach: None,
        };
        let fixed = View::new("enlarge", vec![input], &["images"], medium);
        assert_eq!(fixed.at([10, 20]), None);
        let view = View {
            any_size: Some(any_size),
            ..fixed
        };
        let of = view.at([10, 20]).and_then(|view| view.translation());
        let of = of.expect("it takes any size");
        assert_eq!((of.from, of.to), ([3, 10, 20], [1, 40, 80]));
        assert_eq!(any_size.fitting([1, 9]), [8, 12]);
    }
}
