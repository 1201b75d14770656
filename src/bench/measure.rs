//! How time is taken.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::gpu::{Executable, Gpu};
use crate::recording::StepValues;

/// What the times of kernels are taken by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Time stamps that the GPU writes before and after each dispatch.
    Timestamps,
    /// The clock around a submission of one dispatch, which adds the cost of
    /// submitting.
    Clock,
}

impl Timer {
    /// What an adapter allows.
    pub fn of(gpu: &Gpu) -> Self {
        if gpu.facts.features.timestamps {
            Self::Timestamps
        } else {
            Self::Clock
        }
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timestamps => "timestamps",
            Self::Clock => "clock",
        })
    }
}

/// Repetitions of one measurement, in seconds, sorted; at least one.
#[derive(Clone, PartialEq, Debug)]
pub struct Times(Vec<f64>);

impl Times {
    /// Sorts measured seconds; `None` of none.
    pub fn new(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        (!seconds.is_empty()).then_some(Self(seconds))
    }

    /// The middle one, in seconds.
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The least, in seconds.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// Distance of the quartiles over the median: how far to trust it.
    pub fn spread(&self) -> f64 {
        let at = |part: usize| self.0[(self.0.len() - 1) * part / 4];
        (at(3) - at(1)) / self.median().max(f64::MIN_POSITIVE)
    }
}

/// Runs back to back of what may be short: processors wake their threads so
/// slowly that a lone kernel may be over before the second thread works.
pub(super) const RUNS: usize = 4;

/// Repetitions of a measurement.
const LEAST: usize = 5;
const MOST: usize = 50;
/// Seconds that one measurement may take once it has [`LEAST`] repetitions.
const BUDGET: Duration = Duration::from_millis(400);

/// How long a card works before it is measured. One that idled while kernels were
/// compiled runs at a fraction of its clock: on an H100 the same kernel took up to
/// five times as long.
pub(super) const WAKING: Duration = Duration::from_millis(100);

/// Submissions between two looks at the clock.
const WAKING_RUNS: usize = 8;

/// Keeps a card busy for a while; software drivers do not sleep.
///
/// # Errors
/// Where the device failed.
pub(super) fn wake(gpu: &Gpu, executable: &mut Executable, time: Duration) -> Result<()> {
    let software = gpu.facts.kernel_facts().software;
    let start = Instant::now();
    while !software && start.elapsed() < time {
        for _ in 0..WAKING_RUNS {
            executable.run(gpu, &StepValues::default())?;
        }
        gpu.wait()?;
    }
    Ok(())
}

/// Repeats what returns seconds.
///
/// # Errors
/// Those of `once`.
pub(super) fn repeat(mut once: impl FnMut() -> Result<f64>) -> Result<Times> {
    let start = Instant::now();
    let mut seconds = vec![once()?];
    while seconds.len() < LEAST || (seconds.len() < MOST && start.elapsed() < BUDGET) {
        seconds.push(once()?);
    }
    Ok(Times::new(seconds).expect("it was measured at least once"))
}

/// Seconds of GPU work in one run of an executable.
///
/// # Errors
/// Where the device failed.
pub(super) fn gpu_seconds(gpu: &Gpu, executable: &mut Executable) -> Result<f64> {
    let times = executable.profile(gpu, &StepValues::default())?;
    Ok(times
        .iter()
        .map(|&(_, nanoseconds)| nanoseconds as f64 * 1e-9)
        .sum())
}

/// Seconds from the submission of a run to its end, by the clock.
///
/// # Errors
/// Where the device failed.
pub(super) fn wall_seconds(gpu: &Gpu, executable: &mut Executable) -> Result<f64> {
    gpu.wait()?;
    let start = Instant::now();
    executable.run(gpu, &StepValues::default())?;
    gpu.wait()?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ordered_statistics() {
        assert_eq!(Times::new(Vec::new()), None);
        let times = Times::new(vec![5.0, 1.0, 4.0, 2.0, 3.0]).expect("five");
        assert_eq!((times.min(), times.median()), (1.0, 3.0));
        assert!((times.spread() - 2.0 / 3.0).abs() < 1e-12);
    }
}
