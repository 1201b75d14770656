//! Picking and adding by index, and borders (`shaders/index.wgsl`,
//! `shaders/order.wgsl`, `shaders/pad.wgsl`). Parts of a concatenation are maps into a slice of the
//! output: [`Map::stored`](super::map::Map::stored).

use std::fmt::Write;

use super::load::{Load, address, place};
use super::{Facts, Launch, Rung, workgroups_of};
use crate::graph::PadMode;
use crate::recording::Kernel;

const WORKGROUP: u32 = 64;

/// Names of the coordinates, of which a tensor has at most 6.
const NAMES: [&str; 6] = ["i0", "i1", "i2", "i3", "i4", "i5"];

/// `Gather` and `ScatterAdd` along an axis. Bindings: 0 the output, 1 x (or the
/// updates), 2 the index. Strides are along the logical axes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Indexed {
    /// Whether this is `ScatterAdd`.
    pub scatter: bool,
    /// The axis along which the index counts.
    pub axis: usize,
    /// Sizes of the output.
    pub shape: Vec<usize>,
    /// Size along the axis of x for a gather, of the index for a scatter.
    pub size: usize,
    /// How x lies.
    pub x: Load,
    /// How the index lies.
    pub index: Load,
    /// Strides of the output; its elements lie without gaps.
    pub y: Vec<usize>,
}

impl Indexed {
    /// The order of the index for a scatter of so many places that looking at
    /// all of them for every element of the output takes longer.
    pub fn order(&self, facts: &Facts) -> Option<Order> {
        let order = Order::new(self);
        let outputs: usize = self.shape.iter().product();
        let pays = match facts.rung {
            Rung::Best | Rung::Winograd(_) => {
                order.loads(outputs) < outputs.saturating_mul(self.size)
            }
            Rung::Plain => false,
            Rung::Tiled(_) => true,
        };
        (self.scatter && pays).then_some(order)
    }

    /// The kernel. With an order of the index, which [`Indexed::order`] may
    /// give and its own launches compute, it is bound behind the index.
    pub fn launch(&self, order: Option<&Order>) -> Launch {
        // The shaders add the step along the axis themselves.
        let base = |load: &Load| {
            let mut load = load.clone();
            load.strides[self.axis] = 0;
            address(&NAMES, &load)
        };
        let mut launch = element_launch("index.wgsl", &self.shape, &self.y);
        let kernel = &mut launch.kernel;
        kernel.variant = match (self.scatter, order) {
            (false, _) => "gather",
            (true, None) => "scatter",
            (true, Some(_)) => "sorted",
        };
        kernel.constants.extend([
            ("SCATTER", u32::from(self.scatter)),
            ("X_AXIS", self.x.strides[self.axis] as u32),
            ("INDEX_AXIS", self.index.strides[self.axis] as u32),
            (
                if self.scatter { "INDEX_SIZE" } else { "X_SIZE" },
                self.size as u32,
            ),
        ]);
        kernel.snippets.extend([
            ("x_base", base(&self.x)),
            ("index_base", base(&self.index)),
            ("axis", NAMES[self.axis].to_owned()),
        ]);
        if let Some(order) = order {
            kernel.constants.push(("SORTED", 1));
            let lines = Load {
                strides: order.strides.clone(),
                offset: 0,
            };
            kernel.snippets.push(("order_base", base(&lines)));
        }
        launch
    }
}

/// Places that are sorted by looking at all of them.
const RUN: usize = 32;

/// The places of an index along its axis, sorted by what they hold; equal ones
/// keep their order. Lines that a stretched index repeats are sorted once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    axis: usize,
    /// Sizes of what is sorted; 1 where the index repeats.
    shape: Vec<usize>,
    /// Size of the axis that the index counts along.
    outside: usize,
    index: Load,
    /// Of the order: the places of a line lie side by side.
    strides: Vec<usize>,
}

impl Order {
    fn new(scatter: &Indexed) -> Self {
        let (axis, index) = (scatter.axis, scatter.index.clone());
        let mut shape = scatter.shape.clone();
        shape[axis] = scatter.size;
        for (size, &stride) in shape.iter_mut().zip(&index.strides) {
            // An axis along which the index repeats needs no lines of its own.
            *size = if stride == 0 { 1 } else { *size };
        }
        shape[axis] = scatter.size;
        let mut strides = vec![0; shape.len()];
        let mut step = 1;
        let others = (0..shape.len()).rev().filter(|&other| other != axis);
        for sorted in std::iter::once(axis).chain(others) {
            strides[sorted] = if shape[sorted] == 1 { 0 } else { step };
            step *= shape[sorted];
        }
        Self {
            axis,
            outside: scatter.shape[axis],
            shape,
            index,
            strides,
        }
    }

