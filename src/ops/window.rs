//! Pooling windows and bilinear resizing of images (`shaders/window.wgsl`,
//! `shaders/resize.wgsl`).

use super::load::{Load, address, place};
use super::{Launch, workgroups_of};
use crate::graph::Window;
use crate::recording::Kernel;

const WORKGROUP: u32 = 64;

/// Cells along a side of the largest window whose sum is not a loop.
const LARGEST_UNROLLED: usize = 4;

/// The window operations of [`graph::Op`](crate::graph::Op).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pooling {
    /// Sum over each window, of (x).
    SumPool,
    /// Its adjoint, of (x).
    SumUnpool,
    /// Place `h * W + w` of the first largest cell, of (x).
    MaxPoolIndex,
    /// The cells at given places, of (x, index).
    PoolGather,
    /// Its adjoint, of (updates, index).
    PoolScatter,
}

/// A pooling kernel. Bindings: 0 the output, 1 x, 2 the index where there is
/// one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// What is computed.
    pub pooling: Pooling,
    /// Size, stride and padding of the windows.
    pub window: Window,
    /// Images of the batch, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// Strides of x along N, C, H, W (or OH, OW).
    pub x: [usize; 4],
    /// Strides of the index along N, C, OH, OW; any where there is none.
    pub index: [usize; 4],
    /// Strides of the output; its elements lie without gaps.
    pub y: [usize; 4],
}

impl Pool {
    /// The specialised kernel with its workgroups.
    pub fn launch(&self) -> Launch {
        use Pooling::{MaxPoolIndex, PoolGather, PoolScatter, SumPool, SumUnpool};
        let (name, variant) = match self.pooling {
            SumPool => ("SUM_POOL", "sum_pool"),
            SumUnpool => ("SUM_UNPOOL", "sum_unpool"),
            MaxPoolIndex => ("MAX_POOL_INDEX", "max_pool_index"),
            PoolGather => ("POOL_GATHER", "pool_gather"),
            PoolScatter => ("POOL_SCATTER", "pool_scatter"),
        };
        let indexed = matches!(self.pooling, PoolGather | PoolScatter);
        let window = self.window;
        let to_image = matches!(self.pooling, SumUnpool | PoolScatter);
        let size = if to_image {
            window.input
        } else {
            window.output
        };
        let mut constants = vec![
            (name, 1),
            ("INDEXED", u32::from(indexed)),
            ("INDEX_H", self.index[2] as u32),
            ("INDEX_W", self.index[3] as u32),
        ];
        let named = [
            (["IMAGE_H", "IMAGE_W"], window.input),
            (["COUNT_H", "COUNT_W"], window.output),
            (["KERNEL_H", "KERNEL_W"], window.kernel),
            (["STRIDE_H", "STRIDE_W"], window.stride),
            (["PAD_H", "PAD_W"], window.pad),
        ];
        for (names, values) in named {
            constants.extend([(names[0], values[0] as u32), (names[1], values[1] as u32)]);
        }
        // Large windows stay loops, which are shorter to compile.
        let covered = (0..2).all(|axis| {
            let (kernel, count) = (window.kernel[axis], window.output[axis]);
            kernel == window.stride[axis]
                && window.pad[axis] == 0
                && window.input[axis] == kernel * count
                && kernel <= LARGEST_UNROLLED
        });
        let quads = self.quads();
        constants.extend([
            ("DISJOINT", u32::from(covered)),
            ("QUADS", u32::from(quads)),
        ]);
        let in_quads = |[n, c, h, w]: [usize; 4]| match quads {
            true => [n / 4, c, h / 4, w / 4],
            false => [n, c, h, w],
        };
        let channels = if quads {
            self.channels / 4
        } else {
            self.channels
        };
        let mut launch = image_launch(
            "window.wgsl",
            variant,
            [self.batch, channels, size[0], size[1]],
            in_quads(self.x),
            in_quads(self.y),
            constants,
        );
        if indexed {
            launch
                .kernel
                .snippets
                .push(("index_base", plane_address(self.index)));
        }
        launch
    }
}

impl Pool {
    /// Whether four channels lie together wherever a thread is, and are treated alike.
    fn quads(&self) -> bool {
        let alike = matches!(self.pooling, Pooling::SumPool | Pooling::SumUnpool);
        let together = |[n, c, h, w]: [usize; 4]| c == 1 && [n, h, w].iter().all(|s| s % 4 == 0);
        alike && self.channels.is_multiple_of(4) && together(self.x) && together(self.y)
    }
}

