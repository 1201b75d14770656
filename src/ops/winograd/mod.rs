//! Convolutions with fewer multiplications, by Winograd's minimal filtering (Lavin
//! and Gray 2015, arXiv 1509.09308; strides as in Huang et al. 2020, arXiv
//! 2002.00552).
//!
//! Image, weight and filter side go into the planes of F(m, r): one number a product
//! of the filtering for each tile of m x m pixels of the filter side. Between planes,
//! a convolution is a batch of matrix products:
//!
//! | computed | product of planes | then |
//! |---|---|---|
//! | y | x [tiles, depth] by w [depth, filters] | At |
//! | x | y [tiles, filters] by w transposed | B |
//! | w | x transposed by y | Gt |
//!
//! The filtering itself takes Bt of x, G of w and A of y. So what two directions have
//! in common is made once, and the adjoints of the filtering are the filtering of the
//! adjoints. A stride of 2 cuts a kernel of 4 x 4 into four of 2 x 2, one for each
//! phase of the image's pixels; phases are part of the depth.
//!
//! The image adjoint of stride 1 is a convolution by the mirrored kernel instead, since
//! the tiles of an image overlap by r - 1 pixels: where r = 2, one number of the next
//! tile completes a pixel, where r = 3, all of them.

mod filtering;
mod transform;

use self::filtering::{Filtering, Matrix, transposed};
use self::transform::Tensor;
use super::conv::{Conv, Orders, Target, channels_last};
use super::matmul::MatMul;
use super::{Between, Epilogue, Facts, Launches, Rung};

/// m of F(m, r), both ways along an image.
pub(super) const OUTPUTS: [u32; 2] = [2, 4];

/// When Winograd's filtering pays, in multiplications of a tile.
struct Price {
    /// To make a number of a plane, or to make something of it.
    number: usize,
    /// Of three more launches.
    launches: usize,
    /// The most that the whole may cost for each multiplication that a tile would do.
    most: f64,
}

impl Price {
    fn of(facts: &Facts) -> Self {
        if facts.software {
            // On lavapipe a number takes a nanosecond. A layer in planes has four
            // kernels to compile and to launch instead of one; `dcgan32` at width 16,
            // whose layers would cost more, is hardly faster by them.
            Self {
                number: 24,
                launches: 0,
                most: 0.75,
            }
        } else {
            // On an H100 3 x 3 filters of 256 to 256 channels over 64 x 64 pixels took
            // 0.44 of a tile's time, where this says 0.39, and layers of a quarter of
            // that size about as long as by tiles.
            Self {
                number: 32,
                launches: 1 << 27,
                most: 0.5,
            }
        }
    }
}

/// Numbers in the planes of a tensor: the 128 MiB that WebGPU promises of a binding, so
/// that what fits in tiles fits in planes.
const MOST_NUMBERS: usize = 1 << 25;

/// Most numbers in the planes of both images of a part of the batch, on adapters that
/// compute on the CPU: 12 MiB. Planes of 75 MiB come back from memory, not from a cache,
/// and make the step of a residual network take a seventh longer and half as much memory
/// again. With more parts than these, their launches cost what is gained.
const PART_NUMBERS: usize = 3 << 20;

/// Numbers in a line of a cache.
const CACHE_LINE: usize = 16;

/// A convolution or adjoint in planes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Winograd {
    /// Never a [`Target::Transpose`] of stride 1.
    conv: Conv,
    /// The weight is taken from its last tap to its first.
    mirrored: bool,
    filtering: Filtering,
}

/// Distance of planes of so many rows and columns: an odd number of cache lines, since
/// a thread of a transform is in all planes at once, and caches find little room for
/// addresses a power of 2 apart.
fn plane(rows: usize, columns: usize) -> usize {
    let lines = rows.saturating_mul(columns).div_ceil(CACHE_LINE);
    (lines | 1).saturating_mul(CACHE_LINE)
}

