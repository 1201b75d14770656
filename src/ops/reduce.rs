//! Sums, maxima and their places over axes, with the elementwise work in front
//! of them fused in (`shaders/reduce.wgsl`).

use std::fmt::Write;

use super::load::{Axes, Load, binding, mentioned_coordinates, mentions, push_let, shifted};
use super::{Facts, Launch, workgroups_of};
use crate::recording::Kernel;

/// What a reduction computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// Sum of the elements.
    Sum,
    /// Largest element.
    Max,
    /// Place of the first largest value, counted in the order of the reduced
    /// axes.
    ArgMax,
}

/// One value for every place of `kept`, out of all places of `reduced`.
/// Bindings: 0 the output, contiguous in the order of `kept`, then one a load.
#[derive(Clone, PartialEq, Debug)]
pub struct Reduce {
    /// The axes of the output, outermost first in memory.
    pub kept: Vec<usize>,
    /// The axes that vanish. `ArgMax` counts its places in this order; the
    /// others are fastest when it is the memory's.
    pub reduced: Vec<usize>,
    /// How each input lies along `kept` and then `reduced`.
    pub loads: Vec<Load>,
    /// WGSL statements that end by `let result = ...;`, an f32, out of the
    /// loaded values `v0`, `v1`, ... and the coordinates `i0`, `i1`, ... (u32)
    /// along `kept` and then `reduced`.
    pub body: String,
    /// How values combine.
    pub kind: Reduction,
}

/// What computes one result: a kernel, or two with a temporary between them.
#[derive(Clone, PartialEq, Debug)]
pub enum Stages {
    /// A single kernel computes it.
    One(Launch),
    /// The first writes a temporary instead of the result; the second reads it
    /// as its only input and writes the result.
    Two {
        /// from the inputs to the temporary
        first: Launch,
        /// elements of the temporary
        partial: usize,
        /// from the temporary to the result
        second: Launch,
    },
}

/// The tile of a workgroup: `columns` outputs side by side, each shared by
/// `rows` threads; both are powers of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tile {
    pub(super) columns: u32,
    /// Threads an output.
    pub(super) rows: u32,
    /// Whether neighbouring threads hold neighbouring outputs, else
    /// neighbouring reduced elements.
    pub(super) columns_adjacent: bool,
}

/// Threads that keep a large GPU busy; below it, more threads share an output.
pub(super) const BUSY: usize = 1 << 16;

impl Tile {
    /// A tile for so many outputs of so many elements each.
    pub(super) fn choose(
        outputs: usize,
        reduced: usize,
        columns_adjacent: bool,
        facts: &Facts,
    ) -> Self {
        if facts.software {
            // Barriers cost more than all they could share, so a workgroup is
            // the lanes of one vector, and each has outputs of its own.
            let columns = outputs.next_power_of_two().min(8) as u32;
            let rows = floor_power_of_two((reduced / 4).clamp(1, (8 / columns) as usize));
            return Self {
                columns,
                rows,
                columns_adjacent,
            };
        }
        // Each thread should have a few elements of its own.
        let useful = (reduced / 4).max(1);
        if columns_adjacent {
            // Eight neighbouring f32 are one sector of memory.
            let rows = BUSY.div_ceil(outputs).min(useful).min(32);
            let rows = floor_power_of_two(rows);
            let columns = (256 / rows).min(64);
            return Self {
                columns: columns.min(outputs.next_power_of_two() as u32),
                rows,
                columns_adjacent,
            };
        }
        // Neighbouring threads read neighbouring elements, so even many
        // outputs want several threads each.
        let limit = if outputs * 32 >= BUSY { 32 } else { 256 };
        let rows = floor_power_of_two(useful.min(limit));
        Self {
            columns: (64 / rows).max(1),
            rows,
            columns_adjacent,
        }
    }

    /// Threads of the workgroup.
    pub(super) fn workgroup(self) -> u32 {
        self.columns * self.rows
    }

    /// The constants that `lib/tree.wgsl` and its users share.
    pub(super) fn constants(self) -> Vec<(&'static str, u32)> {
        let (column_step, row_step) = if self.columns_adjacent {
            (1, self.columns)
        } else {
            (self.rows, 1)
        };
        vec![
            ("WORKGROUP", self.workgroup()),
            ("COLUMNS", self.columns),
            ("ROWS", self.rows),
            ("COLUMN_STEP", column_step),
            ("ROW_STEP", row_step),
            ("ROWS_MANY", u32::from(self.rows > 1)),
        ]
    }
}

fn floor_power_of_two(number: usize) -> u32 {
    1 << number.ilog2()
}

