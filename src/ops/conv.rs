//! Two-dimensional convolutions and their two adjoints.

use serde::{Deserialize, Serialize};

use super::tile::{self, Operand, Product};
use super::winograd::{self, Winograd};
use super::{Contraction, Epilogue, Facts, Launch, Launches, Rung, Variant, word, workgroups_of};
use crate::graph::ConvGeometry;

/// Which of the three tensors of a convolution is computed from the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Target {
    /// y of (x, w): `Op::Conv2d`.
    Forward,
    /// x of (y, w): `Op::ConvTranspose2d`.
    Transpose,
    /// w of (x, y): `Op::ConvWeightGrad`.
    WeightGrad,
}

/// A convolution with its sizes and strides. Whatever is computed, x is the
/// image side `[N, C, H, W]`, w the weight `[O, C / groups, KH, KW]` and y the
/// filter side `[N, O, OH, OW]`; strides are in elements of these logical axes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Conv {
    /// What is computed.
    pub kind: Target,
    /// Image sizes, kernel, stride, pads, groups.
    pub geometry: ConvGeometry,
    /// Images of the batch, N.
    pub batch: usize,
    /// C, of the image.
    pub channels: usize,
    /// Output channels of the forward convolution, O.
    pub filters: usize,
    /// Strides of x along (N, C, H, W).
    pub x: [usize; 4],
    /// Strides of w along (O, C / groups, KH, KW).
    pub w: [usize; 4],
    /// Strides of y along (N, O, OH, OW).
    pub y: [usize; 4],
}

/// Memory orders of the logical axes, outermost first, that a variant needs to
/// be fast; `None` where the present strides will do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Orders {
    /// Memory order demanded of the input image, outermost axis first.
    pub x: Option<[usize; 4]>,
    /// Memory order demanded of the weight, outermost axis first.
    pub w: Option<[usize; 4]>,
    /// Memory order of the result, outermost axis first.
    pub y: Option<[usize; 4]>,
}

/// `[N, H, W, C]`.
const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

pub(super) fn whole(size: usize) -> bool {
    size.is_multiple_of(4)
}

/// Channels are contiguous and every other step is a multiple of 4, so that
/// they load as vec4; `None` where the number of channels forbids it anyway.
pub(super) fn vector_channels(channels: usize, [n, c, h, w]: [usize; 4]) -> Option<bool> {
    whole(channels).then_some(c == 1 && whole(n) && whole(h) && whole(w))
}

/// Channels-last, unless it is already or would not help.
pub(super) fn channels_last(channels: usize, strides: [usize; 4]) -> Option<[usize; 4]> {
    (vector_channels(channels, strides) == Some(false)).then_some(CHANNELS_LAST)
}

impl Conv {
    /// The stride. Where there is only one window along an axis it moves
    /// nothing; an adjoint for the image then takes the span of the window, so
    /// that each of its pixels is a part that meets one tap, instead of all
    /// pixels being one part that meets all taps, most of them in vain.
    fn stride(&self) -> [usize; 2] {
        let g = &self.geometry;
        std::array::from_fn(|axis| match (self.kind, g.output[axis]) {
            (Target::Transpose, 1) => g.dilation[axis] * (g.kernel[axis] - 1) + 1,
            _ => g.stride[axis],
        })
    }

    /// The matrix products that a tile is cut from.
    pub(super) fn product(&self) -> Product {
        self.tiled().own_product()
    }

