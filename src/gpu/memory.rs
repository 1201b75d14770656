//! The buffers of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::device::{Gpu, one_line};
use crate::error::{Error, Result};
use crate::recording::{Slice, Storage};

const ELEMENT: usize = size_of::<f32>();

/// The bits of the not-a-number that poisoned memory is filled with.
pub const POISON_BITS: u32 = 0x7fc0_dead;

/// The arenas and temporaries of a run, a GPU buffer each, so that what is
/// written and what is read by one kernel can be told apart by wgpu.
pub struct Memory {
    pub(super) gpu: Gpu,
    arenas: Vec<wgpu::Buffer>,
    temporaries: Vec<wgpu::Buffer>,
}

impl Memory {
    /// Reserves memory; sizes are in f32 elements. All of it is zero. The
    /// temporaries are shared by all executables of a run: give the largest
    /// size that any recording has for each.
    ///
    /// # Errors
    /// [`Error::Gpu`] that names the size and the limit where a buffer is
    /// larger than the adapter allows or memory runs out.
    pub fn new(gpu: &Gpu, arenas: &[usize], temporaries: &[usize]) -> Result<Self> {
        let reserve = |sizes: &[usize], storage: fn(usize) -> Storage| {
            (0..)
                .zip(sizes)
                .map(|(index, &elements)| buffer(gpu, storage(index), elements))
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            gpu: gpu.clone(),
            arenas: reserve(arenas, Storage::Arena)?,
            temporaries: reserve(temporaries, Storage::Temporary)?,
        })
    }

    /// As [`Memory::new`], with poisoned temporaries: what reads a temporary
    /// before it is written computes NaN.
    ///
    /// # Errors
    /// As [`Memory::new`].
    pub fn poisoned(gpu: &Gpu, arenas: &[usize], temporaries: &[usize]) -> Result<Self> {
        let memory = Self::new(gpu, arenas, temporaries)?;
        memory.poison_temporaries()?;
        Ok(memory)
    }

    /// Fills all temporaries with [`POISON_BITS`], after the work submitted so
    /// far and before what is submitted next.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn poison_temporaries(&self) -> Result<()> {
        let Some(largest) = self.temporaries.iter().map(wgpu::Buffer::size).max() else {
            return Ok(());
        };
        let chunk = largest.min(1 << 20);
        let poison = self.gpu.attempt("the poison", |device| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("poison"),
                size: chunk,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let bits = vec![POISON_BITS; chunk as usize / ELEMENT];
        self.gpu
            .queue
            .write_buffer(&poison, 0, bytemuck::cast_slice(&bits));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        for buffer in &self.temporaries {
            for start in (0..buffer.size()).step_by(chunk as usize) {
                let bytes = chunk.min(buffer.size() - start);
                encoder.copy_buffer_to_buffer(&poison, 0, buffer, start, bytes);
            }
        }
        self.gpu.submit(encoder)
    }

    /// Writes `values` to the GPU, after the work submitted so far and before
    /// what is submitted next.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the slice is not in this memory, its length differs
    /// from that of the values, or the device failed.
    pub fn write(&self, slice: Slice, values: &[f32]) -> Result<()> {
        let buffer = self.find(slice)?;
        if values.len() != slice.len {
            return Err(Error::gpu(
                format!("{} values cannot be written to slice {slice}", values.len()),
                "give as many values as the slice has",
            ));
        }
        self.gpu.check()?;
        self.gpu
            .queue
            .write_buffer(buffer, bytes(slice.offset), bytemuck::cast_slice(values));
        self.gpu.check()
    }

    /// Waits for the work submitted so far and reads a slice back.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the slice is not in this memory or the device
    /// failed.
    pub fn read(&self, slice: Slice) -> Result<Vec<f32>> {
        let buffer = self.find(slice)?;
        let staging = staging(&self.gpu, slice.len)?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, bytes(slice.offset), &staging, 0, bytes(slice.len));
        self.gpu.submit(encoder)?;
        let mapping = map(&staging, slice.len);
        self.gpu.wait()?;
        if !mapping.succeeded(&self.gpu)? {
            return Err(cannot_read(&self.gpu, "the buffer was not mapped"));
        }
        take(&self.gpu, &staging, slice.len)
    }

    /// The buffer of a slice that is checked to lie within it.
    pub(super) fn find(&self, slice: Slice) -> Result<&wgpu::Buffer> {
        let buffer = match slice.storage {
            Storage::Arena(index) => self.arenas.get(index),
            Storage::Temporary(index) => self.temporaries.get(index),
        };
        let end = slice.offset.checked_add(slice.len);
        buffer
            .filter(|buffer| end.is_some_and(|end| bytes(end) <= buffer.size()))
            .filter(|_| slice.len > 0)
            .ok_or_else(|| {
                let size = buffer.map_or(0, |buffer| buffer.size() / ELEMENT as u64);
                Error::gpu(
                    format!("slice {slice} is empty or not within its storage of {size} elements"),
                    "make the memory as large as the recordings need",
                )
            })
    }
}

