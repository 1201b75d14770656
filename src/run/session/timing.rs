//! What the parts of a step take, for benchmarks.

use std::time::{Duration, Instant};

use super::Session;
use crate::error::Result;
use crate::recording::{Kernel, StepValues};
use crate::run::blueprint::update_of;

impl Session {
    /// The recordings of the next step, each with how often it is replayed.
    fn parts(&self) -> Vec<(usize, usize)> {
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let mut add = |name: &str| {
            let recordings = &self.blueprint.recordings;
            let Some(index) = recordings.iter().position(|known| known.name == name) else {
                return;
            };
            match parts.iter_mut().find(|(known, _)| *known == index) {
                Some((_, times)) => *times += 1,
                None => parts.push((index, 1)),
            }
        };
        for name in self.system.schedule(&self.counters) {
            add(name);
            let passes = &self.blueprint.passes;
            let updates = passes.iter().find(|plan| plan.pass.name == name);
            for network in updates.into_iter().flat_map(|plan| &plan.updates) {
                add(&update_of(network));
            }
        }
        parts
    }

    /// Nanoseconds of each dispatch of the next step, as
    /// [`crate::gpu::Executable::profile`] measures them; those of a recording that
    /// is replayed several times as often.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn profile(&mut self) -> Result<Vec<(Kernel, u64)>> {
        let mut times = Vec::new();
        for (index, repeats) in self.parts() {
            let measured = self.executables[index].profile(&self.gpu, &StepValues::default())?;
            let recording = &self.blueprint.recordings[index].recording;
            let kernels = recording.dispatches().map(|d| d.kernel.clone());
            let of_recording: Vec<_> = kernels
                .zip(measured.into_iter().map(|(_, time)| time))
                .collect();
            for _ in 0..repeats {
                times.extend(of_recording.iter().cloned());
            }
        }
        Ok(times)
    }

    /// Time of each recording of the next step from its submission to the end of
    /// its work, by name.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn recording_times(&mut self) -> Result<Vec<(String, Duration)>> {
        let mut times = Vec::new();
        for (index, _) in self.parts() {
            let start = Instant::now();
            self.executables[index].run(&self.gpu, &StepValues::default())?;
            self.gpu.wait()?;
            let name = self.blueprint.recordings[index].name.clone();
            times.push((name, start.elapsed()));
        }
        Ok(times)
    }

    /// Time to record and submit the next step, as
    /// [`crate::gpu::Executable::host_time`] measures it.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn host_time(&mut self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for (index, repeats) in self.parts() {
            sum += self.executables[index].host_time(&self.gpu)? * repeats as u32;
        }
        Ok(sum)
    }
}