    fn own_product(&self) -> Product {
        let g = ConvGeometry {
            stride: self.stride(),
            ..self.geometry
        };
        let taps = g.kernel[0] * g.kernel[1];
        let run = self.run();
        match self.kind {
            Target::Forward => Product {
                parts: 1,
                rows: self.batch * g.output[0] * g.output[1],
                columns: self.filters,
                depth: self.channels * run,
                walks: taps / run,
                met: taps / run,
                splits: 1,
            },
            Target::Transpose => Product {
                parts: g.stride[0] * g.stride[1],
                rows: self.batch
                    * g.input[0].div_ceil(g.stride[0])
                    * g.input[1].div_ceil(g.stride[1]),
                columns: self.channels,
                depth: self.filters,
                walks: taps,
                met: taps.div_ceil(g.stride[0] * g.stride[1]),
                splits: 1,
            },
            Target::WeightGrad => {
                let [rows, columns] = self.sides();
                Product {
                    parts: 1,
                    rows,
                    columns,
                    depth: self.batch * g.output[0] * g.output[1],
                    walks: 1,
                    met: 1,
                    splits: self.most_parts(),
                }
            }
        }
    }

    /// A convolution of stride 1 as the transposed convolution by the mirrored kernel, or
    /// the other way round; pads must be shorter than the kernel.
    pub(super) fn mirrored(&self) -> Self {
        let g = &self.geometry;
        let [filter, channel, row, column] = self.w;
        Self {
            kind: match self.kind {
                Target::Forward => Target::Transpose,
                Target::Transpose => Target::Forward,
                Target::WeightGrad => Target::WeightGrad,
            },
            geometry: ConvGeometry {
                input: g.output,
                output: g.input,
                pad: std::array::from_fn(|axis| g.kernel[axis] - 1 - g.pad[axis]),
                ..*g
            },
            channels: self.filters,
            filters: self.channels,
            x: self.y,
            w: [channel, filter, row, column],
            y: self.x,
            ..*self
        }
    }

    /// How many taps of a kernel row are taken as one axis with the channels.
    fn run(&self) -> usize {
        match self.kind {
            Target::Forward if !whole(self.channels) => self.geometry.kernel[1],
            _ => 1,
        }
    }

    /// All variants that make sense for these sizes on this adapter.
    pub fn candidates(&self, facts: &Facts) -> Vec<Variant> {
        if self.geometry.groups > 1 {
            return vec![Variant::Plain];
        }
        let mut variants = self.product().candidates(facts);
        variants.extend(
            winograd::OUTPUTS
                .into_iter()
                .filter(|&outputs| Winograd::of(self, outputs).is_some())
                .map(|outputs| Variant::Winograd { outputs }),
        );
        variants
    }

    /// Where Winograd's filtering is asked for, or should pay.
    fn by_winograd(&self, facts: &Facts) -> Option<Variant> {
        let outputs = match facts.rung {
            Rung::Winograd(outputs) => Winograd::of(self, outputs).map(|_| outputs),
            Rung::Best => Winograd::cheapest(self, self.product().work(), facts),
            Rung::Plain | Rung::Tiled(_) => None,
        };
        outputs.map(|outputs| Variant::Winograd { outputs })
    }

    /// The variant to use.
    pub fn choose(&self, facts: &Facts) -> Variant {
        if self.geometry.groups > 1 {
            return Variant::Plain;
        }
        facts
            .winner(|| Contraction::Conv(*self))
            .or_else(|| self.by_winograd(facts))
            .unwrap_or_else(|| self.product().choose(facts))
    }

    /// What `variant` demands of the memory orders. Any strides give right
    /// results; the output of a weight gradient is as fast in any order.
    pub fn orders(&self, variant: Variant) -> Orders {
        match variant {
            Variant::Plain => return Orders::default(),
            Variant::Winograd { .. } => return Winograd::orders(self),
            Variant::Thread { .. }
            | Variant::Subgroup { .. }
            | Variant::Workgroup { .. }
            | Variant::Split { .. } => {}
        }
        let (x, y) = (
            channels_last(self.channels, self.x),
            channels_last(self.filters, self.y),
        );
        let right = self.right();
        let w = match self.kind {
            Target::WeightGrad => None,
            _ if right.vector => None,
            Target::Forward if whole(self.channels) => Some([2, 3, 0, 1]),
            Target::Forward if whole(self.filters) => Some([2, 3, 1, 0]),
            Target::Transpose if whole(self.channels) => Some([2, 3, 0, 1]),
            Target::Transpose if whole(self.filters) => Some([2, 3, 1, 0]),
            Target::Forward | Target::Transpose => None,
        };
        Orders { x, w, y }
    }