impl Reduce {
    /// The specialised kernel with its workgroups.
    pub fn launch(&self, facts: &Facts) -> Launch {
        let rank = self.kept.len();
        let split = |part: std::ops::Range<usize>, sizes: &[usize]| {
            let strides: Vec<&[usize]> = self
                .loads
                .iter()
                .map(|load| &load.strides[part.clone()])
                .collect();
            Axes::merged(sizes, &strides)
        };
        let kept = split(0..rank, &self.kept);
        let reduced = split(rank..rank + self.reduced.len(), &self.reduced);
        let outputs: usize = self.kept.iter().product();
        let count: usize = self.reduced.iter().product();

        // Follow the input with the most elements.
        let innermost = |axes: &Axes, load: usize| axes.strides[load].last().copied().unwrap_or(0);
        let adjacent = |load: usize| (innermost(&kept, load), innermost(&reduced, load));
        let columns_adjacent = (0..self.loads.len())
            .map(adjacent)
            .find(|&(_, reduced)| reduced != 0)
            .is_none_or(|(kept, reduced)| kept != 0 && kept < reduced);
        let tile = Tile::choose(outputs, count, columns_adjacent, facts);

        let (mut bases, kept_addresses) = kept.addresses("o", "k");
        let (mut loads, reduced_addresses) = reduced.addresses("r", "a");
        let mut bindings = binding(0, "read_write", "y", "f32");
        let (mut base_parameters, mut base_arguments) = (String::new(), String::new());
        for (k, load) in self.loads.iter().enumerate() {
            bindings += &binding(k + 1, "read", &format!("x{k}"), "f32");
            let base = shifted(&kept_addresses[k], load.offset);
            push_let(&mut bases, &format!("base{k}"), &base);
            let address = format!("x{k}[base{k} + {}]", reduced_addresses[k]);
            push_let(&mut loads, &format!("v{k}"), &address);
            // Writing to a String cannot fail.
            let _ = write!(base_parameters, ", base{k}: u32");
            let _ = write!(base_arguments, ", base{k}");
        }
        let coordinates = mentioned_coordinates(&self.body, "o", &self.kept, 0)
            + &mentioned_coordinates(&self.body, "r", &self.reduced, rank);

        let workgroups = workgroups_of(outputs, tile.columns);
        let mut constants = tile.constants();
        constants.push(("GRID_X", workgroups[0]));
        constants.push(("OUTPUTS", outputs as u32));
        constants.push(("REDUCED", count as u32));
        constants.push((
            match self.kind {
                Reduction::Sum => "SUM",
                Reduction::Max => "MAX",
                Reduction::ArgMax => "ARGMAX",
            },
            1,
        ));
        Launch {
            kernel: Kernel {
                file: "reduce.wgsl",
                variant: match (tile.rows, columns_adjacent) {
                    (1, _) => "thread",
                    (_, true) => "columns",
                    (_, false) => "rows",
                },
                constants,
                snippets: vec![
                    ("bindings", bindings),
                    ("base_parameters", base_parameters),
                    ("base_arguments", base_arguments),
                    ("bases", bases),
                    ("loads", loads),
                    ("body", coordinates + &self.body),
                ],
                reads_step: false,
            },
            workgroups,
        }
    }

    /// The kernel, or two where one would leave a large GPU idle.
    pub fn stages(&self, facts: &Facts) -> Stages {
        match self.split() {
            None => Stages::One(self.launch(facts)),
            Some([first, second]) => Stages::Two {
                partial: first.kept.iter().product(),
                first: first.launch(facts),
                second: second.launch(facts),
            },
        }
    }

