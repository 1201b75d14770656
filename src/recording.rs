//! The plan as data: which shader runs on which parts of which buffers, in
//! which order. Code that decides what to run fills a [`Recording`] and never
//! names wgpu; `gpu` turns it into an executable. A recording can be printed,
//! compared and tested without a GPU.

use std::fmt;

/// A memory object, named by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Storage {
    /// Persistent: parameters, gradients, moments, inputs, outputs. Shared by
    /// all recordings of a run.
    Arena(usize),
    /// Reused from step to step and within one; holds nothing between steps.
    Temporary(usize),
}

/// Part of a storage, in f32 elements. Offsets are multiples of
/// [`ALIGNMENT`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    /// Which memory object.
    pub storage: Storage,
    /// Number of the first element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

impl Slice {
    /// What follows its first `elements`, a multiple of [`ALIGNMENT`].
    pub(crate) fn behind(&self, elements: usize) -> Self {
        Self {
            offset: self.offset + elements,
            len: self.len - elements,
            ..*self
        }
    }

    /// Whether the two have an element in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.storage == other.storage
            && self.offset < other.offset + other.len
            && other.offset < self.offset + self.len
    }
}

/// Offsets of slices are multiples of this many elements: 256 bytes, the
/// WebGPU default for `min_storage_buffer_offset_alignment`.
pub const ALIGNMENT: usize = 64;

/// What a kernel does with a binding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// One entry of bind group 0; its number is its place in the list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Binding {
    /// The part of memory that is bound.
    pub slice: Slice,
    /// How it is used.
    pub access: Access,
}

/// A shader made ready: a file of `shaders/` with its constants and code
/// snippets filled in. Equal kernels are compiled once.
///
/// Constants become `const NAME: u32 = value;` lines in front of the file and
/// can be tested by `#if NAME` (true where defined and not 0). Snippets replace
/// `{{name}}`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// File below `shaders/`, such as `matmul.wgsl`.
    pub file: &'static str,
    /// Which rung of the kernel's ladder this is, such as `plain`; shown in
    /// plans and benchmarks.
    pub variant: &'static str,
    /// Whole-number constants, in the order in which they are declared.
    pub constants: Vec<(&'static str, u32)>,
    /// Pieces of WGSL.
    pub snippets: Vec<(&'static str, String)>,
    /// Whether it reads the per-step buffer, as a uniform in the binding after
    /// the last (declared in `shaders/lib/step.wgsl`).
    pub reads_step: bool,
}

/// One kernel launch.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// The kernel that is launched.
    pub kernel: Kernel,
    /// What it reads and writes, in the order of bind group 0.
    pub bindings: Vec<Binding>,
    /// Workgroups along x, y, z; each at most 65,535.
    pub workgroups: [u32; 3],
    /// What it computes, for plans and profiles.
    pub label: String,
}

/// What a recording is made of.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Run a kernel.
    Dispatch(Dispatch),
    /// Copy between slices of equal length in different storages.
    Copy {
        /// The slice that is read.
        from: Slice,
        /// The slice that is written.
        to: Slice,
    },
}

/// Everything one program does in one step.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recording {
    /// Executed in this order.
    pub commands: Vec<Command>,
    /// Sizes of the temporaries in elements.
    pub temporaries: Vec<usize>,
}

/// Values that change from step to step: the one small buffer that is written
/// before each replay. The WGSL side is `shaders/lib/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepValues {
    /// The run's seed, folded to 32 bits.
    pub seed: u32,
    /// Counts replays; with seed, stream and element it fixes each random
    /// number.
    pub counter: u32,
    /// Learning rate of the update.
    pub learning_rate: f32,
    /// Momentum of stochastic gradient descent.
    pub momentum: f32,
    /// Adam: `1 - beta1^t`.
    pub correction1: f32,
    /// Adam: `sqrt(1 - beta2^t)`.
    pub correction2: f32,
    /// Weight of the old value in the exponential moving average.
    pub ema_decay: f32,
    /// Keeps the size a multiple of 16 bytes.
    pub padding: f32,
}

/// Size of [`StepValues`] in bytes; `shaders/lib/step.wgsl` declares the same
/// fields, and a test compares the two.
pub const STEP_BYTES: usize = 32;
const _: () = assert!(size_of::<StepValues>() == STEP_BYTES);

impl Recording {
    /// The kernel launches, in order.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.commands.iter().filter_map(|command| match command {
            Command::Dispatch(dispatch) => Some(dispatch),
            Command::Copy { .. } => None,
        })
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.storage {
            Storage::Arena(index) => write!(f, "a{index}")?,
            Storage::Temporary(index) => write!(f, "t{index}")?,
        }
        if self.offset > 0 {
            write!(f, "+{}", self.offset)?;
        }
        write!(f, ":{}", self.len)
    }
}

impl fmt::Display for Recording {
    /// One line a command: kernel, workgroups, written and read slices, label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, command) in self.commands.iter().enumerate() {
            match command {
                Command::Copy { from, to } => writeln!(f, "{index:4} copy {to} <- {from}")?,
                Command::Dispatch(d) => {
                    let [x, y, z] = d.workgroups;
                    write!(
                        f,
                        "{index:4} {}/{} {x}x{y}x{z}",
                        d.kernel.file.trim_end_matches(".wgsl"),
                        d.kernel.variant
                    )?;
                    for (access, sign) in [(Access::Write, " ->"), (Access::Read, " <-")] {
                        write!(f, "{sign}")?;
                        for binding in d.bindings.iter().filter(|b| b.access == access) {
                            write!(f, " {}", binding.slice)?;
                        }
                    }
                    writeln!(f, "  {}", d.label)?;
                }
            }
        }
        Ok(())
    }
}
