//! Statistics per channel for batch normalisation (`shaders/norm.wgsl`).
//! Normalising itself is a [`Map`](super::map::Map).

use super::load::Axes;
use super::reduce::{BUSY, Reduce, Reduction, Stages, Tile};
use super::{Facts, Launch, Load, workgroups_of};
use crate::recording::Kernel;

/// Sizes of a tensor `[batch, channels, pixels]`; what lies behind the channel
/// axis counts as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channels {
    /// Elements along the first axis.
    pub batch: usize,
    /// Elements along the second.
    pub channels: usize,
    /// Elements of the rest.
    pub pixels: usize,
}

/// Mean and biased variance per channel, `[2, C]`. Bindings: 0 the output, 1 x.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelStats {
    /// Sizes of x.
    pub sizes: Channels,
    /// Strides of x along them.
    pub x: [usize; 3],
}

/// `[sum of g, sum of g (x - mean)]` per channel, `[2, C]`. Bindings: 0 the
/// output, 1 g, 2 x, 3 the statistics of x.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelDot {
    /// Sizes of g and x.
    pub sizes: Channels,
    /// Strides of g along them.
    pub g: [usize; 3],
    /// Strides of x along them.
    pub x: [usize; 3],
}

impl ChannelStats {
    /// The specialised kernels with their workgroups.
    pub fn stages(&self, facts: &Facts) -> Stages {
        let plan = Plan::new(self.sizes, self.x, self.x, facts);
        let first = plan.launch("STATS");
        if plan.chunks == 1 {
            return Stages::One(first);
        }
        let workgroups = workgroups_of(plan.channels, 64);
        let mut constants = plan.sizes();
        constants.extend([("MERGE", 1), ("WORKGROUP", 64), ("GRID_X", workgroups[0])]);
        Stages::Two {
            first,
            partial: plan.chunks * 2 * plan.channels,
            second: Launch {
                kernel: Kernel {
                    file: "norm.wgsl",
                    variant: "merge",
                    constants,
                    snippets: Vec::new(),
                    reads_step: false,
                },
                workgroups,
            },
        }
    }
}

impl ChannelDot {
    /// The specialised kernels with their workgroups.
    pub fn stages(&self, facts: &Facts) -> Stages {
        let plan = Plan::new(self.sizes, self.x, self.g, facts);
        let first = plan.launch("DOT");
        if plan.chunks == 1 {
            return Stages::One(first);
        }
        let width = 2 * plan.channels;
        let sum = Reduce {
            kept: vec![width],
            reduced: vec![plan.chunks],
            loads: vec![Load {
                strides: vec![1, width],
                offset: 0,
            }],
            body: "    let result = v0;\n".to_owned(),
            kind: Reduction::Sum,
        };
        Stages::Two {
            first,
            partial: plan.chunks * width,
            second: sum.launch(facts),
        }
    }
}

/// How the work on all channels is cut up.
struct Plan {
    channels: usize,
    /// Elements of one channel.
    count: usize,
    /// Chunks a channel is cut into, and the elements of each but the last.
    chunks: usize,
    chunk: usize,
    tile: Tile,
    /// The batch and pixel axes, merged where both tensors allow it; x first.
    axes: Axes,
    channel_strides: [usize; 2],
}

impl Plan {
    fn new(sizes: Channels, x: [usize; 3], g: [usize; 3], facts: &Facts) -> Self {
        const MOST_CHUNKS: usize = 64;
        let Channels {
            batch,
            channels,
            pixels,
        } = sizes;
        let axes = Axes::merged(&[batch, pixels], &[&[x[0], x[2]], &[g[0], g[2]]]);
        let count = batch * pixels;
        let innermost = axes.strides[0].last().copied().unwrap_or(usize::MAX);
        let tile = Tile::choose(channels, count, channels > 1 && x[1] < innermost, facts);
        let rows = tile.rows as usize;
        // Enough chunks to fill a GPU, none shorter than 8 elements a thread.
        let chunks = (BUSY / (channels * rows))
            .min(count / (8 * rows))
            .clamp(1, MOST_CHUNKS);
        let chunk = count.div_ceil(chunks);
        Self {
            channels,
            count,
            chunks: count.div_ceil(chunk),
            chunk,
            tile,
            axes,
            channel_strides: [x[1], g[1]],
        }
    }

