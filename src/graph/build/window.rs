//! Pooling, upsampling and resizing.

use super::super::{Graph, NodeId, Op, Window};
use super::EXACT_INDICES;
use crate::error::{Error, Result};

impl Graph {
    /// Sum over each window.
    pub fn sum_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("SumPool", x, window.input, window.output)?;
        self.checked(Op::SumPool(window), &[x], shape)
    }

    /// Adjoint of `sum_pool`.
    pub fn sum_unpool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("SumUnpool", x, window.output, window.input)?;
        self.checked(Op::SumUnpool(window), &[x], shape)
    }

    /// Mean over each window; cells outside the image count as zeros.
    pub fn avg_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let sum = self.sum_pool(x, window)?;
        Ok(self.scale(sum, 1.0 / (window.kernel[0] * window.kernel[1]) as f32))
    }

    /// Mean over the cells of each window that lie inside the image (PyTorch's
    /// `count_include_pad=False`).
    pub fn avg_pool_inside(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let sum = self.sum_pool(x, window)?;
        let [h, w] = window.input;
        let ones = self.constant(1.0, [1, 1, h, w]);
        let cells = self.sum_pool(ones, window)?;
        self.div(sum, cells)
    }

    /// Repeats each cell `factor` times along both image axes.
    pub fn upsample_nearest(&mut self, x: NodeId, factor: [usize; 2]) -> Result<NodeId> {
        let [_, _, h, w] = self.rank4("SumUnpool", x)?;
        self.sum_unpool(x, Window::tiles([h * factor[0], w * factor[1]], factor))
    }

    /// Position `h * W + w` of the first largest cell of each window.
    pub fn max_pool_index(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("MaxPoolIndex", x, window.input, window.output)?;
        if window.input[0] * window.input[1] > EXACT_INDICES
            || window.pad[0] >= window.kernel[0]
            || window.pad[1] >= window.kernel[1]
        {
            return Err(Error::shape(
                "MaxPoolIndex",
                format!("{window:?} has empty windows or too large an image"),
            ));
        }
        self.checked(Op::MaxPoolIndex(window), &[x], shape)
    }

    /// Largest cell of each window.
    pub fn max_pool(&mut self, x: NodeId, window: Window) -> Result<NodeId> {
        let index = self.max_pool_index(x, window)?;
        self.pool_gather(x, index, window)
    }

    /// Cells of `x` at the positions of `max_pool_index`.
    pub fn pool_gather(&mut self, x: NodeId, index: NodeId, window: Window) -> Result<NodeId> {
        let shape = self.window_shape("PoolGather", x, window.input, window.output)?;
        if self.shape(index)[..] != shape {
            return Err(Error::shape(
                "PoolGather",
                format!("index {} is not {shape:?}", self.shape(index)),
            ));
        }
        self.checked(Op::PoolGather(window), &[x, index], shape)
    }

    /// Adjoint of `pool_gather`.
    pub fn pool_scatter(
        &mut self,
        updates: NodeId,
        index: NodeId,
        window: Window,
    ) -> Result<NodeId> {
        let shape = self.window_shape("PoolScatter", updates, window.output, window.input)?;
        if self.shape(index) != self.shape(updates) {
            return Err(Error::shape(
                "PoolScatter",
                format!(
                    "index {} and updates {} differ",
                    self.shape(index),
                    self.shape(updates)
                ),
            ));
        }
        self.checked(Op::PoolScatter(window), &[updates, index], shape)
    }

    /// Bilinear resize of the image axes to `size`.
    pub fn resize_bilinear(&mut self, x: NodeId, size: [usize; 2]) -> Result<NodeId> {
        let [n, c, h, w] = self.rank4("ResizeBilinear", x)?;
        if [h, w] == size {
            return Ok(x);
        }
        self.checked(Op::ResizeBilinear, &[x], [n, c, size[0], size[1]])
    }

    /// Adjoint of `resize_bilinear` of an image of `size`.
    pub fn resize_bilinear_adjoint(&mut self, y: NodeId, size: [usize; 2]) -> Result<NodeId> {
        let [n, c, h, w] = self.rank4("ResizeBilinearAdjoint", y)?;
        if [h, w] == size {
            return Ok(y);
        }
        self.checked(Op::ResizeBilinearAdjoint, &[y], [n, c, size[0], size[1]])
    }
}