impl Winograd {
    /// Where the filtering is for such a convolution.
    pub(super) fn of(conv: &Conv, outputs: u32) -> Option<Self> {
        let g = &conv.geometry;
        let taps = match (g.kernel, g.stride) {
            ([3, 3], [1, 1]) => 3,
            ([4, 4], [2, 2]) => 2,
            _ => return None,
        };
        let whole = conv.channels.is_multiple_of(4) && conv.filters.is_multiple_of(4);
        let padded = g.pad.iter().all(|&pad| pad <= 2);
        if g.groups > 1 || g.dilation != [1, 1] || !whole || !padded {
            return None;
        }
        let filtering = Filtering {
            outputs: outputs as usize,
            taps,
        };
        let mirrored = conv.kind == Target::Transpose && taps == 3;
        let winograd = Self {
            conv: if mirrored { conv.mirrored() } else { *conv },
            mirrored,
            filtering,
        };
        let fits = winograd.lens().into_iter().all(|len| len <= MOST_NUMBERS);
        fits.then_some(winograd)
    }

    /// m of the filtering that costs least, if it pays where a tile would need `work`
    /// multiplications.
    pub(super) fn cheapest(conv: &Conv, work: usize, facts: &Facts) -> Option<u32> {
        let price = Price::of(facts);
        let cost = |outputs: u32| Self::of(conv, outputs).map(|winograd| winograd.cost(&price));
        let most = price.most * work as f64;
        OUTPUTS
            .into_iter()
            .filter(|&outputs| cost(outputs).is_some_and(|cost| cost as f64 <= most))
            .min_by_key(|&outputs| cost(outputs))
    }

    fn cost(&self, price: &Price) -> usize {
        let product = self.product();
        let multiplications = product.batch * product.m * product.n * product.k;
        let numbers = self.lens().into_iter().sum::<usize>();
        multiplications + price.number * numbers + price.launches
    }

    /// Numbers in the planes of x, w and y.
    fn lens(&self) -> [usize; 3] {
        let [tiles, depth, filters] = [self.tiles(), self.depth(), self.conv.filters];
        let len = |a: usize, b: usize| plane(a, b).saturating_mul(self.planes());
        [len(tiles, depth), len(depth, filters), len(tiles, filters)]
    }

    fn planes(&self) -> usize {
        self.filtering.side() * self.filtering.side()
    }

    fn tiles_of_an_image(&self) -> [usize; 2] {
        let output = self.conv.geometry.output;
        output.map(|size| size.div_ceil(self.filtering.outputs))
    }

    fn tiles(&self) -> usize {
        self.conv.batch * self.tiles_of_an_image().iter().product::<usize>()
    }

    /// Channels of the image under all phases.
    fn depth(&self) -> usize {
        let [h, w] = self.conv.geometry.stride;
        self.conv.channels * h * w
    }

    fn image(&self) -> Tensor {
        let (conv, g) = (&self.conv, &self.conv.geometry);
        let [h, w] = self.tiles_of_an_image();
        let depth = self.depth();
        Tensor {
            count: conv.batch,
            channels: conv.channels,
            size: g.input,
            strides: conv.x,
            tiles: [h, w],
            step: self.filtering.outputs,
            stride: g.stride[0],
            pad: g.pad,
            planes: [
                plane(self.tiles(), depth),
                h * w * depth,
                depth,
                conv.channels,
            ],
        }
    }

    /// Its images are the input channels, its channels the filters.
    fn weight(&self) -> Tensor {
        let (conv, g) = (&self.conv, &self.conv.geometry);
        let [filter, channel, row, column] = conv.w;
        let filters = conv.filters;
        Tensor {
            count: conv.channels,
            channels: filters,
            size: g.kernel,
            strides: [channel, filter, row, column],
            tiles: [1, 1],
            step: 0,
            stride: g.stride[0],
            pad: [0, 0],
            planes: [
                plane(self.depth(), filters),
                filters,
                0,
                conv.channels * filters,
            ],
        }
    }

    fn filter_side(&self) -> Tensor {
        let conv = &self.conv;
        let [h, w] = self.tiles_of_an_image();
        let filters = conv.filters;
        Tensor {
            count: conv.batch,
            channels: filters,
            size: conv.geometry.output,
            strides: conv.y,
            tiles: [h, w],
            step: self.filtering.outputs,
            stride: 1,
            pad: [0, 0],
            planes: [plane(self.tiles(), filters), h * w * filters, filters, 0],
        }
    }