    /// How the right operand of the product is loaded: the weight, or y of a
    /// weight gradient.
    pub(super) fn right(&self) -> Operand {
        let [o, c, h, w] = self.w;
        match self.kind {
            Target::Forward => {
                let depth = self.channels * self.run();
                // Taps and channels of a run are one axis for a vector only if
                // they are one in memory.
                let joined = self.run() == 1 || w == self.channels * c;
                let side = Operand::of(o, c, self.filters, depth, &[h, w]);
                let deep = if self.run() == 1 {
                    &[h, w][..]
                } else {
                    &[h][..]
                };
                match Operand::of(o, c, self.filters, depth, deep) {
                    operand if operand.deep => Operand {
                        vector: operand.vector && joined,
                        ..operand
                    },
                    _ => side,
                }
            }
            Target::Transpose => Operand::of(c, o, self.channels, self.filters, &[h, w]),
            Target::WeightGrad => Operand {
                vector: vector_channels(self.filters, self.y) == Some(true),
                deep: false,
            },
        }
    }

    /// The part of the batch that a variant should compute at a time. Parts are equal;
    /// `is_bindable` says whether they may have so many images.
    pub fn part(
        &self,
        variant: Variant,
        facts: &Facts,
        is_bindable: impl Fn(usize) -> bool,
    ) -> Self {
        let batch = match variant {
            Variant::Winograd { outputs } => Winograd::of(self, outputs)
                .map_or(self.batch, |winograd| winograd.part(facts, is_bindable)),
            _ => self.batch,
        };
        Self { batch, ..*self }
    }

    /// The kernels of a variant, one of [`Conv::candidates`].
    pub fn launches(&self, variant: Variant, epilogue: &Epilogue) -> Launches {
        let several = match variant {
            Variant::Winograd { outputs } => {
                Winograd::of(self, outputs).map(|winograd| winograd.launches(epilogue))
            }
            Variant::Split { side, parts } => Some(self.split(side, parts, epilogue)),
            _ => None,
        };
        several.unwrap_or_else(|| Launches::one(self.launch(variant, epilogue)))
    }

    /// The kernel of a variant that is one; its bindings are the output, the
    /// primitive's inputs in their order, and the epilogue's extras.
    fn launch(&self, variant: Variant, epilogue: &Epilogue) -> Launch {
        match variant {
            Variant::Plain | Variant::Winograd { .. } | Variant::Split { .. } => {
                self.plain(epilogue)
            }
            Variant::Thread { .. } | Variant::Subgroup { .. } | Variant::Workgroup { .. } => {
                let (cut, workgroups) = self.product().cut(variant);
                let mut constants = self.tiled().geometry_constants();
                constants.extend(cut);
                let file = match self.kind {
                    Target::WeightGrad => {
                        self.weight_grad_constants(&mut constants);
                        constants.push(("PART_DEPTH", 0));
                        "conv_weight_grad_tile.wgsl"
                    }
                    Target::Forward | Target::Transpose => {
                        self.image_constants(&mut constants);
                        "conv_tile.wgsl"
                    }
                };
                tile::launch(file, variant.name(), constants, workgroups, epilogue, 3)
            }
        }
    }

    pub(super) fn geometry_constants(&self) -> Vec<(&'static str, u32)> {
        let g = &self.geometry;
        vec![
            ("FORWARD", u32::from(self.kind == Target::Forward)),
            ("TRANSPOSE", u32::from(self.kind == Target::Transpose)),
            ("WEIGHT_GRAD", u32::from(self.kind == Target::WeightGrad)),
            ("KH", word(g.kernel[0])),
            ("KW", word(g.kernel[1])),
            ("STRIDE_H", word(self.stride()[0])),
            ("STRIDE_W", word(self.stride()[1])),
            ("DILATION_H", word(g.dilation[0])),
            ("DILATION_W", word(g.dilation[1])),
            ("PAD_H", word(g.pad[0])),
            ("PAD_W", word(g.pad[1])),
        ]
    }