    fn sizes(&self) -> Vec<(&'static str, u32)> {
        vec![
            ("CHANNELS", self.channels as u32),
            ("COUNT", self.count as u32),
            ("CHUNKS", self.chunks as u32),
            ("CHUNKS_MANY", u32::from(self.chunks > 1)),
            ("CHUNK", self.chunk as u32),
        ]
    }

    fn launch(&self, what: &'static str) -> Launch {
        let groups = self.channels.div_ceil(self.tile.columns as usize);
        let workgroups = workgroups_of(groups * self.chunks, 1);
        let mut constants = self.tile.constants();
        constants.extend(self.sizes());
        constants.extend([
            (what, 1),
            ("GROUPS", groups as u32),
            ("GRID_X", workgroups[0]),
        ]);
        let planes = self.axes.sizes.len() == 2;
        if planes {
            constants.extend([("PLANES", 1), ("PIXELS", self.axes.sizes[1] as u32)]);
        }
        let names = [
            ["X_BATCH", "X_CHANNEL", "X_PIXEL"],
            ["G_BATCH", "G_CHANNEL", "G_PIXEL"],
        ];
        for (tensor, [batch, channel, pixel]) in names.into_iter().enumerate() {
            let strides = &self.axes.strides[tensor];
            let inner = strides.last().copied().unwrap_or(0);
            constants.push((channel, self.channel_strides[tensor] as u32));
            constants.push((pixel, inner as u32));
            if planes {
                constants.push((batch, strides[0] as u32));
            }
        }
        Launch {
            kernel: Kernel {
                file: "norm.wgsl",
                variant: if self.tile.columns_adjacent {
                    "columns"
                } else {
                    "rows"
                },
                constants,
                snippets: Vec::new(),
                reads_step: false,
            },
            workgroups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::validate::validate;

    fn check(stages: &Stages) -> usize {
        match stages {
            Stages::One(launch) => {
                validate(launch);
                1
            }
            Stages::Two { first, second, .. } => {
                validate(first);
                validate(second);
                2
            }
        }
    }

    #[test]
    fn every_layout_makes_valid_shaders() {
        for (batch, channels, pixels) in [(3, 5, 7), (64, 64, 1024), (128, 100, 1), (2, 512, 9)] {
            let sizes = Channels {
                batch,
                channels,
                pixels,
            };
            let nchw = [channels * pixels, pixels, 1];
            let nhwc = [channels * pixels, 1, channels];
            for x in [nchw, nhwc] {
                let large = batch * pixels > 10_000;
                let stats = ChannelStats { sizes, x };
                assert_eq!(
                    check(&stats.stages(&Facts::CARD)),
                    if large { 2 } else { 1 }
                );
                check(&stats.stages(&Facts::SOFTWARE));
                for g in [nchw, nhwc] {
                    let dot = ChannelDot { sizes, g, x };
                    assert_eq!(check(&dot.stages(&Facts::CARD)), if large { 2 } else { 1 });
                    check(&dot.stages(&Facts::SOFTWARE));
                }
            }
        }
    }

    #[test]
    fn chunks_cover_every_element_once() {
        for count in [1, 31, 4097, 65536, 100_003] {
            let sizes = Channels {
                batch: count,
                channels: 3,
                pixels: 1,
            };
            for facts in [Facts::CARD, Facts::SOFTWARE] {
                let plan = Plan::new(sizes, [3, 1, 0], [3, 1, 0], &facts);
                assert!(plan.chunks * plan.chunk >= count);
                assert!((plan.chunks - 1) * plan.chunk < count);
            }
        }
    }
}