    /// The batch of products between planes.
    fn product(&self) -> MatMul {
        let [tiles, depth, filters] = [self.tiles(), self.depth(), self.conv.filters];
        let rows = |rows: usize, columns: usize| [plane(rows, columns), columns, 1];
        let columns = |rows: usize, columns: usize| [plane(rows, columns), 1, columns];
        let (x, w, y) = ([tiles, depth], [depth, filters], [tiles, filters]);
        let of = |[m, k, n]: [usize; 3], a, b| MatMul {
            batch: self.planes(),
            m,
            n,
            k,
            a,
            b,
            y: rows(m, n),
        };
        match self.conv.kind {
            Target::Forward => of([tiles, depth, filters], rows(x[0], x[1]), rows(w[0], w[1])),
            Target::Transpose => of(
                [tiles, filters, depth],
                rows(y[0], y[1]),
                columns(w[0], w[1]),
            ),
            Target::WeightGrad => of(
                [depth, tiles, filters],
                columns(x[0], x[1]),
                rows(y[0], y[1]),
            ),
        }
    }

    /// How many images, of which a part may consist, it should have at a time.
    pub(super) fn part(&self, facts: &Facts, is_bindable: impl Fn(usize) -> bool) -> usize {
        let batch = self.conv.batch;
        let [x, _, y] = self.lens();
        let most = match facts.rung {
            Rung::Winograd(_) => 1,
            _ if facts.software => (PART_NUMBERS * batch / (x + y)).max(1),
            _ => batch,
        };
        let parts = (1..=batch).filter(|&images| batch.is_multiple_of(images));
        let mut parts = parts.filter(|&images| images == batch || is_bindable(images));
        let smallest = parts.next().unwrap_or(batch);
        parts
            .take_while(|&images| images <= most)
            .last()
            .unwrap_or(smallest)
    }

    /// What a convolution demands of the memory orders: channels-last images.
    pub(super) fn orders(conv: &Conv) -> Orders {
        Orders {
            x: channels_last(conv.channels, conv.x),
            w: None,
            y: channels_last(conv.filters, conv.y),
        }
    }