    /// Number of places.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// What every launch but the first reads of the one before it is all that
    /// one wrote. Bindings: 0 the order, 1 the index, then the order so far.
    pub fn launches(&self) -> Vec<Launch> {
        let mut launches = vec![self.launch(RUN, false)];
        let mut run = RUN;
        while run < self.shape[self.axis] {
            launches.push(self.launch(run, true));
            run *= 2;
        }
        launches
    }

    fn launch(&self, run: usize, merge: bool) -> Launch {
        let mut launch = element_launch("order.wgsl", &self.shape, &self.strides);
        let mut lines = self.index.clone();
        lines.strides[self.axis] = 0;
        let kernel = &mut launch.kernel;
        kernel.variant = if merge { "merge" } else { "runs" };
        kernel.constants.extend([
            ("MERGE", u32::from(merge)),
            ("RUN", run as u32),
            ("SIZE", self.shape[self.axis] as u32),
            ("OUTSIDE", self.outside as u32),
            ("INDEX_AXIS", self.index.strides[self.axis] as u32),
        ]);
        kernel.snippets.extend([
            ("index_base", address(&NAMES, &lines)),
            ("axis", NAMES[self.axis].to_owned()),
        ]);
        launch
    }

    /// About how many numbers sorting and `outputs` searches load.
    fn loads(&self, outputs: usize) -> usize {
        let size = self.shape[self.axis];
        let halvings = size.next_power_of_two().ilog2() as usize;
        let merges = size.div_ceil(RUN).next_power_of_two().ilog2() as usize;
        self.count() * (RUN + 2 * merges * halvings) + outputs * 2 * halvings.max(RUN)
    }
}

/// `Pad` and `PadFold`. Bindings: 0 the output, 1 x. Strides are along the
/// logical axes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Border {
    /// Whether this is `PadFold`, whose output is the inner tensor.
    pub fold: bool,
    /// What fills the border; not zeros for a fold.
    pub mode: PadMode,
    /// Elements in front of each axis.
    pub before: Vec<usize>,
    /// Sizes without the border.
    pub inner: Vec<usize>,
    /// Sizes with it.
    pub padded: Vec<usize>,
    /// How x lies.
    pub x: Load,
    /// Strides of the output; its elements lie without gaps.
    pub y: Vec<usize>,
}

impl Border {
    /// The specialised kernel with its workgroups.
    pub fn launch(&self) -> Launch {
        let shape = if self.fold { &self.inner } else { &self.padded };
        let mut launch = element_launch("pad.wgsl", shape, &self.y);
        let kernel = &mut launch.kernel;
        kernel.variant = match (self.fold, self.mode) {
            (true, _) => "fold",
            (false, PadMode::Zero) => "zero",
            (false, PadMode::Reflect) => "reflect",
            (false, PadMode::Replicate) => "replicate",
        };
        kernel.constants.extend([
            ("FOLD", u32::from(self.fold)),
            ("ZERO", u32::from(self.mode == PadMode::Zero)),
            ("REFLECT", u32::from(self.mode == PadMode::Reflect)),
        ]);
        let sum = if self.fold {
            self.fold_code()
        } else {
            self.pad_code()
        };
        kernel.snippets.push(("sum", sum));
        launch
    }

    /// The axes that have a border.
    fn bordered(&self) -> impl Iterator<Item = usize> {
        (0..self.inner.len()).filter(|&axis| self.inner[axis] != self.padded[axis])
    }

