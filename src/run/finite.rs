//! Weights that are not numbers: a file with them is refused wherever it is read,
//! and none is written.

use std::path::Path;

use super::session::Session;
use crate::error::{Error, Result};
use crate::graph::Group;
use crate::store::checkpoint::{Checkpoint, HEALTH};

/// Refuses a file that holds infinite numbers or NaN in one of the tensors asked
/// for, with what is known of its training's health.
///
/// # Errors
/// [`Error::Usage`] naming the tensor.
pub(crate) fn check(file: &Checkpoint, path: &Path, asked: impl Fn(&str) -> bool) -> Result<()> {
    let Some((name, value)) = file.not_finite(asked) else {
        return Ok(());
    };
    let health = match file.metadata.get(HEALTH) {
        Some(health) => format!(" (saved as {health})"),
        None => String::new(),
    };
    Err(Error::usage(
        format!(
            "{}: tensor {name} holds {value}, so its training has diverged{health}",
            path.display()
        ),
        "use an older checkpoint; with this file removed, --resume continues from the one before",
    ))
}

/// Whether a tensor of a run has to be finite: all of its state but what optimisers
/// keep, where a gradient's square may overflow and only makes an update 0.
pub(crate) fn required(session: &Session) -> impl Fn(&str) -> bool + use<> {
    let moments = session.tensors(|group| matches!(group, Group::Moment(..)));
    move |name: &str| !moments.iter().any(|(moment, _)| moment == name)
}
