//! Whole training steps: all passes and updates that training takes for one.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kernels::family;
use super::measure::Times;
use super::report::Row;
use crate::config::Config;
use crate::data::Same;
use crate::error::Result;
use crate::gpu::{AdapterFacts, Gpu};
use crate::run::blueprint::Blueprint;
use crate::run::capacity;
use crate::run::memory::mebibytes;
use crate::run::session::Session;
use crate::systems::{self, Given, Source, System};

/// Steps and seconds before the clock starts: drivers compile at the first, and
/// processors take a while to reach their clock rate.
const WARM_UP: (usize, Duration) = (3, Duration::from_millis(500));
/// Timed steps, and seconds after which fewer will do.
const MOST: usize = 30;
const LEAST: usize = 5;
const BUDGET: Duration = Duration::from_secs(10);
/// Runs of the profile, of which each kernel's least time counts.
const PROFILES: usize = 3;

/// What a training step costs.
#[derive(Clone, Debug)]
pub struct StepFigures {
    name: String,
    /// Of whole steps, from the upload of a batch to the end of all work.
    pub times: Times,
    /// Of each recording of a step by name: gradients of `d` and `g`, updates.
    pub recordings: Vec<(String, Times)>,
    /// To record and submit a step in which no kernel works.
    pub host: Duration,
    /// Kernel launches of a step.
    pub dispatches: usize,
    /// Bytes of all tensors of the run, as planned.
    pub bytes: u64,
    /// Seconds and launches by kernel, the longest first.
    pub families: Vec<(String, f64, usize)>,
    /// From nothing to the end of the first step: compiling, or loading what
    /// was compiled before.
    pub first: Duration,
}

impl StepFigures {
    /// Microseconds of the host's work a dispatch.
    pub fn host_us(&self) -> f64 {
        1e6 * self.host.as_secs_f64() / self.dispatches as f64
    }

    /// One row for the step, one a recording, one a kernel family.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::new(
            format!("step {}", self.name),
            &self.times,
            String::new(),
        )];
        for (recording, times) in &self.recordings {
            let case = format!("step {}: {recording}", self.name);
            rows.push(Row::new(case, times, String::new()));
        }
        for (family, seconds, launches) in &self.families {
            if let Some(times) = Times::new(vec![*seconds]) {
                let variant = format!("{launches} launches");
                let case = format!("step {}: {family}", self.name);
                rows.push(Row::new(case, &times, variant));
            }
        }
        rows
    }

    /// What the rows do not say.
    pub(super) fn text(&self) -> String {
        let host = self.host.as_secs_f64();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {:.1} ms a step (least {:.1}), {} dispatches, {} MiB planned\n\
             host: {:.2} ms a step to record and submit, {:.1} us a dispatch, {:.1} % of the step\n\
             first step after {:.2} s\n",
            self.name,
            1e3 * self.times.median(),
            1e3 * self.times.min(),
            self.dispatches,
            mebibytes(self.bytes),
            1e3 * host,
            self.host_us(),
            100.0 * host / self.times.median(),
            self.first.as_secs_f64(),
        );
        text
    }
}

/// The system of a configuration and its plan, before there are data.
///
/// # Errors
/// Where the configuration does not fit together or the adapter.
pub(super) fn presumed(
    facts: &AdapterFacts,
    config: &Config,
) -> Result<(Arc<dyn System>, Blueprint)> {
    let channels = config.data.channels.unwrap_or(1) * config.data.stack;
    let open = |config: &Config| systems::open(config, &Given::presumed(config, channels));
    capacity::plan(facts, config, open)
}

