//! What a run makes of its health: a warning, its end, or the last healthy
//! checkpoint again.

use super::checkpoint::{self, Checkpoint};
use super::run::{Run, TickSums};
use super::stats::{self, Tick, Writer};
use super::{run_folder, state};
use crate::config::OnCollapse;
use crate::data::Loader;
use crate::error::{Error, Result};
use crate::gan::health::{Finding, Observation, Rules, STEPS, TICKS, Verdict};

/// Rollbacks until a run gives up.
const TRIES: u32 = 3;

/// How a run goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// With the next step.
    Step,
    /// From an earlier checkpoint.
    RolledBack,
}

/// What a tick is found to be, after those before it; it is written into the
/// tick.
pub(super) fn judge(rules: &Rules, before: &[Tick], tick: &mut Tick) -> Vec<Finding> {
    // As many as a verdict can depend on, where a tick is a step.
    let window = before.len().saturating_sub(STEPS as usize + TICKS);
    let seen: Vec<Observation> = before[window..]
        .iter()
        .chain([&*tick])
        .filter_map(observation)
        .collect();
    let Some(health) = &mut tick.health else {
        return Vec::new();
    };
    let findings = rules.findings(&seen);
    health.verdicts = findings.iter().map(|finding| finding.verdict).collect();
    findings
}

/// The health of a checkpoint saved after these ticks, for its metadata.
pub(super) fn describe(rules: &Rules, ticks: &[Tick]) -> String {
    let signs = ticks
        .iter()
        .rev()
        .find_map(observation)
        .map(|last| rules.strict_signs(&last))
        .unwrap_or_default();
    if signs.is_empty() {
        return checkpoint::HEALTHY.to_owned();
    }
    let names: Vec<&str> = signs.iter().map(|sign| sign.verdict.name()).collect();
    names.join(", ")
}

fn observation(tick: &Tick) -> Option<Observation> {
    Some(Observation {
        step: tick.step,
        loss_d: tick.loss_d,
        loss_g: tick.loss_g,
        measures: tick.health?,
    })
}

impl Run {
    /// Does what the configuration asks for after these findings.
    ///
    /// # Errors
    /// [`Error::Unhealthy`] where the run ends because of them.
    pub(super) fn respond(&mut self, findings: Vec<Finding>) -> Result<Next> {
        let step = self.session.counters.step;
        for finding in &findings {
            if !self.known.contains(finding.verdict) {
                self.progress.line(&format!(
                    "warning: step {step}: {finding}; {}",
                    finding.verdict.suggestion()
                ))?;
            }
        }
        self.known = findings.iter().map(|finding| finding.verdict).collect();
        let Some(gravest) = findings.first() else {
            return Ok(Next::Step);
        };
        let broken = gravest.verdict == Verdict::NonFinite;
        match self.config.train.on_collapse {
            OnCollapse::Warn if !broken => Ok(Next::Step),
            OnCollapse::Rollback => self.roll_back(&findings),
            OnCollapse::Warn | OnCollapse::Stop => {
                // What is not finite is not worth saving.
                if !broken {
                    self.snapshot()?;
                }
                Err(self.unhealthy(&findings, "")?)
            }
        }
    }

    /// The end of the run, with the way out.
    fn unhealthy(&self, findings: &[Finding], after: &str) -> Result<Error> {
        let left = match checkpoint::last_healthy(self.folder.path())? {
            Some((_, path)) => format!("the last healthy checkpoint is {}", path.display()),
            None => "no checkpoint was saved in health".to_owned(),
        };
        let all: Vec<String> = findings.iter().map(Finding::to_string).collect();
        // The gravest is the one to mend first.
        let mend = findings
            .first()
            .map_or("", |found| found.verdict.suggestion());
        Ok(Error::Unhealthy {
            what: format!(
                "training stopped at step {}{after}: {}",
                self.session.counters.step,
                all.join(", ")
            ),
            mend: format!("{left}; {mend}"),
        })
    }

    /// Goes on from the last healthy checkpoint with the learning rates that
    /// the verdicts ask for.
    fn roll_back(&mut self, findings: &[Finding]) -> Result<Next> {
        let from = self.session.counters.step;
        let tries = self.session.counters.rollbacks;
        if tries >= TRIES {
            return Err(self.unhealthy(findings, &format!(" after {tries} rollbacks"))?);
        }
        let healthy = checkpoint::last_healthy(self.folder.path())?;
        let remedies = findings.iter().map(|found| found.verdict.remedy());
        let factors = remedies.fold([1.0, 1.0], |[g, d]: [f64; 2], [by_g, by_d]| {
            [g.min(by_g), d.min(by_d)]
        });
        let Some((step, path)) = healthy.filter(|_| factors != [1.0, 1.0]) else {
            return Err(self.unhealthy(findings, "")?);
        };
        // Else a resumed run would start from them.
        for (_, newer) in checkpoint::list(self.folder.path())?
            .into_iter()
            .filter(|(newer, _)| *newer > step)
        {
            std::fs::remove_file(&newer).map_err(Error::io("remove", &newer))?;
        }
        let position = state::restore(&mut self.session, &Checkpoint::load(&path)?, &path)?;
        self.session.counters.rollbacks = tries + 1;
        self.session.scale_learning_rates(factors);
        self.config.optimizer = self.session.optimizers().clone();
        run_folder::replace(&self.folder.config(), |out| {
            std::io::Write::write_all(out, self.config.to_toml().as_bytes())
        })?;
        stats::truncate_after(&self.folder.stats(), step)?;
        // The file was replaced.
        self.stats = Writer::append(self.folder.stats())?;
        self.ticks.retain(|tick| tick.step <= step);
        self.tick = TickSums::default();
        self.known = Default::default();
        self.loader = Loader::new(
            self.dataset.clone(),
            self.config.batch,
            self.config.seed,
            position,
            self.config.data.mirror,
        )?;
        let optimizers = &self.config.optimizer;
        self.progress.line(&format!(
            "rollback {} of {TRIES}: from step {from} to {step}, with optimizer.g.lr = {:.2e}, optimizer.d.lr = {:.2e}",
            tries + 1,
            optimizers.g.lr,
            optimizers.d.lr
        ))?;
        self.progress.end();
        self.progress.start(step, self.config.steps);
        Ok(Next::RolledBack)
    }
}
