//! `gpugan check`: the whole list on one adapter, as a table or as JSON.

use std::fmt::Write;

use serde_json::json;

use super::{Case, Comparison, Family, cases, run_case};
use crate::config::options::CheckOptions;
use crate::console::print;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Selector};
use crate::ops::Rung;

/// What became of a case.
struct Outcome<'a> {
    case: &'a Case,
    rung: Rung,
    /// Its tensors, or why it did not run.
    result: Result<Vec<Comparison>>,
}

impl Outcome<'_> {
    /// What is wrong, a line each.
    fn faults(&self) -> Vec<String> {
        match &self.result {
            Ok(tensors) => tensors
                .iter()
                .filter(|tensor| !tensor.ok)
                .map(|tensor| format!("{:?} ({:?}): {tensor}", self.case, self.rung))
                .collect(),
            Err(error) => vec![format!("{:?} ({:?}): {error}", self.case, self.rung)],
        }
    }

    /// Largest relative error, infinite where there is no number.
    fn worst(&self) -> f64 {
        match &self.result {
            Ok(tensors) => tensors
                .iter()
                .map(|tensor| tensor.error.unwrap_or(f64::INFINITY))
                .fold(0.0, f64::max),
            Err(_) => f64::INFINITY,
        }
    }

    /// One object a tensor.
    fn json(&self, gpu: &Gpu) -> String {
        let about = |tensor: &str, error: Option<f64>, ok: bool, fault: Option<String>| {
            let line = json!({
                "case": self.case.name,
                "family": self.case.family.to_string(),
                "adapter": gpu.facts.name,
                "driver": format!("{} {}", gpu.facts.driver, gpu.facts.driver_info),
                "contractions": format!("{:?}", self.rung).to_lowercase(),
                "tensor": tensor,
                "error": error,
                "ok": ok,
                "fault": fault,
            });
            format!("{line}\n")
        };
        match &self.result {
            Ok(tensors) => tensors
                .iter()
                .map(|t| {
                    let fault = (!t.ok).then(|| t.to_string());
                    about(&t.tensor, t.error, t.ok, fault)
                })
                .collect(),
            Err(error) => about("", None, false, Some(error.to_string())),
        }
    }
}

/// Runs the cases that are asked for and prints what is wrong with the
/// adapter's driver, if anything.
///
/// # Errors
/// [`Error::Usage`] where no case has such a name, [`Error::Gpu`] where a case
/// came out wrong or the device was lost.
pub fn run(options: &CheckOptions) -> Result<()> {
    let filter = options.filter.as_deref().unwrap_or_default();
    let list: Vec<Case> = cases()
        .into_iter()
        .filter(|case| format!("{case:?}").contains(filter))
        .collect();
    if list.is_empty() {
        return Err(Error::usage(
            format!("no case name contains '{filter}'"),
            "leave --filter out to run them all",
        ));
    }
    let gpu = Gpu::open(&Selector::named(options.adapter.as_deref()))?;
    if !options.json {
        print(&format!(
            "{}\n{} {}\n\n{:<14} {:>5} {:>10}\n",
            gpu.facts, gpu.facts.driver, gpu.facts.driver_info, "family", "cases", "worst"
        ))?;
    }
    let mut faults = Vec::new();
    for family in Family::ALL {
        let (mut count, mut outcomes) = (0, Vec::new());
        for case in list.iter().filter(|case| case.family == family) {
            count += 1;
            for rung in case.rungs()? {
                let result = run_case(&gpu, case, rung);
                // After a lost device nothing more can be learnt.
                gpu.check()?;
                let outcome = Outcome { case, rung, result };
                if options.json {
                    print(&outcome.json(&gpu))?;
                }
                outcomes.push(outcome);
            }
        }
        if outcomes.is_empty() {
            continue;
        }
        let wrong: Vec<String> = outcomes.iter().flat_map(Outcome::faults).collect();
        if !options.json {
            let worst = outcomes.iter().map(Outcome::worst).fold(0.0, f64::max);
            let verdict = if wrong.is_empty() { "ok" } else { "WRONG" };
            let mut text = format!("{family:<14} {count:>5} {worst:>10.1e}  {verdict}\n");
            for fault in &wrong {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "  {fault}");
            }
            print(&text)?;
        }
        faults.extend(wrong);
    }
    gpu.save_pipeline_cache();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::gpu(
        format!(
            "{} of the results on {} are wrong",
            faults.len(),
            gpu.facts.name
        ),
        "update its driver, or choose another adapter with --adapter",
    ))
}