/// Measures training steps on images that show nothing.
///
/// # Errors
/// Where the configuration does not fit together or the device failed.
pub fn measure_step(gpu: &Gpu, config: &Config) -> Result<StepFigures> {
    let start = Instant::now();
    let (system, blueprint) = presumed(&gpu.facts, config)?;
    let bytes = blueprint.memory.total();
    let mut session = Session::new(gpu, config, system, blueprint)?;
    // Times do not depend on what the data show.
    let mut feed = constant(session.system(), config.batch);
    let mut step = |session: &mut Session| -> Result<f64> {
        let start = Instant::now();
        session.step(&mut feed)?;
        gpu.wait()?;
        Ok(start.elapsed().as_secs_f64())
    };
    step(&mut session)?;
    let first = start.elapsed();
    let begin = Instant::now();
    let mut steps = 1;
    while steps < WARM_UP.0 || begin.elapsed() < WARM_UP.1 {
        step(&mut session)?;
        steps += 1;
    }
    let mut seconds = Vec::new();
    let begin = Instant::now();
    while seconds.len() < LEAST || (seconds.len() < MOST && begin.elapsed() < BUDGET) {
        seconds.push(step(&mut session)?);
    }
    let recordings = recordings(&mut session)?;
    let mut hosts = Vec::new();
    for _ in 0..LEAST {
        hosts.push(session.host_time()?);
    }
    hosts.sort();
    let families = families(&mut session)?;
    Ok(StepFigures {
        name: format!("{} batch {}", networks(config), config.batch),
        times: Times::new(seconds).expect("steps were timed"),
        recordings,
        host: hosts[hosts.len() / 2],
        dispatches: families.iter().map(|(_, _, launches)| launches).sum(),
        bytes,
        families,
        first,
    })
}

/// The preset and the width of networks that have one, for names of rows.
pub(super) fn networks(config: &Config) -> String {
    let width = config.value("model.width");
    let width = width.map_or_else(String::new, |width| format!(" width {width}"));
    format!("{}{width}", config.preset)
}

/// A batch for every column that a system takes: images that show nothing, and
/// zeros.
fn constant(system: &dyn System, batch: usize) -> Same {
    let columns = system.fields().into_iter().filter_map(|field| {
        let count = field.shape(batch).numel();
        match field.source {
            Source::Pixels { column, .. } => {
                let pixels = (0..count).map(|i| (i as f32 * 0.37).sin());
                Some((column, pixels.collect()))
            }
            Source::Column { column, .. } => Some((column, vec![0.0; count])),
            Source::Latent(_) | Source::Scalar | Source::Zero => None,
        }
    });
    Same(columns.collect())
}

/// Times of each recording of a step by name, a round of all after another.
fn recordings(session: &mut Session) -> Result<Vec<(String, Times)>> {
    let mut seconds: Vec<(String, Vec<f64>)> = Vec::new();
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < LEAST || (rounds < MOST && begin.elapsed() < BUDGET) {
        for (place, (name, time)) in session.recording_times()?.into_iter().enumerate() {
            if rounds == 0 {
                seconds.push((name, Vec::new()));
            }
            seconds[place].1.push(time.as_secs_f64());
        }
        rounds += 1;
    }
    let times = seconds.into_iter();
    Ok(times
        .filter_map(|(name, seconds)| Some((name, Times::new(seconds)?)))
        .collect())
}

/// Seconds and launches by kernel family, the longest first.
fn families(session: &mut Session) -> Result<Vec<(String, f64, usize)>> {
    let mut least: Vec<(String, u64)> = Vec::new();
    for _ in 0..PROFILES {
        let times = session.profile()?;
        if least.is_empty() {
            least = times
                .iter()
                .map(|(kernel, time)| (family(kernel), *time))
                .collect();
        }
        for (known, (_, time)) in least.iter_mut().zip(&times) {
            known.1 = known.1.min(*time);
        }
    }
    let mut sums: HashMap<String, (f64, usize)> = HashMap::new();
    for (family, nanoseconds) in least {
        let sum = sums.entry(family).or_default();
        sum.0 += 1e-9 * nanoseconds as f64;
        sum.1 += 1;
    }
    let mut families: Vec<_> = sums
        .into_iter()
        .map(|(family, (seconds, launches))| (family, seconds, launches))
        .collect();
    families.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(families)
}
