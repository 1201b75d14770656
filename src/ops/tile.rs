//! The register tile that matrix products and convolutions share: how a
//! problem is cut into tiles (the WGSL side is `shaders/lib/tile.wgsl`).

use super::{Epilogue, Facts, Launch, Rung, spread, word};
use crate::recording::Kernel;

/// Invocations of a workgroup, of every variant.
pub(super) const WORKGROUP: u32 = 64;

/// The rungs of a contraction's ladder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variant {
    /// One thread an output element, operands through any strides: the truth
    /// the others are compared with.
    Plain,
    /// One thread computes `rows` x `columns` results in registers, which
    /// cuts loads by the tile's sides. No workgroup memory unless the
    /// depth is split into `slices` that are added in fixed order, so that
    /// small outputs with long sums still fill the machine.
    Tile {
        /// 4 or 8
        rows: u32,
        /// 4 or 8
        columns: u32,
        /// 1, 2, 4, 8 or 16 threads share one tile
        slices: u32,
    },
}

/// A contraction as `parts` products of a `rows` x `depth` with a
/// `depth` x `columns` matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Product {
    pub parts: usize,
    pub rows: usize,
    pub columns: usize,
    /// Length of the innermost sum, which slices cut.
    pub depth: usize,
    /// How often a thread walks the depth: taps of a convolution.
    pub walks: usize,
}

/// Threads that keep the adapter busy: two cores of 8 lanes need few, a
/// graphics card wants some on each of a hundred processors.
fn wanted_threads(facts: &Facts) -> usize {
    if facts.software { 512 } else { 1 << 14 }
}

/// Least multiplications for which cutting into tiles pays.
const WORTH_TILING: usize = 1 << 12;

/// Least depth of a slice.
const SLICE_DEPTH: usize = 16;

impl Product {
    /// Multiplications and additions.
    fn work(&self) -> usize {
        self.parts * self.rows * self.columns * self.depth * self.walks
    }

    fn tiles(&self, rows: u32, columns: u32) -> usize {
        self.parts * self.rows.div_ceil(rows as usize) * self.columns.div_ceil(columns as usize)
    }

    /// All variants that make sense for these sizes, plain first.
    pub(super) fn candidates(&self) -> Vec<Variant> {
        let mut variants = vec![Variant::Plain];
        for (rows, columns) in [(8, 8), (8, 4), (4, 8), (4, 4)] {
            let fits = |tile: u32, size: usize| tile == 4 || size > 4;
            if !fits(rows, self.rows) || !fits(columns, self.columns) {
                continue;
            }
            let split = [1, 2, 4, 8, 16]
                .into_iter()
                .filter(|&slices| slices == 1 || self.depth / slices as usize >= SLICE_DEPTH);
            variants.extend(split.map(|slices| Variant::Tile {
                rows,
                columns,
                slices,
            }));
        }
        variants
    }

    /// The variant to use when nothing was measured: the largest tile, with
    /// its depth split until there are threads enough; smaller tiles where
    /// splitting is not enough.
    pub(super) fn choose(&self, facts: &Facts) -> Variant {
        let tiled = self.candidates().split_off(1);
        match facts.rung {
            Rung::Plain => return Variant::Plain,
            Rung::Tiled(n) => return tiled[n % tiled.len()],
            Rung::Best if self.work() < WORTH_TILING => return Variant::Plain,
            Rung::Best => {}
        }
        let wanted = wanted_threads(facts);
        let threads = |variant: &Variant| match *variant {
            Variant::Plain => 0,
            Variant::Tile {
                rows,
                columns,
                slices,
            } => self.tiles(rows, columns) * slices as usize,
        };
        tiled
            .iter()
            .find(|variant| threads(variant) >= wanted)
            .or_else(|| tiled.iter().max_by_key(|variant| threads(variant)))
            .copied()
            .unwrap_or(Variant::Plain)
    }

    /// Constants of `lib/tile.wgsl` and workgroups for a tiled kernel.
    pub(super) fn cut(
        &self,
        rows: u32,
        columns: u32,
        slices: u32,
    ) -> (Vec<(&'static str, u32)>, [u32; 3]) {
        let threads = self
            .tiles(rows, columns)
            .div_ceil((WORKGROUP / slices) as usize)
            * WORKGROUP as usize;
        let quads = self.depth.div_ceil(4).div_ceil(slices as usize);
        let constants = vec![
            ("PARTS", word(self.parts)),
            ("ROWS", word(self.rows)),
            ("COLUMNS", word(self.columns)),
            ("DEPTH", word(self.depth)),
            ("TILE_ROWS", rows),
            ("TILE_COLUMNS", columns),
            ("SLICES", slices),
            ("CHUNK", word(quads * 4)),
            ("TALL", u32::from(rows == 8)),
            ("WIDE", u32::from(columns == 8)),
            ("TALL_WIDE", u32::from(rows == 8 && columns == 8)),
            ("SPLIT", u32::from(slices > 1)),
            ("DEPTH_REST", u32::from(!self.depth.is_multiple_of(4))),
        ];
        (constants, spread(threads, WORKGROUP))
    }
}

/// A launch of `file` with the constants that every contraction needs added.
pub(super) fn launch(
    file: &'static str,
    variant: &'static str,
    mut constants: Vec<(&'static str, u32)>,
    workgroups: [u32; 3],
    epilogue: &Epilogue,
) -> Launch {
    constants.extend([
        ("WORKGROUP", WORKGROUP),
        ("GRID_X", workgroups[0]),
        ("EPILOGUE", u32::from(!epilogue.is_none())),
    ]);
    Launch {
        kernel: Kernel {
            file,
            variant,
            constants,
            snippets: epilogue.snippets(3),
            reads_step: false,
        },
        workgroups,
    }
}

/// How the 4 x 4 blocks of an operand are loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Operand {
    /// As vec4: along the depth if `deep`, else along the other side.
    pub vector: bool,
    /// The depth is the contiguous axis.
    pub deep: bool,
}

impl Operand {
    /// Of the strides and sizes of the side and of the depth, and of whatever
    /// other strides lead to a block. Vectors need everything but the
    /// contiguous axis to move in steps of 4.
    pub(super) fn of(
        side_stride: usize,
        depth_stride: usize,
        side: usize,
        depth: usize,
        others: &[usize],
    ) -> Self {
        let whole = |size: &usize| size.is_multiple_of(4);
        let deep = depth_stride == 1;
        let aligned = if deep {
            whole(&depth) && (whole(&side_stride) || side == 1)
        } else {
            side_stride == 1 && whole(&side) && (whole(&depth_stride) || depth == 1)
        };
        Self {
            vector: aligned && others.iter().all(whole),
            deep,
        }
    }
}

/// Constants of the operands' loaders; `out`: results are stored as vec4.
pub(super) fn operand_constants(a: Operand, b: Operand, out: bool) -> [(&'static str, u32); 7] {
    [
        ("A_VECTOR", u32::from(a.vector)),
        ("A_DEEP", u32::from(a.deep)),
        ("A_ROWS", u32::from(!a.vector || a.deep)),
        ("B_VECTOR", u32::from(b.vector)),
        ("B_DEEP", u32::from(b.deep)),
        ("B_ROWS", u32::from(!b.vector || !b.deep)),
        ("Y_VECTOR", u32::from(out)),
    ]
}
