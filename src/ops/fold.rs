//! Transposed convolutions with few channels as one matrix product of all
//! pixels with all weights, whose results each pixel of the image gathers
//! (`shaders/fold.wgsl`).

use super::conv::{Conv, Orders, Target};
use super::matmul::MatMul;
use crate::graph::MAX_ELEMENTS;

use super::{Epilogue, Facts, Launch, Launches, Rung, tile, word, workgroups_of};

/// Most channels of the image: with more, a tile's columns are filled anyway
/// and the products cost more memory than they save loads.
const FEW_CHANNELS: usize = 4;

/// Fewer filters make sums too short for a product of their own.
const LEAST_FILTERS: usize = 8;

/// A transposed convolution in two launches. Tiles load each pixel of the
/// filter side once for every tap and fill `channels` of their columns; this
/// loads it once, fills a column for every tap, and stores the products between.
/// On lavapipe a layer of 64 to 1 channels so takes a quarter of the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fold(Conv);

impl Fold {
    /// The convolution as a fold, where that is what suits it.
    pub fn suits(conv: &Conv, facts: &Facts) -> Option<Self> {
        let g = &conv.geometry;
        let possible = conv.kind == Target::Transpose && g.groups == 1 && g.dilation == [1, 1];
        let few = conv.channels <= FEW_CHANNELS && conv.filters >= LEAST_FILTERS;
        let many_taps = g.kernel[0] * g.kernel[1] >= 4 && g.output != [1, 1];
        let fold = Self(*conv);
        // The products between are a tensor too.
        let product = fold.product();
        let fits = product.m.saturating_mul(product.n) <= MAX_ELEMENTS;
        (possible && few && many_taps && fits && facts.software && facts.rung == Rung::Best)
            .then_some(fold)
    }

    /// What the product demands of the memory orders.
    pub fn orders(&self) -> Orders {
        let Self(conv) = self;
        let [oh, ow] = conv.geometry.output;
        let [kh, kw] = conv.geometry.kernel;
        let y = [conv.filters * oh * ow, 1, conv.filters * ow, conv.filters];
        let w = [conv.channels * kh * kw, kh * kw, kw, 1];
        Orders {
            x: None,
            w: (conv.w != w).then_some([0, 1, 2, 3]),
            y: (conv.y != y).then_some([0, 2, 3, 1]),
        }
    }

    /// The product of `[N OH OW, filters]` and `[filters, channels KH KW]`, with
    /// operands in [`Fold::orders`].
    fn product(&self) -> MatMul {
        let Self(conv) = self;
        let g = &conv.geometry;
        let columns = conv.channels * g.kernel[0] * g.kernel[1];
        MatMul {
            batch: 1,
            m: conv.batch * g.output[0] * g.output[1],
            n: columns,
            k: conv.filters,
            a: [0, conv.filters, 1],
            b: [0, columns, 1],
            y: [conv.batch * g.output[0] * g.output[1] * columns, columns, 1],
        }
    }

    /// The product and the gathering kernel.
    pub fn launches(&self, epilogue: &Epilogue) -> Launches {
        Launches {
            operands: [None, None],
            between: Some(self.product()),
            last: self.gather(epilogue),
        }
    }

    /// Bindings are the image, the products and the epilogue's extras.
    fn gather(&self, epilogue: &Epilogue) -> Launch {
        let Self(conv) = self;
        let g = &conv.geometry;
        let mut constants = vec![
            ("N", word(conv.batch)),
            ("C", word(conv.channels)),
            ("H", word(g.input[0])),
            ("W", word(g.input[1])),
            ("OH", word(g.output[0])),
            ("OW", word(g.output[1])),
            ("KH", word(g.kernel[0])),
            ("KW", word(g.kernel[1])),
            ("STRIDE_H", word(g.stride[0])),
            ("STRIDE_W", word(g.stride[1])),
            ("PAD_H", word(g.pad[0])),
            ("PAD_W", word(g.pad[1])),
            ("TAPS_H", word(g.kernel[0].div_ceil(g.stride[0]))),
            ("TAPS_W", word(g.kernel[1].div_ceil(g.stride[1]))),
            ("WORKGROUP", tile::WORKGROUP),
        ];
        constants.extend(
            ["Y_N", "Y_C", "Y_H", "Y_W"]
                .into_iter()
                .zip(conv.x.map(word)),
        );
        let pixels = conv.batch * conv.channels * g.input[0] * g.input[1];
        let workgroups = workgroups_of(pixels, tile::WORKGROUP);
        tile::launch("fold.wgsl", "gather", constants, workgroups, epilogue, 2)
    }
}