/// Bilinear resize from `image` to `resized`, or its adjoint from `resized` to
/// `image`. Bindings: 0 the output, 1 x.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resize {
    /// Whether gradients flow back.
    pub adjoint: bool,
    /// Images of the batch, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// `[H, W]` before the resize.
    pub image: [usize; 2],
    /// `[H, W]` after it.
    pub resized: [usize; 2],
    /// Strides of what is read along N, C, H, W.
    pub x: [usize; 4],
    /// Strides of the output; its elements lie without gaps.
    pub y: [usize; 4],
}

impl Resize {
    /// The specialised kernel with its workgroups.
    pub fn launch(&self) -> Launch {
        let size = if self.adjoint {
            self.image
        } else {
            self.resized
        };
        image_launch(
            "resize.wgsl",
            if self.adjoint { "adjoint" } else { "bilinear" },
            [self.batch, self.channels, size[0], size[1]],
            self.x,
            self.y,
            vec![
                ("ADJOINT", u32::from(self.adjoint)),
                ("IMAGE_H", self.image[0] as u32),
                ("IMAGE_W", self.image[1] as u32),
                ("RESIZED_H", self.resized[0] as u32),
                ("RESIZED_W", self.resized[1] as u32),
            ],
        )
    }
}

/// One thread an element of a `[N, C, H, W]` output in the order of its memory.
fn image_launch(
    file: &'static str,
    variant: &'static str,
    sizes: [usize; 4],
    x: [usize; 4],
    y: [usize; 4],
    mut constants: Vec<(&'static str, u32)>,
) -> Launch {
    const NAMES: [&str; 4] = ["n", "c", "h", "w"];
    let count: usize = sizes.iter().product();
    let workgroups = workgroups_of(count, WORKGROUP);
    constants.extend([
        ("WORKGROUP", WORKGROUP),
        ("GRID_X", workgroups[0]),
        ("COUNT", count as u32),
        ("X_H", x[2] as u32),
        ("X_W", x[3] as u32),
    ]);
    Launch {
        kernel: Kernel {
            file,
            variant,
            constants,
            snippets: vec![
                ("place", place(&NAMES, &sizes, &y)),
                ("x_base", plane_address(x)),
                ("y_address", address(&NAMES, &whole(&y))),
            ],
            reads_step: false,
        },
        workgroups,
    }
}

fn whole(strides: &[usize]) -> Load {
    Load {
        strides: strides.to_vec(),
        offset: 0,
    }
}

/// WGSL: the address of cell (0, 0) of plane (n, c).
fn plane_address(strides: [usize; 4]) -> String {
    address(&["n", "c"], &whole(&strides[..2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;
    use crate::ops::validate::validate;

    fn strides(sizes: [usize; 4], channels_last: bool) -> [usize; 4] {
        let order = if channels_last {
            [0, 2, 3, 1]
        } else {
            [0, 1, 2, 3]
        };
        let strides = Shape::from(sizes).strides_in(&order);
        [strides[0], strides[1], strides[2], strides[3]]
    }

    #[test]
    fn every_pooling_makes_a_valid_shader() {
        let window = Window {
            input: [7, 5],
            output: [4, 3],
            kernel: [3, 3],
            stride: [2, 2],
            pad: [1, 1],
        };
        let tiles = Window::tiles([8, 6], [2, 3]);
        for (window, channels) in [(window, 3), (window, 4), (tiles, 3), (tiles, 4)] {
            let image = [2, channels, window.input[0], window.input[1]];
            let small = [2, channels, window.output[0], window.output[1]];
            for pooling in [
                Pooling::SumPool,
                Pooling::SumUnpool,
                Pooling::MaxPoolIndex,
                Pooling::PoolGather,
                Pooling::PoolScatter,
            ] {
                let to_image = matches!(pooling, Pooling::SumUnpool | Pooling::PoolScatter);
                let (from, to) = if to_image {
                    (small, image)
                } else {
                    (image, small)
                };
                for last in [false, true] {
                    let pool = Pool {
                        pooling,
                        window,
                        batch: 2,
                        channels,
                        x: strides(from, last),
                        index: strides(small, !last),
                        y: strides(to, last),
                    };
                    validate(&pool.launch());
                }
            }
        }
    }

    #[test]
    fn resizing_makes_valid_shaders() {
        for adjoint in [false, true] {
            let resize = Resize {
                adjoint,
                batch: 1,
                channels: 3,
                image: [5, 7],
                resized: [11, 3],
                x: strides([1, 3, 5, 7], true),
                y: strides([1, 3, 11, 3], true),
            };
            validate(&resize.launch());
        }
    }
}
