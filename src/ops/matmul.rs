//! Matrix products: `y = a b`, also in batches.

use serde::{Deserialize, Serialize};

use super::tile::{self, Product};
use super::{Contraction, Epilogue, Facts, Launch, Variant, word, workgroups_of};

/// `y[i] = a[i] b[i]` of `[M, K]` and `[K, N]` matrices. Strides are in
/// elements, of the logical operands: a transposed operand is one whose row
/// and column strides are swapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct MatMul {
    /// Number of products.
    pub batch: usize,
    /// Rows of a and y.
    pub m: usize,
    /// Columns of b and y.
    pub n: usize,
    /// Columns of a, rows of b.
    pub k: usize,
    /// Strides of a along (batch, row, column).
    pub a: [usize; 3],
    /// Strides of b along (batch, row, column).
    pub b: [usize; 3],
    /// Strides of y along (batch, row, column).
    pub y: [usize; 3],
}

/// Memory orders of the logical (batch, row, column) axes, outermost first,
/// that a variant needs to be fast; `None` where the present strides will do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Orders {
    /// Memory order demanded of the left operand, outermost axis first.
    pub a: Option<[usize; 3]>,
    /// Memory order demanded of the right operand, outermost axis first.
    pub b: Option<[usize; 3]>,
    /// Memory order of the product, outermost axis first.
    pub y: Option<[usize; 3]>,
}

impl MatMul {
    /// Elements that its results take, with what lies between them.
    pub(crate) fn result_len(&self) -> usize {
        self.batch * self.y[0]
    }

    /// Adds results to those of a product that lies as this one.
    pub(super) fn adding(&self) -> Epilogue {
        let [batch, row, column] = self.y;
        Epilogue {
            extras: 1,
            code: format!(
                "fn epilogue(acc: f32, i: vec4<u32>) -> f32 {{\n    return acc + e0[i.y * {batch}u + i.z * {row}u + i.w * {column}u];\n}}"
            ),
        }
    }

    fn product(&self) -> Product {
        Product {
            parts: self.batch,
            rows: self.m,
            columns: self.n,
            depth: self.k,
            walks: 1,
            met: 1,
            splits: 1,
        }
    }

    /// All variants that make sense for these sizes on this adapter.
    pub fn candidates(&self, facts: &Facts) -> Vec<Variant> {
        self.product().candidates(facts)
    }

    /// The variant to use.
    pub fn choose(&self, facts: &Facts) -> Variant {
        facts
            .winner(|| Contraction::MatMul(*self))
            .unwrap_or_else(|| self.product().choose(facts))
    }

    /// What `variant` demands of the memory orders: one of the matrix axes of
    /// each operand contiguous. Any strides give right results.
    pub fn orders(&self, variant: Variant) -> Orders {
        let packed = |[_, row, column]: [usize; 3]| (row != 1 && column != 1).then_some([0, 1, 2]);
        match variant {
            Variant::Plain | Variant::Winograd { .. } | Variant::Split { .. } => Orders::default(),
            Variant::Thread { .. } | Variant::Subgroup { .. } | Variant::Workgroup { .. } => {
                Orders {
                    a: packed(self.a),
                    b: packed(self.b),
                    y: None,
                }
            }
        }
    }

    /// The kernel; its bindings are y, a, b and the epilogue's extras.
    pub fn launch(&self, variant: Variant, epilogue: &Epilogue) -> Launch {
        let names = [
            ["A_BATCH", "A_ROW", "A_COLUMN"],
            ["B_BATCH", "B_ROW", "B_COLUMN"],
            ["Y_BATCH", "Y_ROW", "Y_COLUMN"],
        ];
        let mut constants: Vec<_> = names
            .into_iter()
            .zip([self.a, self.b, self.y])
            .flat_map(|(names, strides)| names.into_iter().zip(strides.map(word)))
            .collect();
        match variant {
            Variant::Plain | Variant::Winograd { .. } | Variant::Split { .. } => {
                constants.extend([
                    ("BATCH", word(self.batch)),
                    ("M", word(self.m)),
                    ("N", word(self.n)),
                    ("K", word(self.k)),
                    ("WORKGROUP", tile::WORKGROUP),
                ]);
                let workgroups = workgroups_of(self.batch * self.m * self.n, tile::WORKGROUP);
                tile::launch(
                    "matmul_plain.wgsl",
                    "plain",
                    constants,
                    workgroups,
                    epilogue,
                    3,
                )
            }
            Variant::Thread { .. } | Variant::Subgroup { .. } | Variant::Workgroup { .. } => {
                let (cut, workgroups) = self.product().cut(variant);
                constants.extend(cut);
                let a = tile::Operand::of(self.a[1], self.a[2], self.m, self.k, &[self.a[0]]);
                let b = tile::Operand::of(self.b[2], self.b[1], self.n, self.k, &[self.b[0]]);
                let fast = self.y[2] == 1
                    && [self.n, self.y[0], self.y[1]]
                        .iter()
                        .all(|size| size.is_multiple_of(4));
                constants.extend(tile::operand_constants(a, b));
                constants.push(("Y_VECTOR", u32::from(fast)));
                tile::launch(
                    "matmul_tile.wgsl",
                    variant.name(),
                    constants,
                    workgroups,
                    epilogue,
                    3,
                )
            }
        }
    }
}
