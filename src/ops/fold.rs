//! Convolutions that make few channels as one matrix product of all pixels with all
//! weights, whose results each pixel of the image gathers (`shaders/fold.wgsl`).

use super::conv::{Conv, Orders, Target};
use super::matmul::MatMul;

use super::{Between, Epilogue, Facts, Launch, Launches, Rung, tile, word, workgroups_of};

/// Most channels that are made: with more, a tile's columns are filled anyway
/// and the products cost more memory than they save loads.
const FEW_CHANNELS: usize = 4;

/// Taps of a convolution of stride 1, all of which meet each pixel, from which a tile
/// is slower.
const MANY_TAPS: usize = 25;

/// Numbers between: the 128 MiB that WebGPU promises of a binding.
const MOST_PRODUCTS: usize = 1 << 25;

/// From fewer channels than these, sums are too short for a product of their own.
const LEAST_DEPTH: usize = 8;

/// A transposed convolution, or a convolution of stride 1 as the transposed one by the
/// mirrored kernel, in two launches. Tiles load each pixel once for every tap and fill
/// `channels` of their columns; this loads it once, fills a column for every tap, and
/// stores the products between. A transposed layer of 64 to 1 channels so takes a quarter
/// of the time on lavapipe, and a sixth on an H100.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fold {
    /// A [`Target::Transpose`].
    conv: Conv,
    /// Its weight is taken from the last tap to the first.
    mirrored: bool,
}

impl Fold {
    /// The convolution as a fold, where that is what suits it.
    pub fn suits(conv: &Conv, facts: &Facts) -> Option<Self> {
        let g = &conv.geometry;
        let mirrored = match conv.kind {
            Target::Transpose => false,
            Target::Forward if g.stride == [1, 1] => true,
            Target::Forward | Target::WeightGrad => return None,
        };
        let padded = (0..2).any(|axis| g.pad[axis] >= g.kernel[axis]);
        if g.groups > 1 || g.dilation != [1, 1] || (mirrored && padded) {
            return None;
        }
        let fold = Self {
            conv: if mirrored { conv.mirrored() } else { *conv },
            mirrored,
        };
        let (conv, g) = (&fold.conv, &fold.conv.geometry);
        let few = conv.channels <= FEW_CHANNELS && conv.filters >= LEAST_DEPTH;
        let many_taps = g.kernel[0] * g.kernel[1] >= if mirrored { MANY_TAPS } else { 4 };
        // A lone window meets each pixel once.
        let alone = g.output == [1, 1] || (mirrored && g.input == [1, 1]);
        // The products between are a tensor too.
        let product = fold.product();
        let fits = product.m.saturating_mul(product.n) <= MOST_PRODUCTS;
        (few && many_taps && !alone && fits && facts.rung == Rung::Best).then_some(fold)
    }

    /// What the product demands of the memory orders.
    pub fn orders(&self) -> Orders {
        let conv = &self.conv;
        let [oh, ow] = conv.geometry.output;
        let [kh, kw] = conv.geometry.kernel;
        let source = [conv.filters * oh * ow, 1, conv.filters * ow, conv.filters];
        let source = (conv.y != source).then_some([0, 2, 3, 1]);
        let lies = [conv.w[0], conv.w[2], conv.w[3]] == [conv.channels * kh * kw, kw, 1];
        let joined = conv.channels == 1 || conv.w[1] == kh * kw;
        let demanded = !(lies && joined);
        match self.mirrored {
            false => Orders {
                x: None,
                w: demanded.then_some([0, 1, 2, 3]),
                y: source,
            },
            true => Orders {
                x: source,
                w: demanded.then_some([1, 0, 2, 3]),
                y: None,
            },
        }
    }

    /// The product of `[N OH OW, filters]` and `[filters, channels KH KW]`, with
    /// operands in [`Fold::orders`].
    fn product(&self) -> MatMul {
        let conv = &self.conv;
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
            between: Some(Between::Product(self.product())),
            last: self.gather(epilogue),
        }
    }

    /// Bindings are the image, the products and the epilogue's extras.
    fn gather(&self, epilogue: &Epilogue) -> Launch {
        let conv = &self.conv;
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
            ("MIRRORED", u32::from(self.mirrored)),
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
