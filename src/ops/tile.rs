//! The tiles that matrix products and convolutions share: how a problem is cut
//! into them (the WGSL side is `shaders/lib/tiling.wgsl`).

use super::{Epilogue, Facts, Launch, Rung, word, workgroups_of};
use crate::recording::Kernel;

/// Invocations of a workgroup, where no subgroup decides it.
pub(super) const WORKGROUP: u32 = 64;

/// The rungs of a contraction's ladder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Variant {
    /// One thread an output element, operands through any strides: the truth
    /// the others are compared with.
    Plain,
    /// One thread computes `rows` x `columns` results in registers, which
    /// cuts loads by the tile's sides. No workgroup memory unless the
    /// depth is split into `slices` that are added in fixed order, so that
    /// small outputs with long sums still fill the machine.
    Thread {
        /// 4 or 8
        rows: u32,
        /// 4 or 8
        columns: u32,
        /// 1, 2, 4, 8 or 16 threads share one tile
        slices: u32,
    },
    /// A subgroup of `lanes` computes `4 lanes` x `columns` results in
    /// registers and hands the right operand round, which cuts the loads of a
    /// thread's tile to a fraction. For drivers whose loads are dear.
    Subgroup {
        /// Size of every subgroup: 4 to 128, a power of 2
        lanes: u32,
        /// 4, 8, 16 or 32
        columns: u32,
    },
    /// 64 threads compute `side` x `side` results, 4 x 4 or 8 x 8 each, from
    /// operands that they load together into workgroup memory. The classic
    /// tile of graphics cards.
    Workgroup {
        /// 32 or 64
        side: u32,
    },
    /// The depth of a weight gradient, which is all pixels of a batch, cut into
    /// `parts`: a workgroup's tile for each, then a kernel that adds them in their
    /// order. For few weights with long sums.
    Split {
        /// 32 or 64
        side: u32,
        /// 2 to 512
        parts: u32,
    },
    /// Winograd's filtering: transforms around a batch of matrix products with a
    /// variant of their own. A fraction of the multiplications for some more memory.
    Winograd {
        /// m of F(m, r): 2 or 4
        outputs: u32,
    },
}

impl Variant {
    /// What plans and profiles call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Thread { .. } => "thread",
            Self::Subgroup { .. } => "subgroup",
            Self::Workgroup { .. } => "workgroup",
            Self::Split { .. } => "split",
            Self::Winograd { .. } => "winograd",
        }
    }

    /// Results down and across one tile; 1 where there are no tiles.
    fn tile(self) -> [u32; 2] {
        match self {
            Self::Plain | Self::Winograd { .. } => [1, 1],
            Self::Thread { rows, columns, .. } => [rows, columns],
            Self::Subgroup { lanes, columns } => [4 * lanes, columns],
            Self::Workgroup { side } | Self::Split { side, .. } => [side, side],
        }
    }
}

/// A contraction as `parts` products of a `rows` x `depth` with a
/// `depth` x `columns` matrix, each the sum of `walks` such products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Product {
    pub parts: usize,
    pub rows: usize,
    pub columns: usize,
    /// Length of the innermost sum, which slices cut.
    pub depth: usize,
    /// Taps of a convolution.
    pub walks: usize,
    /// How many of them add something to one part.
    pub met: usize,
    /// Most parts of the depth that a second kernel may add up; 1 for none.
    pub splits: usize,
}

/// Tiles that keep the adapter busy: two cores need few, a graphics card wants
/// some thread on each lane of a hundred processors.
fn wanted_threads(facts: &Facts) -> usize {
    if facts.software { 512 } else { 1 << 14 }
}

/// Least multiplications for which cutting into tiles pays.
const WORTH_TILING: usize = 1 << 12;

/// Subgroups that keep a software driver's threads busy.
const FEW_TILES: usize = 2;

/// Least depth of a slice.
const SLICE_DEPTH: usize = 16;

/// Least depth for which threads share what they load.
const WORTH_SHARING: usize = 16;

/// Sums for which half as many workgroups as are wanted take too long.
const LONG_SUM: usize = 2048;

/// Columns or rows of which a split's tile makes enough use.
const NARROWEST_SPLIT: u32 = 8;

/// Workgroups that a split aims at.
const SPLIT_WORKGROUPS: [usize; 2] = [512, 2048];
/// Least steps of a workgroup in a part.
const PART_STEPS: usize = 2;

/// Depth that a workgroup's tile takes at a time.
fn step(side: u32) -> u32 {
    4 * WORKGROUP / (side / 4)
}

impl Product {
    /// Multiplications, with as many additions.
    pub(super) fn work(&self) -> usize {
        self.results() * self.depth * self.met
    }

    fn results(&self) -> usize {
        self.parts * self.rows * self.columns
    }

