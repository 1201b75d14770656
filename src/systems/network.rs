//! The networks of a system.

use crate::config::Optimizer;
use crate::error::{Error, Result};
use crate::nn::{Net, Parameter};

/// A network of a system.
#[derive(Clone, Debug)]
pub struct Network {
    /// The prefix of its tensors' names.
    pub name: &'static str,
    /// Its tensors in the order of their memory.
    pub tensors: Vec<Parameter>,
    /// How its weights move; none where it is frozen: it runs as in use, with running
    /// statistics and without dropout, and its weights stay as they start.
    pub moves: Option<Moves>,
    /// Decay, in an update, of the moving average of its weights; 0 is none.
    pub average: f64,
}

/// How a network's weights move.
#[derive(Clone, Debug)]
pub struct Moves {
    /// The section of the optimiser's keys, such as `optimizer.g`.
    pub section: &'static str,
    /// Their values, with what a rollback has made of the learning rate.
    pub optimizer: Optimizer,
    /// Largest size of a weight after an update, where there is one.
    pub clip: Option<f64>,
}

impl Moves {
    /// As an optimiser says, without bounds.
    pub fn new(section: &'static str, optimizer: &Optimizer) -> Self {
        Self {
            section,
            optimizer: optimizer.clone(),
            clip: None,
        }
    }
}

impl Network {
    /// One with the tensors of a network that was built, without an average.
    pub(crate) fn trained(name: &'static str, net: &Net, moves: Moves) -> Self {
        Self {
            name,
            tensors: net.parameters().cloned().collect(),
            moves: Some(moves),
            average: 0.0,
        }
    }

    /// The prefix of the averaged tensors' names.
    pub fn average_name(&self) -> String {
        average_of(self.name)
    }

    /// Number of trained elements.
    pub fn count(&self) -> usize {
        let trained = self.tensors.iter().filter(|tensor| tensor.is_trained());
        trained.map(|tensor| tensor.shape.numel()).sum()
    }

    /// The name of a tensor's average, `G.x` as `G_ema.x`, so that the average is
    /// a network of its own in files.
    pub fn averaged(&self, tensor: &str) -> String {
        let rest = tensor.strip_prefix(self.name).unwrap_or(tensor);
        format!("{}{rest}", self.average_name())
    }
}

/// The prefix of a network's averaged tensors.
pub fn average_of(network: &str) -> String {
    format!("{network}_ema")
}

/// The network of this name.
///
/// # Errors
/// Where the system has no such network.
pub(crate) fn find<'a>(networks: &'a [Network], name: &str) -> Result<&'a Network> {
    let found = networks.iter().find(|network| network.name == name);
    found.ok_or_else(|| Error::shape("system", format!("there is no network {name}")))
}
