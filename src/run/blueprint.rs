//! A run as data: everything that is known of it before there is a device.

use std::collections::HashMap;

use crate::config::{Config, OptimizerKind};
use crate::error::{Error, Result};
use crate::gpu::expand;
use crate::graph::{Group, Places, Program, Shape};
use crate::ops::{Contraction, Facts};
use crate::optim;
use crate::plan::Plan;
use crate::recording::Recording;
use crate::systems::{Build, Field, Network, Pass, System, View, Weights};

use super::memory::MemoryPlan;
use super::monitor::Monitor;

/// What a recording is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// A pass of a step, up to its gradients.
    Pass,
    /// The update of a network.
    Update,
    /// Something to look at.
    View,
    /// What measures the run's health.
    Health,
}

/// A recording of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Name of the pass or view, or `update <network>`.
    pub name: String,
    /// What it is a part of.
    pub part: Part,
    /// What it does.
    pub recording: Recording,
}

/// A pass with what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassPlan {
    /// The pass as its system describes it.
    pub pass: Pass,
    /// The networks that are updated after it, in this order.
    pub updates: Vec<&'static str>,
}

/// A view of so many records at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    /// The view as its system describes it.
    pub view: View,
    /// Records of one replay.
    pub count: usize,
}

/// A run as data: layout and recordings, made without a GPU.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Where every persistent tensor lies. Groups: for each network its weights,
    /// buffers, gradients, moments and average; then memory, fields, reports, the
    /// first view, what measures health, and the other views.
    pub places: Places,
    /// Networks with their tensors.
    pub networks: Vec<Network>,
    /// What a batch holds.
    pub fields: Vec<Field>,
    /// The passes of steps.
    pub passes: Vec<PassPlan>,
    /// What can be looked at.
    pub views: Vec<ViewPlan>,
    /// Passes by their names, `update <network>`, views by theirs, and where health
    /// is measured `health` and `health before`.
    pub recordings: Vec<Recorded>,
    /// The monitor, where health is measured.
    pub(super) monitor: Option<Monitor>,
    /// Bytes by use.
    pub memory: MemoryPlan,
    /// The contractions of all recordings, each once.
    pub contractions: Vec<Contraction>,
}

/// Records that the first view shows at a time, at most.
const SHOWN: usize = 64;

impl Blueprint {
    /// Plans a run that can be looked at through its system's first view.
    ///
    /// # Errors
    /// Where sizes do not fit together or a tensor is too long for a binding.
    pub fn new(config: &Config, system: &dyn System, facts: &Facts) -> Result<Self> {
        Self::with_views(config, system, facts, &[], 0)
    }

    /// As [`Blueprint::new`], with more views, and at least so many records at a
    /// time through each.
    ///
    /// # Errors
    /// As [`Blueprint::new`].
    pub fn with_views(
        config: &Config,
        system: &dyn System,
        facts: &Facts,
        more: &[&str],
        least: usize,
    ) -> Result<Self> {
        let batch = config.batch;
        let networks = system.networks()?;
        let fields = system.fields();
        let mut places = Places::default();
        for network in &networks {
            lay_out(&mut places, network)?;
        }
        let kept = system.memory().into_iter();
        let kept: Vec<_> = kept.map(|m| (m.name.to_owned(), m.shape)).collect();
        places.add_group(Group::Memory, &kept)?;
        let of_batch = fields.iter();
        let of_batch = of_batch.map(|field| (field.name.to_owned(), field.shape(batch)));
        places.add_group(Group::Field, &of_batch.collect::<Vec<_>>())?;
        let reports = system.reports().into_iter();
        let reports = reports.map(|report| (report.name.to_owned(), Shape::scalar()));
        places.add_group(Group::Report, &reports.collect::<Vec<_>>())?;

        // The first takes no more memory than training.
        let views = chosen(system.views(), more)?;
        let views = views.into_iter().map(|view| ViewPlan {
            count: view.records(batch.min(SHOWN).max(least)),
            view,
        });
        let views: Vec<ViewPlan> = views.collect();
        let mut programs = Vec::new();
        let mut passes = Vec::new();
        for pass in system.passes() {
            let mut build = Build::pass(system, &networks, batch);
            system.build(pass.name, &mut build)?;
            let built = build.finish()?;
            programs.push((pass.name, Part::Pass, built.program));
            passes.push(PassPlan {
                pass,
                updates: built.updates,
            });
        }
        let mut monitor = None;
        for (index, ViewPlan { view, count }) in views.iter().enumerate() {
            let program = seen(system, &networks, view, Weights::Averaged, *count)?;
            add_view(&mut places, view, *count, &program)?;
            programs.push((view.name, Part::View, program));
            if index == 0 && config.train.health {
                let mut made = Monitor::new(&mut places, system, &networks, batch)?;
                programs.push(("health", Part::Health, made.take_program()));
                monitor = Some(made);
            }
        }
        if views.is_empty() && config.train.health {
            let mut made = Monitor::new(&mut places, system, &networks, batch)?;
            programs.push(("health", Part::Health, made.take_program()));
            monitor = Some(made);
        }

        let mut plans = Vec::new();
        for (name, part, program) in &programs {
            plans.push((*name, *part, Plan::new(program, &places, facts)?));
        }
        let memory = MemoryPlan::new(&places, plans.iter().map(|(_, _, plan)| plan));
        let mut contractions: Vec<Contraction> = Vec::new();
        for contraction in plans.iter().flat_map(|(_, _, plan)| &plan.contractions) {
            if !contractions.iter().any(|known| known.is_like(contraction)) {
                contractions.push(*contraction);
            }
        }
        let mut recordings: Vec<Recorded> = Vec::new();
        let mut add = |name: String, part, recording| {
            recordings.push(Recorded {
                name,
                part,
                recording,
            });
        };
        for (name, part, plan) in plans {
            add(name.to_owned(), part, plan.recording);
        }
        if let Some(monitor) = &monitor {
            let before = monitor.before(&places);
            add("health before".to_owned(), Part::Health, before);
        }
        for network in &networks {
            let Some(moves) = &network.moves else {
                continue;
            };
            let recording = optim::recording(&moves.optimizer, moves.clip, &places, network.name)?;
            add(update_of(network.name), Part::Update, recording);
        }
        Ok(Self {
            places,
            networks,
            fields,
            passes,
            views,
            recordings,
            monitor,
            memory,
            contractions,
        })
    }

