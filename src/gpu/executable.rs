//! A recording made ready to run: everything is resolved once, each run only
//! encodes and submits.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::device::Gpu;
use super::memory::{Memory, bytes, cannot_read, map, staging};
use super::pipeline::{Key, Pipeline, compile};
use super::translate::{MAX_STORAGE_BINDINGS, MAX_WORKGROUPS};
use crate::error::{Error, Result};
use crate::recording::{
    ALIGNMENT, Access, Binding, Command, Dispatch, Recording, STEP_BYTES, Slice, StepValues,
};

/// Commands in one submission. Systems reset a GPU that works on one submission
/// for long (Windows after 2 seconds), and a submission costs about as much as
/// a few small kernels; so this is as small as the cost allows.
const COMMANDS_PER_SUBMISSION: usize = 64;

/// Dispatches timed by one set of queries, two time stamps each.
const TIMED_DISPATCHES: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// A recording with its pipelines and bind groups, ready to be replayed.
pub struct Executable {
    commands: Vec<Resolved>,
    step: wgpu::Buffer,
}

enum Resolved {
    Dispatch {
        pipeline: wgpu::ComputePipeline,
        bind_group: wgpu::BindGroup,
        workgroups: [u32; 3],
    },
    Copy {
        from: (wgpu::Buffer, u64),
        to: (wgpu::Buffer, u64),
        bytes: u64,
    },
}

/// How much of the dispatches is carried out.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// Every workgroup of each dispatch.
    Whole,
    /// No workgroup, so that only the host works.
    None,
}

impl Executable {
    /// Compiles the kernels of a recording and binds them to `memory`.
    ///
    /// # Errors
    /// [`Error::Gpu`] that names the command: where a shader or binding is at
    /// fault, a tensor is larger than the adapter can bind, or the device
    /// failed.
    pub fn new(gpu: &Gpu, memory: &Memory, recording: &Recording) -> Result<Self> {
        let keys = keys(gpu, recording)?;
        let mut pipelines = compile(gpu, &keys)?.into_iter();
        Self::bind(gpu, memory, recording, &mut pipelines)
    }