    fn plain(&self, epilogue: &Epilogue) -> Launch {
        let g = &self.geometry;
        let mut constants = self.geometry_constants();
        constants.extend([
            ("N", word(self.batch)),
            ("C", word(self.channels)),
            ("O", word(self.filters)),
            ("H", word(g.input[0])),
            ("W", word(g.input[1])),
            ("OH", word(g.output[0])),
            ("OW", word(g.output[1])),
            ("GROUPS", word(g.groups)),
            ("WORKGROUP", tile::WORKGROUP),
        ]);
        let names = [
            ["X_N", "X_C", "X_H", "X_W"],
            ["W_O", "W_C", "W_H", "W_W"],
            ["Y_N", "Y_O", "Y_H", "Y_W"],
        ];
        for (names, strides) in names.into_iter().zip([self.x, self.w, self.y]) {
            constants.extend(names.into_iter().zip(strides.map(word)));
        }
        let outputs = match self.kind {
            Target::Forward => self.batch * self.filters * g.output[0] * g.output[1],
            Target::Transpose => self.batch * self.channels * g.input[0] * g.input[1],
            Target::WeightGrad => {
                self.filters * (self.channels / g.groups) * g.kernel[0] * g.kernel[1]
            }
        };
        let workgroups = workgroups_of(outputs, tile::WORKGROUP);
        tile::launch(
            "conv_plain.wgsl",
            "plain",
            constants,
            workgroups,
            epilogue,
            3,
        )
    }

    /// Constants of `conv_tile.wgsl`.
    fn image_constants(&self, constants: &mut Vec<(&'static str, u32)>) {
        let g = &self.geometry;
        let [o, c, kh, kw] = self.w;
        let forward = self.kind == Target::Forward;
        let (source, source_channels, source_size, target, target_channels, target_size) =
            if forward {
                (
                    self.x,
                    self.channels,
                    g.input,
                    self.y,
                    self.filters,
                    g.output,
                )
            } else {
                (
                    self.y,
                    self.filters,
                    g.output,
                    self.x,
                    self.channels,
                    g.input,
                )
            };
        let grid = if forward { [1, 1] } else { self.stride() };
        let (b_row, b_column) = if forward { (c, o) } else { (o, c) };
        let left = Operand {
            vector: vector_channels(source_channels, source) == Some(true),
            deep: true,
        };
        let out = vector_channels(target_channels, target) == Some(true);
        constants.extend(tile::operand_constants(left, self.right()));
        constants.extend([
            ("Y_VECTOR", u32::from(out)),
            ("RUN", word(self.run())),
            ("RUN_MANY", u32::from(self.run() > 1)),
            ("SOURCE_C", word(source_channels)),
            ("SOURCE_H", word(source_size[0])),
            ("SOURCE_W", word(source_size[1])),
            ("TARGET_H", word(target_size[0])),
            ("TARGET_W", word(target_size[1])),
            ("GRID_H", word(target_size[0].div_ceil(grid[0]))),
            ("GRID_W", word(target_size[1].div_ceil(grid[1]))),
            ("B_ROW", word(b_row)),
            ("B_COLUMN", word(b_column)),
            ("B_H", word(kh)),
            ("B_W", word(kw)),
        ]);
        constants.extend(
            ["A_N", "A_C", "A_H", "A_W"]
                .into_iter()
                .zip(source.map(word)),
        );
        constants.extend(
            ["Y_N", "Y_C", "Y_H", "Y_W"]
                .into_iter()
                .zip(target.map(word)),
        );
    }
}
