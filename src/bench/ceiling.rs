//! What an adapter can do at best (`shaders/ceiling.wgsl`).

use super::measure::{self, RUNS, Times};
use super::report::Row;
use crate::error::Result;
use crate::gpu::{Executable, Gpu, Memory};
use crate::ops::workgroups_of;
use crate::recording::{Access, Binding, Command, Dispatch, Kernel, Recording, Slice, Storage};

const WORKGROUP: u32 = 64;
/// vec4s that are copied: 4 MiB each way, as large as the tensors of the cases,
/// so that caches help both alike.
const COPIED: usize = 1 << 18;
/// vec4s that an invocation copies.
const PLACES: usize = 4;
/// Multiplications and additions of a chain in one round, and chains of vec4:
/// as many as hide the latency of one; more spill registers on processors.
const UNROLLED: u32 = 32;
const CHAINS: u32 = 2;
/// Dispatches of nothing in one pass.
const DISPATCHES: usize = 64;

/// What an adapter can do at best.
#[derive(Clone, PartialEq, Debug)]
pub struct Ceilings {
    /// Multiplications and additions of f32 on registers, a second.
    pub flops: f64,
    /// Bytes read and written by a copy, a second.
    pub bandwidth: f64,
    arithmetic: Times,
    copy: Times,
    dispatch: Times,
    submit: Times,
}

impl Ceilings {
    /// Measures an adapter.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn measure(gpu: &Gpu) -> Result<Self> {
        let software = gpu.facts.kernel_facts().software;
        // A card needs many invocations, a processor's core but a few.
        let (invocations, rounds) = if software {
            (1 << 12, 64)
        } else {
            (1 << 20, 32)
        };
        let arithmetic = Probe::new(
            gpu,
            "arithmetic",
            &[
                ("ARITHMETIC", 1),
                ("ROUNDS", rounds),
                ("UNROLLED", UNROLLED),
                ("CHAINS", CHAINS),
            ],
            invocations,
            RUNS,
        )?
        .gpu_seconds(gpu)?;
        let threads = COPIED / PLACES;
        let constants = [
            ("COPY", 1),
            ("PLACES", PLACES as u32),
            ("INVOCATIONS", threads as u32),
        ];
        let copy = Probe::new(gpu, "copy", &constants, threads, RUNS)?;
        let copy = copy.gpu_seconds(gpu)?;
        let one = Probe::new(gpu, "nothing", &[("NOTHING", 1)], 1, 1)?.wall_seconds(gpu)?;
        let many = Probe::new(gpu, "nothing", &[("NOTHING", 1)], 1, DISPATCHES)?;
        let many = many.wall_seconds(gpu)?;
        let each = (many.median() - one.median()) / (DISPATCHES - 1) as f64;
        let operations = 2.0
            * 4.0
            * f64::from(CHAINS)
            * f64::from(UNROLLED)
            * f64::from(rounds)
            * invocations as f64;
        Ok(Self {
            flops: operations / arithmetic.min(),
            bandwidth: (2 * 16 * COPIED) as f64 / copy.min(),
            arithmetic,
            copy,
            dispatch: Times::new(vec![each.max(0.0)]).expect("one time"),
            submit: one,
        })
    }

    /// As rows of a report.
    pub fn rows(&self) -> Vec<Row> {
        let row = |case: &str, times: &Times| Row::new(case, times, String::new());
        vec![
            Row {
                gflops: Some(self.flops * 1e-9),
                ..row("ceiling: multiply and add", &self.arithmetic)
            },
            Row {
                gbps: Some(self.bandwidth * 1e-9),
                ..row("ceiling: copy 4 MiB", &self.copy)
            },
            row("cost of a dispatch in a pass", &self.dispatch),
            row("cost of a submission, until it ends", &self.submit),
        ]
    }
}

/// A kernel of the file, some times in one pass.
struct Probe {
    executable: Executable,
}

impl Probe {
    fn new(
        gpu: &Gpu,
        variant: &'static str,
        constants: &[(&'static str, u32)],
        invocations: usize,
        times: usize,
    ) -> Result<Self> {
        let workgroups = workgroups_of(invocations, WORKGROUP);
        let mut constants = constants.to_vec();
        constants.extend([("WORKGROUP", WORKGROUP), ("GRID_X", workgroups[0])]);
        let len = 4 * PLACES * invocations.max(WORKGROUP as usize);
        let binding = |arena, access| Binding {
            slice: Slice {
                storage: Storage::Arena(arena),
                offset: 0,
                len,
            },
            access,
        };
        let dispatch = Dispatch {
            kernel: Kernel {
                file: "ceiling.wgsl",
                variant,
                constants,
                snippets: Vec::new(),
                reads_step: false,
            },
            bindings: vec![binding(0, Access::Write), binding(1, Access::Read)],
            workgroups,
            label: format!("ceiling {variant}"),
        };
        let recording = Recording {
            commands: vec![Command::Dispatch(dispatch); times],
            temporaries: Vec::new(),
        };
        let memory = Memory::new(gpu, &[len, len], &[])?;
        // Factors a little below 1 keep the sums finite and far from denormals.
        memory.write(binding(1, Access::Read).slice, &vec![0.875; len])?;
        let executable = Executable::new(gpu, &memory, &recording)?;
        Ok(Self { executable })
    }

    /// Of one of the [`RUNS`] launches.
    fn gpu_seconds(mut self, gpu: &Gpu) -> Result<Times> {
        measure::gpu_seconds(gpu, &mut self.executable)?;
        measure::wake(gpu, &mut self.executable, measure::WAKING)?;
        measure::repeat(|| Ok(measure::gpu_seconds(gpu, &mut self.executable)? / RUNS as f64))
    }

    fn wall_seconds(mut self, gpu: &Gpu) -> Result<Times> {
        measure::wall_seconds(gpu, &mut self.executable)?;
        measure::repeat(|| measure::wall_seconds(gpu, &mut self.executable))
    }
}
