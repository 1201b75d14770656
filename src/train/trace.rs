//! `trace.safetensors`: everything another framework needs to replay the first
//! steps of a session.
//!
//! `before.*` and `after.*` are all tensors of the state (weights, running
//! statistics, averages, moments). Update number `u` (all networks counted
//! together, in their order, those before the first step too) is
//! `u00000.D.real` `[N, C, H, W]` in [-1, 1], `u00000.D.z` `[N, latent]`, or
//! `u00001.G.z`, and `u00000.D.update` with learning rate, momentum and Adam's
//! two corrections. `step00000.metrics` is `[loss_d, loss_g, d_real, d_fake]`.
//! The metadata hold `config`, `seed` and `draws`, the random counter of each
//! update, from which dropout follows; a simultaneous step is an update of D
//! and one of G with the same counter.

use super::checkpoint::Checkpoint;
use super::run_folder::RunFolder;
use super::session::{Drawn, Session};
use super::state;
use crate::config::Config;
use crate::error::Result;

/// A trace while it grows; nothing where none was asked for.
pub(super) struct Trace {
    steps: u64,
    /// `[N, C, H, W]` of a batch.
    batch: [usize; 4],
    seen: u64,
    updates: usize,
    draws: Vec<String>,
    /// `None` once it is written.
    file: Option<Checkpoint>,
}

impl Trace {
    /// A trace of this many steps on batches `[N, C, H, W]`.
    pub(super) fn new(steps: u64, batch: [usize; 4]) -> Self {
        Self {
            steps,
            batch,
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

    /// Takes what an update of `network` saw.
    pub(super) fn update(&mut self, network: &str, real: &[f32], drawn: &Drawn) {
        let Some(file) = &mut self.file else { return };
        let mut add = |name: &str, shape: &[usize], values: &[f32]| {
            let name = format!("u{:05}.{network}.{name}", self.updates);
            let tensor = (shape.to_vec(), values.to_vec());
            file.tensors.insert(name, tensor);
        };
        if !real.is_empty() {
            add("real", &self.batch, real);
        }
        let count = self.batch[0];
        add("z", &[count, drawn.z.len() / count], &drawn.z);
        let update = &drawn.update;
        let values = [
            update.learning_rate,
            update.momentum,
            update.correction1,
            update.correction2,
        ];
        add("update", &[values.len()], &values);
        self.draws.push(drawn.draw.to_string());
        self.updates += 1;
    }

    /// Takes the step's losses, waiting for them.
    ///
    /// # Errors
    /// Where the device failed.
    pub(super) fn metrics(&mut self, session: &mut Session) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let values: Vec<f32> = session.latest_metrics()?.to_vec();
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
            crate::gan::latent::fold(config.seed).to_string(),
        );
        file.metadata
            .insert("draws".to_owned(), self.draws.join(" "));
        file.save(&folder.trace())
    }
}
