//! A run as data: everything that is known of it before there is a device.

use crate::config::Config;
use crate::error::Result;
use crate::gan::monitor::Monitor;
use crate::gan::{self, Layout};
use crate::graph::{Plan, Program};
use crate::models::Model;
use crate::ops::{Contraction, Facts};
use crate::optim;
use crate::recording::Recording;

use super::memory::MemoryPlan;

/// A run as data: layout and recordings, made without a GPU.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Persistent tensors.
    pub layout: Layout,
    /// Recordings by name: those of [`gan::programs`], `update D`, `update G`,
    /// and what is no part of a step ([`is_step`]): `sample`, `probe`, and where
    /// health is measured `health` and `health before`.
    pub recordings: Vec<(&'static str, Recording)>,
    /// Bytes by use.
    pub memory: MemoryPlan,
    /// Images of one sampling pass.
    pub samples: usize,
    /// The contractions of all recordings, each once.
    pub contractions: Vec<Contraction>,
}

/// Whether a recording is part of training steps.
pub fn is_step(name: &str) -> bool {
    !matches!(name, "sample" | "probe" | "health" | "health before")
}

impl Blueprint {
    /// Plans a run.
    ///
    /// # Errors
    /// Where sizes do not fit together or a tensor is too long for a binding.
    pub fn new(config: &Config, model: &Model, facts: &Facts) -> Result<Self> {
        Self::with_probe(config, model, facts, 0)
    }

    /// As [`Blueprint::new`], for [`probe`](super::session::Session::probe) of `probed` images at a time
    /// and sampling passes of as many.
    ///
    /// # Errors
    /// As [`Blueprint::new`].
    pub fn with_probe(
        config: &Config,
        model: &Model,
        facts: &Facts,
        probed: usize,
    ) -> Result<Self> {
        // No more than a batch, so that sampling takes no more memory than
        // training; probes are of points, which are small.
        let samples = config.batch.min(64).max(probed);
        let mut layout = Layout::new(config, model)?;
        let [c, h, w] = model.image();
        layout.places.add_group(
            "sample",
            &[
                ("sample.z".to_owned(), [samples, model.latent()].into()),
                ("sample.images".to_owned(), [samples, c, h, w].into()),
            ],
        )?;
        let monitor = match config.train.health {
            true => Some(Monitor::new(&mut layout.places, config, model)?),
            false => None,
        };
        if probed > 0 {
            layout.places.add_group(
                "probe",
                &[
                    ("probe.images".to_owned(), [probed, c, h, w].into()),
                    ("probe.scores".to_owned(), [probed, 1].into()),
                    ("probe.gradient".to_owned(), [probed, c, h, w].into()),
                ],
            )?;
        }
        let plan = |program: &Program| Plan::new(program, &layout.places, facts);
        let mut plans = Vec::new();
        for (name, program) in gan::programs(config, model)? {
            plans.push((name, plan(&program)?));
        }
        let prefix = if config.train.ema_decay > 0.0 {
            "G_ema"
        } else {
            "G"
        };
        plans.push(("sample", plan(&gan::sampling(model, prefix, samples)?)?));
        if let Some(monitor) = &monitor {
            plans.push(("health", plan(&monitor.program(config, model)?)?));
        }
        if probed > 0 {
            plans.push(("probe", plan(&gan::probe(config, model, probed)?)?));
        }
        let memory = MemoryPlan::new(&layout.places, plans.iter().map(|(_, plan)| plan));
        let mut contractions: Vec<Contraction> = Vec::new();
        for contraction in plans.iter().flat_map(|(_, plan)| &plan.contractions) {
            if !contractions.iter().any(|known| known.is_like(contraction)) {
                contractions.push(*contraction);
            }
        }
        let mut recordings: Vec<_> = plans
            .into_iter()
            .map(|(name, plan)| (name, plan.recording))
            .collect();
        if let Some(monitor) = &monitor {
            recordings.push(("health before", monitor.before(&layout.places)));
        }
        let clip = config.weight_clip();
        for (name, optimizer, net, clip) in [
            ("update D", &config.optimizer.d, "D", clip),
            ("update G", &config.optimizer.g, "G", None),
        ] {
            let recording = optim::recording(optimizer, clip, &layout.places, net)?;
            recordings.push((name, recording));
        }
        Ok(Self {
            layout,
            recordings,
            memory,
            samples,
            contractions,
        })
    }
}
