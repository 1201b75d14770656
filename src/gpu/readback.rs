//! Small results, such as losses, read back late, so that nothing waits for
//! them.

use std::collections::VecDeque;

use super::device::Gpu;
use super::memory::{Mapping, Memory, bytes, cannot_read, map, staging, take};
use crate::error::{Error, Result};
use crate::recording::Slice;

/// Requests that may be under way before the next one waits for the oldest.
const RING: usize = 4;

/// A ring of mapped buffers: values are requested now and fetched later, in
/// the order of the requests.
pub struct Readback {
    gpu: Gpu,
    elements: usize,
    free: Vec<wgpu::Buffer>,
    under_way: VecDeque<Request>,
    arrived: Vec<(u64, Vec<f32>)>,
}

struct Request {
    tag: u64,
    len: usize,
    staging: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapping: Mapping,
}

impl Readback {
    /// A ring for slices of at most `elements` values.
    ///
    /// # Errors
    /// [`Error::Gpu`] where memory runs out or the device failed.
    pub fn new(gpu: &Gpu, elements: usize) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            elements,
            free: (0..RING)
                .map(|_| staging(gpu, elements))
                .collect::<Result<_>>()?,
            under_way: VecDeque::new(),
            arrived: Vec::new(),
        })
    }

    /// Asks for a slice as it is after the work submitted so far. `tag` comes
    /// back with the values. Waits only where the ring is full.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the slice is longer than the ring allows or not in
    /// `memory`, or the device failed.
    pub fn request(&mut self, memory: &Memory, slice: Slice, tag: u64) -> Result<()> {
        let buffer = memory.find(slice)?;
        if slice.len > self.elements {
            return Err(Error::gpu(
                format!("slice {slice} is longer than {}", self.elements),
                "make the ring for the longest slice",
            ));
        }
        let staging = match self.free.pop() {
            Some(staging) => staging,
            None => {
                self.take_oldest()?;
                match self.free.pop() {
                    Some(staging) => staging,
                    // An earlier request failed half way and took its buffer.
                    None => staging(&self.gpu, self.elements)?,
                }
            }
        };
        self.gpu.check()?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, bytes(slice.offset), &staging, 0, bytes(slice.len));
        // Not counted as work in flight: the ring itself bounds these.
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let mapping = map(&staging, slice.len);
        self.under_way.push_back(Request {
            tag,
            len: slice.len,
            staging,
            submission,
            mapping,
        });
        self.gpu.check()
    }

    /// What has arrived since the last call, oldest first, without waiting.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn ready(&mut self) -> Result<Vec<(u64, Vec<f32>)>> {
        self.gpu.poll(wgpu::PollType::Poll)?;
        while let Some(oldest) = self.under_way.front()
            && oldest.mapping.is_over()
        {
            self.take_oldest()?;
        }
        Ok(std::mem::take(&mut self.arrived))
    }

    /// Waits for everything requested and returns what [`Readback::ready`] has
    /// not returned yet, oldest first.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn finish(&mut self) -> Result<Vec<(u64, Vec<f32>)>> {
        while !self.under_way.is_empty() {
            self.take_oldest()?;
        }
        Ok(std::mem::take(&mut self.arrived))
    }

    /// Moves the oldest request to what has arrived, waiting for it if needed.
    fn take_oldest(&mut self) -> Result<()> {
        let Some(oldest) = self.under_way.pop_front() else {
            return Ok(());
        };
        if !oldest.mapping.is_over() {
            self.gpu.wait_for(oldest.submission)?;
        }
        if !oldest.mapping.succeeded(&self.gpu)? {
            return Err(cannot_read(&self.gpu, "the buffer was not mapped"));
        }
        let values = take(&self.gpu, &oldest.staging, oldest.len)?;
        self.free.push(oldest.staging);
        self.arrived.push((oldest.tag, values));
        Ok(())
    }
}