/// Elements as bytes.
pub(super) fn bytes(elements: usize) -> u64 {
    elements as u64 * ELEMENT as u64
}

fn buffer(gpu: &Gpu, storage: Storage, elements: usize) -> Result<wgpu::Buffer> {
    let name = match storage {
        Storage::Arena(index) => format!("arena {index}"),
        Storage::Temporary(index) => format!("temporary {index}"),
    };
    let limit = gpu.device.limits().max_buffer_size;
    // A buffer cannot be empty.
    let size = (elements.max(1) as u64).saturating_mul(ELEMENT as u64);
    if size > limit {
        return Err(Error::gpu(
            format!(
                "{name} needs {size} bytes, but a buffer on {} may have at most {limit}",
                gpu.facts.name
            ),
            "use a smaller batch or resolution or choose another adapter with --adapter",
        ));
    }
    gpu.attempt(format!("{name} of {size} bytes"), |device| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&name),
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    })
}

/// A buffer to read `elements` back through.
pub(super) fn staging(gpu: &Gpu, elements: usize) -> Result<wgpu::Buffer> {
    let size = bytes(elements.max(1));
    gpu.attempt(format!("a buffer of {size} bytes to read back"), |device| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    })
}

/// How far the mapping of a staging buffer is; set by wgpu's callback, in
/// whichever thread polls the device at the time.
#[derive(Clone, Default)]
pub(super) struct Mapping(Arc<AtomicU8>);

const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// Longest wait for another thread that is about to run the callback.
const PATIENCE: Duration = Duration::from_secs(10);

impl Mapping {
    /// Whether the callback has run.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Whether the values are there, after the work that brings them was
    /// waited for. The callback may still be on its way in another thread.
    pub(super) fn succeeded(&self, gpu: &Gpu) -> Result<bool> {
        let start = Instant::now();
        while !self.is_over() && start.elapsed() < PATIENCE {
            gpu.poll(wgpu::PollType::Poll)?;
            std::thread::yield_now();
        }
        Ok(self.0.load(Ordering::Acquire) == MAPPED)
    }
}

/// Asks for a staging buffer's values.
pub(super) fn map(staging: &wgpu::Buffer, elements: usize) -> Mapping {
    let mapping = Mapping::default();
    let state = mapping.clone();
    staging.map_async(wgpu::MapMode::Read, 0..bytes(elements), move |result| {
        let outcome = if result.is_ok() { MAPPED } else { FAILED };
        state.0.store(outcome, Ordering::Release);
    });
    mapping
}

/// The values of a staging buffer that has arrived; it can be used again.
pub(super) fn take(gpu: &Gpu, staging: &wgpu::Buffer, elements: usize) -> Result<Vec<f32>> {
    let values = staging
        .get_mapped_range(0..bytes(elements))
        .map(|view| bytemuck::pod_collect_to_vec(&view))
        .map_err(|error| cannot_read(gpu, &error.to_string()));
    staging.unmap();
    values
}

/// For values that did not arrive; the device may know why.
pub(super) fn cannot_read(gpu: &Gpu, why: &str) -> Error {
    gpu.check().err().unwrap_or_else(|| {
        Error::gpu(
            format!("cannot read from {}: {}", gpu.facts.name, one_line(why)),
            "resume from the last checkpoint",
        )
    })
}