    /// The same reduction in two kernels, where one would leave a large GPU
    /// idle: the first reduces equal parts, each to its own place of a
    /// temporary (its `kept` sizes, contiguous);
    /// the second reads them as its only input. `None` where one kernel does.
    pub fn split(&self) -> Option<[Self; 2]> {
        const MOST: usize = 256;
        let outputs: usize = self.kept.iter().product();
        let count: usize = self.reduced.iter().product();
        let coordinates = (0..self.kept.len() + self.reduced.len())
            .any(|axis| mentions(&self.body, &format!("i{axis}")));
        if self.kind == Reduction::ArgMax || coordinates || count < 1 << 14 || outputs * 64 > BUSY {
            return None;
        }
        let rank = self.kept.len();
        let tails: Vec<&[usize]> = self.loads.iter().map(|l| &l.strides[rank..]).collect();
        let axes = Axes::merged(&self.reduced, &tails);
        // Cut the axis that gives the most parts, in pieces of whole rows.
        let most = MOST.min(count / 1024).min(BUSY / 32 / outputs + 1);
        let cut = |size: usize| {
            (1..=most)
                .rev()
                .find(|parts| size.is_multiple_of(*parts))
                .unwrap_or(1)
        };
        let axis =
            (0..axes.sizes.len()).max_by_key(|&axis| (cut(axes.sizes[axis]), usize::MAX - axis))?;
        let parts = cut(axes.sizes[axis]);
        if parts < 4 {
            return None;
        }
        let piece = axes.sizes[axis] / parts;
        let mut reduced = axes.sizes.clone();
        reduced[axis] = piece;
        let loads = self.loads.iter().zip(&axes.strides).map(|(load, tail)| {
            let mut strides = vec![tail[axis] * piece];
            strides.extend_from_slice(&load.strides[..rank]);
            strides.extend_from_slice(tail);
            Load {
                strides,
                offset: load.offset,
            }
        });
        let mut kept = vec![parts];
        kept.extend_from_slice(&self.kept);
        let mut strides = Load::contiguous(&self.kept).strides;
        strides.push(outputs);
        let first = Self {
            kept,
            reduced,
            loads: loads.collect(),
            body: self.body.clone(),
            kind: self.kind,
        };
        let second = Self {
            kept: self.kept.clone(),
            reduced: vec![parts],
            loads: vec![Load { strides, offset: 0 }],
            body: "    let result = v0;\n".to_owned(),
            kind: self.kind,
        };
        Some([first, second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::validate::validate;

    fn over(kept: &[usize], reduced: &[usize], strides: &[usize], kind: Reduction) -> Reduce {
        Reduce {
            kept: kept.to_vec(),
            reduced: reduced.to_vec(),
            loads: vec![Load {
                strides: strides.to_vec(),
                offset: 0,
            }],
            body: "    let result = v0 * v0;\n".to_owned(),
            kind,
        }
    }

    #[test]
    fn every_variant_makes_a_valid_shader() {
        for kind in [Reduction::Sum, Reduction::Max, Reduction::ArgMax] {
            for (kept, reduced, strides, variant) in [
                (&[5][..], &[3][..], &[3, 1][..], "thread"),
                (&[], &[1000, 1000], &[1000, 1], "rows"),
                (&[64], &[4096], &[1, 64], "columns"),
                (&[32, 10], &[7, 9], &[630, 63, 9, 1], "rows"),
                (&[1 << 20], &[9], &[1, 1 << 20], "thread"),
            ] {
                let launch = over(kept, reduced, strides, kind).launch(&Facts::CARD);
                assert_eq!(launch.kernel.variant, variant, "{kept:?} {reduced:?}");
                validate(&launch);
                validate(&over(kept, reduced, strides, kind).launch(&Facts::SOFTWARE));
            }
        }
        let mut places = over(&[3], &[5], &[5, 1], Reduction::Sum);
        places.body = "    let result = v0 * f32(i1) + f32(i0);\n".to_owned();
        validate(&places.launch(&Facts::CARD));
    }

    #[test]
    fn tiles_fit_a_workgroup() {
        for outputs in [1, 2, 3, 64, 100, 1000, 1 << 16, 1 << 22] {
            for reduced in [1, 2, 9, 63, 1000, 1 << 20] {
                for adjacent in [false, true] {
                    for (facts, most) in [(Facts::CARD, 256), (Facts::SOFTWARE, 8)] {
                        let tile = Tile::choose(outputs, reduced, adjacent, &facts);
                        assert!((1..=most).contains(&tile.workgroup()), "{tile:?}");
                        assert!(tile.rows.is_power_of_two() && tile.columns.is_power_of_two());
                    }
                }
            }
        }
    }

    #[test]
    fn large_reductions_split_into_equal_parts() {
        let full = over(&[], &[64, 3, 64, 64], &[12288, 4096, 64, 1], Reduction::Sum);
        let [first, second] = full.split().unwrap();
        assert_eq!(first.kept, [256]);
        assert_eq!(first.reduced, [3072]);
        assert_eq!(first.loads[0].strides, [3072, 1]);
        assert_eq!(second.reduced, [256]);
        assert_eq!(second.loads[0].strides, [1]);
        validate(&first.launch(&Facts::CARD));
        validate(&second.launch(&Facts::CARD));
        let bias = over(&[64], &[65536], &[1, 64], Reduction::Sum);
        let [first, second] = bias.split().unwrap();
        assert_eq!(first.kept[1..], [64]);
        assert_eq!(first.kept[0] * first.reduced[0], 65536);
        assert_eq!(second.loads[0].strides, [1, 64]);
        assert!(over(&[], &[100], &[1], Reduction::Sum).split().is_none());
        assert!(
            over(&[], &[1 << 20], &[1], Reduction::ArgMax)
                .split()
                .is_none()
        );
    }
}