    fn tiles(&self, variant: Variant) -> usize {
        let [rows, columns] = variant.tile().map(|side| side as usize);
        self.parts * self.rows.div_ceil(rows) * self.columns.div_ceil(columns)
    }

    /// All variants that make sense for these sizes on this adapter, plain
    /// first.
    pub(super) fn candidates(&self, facts: &Facts) -> Vec<Variant> {
        let mut variants = vec![Variant::Plain];
        variants.extend(self.by_workgroup());
        variants.extend(self.by_subgroup(facts));
        variants.extend(self.by_thread());
        variants.extend(self.by_split());
        variants
    }

    /// Larger tiles first; the smallest is for all sizes.
    fn by_workgroup(&self) -> impl Iterator<Item = Variant> {
        self.sides().map(|side| Variant::Workgroup { side })
    }

    fn sides(&self) -> impl Iterator<Item = u32> {
        let smaller = self.rows.min(self.columns) as u32;
        [64, 32]
            .into_iter()
            .filter(move |&side| side == 32 || smaller > side / 2)
    }

    /// Larger tiles first, each with parts for some and for many workgroups.
    fn by_split(&self) -> impl Iterator<Item = Variant> {
        let product = *self;
        self.sides()
            .flat_map(move |side| {
                let tiles = product.tiles(Variant::Workgroup { side });
                SPLIT_WORKGROUPS.into_iter().map(move |wanted| {
                    let parts = wanted / tiles;
                    let deep = product.depth / (PART_STEPS * step(side) as usize);
                    (side, parts.min(deep).min(product.splits) as u32)
                })
            })
            .filter(|&(_, parts)| parts > 1)
            .map(|(side, parts)| Variant::Split { side, parts })
    }

    fn by_subgroup(&self, facts: &Facts) -> impl Iterator<Item = Variant> {
        let wide = self.columns.next_power_of_two().clamp(4, 32) as u32;
        facts.subgroup.into_iter().flat_map(move |lanes| {
            [wide, wide / 2]
                .into_iter()
                .filter(move |&columns| columns == wide || columns >= 8)
                .map(move |columns| Variant::Subgroup { lanes, columns })
        })
    }

    fn by_thread(&self) -> impl Iterator<Item = Variant> {
        let product = *self;
        let fits = |tile: u32, size: usize| tile == 4 || size > 4;
        [(8, 8), (8, 4), (4, 8), (4, 4)]
            .into_iter()
            .filter(move |&(rows, columns)| {
                fits(rows, product.rows) && fits(columns, product.columns)
            })
            .flat_map(move |(rows, columns)| {
                [1, 2, 4, 8, 16]
                    .into_iter()
                    .filter(move |&slices| {
                        slices == 1 || product.depth / slices as usize >= SLICE_DEPTH
                    })
                    .map(move |slices| Variant::Thread {
                        rows,
                        columns,
                        slices,
                    })
            })
    }

    /// The variant to use where nothing was measured.
    ///
    /// Software drivers pay for loads more than for anything, so a subgroup's
    /// tile wins wherever there are rows enough for its lanes. Graphics cards
    /// take the largest workgroup tile that still gives each processor a few,
    /// and where none does, a thread's tile with its depth split.
    pub(super) fn choose(&self, facts: &Facts) -> Variant {
        let tiled = self.candidates(facts).split_off(1);
        match facts.rung {
            Rung::Plain => return Variant::Plain,
            Rung::Tiled(n) => return tiled[n % tiled.len()],
            Rung::Best | Rung::Winograd(_) if self.work() < WORTH_TILING => return Variant::Plain,
            Rung::Best | Rung::Winograd(_) => {}
        }
        // A row meets each element of a matrix once: there is nothing to use again. Nor
        // is there for a column, but that software drivers load rows faster together.
        let alone = self.rows == 1 || (self.columns == 1 && !facts.software);
        if alone && self.results() >= wanted_threads(facts) {
            return Variant::Plain;
        }
        let cooperative = if facts.software {
            // Rows that fill half of the lanes, or a quarter where their loads are as dear
            // as those of a weight gradient, which look for the pixel each time.
            let lanes = if self.splits > 1 { 4 } else { 2 };
            self.by_subgroup(facts).find(|&variant| {
                lanes * self.rows >= variant.tile()[0] as usize && self.tiles(variant) >= FEW_TILES
            })
        } else {
            self.choose_workgroup(facts)
        };
        cooperative.unwrap_or_else(|| self.choose_thread(facts))
    }

