//! Reductions, matrix products and convolutions.

use super::super::{Binary, ConvGeometry, Graph, NodeId, Op, Shape};
use super::{EXACT_INDICES, check_axes};
use crate::error::{Error, Result};

impl Graph {
    /// Sum over `axes`, which stay with size 1.
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("Sum", x, axes, Op::Sum)
    }

    /// Mean over `axes`, which stay with size 1.
    pub fn mean(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        let count: usize = axes
            .iter()
            .filter_map(|&axis| self.shape(x).get(axis))
            .product();
        let sum = self.sum(x, axes)?;
        // Dividing is exact where the count is; its reciprocal rarely is.
        Ok(self.binary_scalar(Binary::Div, sum, count as f32))
    }

    /// Mean of all elements, as a scalar.
    pub fn mean_all(&mut self, x: NodeId) -> Result<NodeId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        let mean = self.mean(x, &axes)?;
        self.reshape(mean, Shape::scalar())
    }

    /// Sum of all elements, as a scalar.
    pub fn sum_all(&mut self, x: NodeId) -> Result<NodeId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        let sum = self.sum(x, &axes)?;
        self.reshape(sum, Shape::scalar())
    }

    /// Largest element over `axes`, which stay with size 1.
    pub fn max(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("Max", x, axes, Op::Max)
    }

    /// Position of the first largest element within `axes`, row-major.
    pub fn argmax(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.reduce("ArgMax", x, axes, Op::ArgMax)
    }

    fn reduce(
        &mut self,
        name: &'static str,
        x: NodeId,
        axes: &[usize],
        op: fn(Vec<usize>) -> Op,
    ) -> Result<NodeId> {
        let from = self.shape(x).clone();
        check_axes(name, &from, axes)?;
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        let shape = from.reduced(&axes);
        if shape == from && name != "ArgMax" {
            return Ok(x);
        }
        if from.numel() == 0 || (name == "ArgMax" && from.numel() / shape.numel() > EXACT_INDICES) {
            return Err(Error::shape(
                name,
                format!("cannot reduce {axes:?} of {from}"),
            ));
        }
        self.checked(op(axes), &[x], shape)
    }

    /// Matrix product; `transpose_a` says that `a` is stored `[.., K, M]`, and
    /// `transpose_b` that `b` is stored `[.., N, K]`.
    pub fn matmul(
        &mut self,
        a: NodeId,
        b: NodeId,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<NodeId> {
        let (sa, sb) = (self.shape(a).clone(), self.shape(b).clone());
        let misfit = || {
            Error::shape(
                "MatMul",
                format!(
                    "{sa} (transposed: {transpose_a}) and {sb} (transposed: {transpose_b}) do not multiply"
                ),
            )
        };
        let rank = sa.rank();
        if rank != sb.rank() || !(2..=3).contains(&rank) || sa[..rank - 2] != sb[..rank - 2] {
            return Err(misfit());
        }
        let pick = |shape: &Shape, swap: bool| {
            let (rows, columns) = (shape[rank - 2], shape[rank - 1]);
            if swap {
                (columns, rows)
            } else {
                (rows, columns)
            }
        };
        let ((m, k), (k2, n)) = (pick(&sa, transpose_a), pick(&sb, transpose_b));
        if k != k2 {
            return Err(misfit());
        }
        let mut shape = sa[..rank - 2].to_vec();
        shape.extend([m, n]);
        self.checked(
            Op::MatMul {
                transpose_a,
                transpose_b,
            },
            &[a, b],
            shape,
        )
    }

    /// Cross-correlation of `[N, C, H, W]` with `[O, C/g, KH, KW]`.
    pub fn conv2d(&mut self, x: NodeId, weight: NodeId, geometry: ConvGeometry) -> Result<NodeId> {
        let (image, w) = (self.rank4("Conv2d", x)?, self.rank4("Conv2d", weight)?);
        let output = [image[0], w[0], geometry.output[0], geometry.output[1]];
        check_conv("Conv2d", image, output, w, geometry)?;
        self.checked(Op::Conv2d(geometry), &[x, weight], output)
    }

    /// Adjoint of `conv2d` for the image: `[N, O, OH, OW]` with
    /// `[O, C/g, KH, KW]` to `[N, C, H, W]`.
    pub fn conv_transpose2d(
        &mut self,
        y: NodeId,
        weight: NodeId,
        geometry: ConvGeometry,
    ) -> Result<NodeId> {
        let (output, w) = (
            self.rank4("ConvTranspose2d", y)?,
            self.rank4("ConvTranspose2d", weight)?,
        );
        let image = [
            output[0],
            w[1] * geometry.groups,
            geometry.input[0],
            geometry.input[1],
        ];
        check_conv("ConvTranspose2d", image, output, w, geometry)?;
        self.checked(Op::ConvTranspose2d(geometry), &[y, weight], image)
    }

    /// Adjoint of `conv2d` for the weight: `[N, C, H, W]` with
    /// `[N, O, OH, OW]` to `[O, C/g, KH, KW]`.
    pub fn conv_weight_grad(
        &mut self,
        x: NodeId,
        y: NodeId,
        geometry: ConvGeometry,
    ) -> Result<NodeId> {
        let (image, output) = (
            self.rank4("ConvWeightGrad", x)?,
            self.rank4("ConvWeightGrad", y)?,
        );
        let w = [
            output[1],
            image[1] / geometry.groups.max(1),
            geometry.kernel[0],
            geometry.kernel[1],
        ];
        check_conv("ConvWeightGrad", image, output, w, geometry)?;
        self.checked(Op::ConvWeightGrad(geometry), &[x, y], w)
    }
}

fn check_conv(
    op: &'static str,
    image: [usize; 4],
    output: [usize; 4],
    w: [usize; 4],
    g: ConvGeometry,
) -> Result<()> {
    let fits = g.groups > 0
        && image[0] == output[0]
        && [image[2], image[3]] == g.input
        && [output[2], output[3]] == g.output
        && [w[2], w[3]] == g.kernel
        && w[0] == output[1]
        && w[0].is_multiple_of(g.groups)
        && image[1].is_multiple_of(g.groups)
        && w[1] == image[1] / g.groups
        && g.stride
            .iter()
            .chain(&g.dilation)
            .chain(&g.kernel)
            .all(|&n| n > 0);
    if fits {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("image {image:?}, output {output:?} and weight {w:?} do not fit {g:?}"),
    ))
}
