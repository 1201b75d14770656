//! `trace.safetensors`: everything another framework needs to replay the first
//! steps of a session.
//!
//! `before.*` and `after.*` are all tensors of the state (weights, running
//! statistics, averages, moments, memory). Update number `u` (all networks counted
//! together, in their order) is `u00000.<network>.<field>` `[N, ...]` for each field
//! that was drawn for its pass, images in [-1, 1], and `u00000.<network>.update` with
//! learning rate, momentum and Adam's two corrections. `step00000.metrics` are the
//! step's reports in the order of their system. The metadata hold `config`, `seed`
//! and `draws`, the random counter of each update, from which dropout follows; the
//! updates of one pass have the same counter.

use crate::config::Config;
use crate::error::Result;
use crate::run::session::{Passed, Session};
use crate::run::state;
use crate::store::checkpoint::Checkpoint;
use crate::store::run_folder::RunFolder;

/// A trace while it grows; nothing where none was asked for.
pub(super) struct Trace {
    steps: u64,
    seen: u64,
    updates: usize,
    draws: Vec<String>,
    /// `None` once it is written.
    file: Option<Checkpoint>,
}

impl Trace {
    /// A trace of this many steps.
    pub(super) fn new(steps: u64) -> Self {
        Self {
            steps,
            seen: 0,
            updates: 0,
            draws: Vec::new(),
            file: (steps > 0).then(Checkpoint::default),
        }
    }

    /// Takes the state before the first step.
    ///
    /// # Errors
    /// Where the device failed.
    pub(super) fn before(&mut self, session: &Session) -> Result<()> {
        self.state("before", session)
    }

    fn state(&mut self, prefix: &str, session: &Session) -> Result<()> {
        if let Some(file) = &mut self.file {
            for (name, tensor) in state::weights(session)?.tensors {
                file.tensors.insert(format!("{prefix}.{name}"), tensor);
            }
        }
        Ok(())
    }

    /// Takes what the passes of a step saw.
    pub(super) fn passes(&mut self, session: &Session, passes: &[Passed], batch: usize) {
        let Some(file) = &mut self.file else { return };
        let fields = session.system().fields();
        for passed in passes {
            for (network, update) in &passed.updates {
                let mut add = |name: &str, shape: Vec<usize>, values: &[f32]| {
                    let name = format!("u{:05}.{network}.{name}", self.updates);
                    file.tensors.insert(name, (shape, values.to_vec()));
                };
                for (name, values) in &passed.fields {
                    let field = fields.iter().find(|field| field.name == *name);
                    let shape = field.map(|field| field.shape(batch).to_vec());
                    add(name, shape.unwrap_or_else(|| vec![values.len()]), values);
                }
                let values = [
                    update.learning_rate,
                    update.momentum,
                    update.correction1,
                    update.correction2,
                ];
                add("update", vec![values.len()], &values);
                self.draws.push(passed.draw.to_string());
                self.updates += 1;
            }
        }
    }

    /// Takes the step's reports, waiting for them.
    ///
    /// # Errors
    /// Where the device failed.
    pub(super) fn reports(&mut self, session: &Session) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let values: Vec<f32> = session.latest_reports()?;
        file.tensors.insert(
            format!("step{:05}.metrics", self.seen),
            (vec![values.len()], values),
        );
        self.seen += 1;
        Ok(())
    }

    /// Writes the trace after its last step, or where the run ends before.
    ///
    /// # Errors
    /// Where the device failed or the file cannot be written.
    pub(super) fn finish(
        &mut self,
        session: &Session,
        config: &Config,
        folder: &RunFolder,
        end: bool,
    ) -> Result<()> {
        if self.file.is_none() || (self.seen < self.steps && !end) {
            return Ok(());
        }
        self.state("after", session)?;
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.metadata.insert("config".to_owned(), config.to_toml());
        file.metadata.insert(
            "seed".to_owned(),
            crate::run::latent::fold(config.seed).to_string(),
        );
        file.metadata
            .insert("draws".to_owned(), self.draws.join(" "));
        file.save(&folder.trace())
    }
}
