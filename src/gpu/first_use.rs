//! The first use of compiled kernels. Software drivers translate a kernel into machine
//! code when it is first dispatched, which would make a run's first step last for
//! minutes and say nothing.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::device::Gpu;
use super::pipeline::{Key, Pipeline, build, pipeline_of};
use super::source::expand;
use crate::error::Result;
use crate::recording::STEP_BYTES;

/// A kernel that took longer was not in the driver's cache.
const SLOW: Duration = Duration::from_millis(10);

/// Bytes of a binding that is never read: enough for the largest element of a shader's
/// array.
const SCRATCH_BYTES: u64 = 256;

/// Uses each of these kernels once, where the driver waits for that.
///
/// Mesa's lavapipe translates in the one thread of a device's queue and keeps the
/// result on disk. So what is not there yet is shared out between several devices of
/// the adapter, one a core; the device itself then finds on disk what the others did.
pub(super) fn use_once(gpu: &Gpu, keys: &[&Key]) -> Result<()> {
    if keys.is_empty() || !gpu.facts.kernel_facts().software {
        keys.iter().for_each(|_| gpu.compiling.used());
        return Ok(());
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut helpers = match keeps_on_disk(gpu) {
        true => cores.min(keys.len()) - 1,
        false => 0,
    };
    let mut keys = keys.to_vec();
    // The shortest, which tells whether the driver has them on disk; then the longest
    // first, so that all cores end together.
    keys.sort_by_cached_key(|(kernel, _)| Reverse(expand(kernel).map_or(0, |text| text.len())));
    keys.rotate_right(1);
    let next = AtomicUsize::new(0);
    let take = || keys.get(next.fetch_add(1, Ordering::Relaxed)).copied();
    let mut scratch = Scratch::new(gpu)?;
    let elsewhere = thread::scope(|scope| {
        let mut started = Vec::new();
        while let Some(key) = take() {
            let start = Instant::now();
            scratch.run(key, &pipeline_of(gpu, key)?)?;
            gpu.compiling.used();
            if start.elapsed() > SLOW {
                let help = || help(gpu, &take);
                started.extend((0..std::mem::take(&mut helpers)).map(|_| scope.spawn(help)));
            }
        }
        // One that panicked is like one that failed: its kernels are used below or later.
        let done = started.into_iter().flat_map(|helper| helper.join());
        Ok(done.flatten().collect::<Vec<&Key>>())
    })?;
    for key in elsewhere {
        scratch.run(key, &pipeline_of(gpu, key)?)?;
    }
    Ok(())
}

/// Whether the driver keeps machine code on disk, where another device finds it.
fn keeps_on_disk(gpu: &Gpu) -> bool {
    gpu.facts.driver == "llvmpipe" && std::env::var_os("MESA_SHADER_CACHE_DISABLE").is_none()
}

/// Uses kernels on a device of its own and returns them. One that it cannot use is left
/// to the device that asked, which says why.
fn help<'a>(gpu: &Gpu, take: &impl Fn() -> Option<&'a Key>) -> Vec<&'a Key> {
    let mut done = Vec::new();
    let Ok(sibling) = gpu.sibling() else {
        return done;
    };
    let Ok(mut scratch) = Scratch::new(&sibling) else {
        return done;
    };
    while let Some(key) = take() {
        let used = build(&sibling, key).and_then(|pipeline| scratch.run(key, &pipeline));
        gpu.compiling.used();
        done.push(key);
        if used.is_err() {
            break;
        }
    }
    done
}

/// Buffers to bind where no workgroup is dispatched.
struct Scratch<'a> {
    gpu: &'a Gpu,
    step: wgpu::Buffer,
    storage: Vec<wgpu::Buffer>,
}

impl<'a> Scratch<'a> {
    fn new(gpu: &'a Gpu) -> Result<Self> {
        Ok(Self {
            gpu,
            step: buffer(gpu, STEP_BYTES as u64, wgpu::BufferUsages::UNIFORM)?,
            storage: Vec::new(),
        })
    }

    /// Dispatches no workgroup of a kernel and waits for it.
    fn run(&mut self, (kernel, accesses): &Key, pipeline: &Pipeline) -> Result<()> {
        let gpu = self.gpu;
        while self.storage.len() < accesses.len() {
            let more = buffer(gpu, SCRATCH_BYTES, wgpu::BufferUsages::STORAGE)?;
            self.storage.push(more);
        }
        let step = kernel.reads_step.then_some(&self.step);
        let buffers = self.storage[..accesses.len()].iter().chain(step);
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bind_group = gpu.attempt("the bindings of a first use", |device| {
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            })
        })?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
        drop(pass);
        gpu.submit(encoder)?;
        gpu.wait()
    }
}

fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    gpu.attempt("a buffer for first uses", |device| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        })
    })
}
