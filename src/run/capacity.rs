//! Whether a run fits its adapter, told before it starts.

use std::sync::Arc;

use super::blueprint::Blueprint;
use super::memory::{MemoryPlan, mebibytes};
use crate::config::{Config, Override};
use crate::error::{Error, Result};
use crate::gpu::{AdapterFacts, DeviceType};
use crate::systems::System;

/// A run as its adapter will have it: the system that `open` makes of a
/// configuration, and its blueprint.
///
/// # Errors
/// [`Error::Usage`] with the largest batch that fits, where the adapter cannot hold
/// it or a tensor is too long for any kernel; whatever is wrong with the
/// configuration.
pub(crate) fn plan(
    facts: &AdapterFacts,
    config: &Config,
    open: impl Fn(&Config) -> Result<Arc<dyn System>>,
) -> Result<(Arc<dyn System>, Blueprint)> {
    let reason = match built(facts, config, &open) {
        Err(Error::Size { what }) => what,
        Err(other) => return Err(other),
        Ok((system, blueprint)) => match exceeded(facts, &blueprint.memory) {
            Some(reason) => reason,
            None => return Ok((system, blueprint)),
        },
    };
    Err(refusal(facts, config, &open, &reason))
}

/// What of this adapter a plan exceeds.
///
/// What a driver tells of its memory is the longest buffer; a software adapter
/// shares the machine's memory, whose size is asked where the system tells it.
pub(crate) fn exceeded(facts: &AdapterFacts, plan: &MemoryPlan) -> Option<String> {
    Limits::of(facts).exceeded(plan)
}

fn built(
    facts: &AdapterFacts,
    config: &Config,
    open: &impl Fn(&Config) -> Result<Arc<dyn System>>,
) -> Result<(Arc<dyn System>, Blueprint)> {
    let system = open(config)?;
    let blueprint = Blueprint::new(config, &*system, &facts.kernel_facts())?;
    Ok((system, blueprint))
}

/// The error of a run that does not fit, with the largest batch that does.
fn refusal(
    facts: &AdapterFacts,
    config: &Config,
    open: &impl Fn(&Config) -> Result<Arc<dyn System>>,
    reason: &str,
) -> Error {
    let limits = Limits::of(facts);
    let of_batch = |batch: usize| config.with([Override::new("batch", batch as i64)]);
    // Other keys may ask for a multiple, as `loss.pack`.
    let unit = (1..=config.batch).find(|&batch| of_batch(batch).is_ok());
    let unit = unit.unwrap_or(config.batch);
    let fits = |batch: usize| -> Result<bool> {
        match built(facts, &of_batch(batch)?, open) {
            Ok((_, blueprint)) => Ok(limits.exceeded(&blueprint.memory).is_none()),
            Err(Error::Size { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    };
    let (largest, unbuilt) = largest(config.batch / unit, |number| fits(number * unit));
    let mend = match (largest * unit, unbuilt) {
        (0, Some(error)) => format!("no smaller batch can be built: {error}"),
        (0, None) => "not even the smallest batch fits: make the model smaller (--set model.width=...) or use another adapter".to_owned(),
        (batch, _) => format!("the largest batch that fits is {batch}: give --batch {batch}"),
    };
    Error::usage(
        format!("the run does not fit on {}: {reason}", facts.name),
        mend,
    )
}

/// The largest number below `end` that fits, 0 where none does. One that cannot be
/// built is passed over like one that does not fit; its error is returned as well,
/// as it may be the reason why none does.
pub(crate) fn largest(end: usize, fits: impl Fn(usize) -> Result<bool>) -> (usize, Option<Error>) {
    let (mut low, mut high, mut unbuilt) = (0, end, None);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match fits(middle) {
            Ok(true) => low = middle,
            Ok(false) => high = middle,
            Err(error) => {
                high = middle;
                unbuilt = Some(error);
            }
        }
    }
    (low, unbuilt)
}

/// Bytes an adapter can hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of a buffer.
    buffer: u64,
    /// In all, where that is known.
    pub(crate) total: Option<u64>,
}

impl Limits {
    pub(crate) fn of(facts: &AdapterFacts) -> Self {
        let limits = &facts.limits;
        Self {
            buffer: limits.max_buffer.min(limits.max_storage_binding),
            total: (facts.device_type == DeviceType::Cpu)
                .then(machine_memory)
                .flatten(),
        }
    }

    /// What of them a plan exceeds.
    pub(crate) fn exceeded(&self, plan: &MemoryPlan) -> Option<String> {
        if plan.longest > self.buffer {
            return Some(format!(
                "it needs one buffer of {} MiB, but this adapter allows {} MiB",
                mebibytes(plan.longest),
                mebibytes(self.buffer)
            ));
        }
        match self.total {
            Some(total) if plan.total() > total => Some(format!(
                "it needs {} MiB, but the machine has {} MiB free",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_tells_what_does_not_fit_from_what_does_not_build() {
        let (found, unbuilt) = largest(65_536, |number| Ok(number <= 777));
        assert_eq!(found, 777);
        assert!(unbuilt.is_none());
        let (found, unbuilt) = largest(64, |_| Ok(false));
        assert_eq!(found, 0);
        assert!(unbuilt.is_none());
        // Below 8 it cannot be built, and from 8 on it does not fit.
        let (found, unbuilt) = largest(64, |number| match number {
            0..8 => Err(Error::usage("no groups of 8", "use another")),
            _ => Ok(false),
        });
        assert_eq!(found, 0);
        assert!(unbuilt.is_some_and(|error| error.to_string().contains("groups of 8")));
    }
}