    /// The launches, with operands in [`Winograd::orders`].
    pub(super) fn launches(&self, epilogue: &Epilogue) -> Launches {
        let filtering = self.filtering;
        let [x, w, y] = [self.image(), self.weight(), self.filter_side()];
        let [x_len, w_len, y_len] = self.lens();
        let inputs = filtering.inputs_matrix();
        let mut taps = filtering.taps_matrix();
        if self.mirrored {
            taps.iter_mut().for_each(|row| row.reverse());
        }
        let outputs = filtering.outputs_matrix();
        let to_x = || (x.launch_to_planes(filtering, &inputs), x_len);
        let to_w = || (w.launch_to_planes(filtering, &taps), w_len);
        let to_y = || (y.launch_to_planes(filtering, &transposed(&outputs)), y_len);
        let kind = self.conv.kind;
        let last = |tensor: &Tensor, matrix: &Matrix| {
            tensor.launch_from_planes(filtering, matrix, kind, epilogue)
        };
        let (operands, last) = match kind {
            Target::Forward => ([to_x(), to_w()], last(&y, &outputs)),
            Target::Transpose => ([to_y(), to_w()], last(&x, &transposed(&inputs))),
            Target::WeightGrad => ([to_x(), to_y()], last(&w, &transposed(&taps))),
        };
        Launches {
            operands: operands.map(Some),
            between: Some(Between::Product(self.product())),
            last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{ConvGeometry, Shape};
    use crate::ops::validate::validate;
    use crate::ops::{Contraction, Rung, Variant};

    fn conv(kind: Target, [kernel, stride, pad]: [usize; 3], image: usize) -> Conv {
        let geometry = ConvGeometry::forward(
            [image, image + 3],
            [kernel; 2],
            [stride; 2],
            [1; 2],
            [[pad; 2]; 2],
            1,
        )
        .expect("it fits");
        let channels_last = |shape: [usize; 4]| -> [usize; 4] {
            let strides = Shape::from(shape).strides_in(&[0, 2, 3, 1]);
            strides.try_into().expect("four axes")
        };
        let [oh, ow] = geometry.output;
        Conv {
            kind,
            geometry,
            batch: 3,
            channels: 64,
            filters: 128,
            x: channels_last([3, 64, image, image + 3]),
            w: [64 * kernel * kernel, kernel * kernel, kernel, 1],
            y: channels_last([3, 128, oh, ow]),
        }
    }

    const KINDS: [Target; 3] = [Target::Forward, Target::Transpose, Target::WeightGrad];

    #[test]
    fn every_filtering_makes_valid_shaders() {
        let fused = Epilogue {
            extras: 5,
            code: "fn epilogue(acc: f32, i: vec4<u32>) -> f32 {
                return op_leaky_relu(acc + e0[i.y] + e4[i.x + i.z * i.w], 0.2f);
            }"
            .into(),
        };
        for kind in KINDS {
            for form in [[3, 1, 1], [3, 1, 2], [4, 2, 0], [4, 2, 1], [4, 2, 2]] {
                let conv = conv(kind, form, 17);
                for outputs in OUTPUTS {
                    let variant = Variant::Winograd { outputs };
                    assert!(conv.candidates(&Facts::CARD).contains(&variant));
                    for epilogue in [&fused, &Epilogue::none()] {
                        let launches = conv.launches(variant, epilogue);
                        for (launch, _) in launches.operands.iter().flatten() {
                            validate(launch);
                        }
                        let Some(Between::Product(product)) = launches.between else {
                            panic!("a product of planes");
                        };
                        for facts in [Facts::CARD, Facts::SOFTWARE] {
                            let variant = product.choose(&facts);
                            validate(&product.launch(variant, &Epilogue::none()));
                        }
                        validate(&launches.last);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_filtered_unasked_is_what_pays() {
        let chosen = |conv: &Conv, facts: &Facts| match conv.choose(facts) {
            Variant::Winograd { outputs } => Some(outputs),
            _ => None,
        };
        for kind in KINDS {
            for form in [[3, 1, 1], [4, 2, 1]] {
                let large = Conv {
                    batch: 64,
                    ..conv(kind, form, 16)
                };
                assert_eq!(
                    chosen(&large, &Facts::SOFTWARE),
                    Some(4),
                    "{kind:?} {form:?}"
                );
                assert_eq!(chosen(&large, &Facts::CARD), None);
                let asked = Facts {
                    rung: Rung::Winograd(2),
                    ..Facts::CARD
                };
                assert_eq!(chosen(&large, &asked), Some(2));
                let wide = Conv {
                    batch: 1,
                    channels: 256,
                    filters: 256,
                    ..conv(kind, form, 66)
                };
                let cards = (form[0] == 3).then_some(4);
                assert_eq!(chosen(&wide, &Facts::CARD), cards, "{kind:?} {form:?}");
                // Hardly any pixels: the planes of the weight would be most of it.
                let small = Conv {
                    batch: 1,
                    ..conv(kind, form, 4)
                };
                assert_eq!(chosen(&small, &Facts::SOFTWARE), None, "{kind:?} {form:?}");
            }
        }
    }

    #[test]
    fn what_has_no_filtering_is_no_candidate() {
        let filtered = |conv: Conv| {
            let candidates = Contraction::Conv(conv).candidates(&Facts::SOFTWARE);
            let is = |variant: &Variant| matches!(variant, Variant::Winograd { .. });
            candidates.iter().any(is)
        };
        for form in [[5, 2, 2], [4, 1, 1], [3, 2, 1], [3, 1, 3]] {
            assert!(!filtered(conv(Target::Forward, form, 9)), "{form:?}");
        }
        let odd = Conv {
            channels: 6,
            ..conv(Target::Forward, [3, 1, 1], 9)
        };
        assert!(!filtered(odd));
        // Planes of more numbers than a binding may have.
        let immense = Conv {
            batch: 1 << 11,
            ..conv(Target::Forward, [3, 1, 1], 17)
        };
        assert!(!filtered(immense));
    }
}
