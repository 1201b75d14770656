//! What the parts of a step take, for benchmarks.

use std::time::{Duration, Instant};

use super::Session;
use crate::error::Result;
use crate::recording::{Kernel, StepValues};
use crate::train::blueprint::is_step;

impl Session {
    /// Nanoseconds of each dispatch of one discriminator and one generator
    /// update, as [`crate::gpu::Executable::profile`] measures them.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn profile(&mut self) -> Result<Vec<(Kernel, u64)>> {
        let mut times = Vec::new();
        for ((name, executable), (_, recording)) in
            self.executables.iter_mut().zip(&self.blueprint.recordings)
        {
            if !is_step(name) {
                continue;
            }
            let measured = executable.profile(&self.gpu, &StepValues::default())?;
            let kernels = recording
                .dispatches()
                .map(|dispatch| dispatch.kernel.clone());
            times.extend(kernels.zip(measured.into_iter().map(|(_, time)| time)));
        }
        Ok(times)
    }

    /// Time of each recording of a step from its submission to the end of its
    /// work, by name. Alternating updates have the gradients of `d` and of `g` in
    /// recordings of their own.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn recording_times(&mut self) -> Result<Vec<(&'static str, Duration)>> {
        let mut times = Vec::new();
        let steps = self.executables.iter_mut();
        for (name, executable) in steps.filter(|(name, _)| is_step(name)) {
            let start = Instant::now();
            executable.run(&self.gpu, &StepValues::default())?;
            self.gpu.wait()?;
            times.push((*name, start.elapsed()));
        }
        Ok(times)
    }

    /// Time to record and submit one discriminator and one generator update, as
    /// [`crate::gpu::Executable::host_time`] measures it.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn host_time(&mut self) -> Result<Duration> {
        let steps = self
            .executables
            .iter_mut()
            .filter(|(name, _)| is_step(name));
        steps
            .map(|(_, executable)| executable.host_time(&self.gpu))
            .sum()
    }
}
