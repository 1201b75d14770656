//! Training a classifier: the program of a step and the loop.

use std::path::Path;
use std::sync::Arc;

use super::classifier::About;
use super::network::{Network, PREFIX};
use crate::config::Optimizer;
use crate::data::{Dataset, Loader, Position};
use crate::error::{Error, Result};
use crate::gan::latent;
use crate::gpu::{Executable, Gpu, Memory, Readback};
use crate::graph::{Places, Plan, Program, Role, Shape};
use crate::nn::{self, Mode, Net, Parameter};
use crate::optim;
use crate::recording::{Slice, StepValues};
use crate::train::checkpoint::Checkpoint;

/// How a classifier is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Updates; the learning rate falls linearly to 0 in them.
    pub steps: u64,
    /// Images in an update.
    pub batch: usize,
    /// Adam's first learning rate.
    pub lr: f64,
    /// Seed of weights, batches and dropout.
    pub seed: u64,
    /// Whether images are mirrored by chance.
    pub mirror: bool,
}

impl Recipe {
    /// So many epochs of a set, at least one update.
    pub fn of_epochs(epochs: f64, images: usize, batch: usize) -> Self {
        let steps = (epochs * images as f64 / batch as f64).ceil().max(1.0);
        Self {
            steps: steps as u64,
            batch,
            lr: 3e-3,
            seed: 0,
            mirror: false,
        }
    }
}

/// One update's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Its number, from 1.
    pub step: u64,
    /// Cross-entropy of the batch, in nats.
    pub loss: f64,
    /// Share of the batch told right.
    pub accuracy: f64,
}

/// Whether training goes on after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    GoOn,
    /// It ends here.
    Stop,
}

/// A classifier while it is trained.
struct Trainer {
    gpu: Gpu,
    memory: Memory,
    places: Places,
    parameters: Vec<Parameter>,
    step: Executable,
    update: Executable,
    readback: Readback,
    optimizer: Optimizer,
}

/// Trains a network on labelled data and returns its tensors, without metadata.
/// `watch` hears of every update, late but in order, and may end the training;
/// then there is no result.
///
/// # Errors
/// [`Error::Usage`] for data without labels; [`Error::Gpu`] where the training
/// diverged or the device failed.
pub fn train(
    gpu: &Gpu,
    network: &Network,
    data: &Arc<Dataset>,
    recipe: &Recipe,
    mut watch: impl FnMut(Update) -> Result<Next>,
) -> Result<Option<Checkpoint>> {
    let mut trainer = Trainer::new(gpu, network, recipe)?;
    let mut loader = Loader::new(
        Arc::clone(data),
        recipe.batch,
        recipe.seed,
        Position::default(),
        recipe.mirror,
    )?;
    for number in 1..=recipe.steps {
        let batch = loader.next_batch()?;
        if batch.labels.len() != recipe.batch {
            return Err(Error::usage(
                format!("{} has no labels to learn", data.name()),
                "give IDX files with labels, or a folder with a folder for each class",
            ));
        }
        trainer.update(recipe, number, &batch.images, &batch.labels)?;
        let arrived = if number == recipe.steps {
            trainer.readback.finish()?
        } else {
            trainer.readback.ready()?
        };
        for (step, values) in arrived {
            let update = trainer.outcome(step, &values)?;
            if watch(update)? == Next::Stop {
                return Ok(None);
            }
        }
    }
    trainer.tensors().map(Some)
}

impl Trainer {
    fn new(gpu: &Gpu, network: &Network, recipe: &Recipe) -> Result<Self> {
        let mut net = Net::new(PREFIX, Mode::Train);
        let program = program(network, recipe.batch, &mut net)?;
        let places = lay_out(&program, &net)?;
        let plan = Plan::new(&program, &places, &gpu.facts.kernel_facts())?;
        let optimizer = Optimizer {
            lr: recipe.lr,
            beta1: 0.9,
            ..Optimizer::default()
        };
        let update = optim::recording(&optimizer, None, &places, PREFIX)?;
        let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
        let memory = Memory::new(gpu, &arenas, &plan.recording.temporaries)?;
        let trainer = Self {
            step: Executable::new(gpu, &memory, &plan.recording)?,
            update: Executable::new(gpu, &memory, &update)?,
            readback: Readback::new(gpu, outcome_slice(&places)?.len)?,
            gpu: gpu.clone(),
            memory,
            places,
            parameters: net.parameters().cloned().collect(),
            optimizer,
        };
        for Parameter {
            name, shape, init, ..
        } in &trainer.parameters
        {
            trainer.write(name, &init.draw(shape, recipe.seed, name))?;
        }
        Ok(trainer)
    }

    fn slice(&self, name: &str) -> Result<Slice> {
        let place = self.places.get(name).map(|(_, slice)| slice);
        place.ok_or_else(|| Error::shape("classifier", format!("there is no tensor {name}")))
    }

    fn write(&self, name: &str, values: &[f32]) -> Result<()> {
        self.memory.write(self.slice(name)?, values)
    }

