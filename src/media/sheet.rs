//! Several images of one record side by side: what went in, what came out, what
//! should have.

use image::RgbImage;

use super::figures::grid;
use crate::error::{Error, Result};

/// Images `[count, C, H, W]` in [-1, 1], one for each record.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Row-major.
    pub values: &'a [f32],
    /// `[C, H, W]`.
    pub shape: [usize; 3],
}

/// A picture with the columns of each record next to each other and `records` of
/// them in a line. Smaller images are enlarged to the largest without smoothing;
/// grey ones become coloured where others are.
///
/// # Errors
/// [`Error::Shape`] where columns hold different numbers of images, and as of [`grid`].
pub fn sheet(columns: &[Column<'_>], records: usize) -> Result<RgbImage> {
    let shape = common(columns);
    let counts = columns
        .iter()
        .map(|column| column.values.len() / column.shape.iter().product::<usize>().max(1));
    let counts: Vec<usize> = counts.collect();
    let count = counts.first().copied().unwrap_or(0);
    if counts.iter().any(|other| *other != count) {
        return Err(Error::shape(
            "sheet",
            format!("the columns hold {counts:?} images"),
        ));
    }
    let mut images = Vec::with_capacity(count * columns.len() * shape.iter().product::<usize>());
    for record in 0..count {
        for column in columns {
            let size: usize = column.shape.iter().product();
            let image = &column.values[record * size..][..size];
            images.extend(alike(image, column.shape, shape));
        }
    }
    let [c, h, w] = shape;
    let columns = columns.len();
    grid(&images, [count * columns, c, h, w], records * columns)
}

/// The smallest shape that all columns can be shown in.
fn common(columns: &[Column<'_>]) -> [usize; 3] {
    let most = |axis: usize| columns.iter().map(|column| column.shape[axis]).max();
    let [c, h, w] = [0, 1, 2].map(|axis| most(axis).unwrap_or(0));
    // Colours of one and alpha of another.
    let alpha = columns.iter().any(|column| column.shape[0] == 2);
    [if c == 3 && alpha { 4 } else { c }, h, w]
}

/// An image in another shape.
fn alike(image: &[f32], [c, h, w]: [usize; 3], [to_c, to_h, to_w]: [usize; 3]) -> Vec<f32> {
    const OPAQUE: f32 = 1.0;
    let mut values = Vec::with_capacity(to_c * to_h * to_w);
    for channel in 0..to_c {
        let alpha = to_c.is_multiple_of(2) && channel + 1 == to_c;
        let source = match (alpha, c.is_multiple_of(2)) {
            (true, true) => Some(c - 1),
            (true, false) => None,
            // A grey channel stands for each colour.
            (false, _) if c < 3 => Some(0),
            (false, _) => Some(channel),
        };
        for y in 0..to_h {
            for x in 0..to_w {
                let at = |plane: usize| image[(plane * h + y * h / to_h) * w + x * w / to_w];
                values.push(source.map_or(OPAQUE, at));
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_other_sizes_and_colours_are_shown_alike() {
        let grey = [0.5, -0.5];
        assert_eq!(
            alike(&grey, [1, 1, 2], [3, 2, 4])[..8],
            [0.5, 0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5]
        );
        assert_eq!(alike(&grey, [2, 1, 1], [4, 1, 1]), [0.5, 0.5, 0.5, -0.5]);
        assert_eq!(alike(&[0.1, 0.2, 0.3], [3, 1, 1], [4, 1, 1])[3], 1.0);
        let columns = [
            Column {
                values: &grey,
                shape: [1, 1, 2],
            },
            Column {
                values: &[0.0; 3],
                shape: [3, 1, 1],
            },
        ];
        assert_eq!(common(&columns), [3, 1, 2]);
        let picture = sheet(&columns, 1).expect("is drawn");
        assert!(picture.width() > 2 * 64 && picture.height() < 64);
        let short = Column {
            values: &[],
            shape: [1, 1, 2],
        };
        assert!(sheet(&[columns[0], short], 1).is_err());
    }
}
