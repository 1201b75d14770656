//! Whether a run fits its adapter, told before it starts.

use std::sync::Arc;

use crate::config::{Config, Override};
use crate::error::{Error, Result};
use crate::gpu::{DeviceType, Gpu};
use crate::run::blueprint::Blueprint;
use crate::run::memory::{MemoryPlan, mebibytes};
use crate::systems::System;

/// Refuses a run that the adapter cannot hold and names the largest batch that
/// it can.
///
/// What a driver tells of its memory is the longest buffer; a software adapter
/// shares the machine's memory, whose size is asked where the system tells it.
///
/// # Errors
/// [`Error::Usage`] with the numbers.
pub(super) fn check(
    gpu: &Gpu,
    config: &Config,
    open: impl Fn(&Config) -> Result<Arc<dyn System>>,
    plan: &MemoryPlan,
) -> Result<()> {
    let limits = Limits::of(gpu);
    let Some(reason) = limits.exceeded(plan) else {
        return Ok(());
    };
    let of_batch = |batch: usize| config.with([Override::new("batch", batch as i64)]);
    // Other keys may ask for a multiple, as `loss.pack`.
    let unit = (1..=config.batch).find(|&batch| of_batch(batch).is_ok());
    let unit = unit.unwrap_or(config.batch);
    let fits = |batch: usize| -> Result<bool> {
        let config = of_batch(batch)?;
        let blueprint = Blueprint::new(&config, &*open(&config)?, &gpu.facts.kernel_facts())?;
        Ok(limits.exceeded(&blueprint.memory).is_none())
    };
    let (mut low, mut high) = (0, config.batch / unit);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        // What does not build at this batch fits no better at a larger one.
        if fits(middle * unit).unwrap_or(false) {
            low = middle
        } else {
            high = middle
        }
    }
    let mend = match low * unit {
        0 => "not even the smallest batch fits: make the model smaller (--set model.width=...) or use another adapter".to_owned(),
        batch => format!("the largest batch that fits is {batch}: give --batch {batch}"),
    };
    Err(Error::usage(
        format!("the run does not fit {}: {reason}", gpu.facts.name),
        mend,
    ))
}

/// Bytes an adapter can hold.
struct Limits {
    buffer: u64,
    total: Option<u64>,
}

impl Limits {
    fn of(gpu: &Gpu) -> Self {
        let limits = &gpu.facts.limits;
        Self {
            buffer: limits.max_buffer.min(limits.max_storage_binding),
            total: (gpu.facts.device_type == DeviceType::Cpu)
                .then(machine_memory)
                .flatten(),
        }
    }

    fn exceeded(&self, plan: &MemoryPlan) -> Option<String> {
        if plan.longest > self.buffer {
            return Some(format!(
                "it needs one buffer of {} MiB, and this adapter allows {} MiB",
                mebibytes(plan.longest),
                mebibytes(self.buffer)
            ));
        }
        match self.total {
            Some(total) if plan.total() > total => Some(format!(
                "it needs {} MiB, and the machine has {} MiB free",
                mebibytes(plan.total()),
                mebibytes(total)
            )),
            _ => None,
        }
    }
}

/// Free bytes of the machine, where the system has a file that says so (Linux).
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