    fn update(&mut self, recipe: &Recipe, t: u64, images: &[f32], labels: &[u32]) -> Result<()> {
        let labels: Vec<f32> = labels.iter().map(|&label| label as f32).collect();
        self.write("images", images)?;
        self.write("labels", &labels)?;
        let left = 1.0 - (t - 1) as f64 / recipe.steps as f64;
        let values = StepValues {
            seed: latent::fold(recipe.seed),
            // Dropout repeats after 2^32 updates, decades on.
            counter: t as u32,
            ..optim::schedule(&self.optimizer, t)
        };
        let values = StepValues {
            learning_rate: (recipe.lr * left) as f32,
            ..values
        };
        self.step.run(&self.gpu, &values)?;
        self.update.run(&self.gpu, &values)?;
        let slice = outcome_slice(&self.places)?;
        self.readback.request(&self.memory, slice, t)
    }

    fn outcome(&self, step: u64, values: &[f32]) -> Result<Update> {
        let loss = f64::from(values[self.slice("loss")?.offset]);
        let accuracy = f64::from(values[self.slice("accuracy")?.offset]);
        if !loss.is_finite() {
            return Err(Error::gpu(
                format!("training diverged: the loss of step {step} is {loss}"),
                "lower the learning rate (--lr)",
            ));
        }
        Ok(Update {
            step,
            loss,
            accuracy,
        })
    }

    fn tensors(&self) -> Result<Checkpoint> {
        let mut file = Checkpoint::default();
        for Parameter { name, shape, .. } in &self.parameters {
            let values = self.memory.read(self.slice(name)?)?;
            file.tensors.insert(name.clone(), (shape.to_vec(), values));
        }
        Ok(file)
    }
}

/// Gradients, loss and accuracy of a batch.
fn program(network: &Network, batch: usize, net: &mut Net) -> Result<Program> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let [c, h, w] = network.image;
    let images = graph.declare("images", [batch, c, h, w], Role::Input)?;
    let images = graph.state(images);
    let labels = graph.declare("labels", [batch, 1], Role::Input)?;
    let labels = graph.state(labels);
    let logits = network.build(graph, net, images)?.logits;
    let loss = nn::cross_entropy(graph, logits, labels)?;
    let accuracy = nn::accuracy(graph, logits, labels)?;
    let trained: Vec<(String, Shape, _)> = net
        .trained()
        .map(|(p, id)| (p.name.clone(), p.shape.clone(), id))
        .collect();
    let targets: Vec<_> = trained.iter().map(|&(_, _, id)| graph.state(id)).collect();
    let gradients = graph.gradient(loss, &targets)?;
    let mut assigns = net.running().to_vec();
    for ((name, shape, _), gradient) in trained.into_iter().zip(gradients) {
        let state = graph.declare(format!("gradient.{name}"), shape, Role::Output)?;
        assigns.push((state, gradient));
    }
    for (name, node) in [("loss", loss), ("accuracy", accuracy)] {
        assigns.push((graph.declare(name, Shape::scalar(), Role::Output)?, node));
    }
    for (state, node) in assigns {
        program.assign(state, node)?;
    }
    Ok(program)
}

/// Groups as `optim::recording` wants them, then `input` and `outcome`.
fn lay_out(program: &Program, net: &Net) -> Result<Places> {
    let of_role = |role: Role| -> Vec<(String, Shape)> {
        let parameters = net.parameters().filter(|p| p.role == role);
        parameters
            .map(|p| (p.name.clone(), p.shape.clone()))
            .collect()
    };
    let trained = of_role(Role::Parameter);
    let prefixed = |prefix: &str| -> Vec<(String, Shape)> {
        let named = trained.iter();
        named
            .map(|(name, shape)| (format!("{prefix}.{name}"), shape.clone()))
            .collect()
    };
    let inputs: Vec<(String, Shape)> = program
        .graph
        .states()
        .iter()
        .filter(|state| state.role == Role::Input)
        .map(|state| (state.name.clone(), state.shape.clone()))
        .collect();
    let outcome = ["loss", "accuracy"].map(|name| (name.to_owned(), Shape::scalar()));
    let mut places = Places::default();
    places.add_group(PREFIX, &trained)?;
    places.add_group(&format!("{PREFIX}.buffers"), &of_role(Role::Buffer))?;
    for part in ["gradient", "moment1", "moment2"] {
        places.add_group(&format!("{PREFIX}.{part}"), &prefixed(part))?;
    }
    places.add_group("input", &inputs)?;
    places.add_group("outcome", &outcome)?;
    Ok(places)
}

/// Loss and accuracy in one slice.
fn outcome_slice(places: &Places) -> Result<Slice> {
    match places.group("outcome")[..] {
        [slice] => Ok(slice),
        _ => Err(Error::shape(
            "classifier",
            "the layout has one arena of outcomes",
        )),
    }
}

/// The tensors of a trained classifier with what is known about it.
pub(super) fn described(mut tensors: Checkpoint, about: &About) -> Checkpoint {
    tensors.metadata = about.metadata().into();
    tensors
}

/// Keeps a classifier's file, in a folder that is made if it is missing.
pub(super) fn keep(file: &Checkpoint, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    file.save(path)
}