    /// As [`Executable::new`] of several recordings, whose kernels are compiled together.
    ///
    /// # Errors
    /// As of [`Executable::new`].
    pub fn all(gpu: &Gpu, memory: &Memory, recordings: &[&Recording]) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for recording in recordings {
            all.extend(keys(gpu, recording)?);
        }
        let mut pipelines = compile(gpu, &all)?.into_iter();
        let recordings = recordings.iter();
        recordings
            .map(|recording| Self::bind(gpu, memory, recording, &mut pipelines))
            .collect()
    }

    /// Binds a recording to `memory` with the next of these pipelines.
    fn bind(
        gpu: &Gpu,
        memory: &Memory,
        recording: &Recording,
        pipelines: &mut impl Iterator<Item = Pipeline>,
    ) -> Result<Self> {
        let step = gpu.attempt("the step buffer", |device| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("step"),
                size: STEP_BYTES as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let mut commands = Vec::with_capacity(recording.commands.len());
        for command in &recording.commands {
            commands.push(match command {
                Command::Copy { from, to } => resolve_copy(memory, *from, *to)?,
                Command::Dispatch(dispatch) => {
                    let pipeline = pipelines
                        .next()
                        .expect("one was compiled for each dispatch");
                    resolve_dispatch(gpu, memory, &step, dispatch, pipeline)?
                }
            });
        }
        Ok(Self { commands, step })
    }

    /// Submits all commands once, with these step values; does not wait for
    /// them, unless much work is still unfinished. Work submitted before is
    /// done first and sees its own step values.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed, now or earlier.
    pub fn run(&mut self, gpu: &Gpu, step: &StepValues) -> Result<()> {
        gpu.check()?;
        gpu.queue
            .write_buffer(&self.step, 0, bytemuck::bytes_of(step));
        self.submit(gpu, Work::Whole)
    }

    /// Time to record and submit all commands with no workgroup in any dispatch:
    /// what a run costs the host, on drivers that work while they are handed
    /// the commands, too. Only copies are carried out.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn host_time(&mut self, gpu: &Gpu) -> Result<Duration> {
        gpu.wait()?;
        let start = Instant::now();
        self.submit(gpu, Work::None)?;
        Ok(start.elapsed())
    }

    fn submit(&self, gpu: &Gpu, work: Work) -> Result<()> {
        for start in (0..self.commands.len()).step_by(COMMANDS_PER_SUBMISSION) {
            let end = self.commands.len().min(start + COMMANDS_PER_SUBMISSION);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            encode(&mut encoder, &self.commands[start..end], work);
            gpu.submit(encoder)?;
        }
        Ok(())
    }

    /// Runs all commands once and measures each dispatch: for each, its index
    /// in the recording's commands and its nanoseconds, by GPU time stamps or,
    /// where the adapter has none, by the clock around a submission of its own
    /// (which adds the cost of submitting).
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn profile(&mut self, gpu: &Gpu, step: &StepValues) -> Result<Vec<(usize, u64)>> {
        gpu.check()?;
        gpu.queue
            .write_buffer(&self.step, 0, bytemuck::bytes_of(step));
        let period = f64::from(gpu.queue.get_timestamp_period());
        if !gpu
            .device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
            || period <= 0.0
        {
            return self.profile_by_clock(gpu);
        }
        let mut times = Vec::new();
        for start in (0..self.commands.len()).step_by(TIMED_DISPATCHES) {
            let end = self.commands.len().min(start + TIMED_DISPATCHES);
            let ticks = self.time_stamps(gpu, start..end)?;
            let dispatches = (start..end).filter(|&index| self.is_dispatch(index));
            times.extend(dispatches.zip(ticks.chunks_exact(2)).map(|(index, pair)| {
                let ticks = pair[1].saturating_sub(pair[0]);
                (index, (ticks as f64 * period).round() as u64)
            }));
        }
        Ok(times)
    }

    fn is_dispatch(&self, index: usize) -> bool {
        matches!(self.commands[index], Resolved::Dispatch { .. })
    }

    fn profile_by_clock(&self, gpu: &Gpu) -> Result<Vec<(usize, u64)>> {
        let mut times = Vec::new();
        gpu.queue.submit([]);
        gpu.wait()?;
        for index in 0..self.commands.len() {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            encode(&mut encoder, &self.commands[index..=index], Work::Whole);
            let start = Instant::now();
            gpu.submit(encoder)?;
            gpu.wait()?;
            if self.is_dispatch(index) {
                let elapsed = start.elapsed().as_nanos();
                times.push((index, u64::try_from(elapsed).unwrap_or(u64::MAX)));
            }
        }
        Ok(times)
    }

    /// Runs a part of the commands, each dispatch in a pass of its own, and
    /// returns the ticks at the start and end of each.
    fn time_stamps(&self, gpu: &Gpu, range: Range<usize>) -> Result<Vec<u64>> {
        let count = 2 * range
            .clone()
            .filter(|&index| self.is_dispatch(index))
            .count() as u32;
        if count == 0 {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            encode(&mut encoder, &self.commands[range], Work::Whole);
            gpu.submit(encoder)?;
            return Ok(Vec::new());
        }
        let size = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let elements = size as usize / size_of::<f32>();
        let (queries, resolved) = gpu.attempt("time stamp queries", |device| {
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("profile"),
                size,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            (queries, resolved)
        })?;
        let staging = staging(gpu, elements)?;
        let mut next = 0;
        for start in range.clone().step_by(COMMANDS_PER_SUBMISSION) {
            let end = range.end.min(start + COMMANDS_PER_SUBMISSION);
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            for command in &self.commands[start..end] {
                if matches!(command, Resolved::Copy { .. }) {
                    encode(&mut encoder, std::slice::from_ref(command), Work::Whole);
                    continue;
                }
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(next),
                        end_of_pass_write_index: Some(next + 1),
                    }),
                });
                next += 2;
                dispatch(&mut pass, command, None, Work::Whole);
            }
            gpu.submit(encoder)?;
        }
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, size);
        gpu.submit(encoder)?;
        map(&staging, elements);
        gpu.wait()?;
        let view = staging
            .get_mapped_range(0..size)
            .map_err(|error| cannot_read(gpu, &error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }
}

/// What makes the pipelines of a recording.
fn keys(gpu: &Gpu, recording: &Recording) -> Result<Vec<Key>> {
    let of = |dispatch: &Dispatch| {
        check_dispatch(gpu, dispatch)?;
        let accesses = dispatch.bindings.iter().map(|binding| binding.access);
        Ok((dispatch.kernel.clone(), accesses.collect()))
    };
    recording.dispatches().map(of).collect()
}

/// Encodes commands in order: a pass for each run of dispatches.
fn encode(encoder: &mut wgpu::CommandEncoder, commands: &[Resolved], work: Work) {
    let same_kind =
        |a: &Resolved, b: &Resolved| std::mem::discriminant(a) == std::mem::discriminant(b);
    for group in commands.chunk_by(same_kind) {
        if let Resolved::Dispatch { .. } = group[0] {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let mut previous = None;
            for command in group {
                previous = dispatch(&mut pass, command, previous, work);
            }
            continue;
        }
        for command in group {
            if let Resolved::Copy { from, to, bytes } = command {
                encoder.copy_buffer_to_buffer(&from.0, from.1, &to.0, to.1, *bytes);
            }
        }
    }
}

