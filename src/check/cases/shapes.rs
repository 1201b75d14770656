//! The shapes of real networks, for benchmarks; checked at a smaller size.

use super::contraction::misfit;
use crate::check::{Case, Family};
use crate::error::Result;
use crate::graph::{ConvGeometry, Graph, NodeId, Scalar, Unary};

/// At which size a case of a real network is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// As in the network.
    Real,
    /// A batch or side small enough for the f64 loops; channels, kernels and
    /// strides are those of the network, so that the same variants run.
    Small,
    /// As small, and with few channels: for what is the same on all variants.
    Tiny,
}

impl Size {
    fn pick(self, real: usize, small: usize) -> usize {
        match self {
            Self::Real => real,
            Self::Small | Self::Tiny => small,
        }
    }

    /// Other numbers of channels stay other ones.
    fn channels<const N: usize>(self, real: [usize; N]) -> [usize; N] {
        match self {
            Self::Real | Self::Small => real,
            Self::Tiny => real.map(|count| count.div_ceil(32)),
        }
    }
}

/// Shapes that networks of image GANs are made of. Images lie channels-last, as
/// between the layers of a plan; results leave the case so, too.
pub fn shapes(size: Size) -> Vec<Case> {
    let batch = size.pick(64, 2);
    let side = |real| size.pick(real, 6);
    let mut cases = vec![
        product("matmul 512^3", [side(512); 3]),
        product("matmul 1024^3", [side(1024); 3]),
        product(
            "matmul tall 4096x100x1024",
            [size.pick(4096, 40), side(1024), 100],
        ),
        product("matmul skinny 64x8192x1", [64, 1, size.pick(8192, 300)]),
    ];
    // Kernel, stride and pad; channels; side, and the one that is checked.
    let convolutions = [
        ([4, 2, 1], [64, 128], [16, 6]),
        ([4, 2, 1], [1, 64], [32, 6]),
        ([3, 1, 1], [64, 64], [16, 6]),
        ([4, 2, 1], [128, 256], [8, 6]),
        ([3, 1, 1], [256, 256], [8, 4]),
        ([5, 2, 2], [64, 128], [16, 6]),
    ];
    cases.extend(convolutions.map(|(square, channels, [real, small])| {
        let ([kernel, stride, pad], [from, to]) = (square, channels);
        let name = format!("conv k{kernel}s{stride}p{pad} {from}->{to} at {real}x{real}");
        let side = size.pick(real, small);
        conv(&name, batch, size.channels(channels), side, square)
    }));
    cases.extend([
        transposed(
            "conv_transpose k4s2p1 128->64 at 8x8",
            batch,
            size.channels([128, 64]),
            side(8),
        ),
        transposed(
            "conv_transpose k4s2p1 64->1 at 16x16",
            batch,
            size.channels([64, 1]),
            side(16),
        ),
        normalization("batch norm 64 at 16x16", [batch, side(16), side(16), 64]),
        Case::new(Family::Fusion, "bias, leaky ReLU and residual", |g, x| {
            let shape = g.shape(x[0]).clone();
            let bias = g.broadcast(x[1], shape)?;
            let sum = g.add(x[0], bias)?;
            let active = g.unary(Unary::LeakyRelu(Scalar(0.2)), sum);
            g.add(active, x[2])
        })
        .normal([batch, side(16), side(16), 64])
        .normal([1, 1, 1, 64])
        .normal([batch, side(16), side(16), 64]),
        Case::new(Family::Reduction, "sum of all", |g, x| {
            g.sum(x[0], &[0, 1, 2, 3])
        })
        .normal([batch, side(16), side(16), 64]),
        Case::new(Family::Reduction, "sum of each image", |g, x| {
            g.sum(x[0], &[1, 2, 3])
        })
        .normal([batch, side(16), side(16), 64]),
    ]);
    cases
}

/// `[m, k]` by `[k, n]`.
fn product(name: &str, [m, n, k]: [usize; 3]) -> Case {
    Case::new(Family::MatMul, name, |g, x| {
        g.matmul(x[0], x[1], false, false)
    })
    .normal([m, k])
    .normal([k, n])
}

/// Channels-last to NCHW or, by the other order, back.
const TO_NCHW: [usize; 4] = [0, 3, 1, 2];
const TO_NHWC: [usize; 4] = [0, 2, 3, 1];

fn conv(
    name: &str,
    batch: usize,
    [from, to]: [usize; 2],
    side: usize,
    [kernel, stride, pad]: [usize; 3],
) -> Case {
    let build = move |g: &mut Graph, x: &[NodeId]| -> Result<NodeId> {
        let image = g.permute(x[0], &TO_NCHW)?;
        let geometry = ConvGeometry::forward(
            [side; 2],
            [kernel; 2],
            [stride; 2],
            [1; 2],
            [[pad; 2]; 2],
            1,
        )
        .ok_or_else(misfit)?;
        let y = g.conv2d(image, x[1], geometry)?;
        g.permute(y, &TO_NHWC)
    };
    Case::new(Family::Convolution, name, build)
        .normal([batch, side, side, from])
        .normal([to, from, kernel, kernel])
}

fn transposed(name: &str, batch: usize, [from, to]: [usize; 2], side: usize) -> Case {
    let build = move |g: &mut Graph, x: &[NodeId]| -> Result<NodeId> {
        let image = g.permute(x[0], &TO_NCHW)?;
        let geometry = ConvGeometry::forward([2 * side; 2], [4; 2], [2; 2], [1; 2], [[1; 2]; 2], 1)
            .ok_or_else(misfit)?;
        let y = g.conv_transpose2d(image, x[1], geometry)?;
        g.permute(y, &TO_NHWC)
    };
    Case::new(Family::Convolution, name, build)
        .normal([batch, side, side, from])
        .normal([from, to, 4, 4])
}

fn normalization(name: &str, shape: [usize; 4]) -> Case {
    let channels = shape[3];
    Case::new(Family::Normalization, name, |g, x| {
        let image = g.permute(x[0], &TO_NCHW)?;
        let y = g.batch_norm(image, x[1], x[2], 1e-5)?;
        g.permute(y, &TO_NHWC)
    })
    .normal(shape)
    .normal([channels])
    .normal([channels])
}