    /// The recording of this name.
    pub fn recording(&self, name: &str) -> Option<&Recording> {
        let found = self.recordings.iter().find(|known| known.name == name);
        found.map(|known| &known.recording)
    }
}

impl Blueprint {
    /// A fingerprint of the kernels that train, in eight hex digits. Two programs, or two
    /// choices of variants, with other kernels round differently.
    ///
    /// # Errors
    /// None for the kernels of a plan.
    pub fn arithmetic(&self) -> Result<String> {
        let mut crc = flate2::Crc::new();
        let trains = |recorded: &&Recorded| matches!(recorded.part, Part::Pass | Part::Update);
        let dispatches = self.recordings.iter().filter(trains);
        let dispatches = dispatches.flat_map(|recorded| recorded.recording.dispatches());
        let mut known = HashMap::new();
        for dispatch in dispatches {
            let sum = match known.get(&dispatch.kernel) {
                Some(sum) => *sum,
                None => {
                    let mut crc = flate2::Crc::new();
                    for line in expand(&dispatch.kernel)?.lines() {
                        let code = line.split("//").next().unwrap_or_default();
                        crc.update(code.trim().as_bytes());
                    }
                    known.insert(&dispatch.kernel, crc.sum());
                    crc.sum()
                }
            };
            crc.update(&sum.to_le_bytes());
        }
        Ok(format!("{:08x}", crc.sum()))
    }
}

/// The name of the recording that updates a network.
pub(super) fn update_of(network: &str) -> String {
    format!("update {network}")
}

/// The first of some views, others that figures show, and those named.
fn chosen(mut views: Vec<View>, more: &[&str]) -> Result<Vec<View>> {
    let mut chosen: Vec<View> = views.drain(..views.len().min(1)).collect();
    chosen.extend(views.extract_if(.., |view| view.figured));
    for name in more {
        let found = views.iter().position(|view| view.name == *name);
        match found {
            Some(index) => chosen.push(views.remove(index)),
            None => {
                return Err(Error::shape("view", format!("there is no view {name}")));
            }
        }
    }
    Ok(chosen)
}

/// The program of a view of `count` records.
///
/// # Errors
/// Where sizes do not fit together.
pub(crate) fn seen(
    system: &dyn System,
    networks: &[Network],
    view: &View,
    weights: Weights,
    count: usize,
) -> Result<Program> {
    let named = (view.name, view.inputs.clone());
    let mut build = Build::view(system, networks, named, weights, count);
    system.look(view.name, &mut build)?;
    Ok(build.finish()?.program)
}

fn add_view(places: &mut Places, view: &View, count: usize, program: &Program) -> Result<()> {
    let inputs = view.inputs.iter();
    let mut tensors: Vec<(String, Shape)> = inputs
        .map(|field| (format!("{}.{}", view.name, field.name), field.shape(count)))
        .collect();
    for output in &view.outputs {
        let name = view.output_tensor(output);
        let id = program
            .graph
            .find_state(&name)
            .ok_or_else(|| Error::shape("view", format!("{} gives no {output}", view.name)))?;
        tensors.push((name, program.graph.state_info(id).shape.clone()));
    }
    places.add_group(Group::View(view.name.to_owned()), &tensors)
}

/// Places for a network, what its training needs, and its average.
fn lay_out(places: &mut Places, network: &Network) -> Result<()> {
    let list = |trained: bool| -> Vec<(String, Shape)> {
        let tensors = network.tensors.iter();
        let tensors = tensors.filter(|tensor| tensor.is_trained() == trained);
        tensors.map(|t| (t.name.clone(), t.shape.clone())).collect()
    };
    let renamed = |tensors: &[(String, Shape)], name: &dyn Fn(&str) -> String| {
        let tensors = tensors.iter();
        tensors
            .map(|(known, shape)| (name(known), shape.clone()))
            .collect::<Vec<_>>()
    };
    let (trained, buffers) = (list(true), list(false));
    let name = || network.name.to_owned();
    places.add_group(Group::Weights(name()), &trained)?;
    places.add_group(Group::Buffers(name()), &buffers)?;
    if let Some(moves) = &network.moves {
        let gradients = renamed(&trained, &|known| format!("gradient.{known}"));
        places.add_group(Group::Gradient(name()), &gradients)?;
        for moment in 1..=moments(moves.optimizer.kind) {
            let tensors = renamed(&trained, &|known| format!("moment{moment}.{known}"));
            places.add_group(Group::Moment(name(), moment), &tensors)?;
        }
    }
    if network.average > 0.0 {
        let averaged = |known: &str| network.averaged(known);
        places.add_group(Group::Average(name()), &renamed(&trained, &averaged))?;
        places.add_group(Group::AverageBuffers(name()), &renamed(&buffers, &averaged))?;
    }
    Ok(())
}

/// Tensors an optimiser keeps for each parameter.
fn moments(kind: OptimizerKind) -> usize {
    match kind {
        OptimizerKind::Sgd | OptimizerKind::Rmsprop => 1,
        OptimizerKind::Adam => 2,
    }
}
