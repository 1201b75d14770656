//! Picking and adding by index, and borders (`shaders/index.wgsl`,
//! `shaders/pad.wgsl`). Parts of a concatenation are maps into a slice of the
//! output: [`Map::stored`](super::map::Map::stored).

use std::fmt::Write;

use super::load::{Load, address, place};
use super::{Launch, spread};
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
    /// The kernel.
    pub fn launch(&self) -> Launch {
        // The shaders add the step along the axis themselves.
        let base = |load: &Load| {
            let mut load = load.clone();
            load.strides[self.axis] = 0;
            address(&NAMES, &load)
        };
        let mut launch = element_launch("index.wgsl", &self.shape, &self.y);
        let kernel = &mut launch.kernel;
        kernel.variant = if self.scatter { "scatter" } else { "gather" };
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
        launch
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
    /// The kernel.
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
    let workgroups = spread(count, WORKGROUP);
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
                validate(&indexed.launch());
            }
        }
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
