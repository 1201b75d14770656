//! What a run makes of its health: a warning, its end, or the last healthy
//! checkpoint again.

use super::training::Run;
use crate::config::{OnCollapse, Override};
use crate::data::Loaders;
use crate::error::{Error, Result};
use crate::run::health::{Finding, Observation, Rules, STEPS, TICKS, Verdict};
use crate::run::state;
use crate::run::stats::{self, Tick, TickSums, Writer};
use crate::store::checkpoint::{self, Checkpoint};
use crate::store::replace::replace;
use crate::systems::{Moves, System, Unit};

/// Rollbacks until a run gives up.
const TRIES: u32 = 3;

/// How a run goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Course {
    /// With the next step.
    Step,
    /// From an earlier checkpoint.
    RolledBack,
}

/// What a tick is found to be, after those before it; it is written into the
/// tick.
pub(super) fn judge(
    rules: &Rules,
    system: &dyn System,
    before: &[Tick],
    tick: &mut Tick,
) -> Vec<Finding> {
    // As many as a verdict can depend on, where a tick is a step.
    let window = before.len().saturating_sub(STEPS as usize + TICKS);
    let seen: Vec<Observation> = before[window..]
        .iter()
        .chain([&*tick])
        .filter_map(|tick| observation(system, tick))
        .collect();
    let Some(health) = &mut tick.health else {
        return Vec::new();
    };
    let findings = rules.findings(&seen);
    health.verdicts = findings.iter().map(|finding| finding.verdict).collect();
    findings
}

/// The health of a checkpoint saved after these ticks, for its metadata.
pub(super) fn describe(rules: &Rules, system: &dyn System, ticks: &[Tick]) -> String {
    let signs = ticks
        .iter()
        .rev()
        .find_map(|tick| observation(system, tick))
        .map(|last| rules.strict_signs(&last))
        .unwrap_or_default();
    if signs.is_empty() {
        return checkpoint::HEALTHY.to_owned();
    }
    let names: Vec<&str> = signs.iter().map(|sign| sign.verdict.name()).collect();
    names.join(", ")
}

/// A tick for the rules: the losses of two players, or all.
fn observation(system: &dyn System, tick: &Tick) -> Option<Observation> {
    let known = |name: &str| tick.reports.get(name).copied();
    let losses: Vec<Option<f64>> = match system.duel() {
        Some(duel) => duel.losses.map(known).into(),
        None => {
            let reports = system.reports().into_iter();
            let losses = reports.filter(|report| report.unit == Unit::Loss);
            losses.map(|report| known(report.name)).collect()
        }
    };
    Some(Observation {
        step: tick.step,
        // Ticks of an earlier stage had others.
        losses: losses.into_iter().collect::<Option<_>>()?,
        measures: tick.health.clone()?,
    })
}

impl Run<'_> {
    /// Does what the configuration asks for after these findings.
    ///
    /// # Errors
    /// [`Error::Unhealthy`] where the run ends because of them.
    pub(super) fn respond(&mut self, findings: Vec<Finding>) -> Result<Course> {
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
            return Ok(Course::Step);
        };
        let broken = gravest.verdict == Verdict::NonFinite;
        match self.config.train.on_collapse {
            OnCollapse::Warn if !broken => Ok(Course::Step),
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
    pub(super) fn unhealthy(&self, findings: &[Finding], after: &str) -> Result<Error> {
        let left = match checkpoint::last_healthy(self.folder.path())? {
            Some((_, path)) => format!("the last healthy checkpoint is {}", path.display()),
            None => "no healthy checkpoint was saved".to_owned(),
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
    fn roll_back(&mut self, findings: &[Finding]) -> Result<Course> {
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
        let file = Checkpoint::load(&path)?;
        let (_, about) = state::description(&file, &path)?;
        // Of the stage that failed, which may not be the checkpoint's.
        let rates = self.scale_learning_rates(factors)?;
        // Else a resumed run would start from them.
        for (_, newer) in checkpoint::list(self.folder.path())?
            .into_iter()
            .filter(|(newer, _)| *newer > step)
        {
            std::fs::remove_file(&newer).map_err(Error::io("remove", &newer))?;
        }
        if about.stage != self.about.stage {
            let earlier = self.session_of(about.stage, Some(&about.kept))?;
            self.enter(earlier, about.stage);
            self.references()?;
        }
        let positions = state::restore(&mut self.session, &file, &path)?;
        self.session.counters.rollbacks = tries + 1;
        if !self.folder.asked().exists() {
            // Else nobody could tell what the run was meant to be.
            let (from, to) = (self.folder.config(), self.folder.asked());
            std::fs::copy(&from, &to).map_err(Error::io("copy", &from))?;
        }
        replace(&self.folder.config(), |out| {
            std::io::Write::write_all(out, self.config.to_toml().as_bytes())
        })?;
        stats::truncate_after(&self.folder.stats(), step)?;
        if let Some(scores) = &mut self.scores {
            scores.go_on(&self.folder, step)?;
        }
        if let Some(events) = &mut self.events {
            events.restart(step)?;
        }
        // The file was replaced.
        self.stats = Writer::append(self.folder.stats())?;
        self.ticks.retain(|tick| tick.step <= step);
        self.tick = TickSums::default();
        self.known = Default::default();
        self.loaders = Loaders::new(
            &self.data,
            self.config.batch,
            self.config.seed,
            &positions,
            self.config.data.mirror,
        )?;
        self.progress.line(&format!(
            "rollback {} of {TRIES}: from step {from} to {step}, with {}",
            tries + 1,
            rates.join(", ")
        ))?;
        self.progress
            .start(self.session.gpu(), step, self.config.steps);
        Ok(Course::RolledBack)
    }

    /// Multiplies the learning rates of generator and discriminator, or all by the
    /// smaller factor, in the session and the configuration; says what they are.
    fn scale_learning_rates(&mut self, [g, d]: [f64; 2]) -> Result<Vec<String>> {
        let duel = self.session.system().duel();
        let section_of = |name: &str| {
            let network = self.session.networks().iter().find(|n| n.name == name);
            network?.moves.as_ref().map(|moves| moves.section)
        };
        let players = duel.map(|duel| [duel.generator, duel.discriminator].map(section_of));
        let moving = self.session.networks().iter();
        let moving = moving.filter_map(|n| Some((n.name, n.moves.as_ref()?.section)));
        for (name, section) in moving.collect::<Vec<_>>() {
            let factor = match players {
                Some([of_g, _]) if of_g == Some(section) => g,
                Some([_, of_d]) if of_d == Some(section) => d,
                _ => g.min(d),
            };
            self.session.scale_learning_rate(name, factor);
        }
        let (mut changes, mut rates) = (Vec::new(), Vec::new());
        let moving = self.session.networks().iter();
        for Moves {
            section, optimizer, ..
        } in moving.filter_map(|network| network.moves.as_ref())
        {
            let rate = format!("{section}.lr = {:.2e}", optimizer.lr);
            // Several networks may share a section, and move alike.
            if !rates.contains(&rate) {
                rates.push(rate);
                changes.push(Override::new(format!("{section}.lr_min"), optimizer.lr_min));
                changes.push(Override::new(format!("{section}.lr"), optimizer.lr));
            }
        }
        self.config = self.config.with(changes)?;
        Ok(rates)
    }
}
