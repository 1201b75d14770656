//! Weight gradients in parts of their depth, which is all pixels of a batch, and the
//! kernel that adds the parts (`shaders/conv_weight_grad_sum.wgsl`).

use super::conv::Conv;
use super::tile::{self, Product};
use super::{Between, Epilogue, Launches, Variant, word, workgroups_of};

/// Most parts of the depth of a weight gradient.
const MOST_PARTS: usize = 512;

/// Threads that add up the parts of four neighbouring weights.
const SUM_SLICES: u32 = 8;

impl Conv {
    /// Parts of a weight gradient's sums that take no more memory than what is summed.
    pub(super) fn most_parts(&self) -> usize {
        let g = &self.geometry;
        let images = self.batch * self.channels * g.input[0] * g.input[1];
        let filtered = self.batch * self.filters * g.output[0] * g.output[1];
        let weights = g.kernel[0] * g.kernel[1] * self.channels * self.filters.next_multiple_of(4);
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
}