/// Encodes one dispatch; `previous` is the pipeline that is already set.
fn dispatch<'a>(
    pass: &mut wgpu::ComputePass<'_>,
    command: &'a Resolved,
    previous: Option<&'a wgpu::ComputePipeline>,
    work: Work,
) -> Option<&'a wgpu::ComputePipeline> {
    let Resolved::Dispatch {
        pipeline,
        bind_group,
        workgroups: [x, y, z],
    } = command
    else {
        return previous;
    };
    if previous != Some(pipeline) {
        pass.set_pipeline(pipeline);
    }
    pass.set_bind_group(0, bind_group, &[]);
    match work {
        Work::Whole => pass.dispatch_workgroups(*x, *y, *z),
        Work::None => pass.dispatch_workgroups(0, 0, 0),
    }
    Some(pipeline)
}

fn resolve_copy(memory: &Memory, from: Slice, to: Slice) -> Result<Resolved> {
    if from.len != to.len || from.storage == to.storage {
        return Err(Error::gpu(
            format!("cannot copy {from} to {to}"),
            "copy between slices of equal length in different storages",
        ));
    }
    Ok(Resolved::Copy {
        from: (memory.find(from)?.clone(), bytes(from.offset)),
        to: (memory.find(to)?.clone(), bytes(to.offset)),
        bytes: bytes(from.len),
    })
}

fn resolve_dispatch(
    gpu: &Gpu,
    memory: &Memory,
    step: &wgpu::Buffer,
    dispatch: &Dispatch,
    pipeline: Pipeline,
) -> Result<Resolved> {
    let mut entries = Vec::new();
    for (number, binding) in (0..).zip(&dispatch.bindings) {
        entries.push(wgpu::BindGroupEntry {
            binding: number,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: memory.find(binding.slice)?,
                offset: bytes(binding.slice.offset),
                size: wgpu::BufferSize::new(bytes(binding.slice.len)),
            }),
        });
    }
    if dispatch.kernel.reads_step {
        entries.push(wgpu::BindGroupEntry {
            binding: entries.len() as u32,
            resource: step.as_entire_binding(),
        });
    }
    let bind_group = gpu.attempt(format!("the bindings of {}", dispatch.label), |device| {
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&dispatch.label),
            layout: &pipeline.layout,
            entries: &entries,
        })
    })?;
    Ok(Resolved::Dispatch {
        pipeline: pipeline.pipeline,
        bind_group,
        workgroups: dispatch.workgroups,
    })
}

/// What wgpu would refuse only when the dispatch runs, in words that name it.
fn check_dispatch(gpu: &Gpu, dispatch: &Dispatch) -> Result<()> {
    let label = &dispatch.label;
    let fault = |what: String| {
        Err(Error::gpu(
            format!("{label}: {what}"),
            "mend the code that records it",
        ))
    };
    let bindings = &dispatch.bindings;
    if bindings.is_empty() || bindings.len() > MAX_STORAGE_BINDINGS {
        let count = bindings.len();
        return fault(format!(
            "{count} bindings, from 1 to {MAX_STORAGE_BINDINGS} are possible"
        ));
    }
    if dispatch
        .workgroups
        .iter()
        .any(|n| !(1..=MAX_WORKGROUPS).contains(n))
    {
        let [x, y, z] = dispatch.workgroups;
        return fault(format!(
            "{x}x{y}x{z} workgroups, each from 1 to {MAX_WORKGROUPS} is possible"
        ));
    }
    let limit = gpu.device.limits().max_storage_buffer_binding_size;
    for (index, binding) in bindings.iter().enumerate() {
        let Binding { slice, access } = *binding;
        if !slice.offset.is_multiple_of(ALIGNMENT) {
            return fault(format!(
                "slice {slice} does not start at a multiple of {ALIGNMENT}"
            ));
        }
        if bytes(slice.len) > limit {
            return Err(Error::gpu(
                format!(
                    "{label}: a tensor has {} bytes, but {} binds at most {limit}",
                    bytes(slice.len),
                    gpu.facts.name
                ),
                "use a smaller batch or resolution or choose another adapter with --adapter",
            ));
        }
        for other in &bindings[..index] {
            let same = other.slice.storage == slice.storage;
            if same && other.access != access {
                return fault(format!(
                    "{} and {slice} are in one storage, which is read and written",
                    other.slice
                ));
            }
            if same && access == Access::Write && overlap(other.slice, slice) {
                return fault(format!(
                    "{} and {slice} are written and overlap",
                    other.slice
                ));
            }
        }
    }
    Ok(())
}

fn overlap(a: Slice, b: Slice) -> bool {
    a.offset < b.offset + b.len && b.offset < a.offset + a.len
}
