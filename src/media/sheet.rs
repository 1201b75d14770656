//! Several images of one record side by side: what went in, what came out, what
//! should have.

use image::{Rgb, RgbImage, imageops};

use super::figures::{GAP_COLOUR, grid};
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

/// Pixels across that a shelf is filled to, unless one picture is wider.
const SHELF: u32 = 2048;
/// Pixels of all pictures from which on no more are taken.
const FULL: u64 = 1 << 26;

/// Pictures of any sizes, side by side from left to right and below each other.
#[derive(Clone, Debug, Default)]
pub struct Shelves {
    pictures: Vec<RgbImage>,
    pixels: u64,
}

impl Shelves {
    /// Adds a picture behind the others.
    pub fn add(&mut self, picture: RgbImage) {
        self.pixels += u64::from(picture.width()) * u64::from(picture.height());
        self.pictures.push(picture);
    }

    /// Pictures that were added.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Whether another picture would be too much.
    pub fn is_full(&self) -> bool {
        self.pixels >= FULL
    }

    /// All of them as one.
    pub fn picture(&self) -> RgbImage {
        let widest = self.pictures.iter().map(RgbImage::width).max().unwrap_or(1);
        let most = widest.max(SHELF);
        let (mut x, mut y, mut height) = (0, 0, 0);
        let mut width = 1;
        let mut places = Vec::new();
        for picture in &self.pictures {
            if x > 0 && x + picture.width() > most {
                (x, y, height) = (0, y + height, 0);
            }
            places.push((x, y));
            x += picture.width();
            width = width.max(x);
            height = height.max(picture.height());
        }
        let mut all = RgbImage::from_pixel(width, (y + height).max(1), Rgb(GAP_COLOUR));
        for (picture, (x, y)) in self.pictures.iter().zip(places) {
            imageops::replace(&mut all, picture, i64::from(x), i64::from(y));
        }
        all
    }
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

    #[test]
    fn pictures_of_any_sizes_stand_on_shelves() {
        let mut shelves = Shelves::default();
        let colours = [[1; 3], [2; 3], [3; 3], [4; 3]].map(Rgb);
        for (colour, (w, h)) in colours
            .iter()
            .zip([(1500, 10), (500, 20), (100, 5), (7, 9)])
        {
            shelves.add(RgbImage::from_pixel(w, h, *colour));
        }
        let picture = shelves.picture();
        assert_eq!((shelves.len(), picture.dimensions()), (4, (2000, 29)));
        let at = |x, y| *picture.get_pixel(x, y);
        assert_eq!([at(0, 0), at(1999, 19), at(0, 20), at(106, 28)], colours);
        assert_eq!(at(1499, 15), Rgb(GAP_COLOUR));
        assert!(!shelves.is_full() && !shelves.is_empty());
    }
}
