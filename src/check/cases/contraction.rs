//! Matrix products, convolutions and their adjoints. The gradients of a case
//! run the other members of its set on the same sizes.

use crate::check::{Case, Family};
use crate::error::{Error, Result};
use crate::graph::{ConvGeometry, Graph, NodeId};

pub(super) fn products() -> Vec<Case> {
    let mut list = Vec::new();
    for [batch, m, n, k] in [
        // Every transposition of odd, of whole and of mixed sizes.
        [0, 5, 7, 3],
        [0, 17, 13, 19],
        [0, 8, 12, 16],
        [3, 5, 7, 3],
        [2, 8, 4, 12],
    ] {
        for transposed in [[false, false], [false, true], [true, false], [true, true]] {
            list.push(product([batch, m, n, k], transposed));
        }
    }
    for sizes in [
        [0, 1, 1, 1],
        [0, 1, 5, 7],
        [0, 257, 3, 2],
        [0, 3, 2, 257],
        [0, 4, 12, 1],
        [0, 64, 1, 100],
        [0, 9, 40, 33],
        [0, 3, 5, 1031],
        [0, 36, 20, 128],
        [5, 1, 3, 2],
        [1, 9, 9, 9],
    ] {
        list.push(product(sizes, [false, false]));
    }
    list.push(product([3, 5, 4, 1], [true, true]));
    let case = |name: &str, build: fn(&mut Graph, &[NodeId]) -> Result<NodeId>| {
        Case::new(Family::MatMul, name, build)
    };
    list.extend([
        case("matmul of a sliced and a turned operand", |g, x| {
            let a = g.slice(x[0], &[1, 2], [5, 8])?;
            let b = g.permute(x[1], &[1, 0])?;
            g.matmul(a, b, false, false)
        })
        .normal([7, 12])
        .normal([9, 8]),
        case("matmul of a stretched operand", |g, x| {
            let a = g.broadcast(x[0], [5, 8])?;
            g.matmul(a, x[1], false, false)
        })
        .normal([5, 1])
        .normal([8, 7]),
        case("matmul of a tensor with itself", |g, x| {
            g.matmul(x[0], x[0], false, true)
        })
        .normal([7, 5]),
        case("matmul of the heads of an attention", |g, x| {
            let apart = g.reshape(x[0], [5, 3, 4])?;
            let heads = g.permute(apart, &[1, 0, 2])?;
            g.matmul(heads, heads, false, true)
        })
        .normal([5, 12]),
    ]);
    list
}

fn product([batch, m, n, k]: [usize; 4], [ta, tb]: [bool; 2]) -> Case {
    let mark = |transposed| if transposed { "'" } else { "" };
    let shape = |rows, columns, transposed| {
        let mut shape = if batch == 0 { vec![] } else { vec![batch] };
        shape.extend(if transposed {
            [columns, rows]
        } else {
            [rows, columns]
        });
        shape
    };
    let name = format!("matmul {batch}x{m}x{k}{} by {k}x{n}{}", mark(ta), mark(tb));
    Case::new(Family::MatMul, name, move |g, x| {
        g.matmul(x[0], x[1], ta, tb)
    })
    .normal(shape(m, k, ta))
    .normal(shape(k, n, tb))
}

/// Sizes of a convolution.
struct Sizes {
    n: usize,
    /// channels of the image and of the other side
    channels: [usize; 2],
    /// image, for a transposed convolution what it starts from
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// `[[top, left], [bottom, right]]`
    pad: [[usize; 2]; 2],
    groups: usize,
    /// rows and columns that the transposed convolution adds
    output_padding: [usize; 2],
}