    /// The largest tile of a workgroup of which there are enough, or a split, or a
    /// tile of a workgroup that there are fewer of. Not where most of it would lie
    /// outside the result or beyond the depth.
    fn choose_workgroup(&self, facts: &Facts) -> Option<Variant> {
        let smaller = self.rows.min(self.columns) as u32;
        if self.depth < WORTH_SHARING {
            return None;
        }
        let fitting = || self.by_workgroup().filter(|v| 2 * smaller > v.tile()[0]);
        let threads = |variant: &Variant| self.tiles(*variant) * WORKGROUP as usize;
        fitting()
            .find(|variant| threads(variant) >= wanted_threads(facts))
            .or_else(|| {
                // Smaller tiles in fewer parts were as fast as any on an H100, and take
                // least memory.
                self.by_split()
                    .filter(|_| smaller >= NARROWEST_SPLIT)
                    .find(|variant| variant.tile()[0] == 32)
            })
            .or_else(|| {
                let enough = |variant: &Variant| 2 * threads(variant) >= wanted_threads(facts);
                let brief = self.depth * self.met <= LONG_SUM;
                fitting().find(|variant| brief && enough(variant))
            })
    }

    /// The largest tile a thread, with its depth split until there are threads
    /// enough; smaller tiles where splitting is not enough.
    fn choose_thread(&self, facts: &Facts) -> Variant {
        let threads = |variant: &Variant| match *variant {
            Variant::Thread { slices, .. } => self.tiles(*variant) * slices as usize,
            _ => 0,
        };
        self.by_thread()
            .find(|variant| threads(variant) >= wanted_threads(facts))
            .or_else(|| self.by_thread().max_by_key(threads))
            .unwrap_or(Variant::Plain)
    }

    /// Constants of `lib/tiling.wgsl` and of the variant's own file, and the
    /// workgroups, for a tiled kernel.
    pub(super) fn cut(&self, variant: Variant) -> (Vec<(&'static str, u32)>, [u32; 3]) {
        let [rows, columns] = variant.tile();
        let (workgroup, tiles_a_workgroup, mut constants) = match variant {
            Variant::Plain | Variant::Winograd { .. } => (WORKGROUP, WORKGROUP, Vec::new()),
            Variant::Thread { slices, .. } => {
                let quads = self.depth.div_ceil(4).div_ceil(slices as usize);
                let constants = vec![
                    ("BY_THREAD", 1),
                    ("SLICES", slices),
                    ("CHUNK", word(quads * 4)),
                    ("TALL", u32::from(rows == 8)),
                    ("WIDE", u32::from(columns == 8)),
                    ("TALL_WIDE", u32::from(rows == 8 && columns == 8)),
                    ("SPLIT", u32::from(slices > 1)),
                ];
                (WORKGROUP, WORKGROUP / slices, constants)
            }
            Variant::Subgroup { lanes, .. } => {
                let quads = columns / 4;
                let piece = quads.min(lanes / 4);
                let constants = vec![
                    ("BY_SUBGROUP", 1),
                    ("PIECES", quads / piece),
                    ("PIECE_QUADS", piece),
                ];
                (lanes, 1, constants)
            }
            Variant::Workgroup { side } | Variant::Split { side, .. } => (
                WORKGROUP,
                1,
                vec![("BY_WORKGROUP", 1), ("BLOCKS", side / 32)],
            ),
        };
        constants.extend([
            ("PARTS", word(self.parts)),
            ("ROWS", word(self.rows)),
            ("COLUMNS", word(self.columns)),
            ("DEPTH", word(self.depth)),
            ("WALKS", word(self.walks)),
            ("TILE_ROWS", rows),
            ("TILE_COLUMNS", columns),
            ("DEPTH_REST", u32::from(!self.depth.is_multiple_of(4))),
            ("WORKGROUP", workgroup),
        ]);
        let workgroups = self.tiles(variant).div_ceil(tiles_a_workgroup as usize);
        (constants, workgroups_of(workgroups, 1))
    }
}

/// A launch of `file` with the constants that every contraction needs added;
/// `bindings` are those of its own, behind which come the epilogue's.
pub(super) fn launch(
    file: &'static str,
    variant: &'static str,
    mut constants: Vec<(&'static str, u32)>,
    workgroups: [u32; 3],
    epilogue: &Epilogue,
    bindings: usize,
) -> Launch {
    constants.extend([
        ("GRID_X", workgroups[0]),
        ("EPILOGUE", u32::from(!epilogue.is_none())),
    ]);
    Launch {
        kernel: Kernel {
            file,
            variant,
            constants,
            snippets: epilogue.snippets(bindings),
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

/// Constants of the operands' loaders.
pub(super) fn operand_constants(a: Operand, b: Operand) -> [(&'static str, u32); 6] {
    [
        ("A_VECTOR", u32::from(a.vector)),
        ("A_DEEP", u32::from(a.deep)),
        ("A_ROWS", u32::from(!a.vector || a.deep)),
        ("B_VECTOR", u32::from(b.vector)),
        ("B_DEEP", u32::from(b.deep)),
        ("B_ROWS", u32::from(!b.vector || !b.deep)),
    ]
}
