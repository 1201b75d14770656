//! The section of the data, and the way of reading that it describes.

use super::key::{Allowed, section};
use super::sections::Size;
use crate::data::{Direction, Fit, Input, Layout, Reading, Sides};
use crate::error::Result;

section! {
    /// What is learned from.
    Data {
        /// Name of a data set that comes with the program (`fashion`, `digits`, `emoji`), or a path: a folder, ZIP or tar archive of pictures, or IDX, CIFAR or NumPy files.
        source: String = "fashion".into(), Allowed::Text;
        /// Height and width, in pixels, of the images that the model takes and makes; others are resized.
        size: Size = Size::square(28), Allowed::Sides(4, 1024);
        /// Height and width to which pictures are resized before a part of `data.size` is cut out: at a random place in training, else in the middle (pix2pix has 286 for parts of 256). If not set, images are whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        load_size: Option<Size> = None, Allowed::Sides(4, 1024);
        /// Channels of the images: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; if not set, 3 if any picture has colours, else 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        channels: Option<usize> = None, Allowed::Whole(1, 4);
        /// How pictures of other proportions are fitted: `crop` takes their middle, `pad` adds margins, `stretch` changes their proportions.
        fit: Fit = Fit::Crop, Allowed::Choice(&["crop", "pad", "stretch"]);
        /// Colour of margins, and behind transparent pixels where the images have no alpha: `white`, `black`, `grey`, `#rrggbb`, or `auto`, which is white, and black around grey IDX and NumPy images.
        background: String = "auto".into(), Allowed::Text;
        /// How the pictures belong together: `images` of one kind; `pairs`, a folder with `A/` and `B/` whose files pair by name; `side-by-side`, pictures whose left half is A and whose right half is B; `unpaired`, `A/` and `B/` (or `trainA/` and `trainB/`) without partners.
        layout: Layout = Layout::Images, Allowed::Choice(&["images", "pairs", "side-by-side", "unpaired"]);
        /// Which of two sides is the input of the other: `a-to-b` or `b-to-a`.
        direction: Direction = Direction::AToB, Allowed::Choice(&["a-to-b", "b-to-a"]);
        /// Input that is computed from each image, which makes pairs of any images: `edges` (dark on white), `grey`, `small` (a quarter of height and width), `blur`, `mask` (the middle hidden), or `none`.
        input: Input = Input::None, Allowed::Choice(&["none", "edges", "grey", "small", "blur", "mask"]);
        /// Grey images of the source that become the channels of one image; 1 leaves them as they are. Three digits make 1000 classes, of which a generator that loses modes draws few (Lin et al. 2018).
        stack: usize = 1, Allowed::Whole(1, 4);
        /// Whether each image is mirrored left to right with probability one half.
        mirror: bool = false, Allowed::Flag;
    }
}

impl Data {
    /// What there is beside images `[C, H, W]`, whose other side has as many channels.
    pub(crate) fn sides(&self, image: [usize; 3]) -> Sides {
        match (self.layout, self.input) {
            (Layout::Unpaired, _) => Sides::Unpaired(image),
            (Layout::Pairs | Layout::SideBySide, _) => Sides::Paired(image),
            (Layout::Images, Input::None) => Sides::Images,
            (Layout::Images, input) => Sides::Paired(input.shape(image)),
        }
    }

    /// How the source is read.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for a background that is no colour.
    pub fn reading(&self) -> Result<Reading> {
        let Size { height, width } = self.size;
        Reading::new(height, width)
            .load_size(self.load_size.map(|Size { height, width }| [height, width]))
            .channels(self.channels)
            .fit(self.fit)
            .layout(self.layout)
            .direction(self.direction)
            .input(self.input)
            .background(&self.background)
    }
}