impl Sizes {
    fn new(n: usize, channels: [usize; 2], size: [usize; 2], kernel: usize) -> Self {
        Self {
            n,
            channels,
            size,
            kernel: [kernel; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pad: [[0; 2]; 2],
            groups: 1,
            output_padding: [0; 2],
        }
    }

    fn stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    fn pad(mut self, pad: usize) -> Self {
        self.pad = [[pad; 2]; 2];
        self
    }

    fn pads(mut self, before: [usize; 2], after: [usize; 2]) -> Self {
        self.pad = [before, after];
        self
    }

    fn dilation(mut self, dilation: [usize; 2]) -> Self {
        self.dilation = dilation;
        self
    }

    fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    fn output_padding(mut self, rows: [usize; 2]) -> Self {
        self.output_padding = rows;
        self
    }

    fn weight(&self) -> [usize; 4] {
        let [c, o] = self.channels;
        [o, c / self.groups, self.kernel[0], self.kernel[1]]
    }

    fn forward(&self) -> Result<ConvGeometry> {
        ConvGeometry::forward(
            self.size,
            self.kernel,
            self.stride,
            self.dilation,
            self.pad,
            self.groups,
        )
        .ok_or_else(misfit)
    }

    fn transposed(&self) -> Result<ConvGeometry> {
        ConvGeometry::transposed(
            self.size,
            self.kernel,
            self.stride,
            self.dilation,
            self.pad,
            self.output_padding,
            self.groups,
        )
        .ok_or_else(misfit)
    }

    fn image(&self, side: usize) -> [usize; 4] {
        [self.n, self.channels[side], self.size[0], self.size[1]]
    }

    fn conv(self, name: &str) -> Case {
        let (image, weight) = (self.image(0), self.weight());
        Case::new(Family::Convolution, format!("conv {name}"), move |g, x| {
            g.conv2d(x[0], x[1], self.forward()?)
        })
        .normal(image)
        .normal(weight)
    }

    fn conv_transpose(self, name: &str) -> Case {
        let (image, weight) = (self.image(1), self.weight());
        let name = format!("conv transpose {name}");
        Case::new(Family::Convolution, name, move |g, x| {
            g.conv_transpose2d(x[0], x[1], self.transposed()?)
        })
        .normal(image)
        .normal(weight)
    }

    fn weight_grad(self, name: &str) -> Case {
        let image = self.image(0);
        let output = self.forward().map_or([0; 2], |geometry| geometry.output);
        let name = format!("conv weight gradient {name}");
        let other = [self.n, self.channels[1], output[0], output[1]];
        Case::new(Family::Convolution, name, move |g, x| {
            g.conv_weight_grad(x[0], x[1], self.forward()?)
        })
        .normal(image)
        .normal(other)
    }
}

pub(super) fn misfit() -> Error {
    Error::shape("case", "the kernel does not fit into the image")
}

pub(super) fn convolutions() -> Vec<Case> {
    let new = Sizes::new;
    vec![
        new(2, [3, 5], [7, 5], 3).pad(1).conv("odd"),
        new(2, [4, 8], [8, 8], 4)
            .stride([2, 2])
            .pad(1)
            .conv("k4 s2 p1"),
        new(2, [3, 8], [11, 13], 4)
            .stride([2, 2])
            .pad(1)
            .conv("of colours"),
        new(1, [8, 3], [5, 7], 3).pad(1).conv("to colours"),
        new(3, [1, 1], [5, 5], 3).conv("of single channels"),
        new(3, [16, 1], [4, 4], 4).conv("to one logit"),
        new(2, [8, 16], [1, 1], 1).conv("of one pixel"),
        new(2, [7, 3], [5, 3], 1).conv("of single taps"),
        new(1, [32, 8], [5, 5], 3).pad(1).conv("deep"),
        new(2, [5, 9], [13, 17], 5)
            .stride([2, 1])
            .pad(2)
            .conv("k5 s2x1"),
        new(2, [4, 4], [9, 10], 3).stride([2, 2]).conv("with rest"),
        new(1, [3, 4], [11, 8], 2).stride([3, 3]).conv("with gaps"),
        new(2, [5, 4], [6, 7], 1)
            .stride([2, 3])
            .conv("of single taps with gaps"),
        new(2, [4, 5], [7, 8], 5)
            .stride([2, 2])
            .pads([1, 2], [2, 1])
            .conv("with uneven pads"),
        new(1, [2, 3], [4, 4], 3)
            .pad(4)
            .conv("with pads beyond the kernel"),
        new(2, [4, 4], [9, 11], 3)
            .dilation([2, 3])
            .pad(2)
            .conv("dilated"),
        new(1, [3, 5], [12, 11], 3)
            .dilation([2, 1])
            .stride([2, 2])
            .pad(1)
            .conv("dilated s2"),
        new(2, [6, 4], [5, 7], 3).pad(1).groups(2).conv("in groups"),
        new(2, [8, 8], [6, 6], 4)
            .stride([2, 2])
            .pad(1)
            .groups(2)
            .conv("in whole groups"),
        new(2, [5, 5], [7, 7], 3).pad(1).groups(5).conv("depthwise"),
        Sizes {
            kernel: [2, 5],
            ..new(2, [4, 8], [6, 9], 1)
        }
        .stride([2, 1])
        .pads([0, 2], [1, 2])
        .conv("k2x5"),
        Sizes {
            kernel: [1, 7],
            ..new(3, [3, 2], [1, 23], 1)
        }
        .stride([1, 4])
        .pads([0, 3], [0, 3])
        .conv("of one row"),
        new(8, [4, 4], [16, 16], 3).pad(1).conv("of many pixels"),
        new(8, [8, 1], [16, 16], 3)
            .pad(1)
            .conv("of many pixels to one channel"),
        new(2, [12, 3], [9, 8], 5)
            .pad(2)
            .conv("of many taps to colours"),
        new(2, [8, 1], [7, 9], 7)
            .pads([3, 1], [3, 4])
            .conv("of many taps to one channel"),
        new(2, [4, 8], [9, 7], 3)
            .pad(1)
            .conv("k3 of a part of a tile"),
        new(1, [8, 4], [5, 10], 3)
            .pads([2, 0], [0, 1])
            .conv("k3 with uneven pads"),
        new(2, [8, 4], [11, 14], 4)
            .stride([2, 2])
            .pad(1)
            .conv("k4 s2 with rest"),
        new(1, [4, 8], [12, 9], 4)
            .stride([2, 2])
            .pads([2, 0], [1, 2])
            .conv("k4 s2 with uneven pads"),
        new(1, [4, 8], [5, 4], 4)
            .stride([2, 2])
            .pads([0, 2], [1, 0])
            .output_padding([1, 1])
            .conv_transpose("k4 s2 with uneven pads"),
        new(2, [4, 8], [4, 4], 4)
            .stride([2, 2])
            .pad(1)
            .conv_transpose("k4 s2 p1"),
        new(2, [16, 12], [1, 1], 4).conv_transpose("of one pixel"),
        new(2, [3, 8], [5, 7], 4)
            .stride([2, 2])
            .pad(1)
            .conv_transpose("to colours"),
        new(2, [5, 7], [5, 3], 3)
            .stride([2, 2])
            .pad(1)
            .output_padding([1, 1])
            .conv_transpose("with output padding"),
        new(1, [4, 4], [4, 5], 5)
            .stride([3, 2])
            .pads([2, 1], [1, 2])
            .output_padding([2, 0])
            .conv_transpose("with uneven pads"),
        new(2, [4, 4], [3, 5], 2)
            .stride([3, 3])
            .conv_transpose("with gaps"),
        new(3, [1, 12], [5, 4], 4)
            .stride([2, 2])
            .pad(1)
            .conv_transpose("to one channel"),
        new(2, [3, 9], [4, 5], 5)
            .stride([3, 2])
            .pads([2, 1], [1, 2])
            .output_padding([2, 0])
            .conv_transpose("to three channels with uneven pads"),
        new(1, [4, 6], [5, 4], 3)
            .stride([2, 1])
            .dilation([2, 2])
            .pad(1)
            .groups(2)
            .conv_transpose("dilated in groups"),
        new(2, [8, 3], [6, 5], 3).pad(1).weight_grad("odd"),
        new(3, [8, 12], [8, 8], 4)
            .stride([2, 2])
            .pad(1)
            .weight_grad("k4 s2 p1"),
        new(3, [1, 16], [8, 8], 4)
            .stride([2, 2])
            .pad(1)
            .weight_grad("of one channel"),
        new(2, [1, 18], [7, 5], 3)
            .pad(1)
            .weight_grad("of one channel, odd"),
        new(2, [20, 1], [6, 5], 3)
            .pad(1)
            .weight_grad("of one filter"),
        new(1, [6, 4], [7, 8], 3)
            .stride([2, 2])
            .dilation([1, 2])
            .pad(1)
            .groups(2)
            .weight_grad("in groups"),
    ]
}
