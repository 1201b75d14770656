//! Weight gradients: which sides of the product are rows and which columns, and the parts
//! of their depth, which is all pixels of a batch, with the kernel that adds the parts
//! (`shaders/conv_weight_grad_sum.wgsl`).

use super::conv::{Conv, Target, vector_channels, whole};
use super::tile::{self, Operand, Product};
use super::{Between, Epilogue, Launches, Variant, word, workgroups_of};

/// Most parts of the depth of a weight gradient.
const MOST_PARTS: usize = 512;

/// Threads that add up the parts of four neighbouring weights.
const SUM_SLICES: u32 = 8;

/// Most channels under taps that are the columns of a weight gradient's product and not
/// its rows: half of the rows of a subgroup's tile of eight lanes.
const MOST_TURNED: usize = 16;

impl Conv {
    /// What tiles compute in its place: a weight gradient of few filters is that of few
    /// channels, where image and filter side change places, as the kernel's taps do.
    pub(super) fn tiled(&self) -> Self {
        let g = &self.geometry;
        let pads = (0..2).all(|axis| g.pad[axis] < g.kernel[axis]);
        let possible = g.stride == [1, 1] && g.dilation == [1, 1] && g.groups == 1 && pads;
        let few = self.filters < 4 && self.channels >= 4;
        match self.kind {
            Target::WeightGrad if possible && few => self.mirrored(),
            Target::WeightGrad | Target::Forward | Target::Transpose => *self,
        }
    }

    /// Whether the rows of the product are filters, and its columns the channels under each
    /// tap, since there are too few of these to fill a tile's rows. Of [`Conv::tiled`].
    fn is_turned(&self) -> bool {
        let under_taps = self.under_taps();
        self.geometry.groups == 1 && under_taps <= MOST_TURNED.min(self.filters)
    }

    fn under_taps(&self) -> usize {
        let [h, w] = self.geometry.kernel;
        h * w * self.channels
    }

    /// Rows and columns of the product. Of [`Conv::tiled`].
    pub(super) fn sides(&self) -> [usize; 2] {
        match self.is_turned() {
            true => [self.filters, self.under_taps()],
            false => [self.under_taps(), self.filters],
        }
    }

    /// Parts of a weight gradient's sums that take no more memory than what is summed. Of
    /// [`Conv::tiled`].
    pub(super) fn most_parts(&self) -> usize {
        let g = &self.geometry;
        let images = self.batch * self.channels * g.input[0] * g.input[1];
        let filtered = self.batch * self.filters * g.output[0] * g.output[1];
        let [rows, columns] = self.sides();
        let weights = rows * columns.next_multiple_of(4);
        ((images + filtered) / weights).clamp(1, MOST_PARTS)
    }

    /// A weight gradient in parts of its depth, and the kernel that adds them.
    pub(super) fn split(&self, side: u32, parts: u32, epilogue: &Epilogue) -> Launches {
        let whole = self.product();
        // Parts are a whole number of loads deep, so all but the last end as vectors.
        let depth = whole.depth.div_ceil(parts as usize).next_multiple_of(4);
        let product = Product {
            parts: whole.depth.div_ceil(depth),
            depth,
            ..whole
        };
        let (cut, workgroups) = product.cut(Variant::Split { side, parts });
        let mut constants = self.tiled().geometry_constants();
        constants.extend(cut);
        self.weight_grad_constants(&mut constants);
        constants.push(("PART_DEPTH", word(depth)));
        let none = Epilogue::none();
        let file = "conv_weight_grad_tile.wgsl";
        let first = tile::launch(file, "split", constants, workgroups, &none, 3);

        let quads = whole.columns.div_ceil(4);
        let mut constants = vec![
            ("PARTS", word(product.parts)),
            ("ROWS", word(whole.rows)),
            ("COLUMNS", word(whole.columns)),
            ("KH", word(self.geometry.kernel[0])),
            ("KW", word(self.geometry.kernel[1])),
            ("SLICES", SUM_SLICES),
            ("WORKGROUP", tile::WORKGROUP),
        ];
        self.weight_constants(&mut constants);
        let threads = whole.rows * quads * SUM_SLICES as usize;
        let workgroups = workgroups_of(threads, tile::WORKGROUP);
        let file = "conv_weight_grad_sum.wgsl";
        let last = tile::launch(file, "sum", constants, workgroups, epilogue, 2);
        let len = product.parts * whole.rows * quads * 4;
        Launches {
            operands: [None, None],
            between: Some(Between::Parts(first, len)),
            last,
        }
    }

    /// Constants of `conv_weight_grad_tile.wgsl`.
    pub(super) fn weight_grad_constants(&self, constants: &mut Vec<(&'static str, u32)>) {
        let conv = self.tiled();
        let g = &conv.geometry;
        let left = Operand {
            vector: vector_channels(conv.channels, conv.x) == Some(true),
            deep: false,
        };
        constants.extend(tile::operand_constants(left, conv.right()));
        constants.extend([
            ("PIXELS", word(conv.batch * g.output[0] * g.output[1])),
            ("H", word(g.input[0])),
            ("W", word(g.input[1])),
            ("OH", word(g.output[0])),
            ("OW", word(g.output[1])),
        ]);
        constants.extend(
            ["A_N", "A_C", "A_H", "A_W"]
                .into_iter()
                .zip(conv.x.map(word)),
        );
        constants.extend(
            ["B_N", "B_C", "B_H", "B_W"]
                .into_iter()
                .zip(conv.y.map(word)),
        );
        self.weight_constants(constants);
    }

    /// Constants of `lib/weight.wgsl`.
    pub(super) fn weight_constants(&self, constants: &mut Vec<(&'static str, u32)>) {
        let tiled = self.tiled();
        let [column, others @ ..] = tiled.w;
        let turned = tiled.is_turned();
        let vector = whole(tiled.filters) && column == 1 && others.into_iter().all(whole);
        let out = vector && !turned;
        constants.extend([
            ("C", word(tiled.channels)),
            ("SWAPPED", u32::from(tiled != *self)),
            ("TURNED", u32::from(turned)),
            ("Y_VECTOR", u32::from(out)),
            ("Y_COLUMN", word(column)),
        ]);
        constants.extend(
            ["Y_O", "Y_C", "Y_H", "Y_W"]
                .into_iter()
                .zip(self.w.map(word)),
        );
    }
}