    /// WGSL: `result` = the one inner element that an output element repeats.
    fn pad_code(&self) -> String {
        let mut names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
        let mut tests = vec!["true".to_owned()];
        for axis in self.bordered() {
            let arguments = format!("i{axis}, {}u, {}u", self.before[axis], self.inner[axis]);
            names[axis] = format!("inner({arguments})");
            tests.push(format!("inside({arguments})"));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let read = format!("    result = x[{}];", address(&names, &self.x));
        if self.mode == PadMode::Zero {
            format!("    if ({}) {{\n    {read}\n    }}", tests.join(" && "))
        } else {
            read
        }
    }

    /// WGSL: loops that add to `result` all border elements that repeat an
    /// inner element.
    fn fold_code(&self) -> String {
        let mut names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
        let mut code = String::new();
        for axis in self.bordered() {
            let place = format!(
                "{}u, {}u, {}u",
                self.before[axis], self.inner[axis], self.padded[axis]
            );
            names[axis] = format!("p{axis}");
            // Writing to a String cannot fail.
            let _ = writeln!(
                code,
                "    for (var k{axis} = 0u; k{axis} < copies(i{axis}, {place}); k{axis} += 1u) {{"
            );
            let before_and_size = format!("{}u, {}u", self.before[axis], self.inner[axis]);
            let _ = writeln!(
                code,
                "    let p{axis} = copy(i{axis}, k{axis}, {before_and_size});"
            );
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let _ = writeln!(code, "    result += x[{}];", address(&names, &self.x));
        code += &"    }\n".repeat(self.bordered().count());
        code
    }
}

/// One thread an element of the output, in the order of its memory.
fn element_launch(file: &'static str, shape: &[usize], y: &[usize]) -> Launch {
    let count: usize = shape.iter().product();
    let workgroups = workgroups_of(count, WORKGROUP);
    let store = Load {
        strides: y.to_vec(),
        offset: 0,
    };
    Launch {
        kernel: Kernel {
            file,
            variant: "plain",
            constants: vec![
                ("WORKGROUP", WORKGROUP),
                ("GRID_X", workgroups[0]),
                ("COUNT", count as u32),
            ],
            snippets: vec![
                ("place", place(&NAMES, shape, y)),
                ("y_address", address(&NAMES, &store)),
            ],
            reads_step: false,
        },
        workgroups,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::validate::validate;

    #[test]
    fn indexing_makes_valid_shaders() {
        for scatter in [false, true] {
            for axis in 0..3 {
                let shape = vec![2, 3, 5];
                let mut other = shape.clone();
                other[axis] = 4;
                let x = if scatter { &other } else { &shape };
                let indexed = Indexed {
                    scatter,
                    axis,
                    size: 4,
                    x: Load::contiguous(x),
                    index: Load::contiguous(&other),
                    y: Load::contiguous(&shape).strides,
                    shape,
                };
                validate(&indexed.launch(None));
                let order = Order::new(&indexed);
                order.launches().iter().for_each(validate);
                if scatter {
                    validate(&indexed.launch(Some(&order)));
                }
            }
        }
    }

    #[test]
    fn an_index_is_sorted_where_that_is_less_work() {
        let rows = |count: usize, width: usize| Indexed {
            scatter: true,
            axis: 0,
            shape: vec![1000, width],
            size: count,
            x: Load::contiguous(&[count, width]),
            // One number a row, as an embedding is looked up.
            index: Load {
                strides: vec![1, 0],
                offset: 0,
            },
            y: Load::contiguous(&[1000, width]).strides,
        };
        for (count, width, sorted) in [(1, 1, false), (32, 64, false), (1 << 20, 64, true)] {
            let order = rows(count, width).order(&Facts::CARD);
            assert_eq!(order.is_some(), sorted, "{count} rows of {width}");
            let plain = Facts {
                rung: Rung::Plain,
                ..Facts::CARD
            };
            assert_eq!(rows(count, width).order(&plain), None);
        }
        let order = Order::new(&rows(1 << 20, 64));
        assert_eq!(order.count(), 1 << 20, "columns share their order");
        assert_eq!(order.launches().len(), 16);
        order.launches().iter().for_each(validate);
    }

    #[test]
    fn borders_make_valid_shaders() {
        for mode in [PadMode::Zero, PadMode::Reflect, PadMode::Replicate] {
            for fold in [false, true] {
                if fold && mode == PadMode::Zero {
                    continue;
                }
                let (inner, padded) = (vec![2, 1, 5, 4], vec![2, 1, 8, 5]);
                let (from, to) = if fold {
                    (&padded, &inner)
                } else {
                    (&inner, &padded)
                };
                let border = Border {
                    fold,
                    mode,
                    before: vec![0, 0, 1, 1],
                    x: Load::contiguous(from),
                    y: Load::contiguous(to).strides,
                    inner,
                    padded,
                };
                validate(&border.launch());
            }
        }
    }
}
