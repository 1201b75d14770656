//! Between a session and its checkpoints.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::session::{Counters, Session};
use crate::config::Config;
use crate::data::Position;
use crate::error::{Error, Result};

/// Metadata entries.
const CONFIG: &str = "config";
const COUNTERS: &str = "counters";
const POSITION: &str = "position";
const CHANNELS: &str = "channels";

/// Everything that a run needs to go on, as a checkpoint.
///
/// # Errors
/// Where the device failed.
pub fn save(
    session: &Session,
    config: &Config,
    channels: usize,
    position: Position,
) -> Result<Checkpoint> {
    let mut checkpoint = weights(session)?;
    let json = |value: serde_json::Result<String>| {
        value.map_err(|e| Error::usage(e.to_string(), "report this as a bug"))
    };
    checkpoint.metadata = [
        ("format", "gpugan 1".to_owned()),
        ("step", session.counters.step.to_string()),
        (CONFIG, config.to_toml()),
        (CHANNELS, channels.to_string()),
        (COUNTERS, json(serde_json::to_string(&session.counters))?),
        (POSITION, json(serde_json::to_string(&position))?),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    Ok(checkpoint)
}

/// The tensors of a session's state.
///
/// # Errors
/// Where the device failed.
pub fn weights(session: &Session) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::default();
    for (name, shape) in session.state() {
        let values = session.read(&name)?;
        checkpoint.tensors.insert(name, (shape.to_vec(), values));
    }
    Ok(checkpoint)
}

/// Puts a session where its checkpoint was saved and returns the loader's
/// position.
///
/// # Errors
/// [`Error::Usage`] where the file is of another model or no checkpoint of
/// this program.
pub fn restore(session: &mut Session, checkpoint: &Checkpoint, path: &Path) -> Result<Position> {
    check_tensors(session, checkpoint, path, true)?;
    for (name, (_, values)) in &checkpoint.tensors {
        session.write(name, values)?;
    }
    session.counters = read_json::<Counters>(checkpoint, COUNTERS, path)?;
    read_json(checkpoint, POSITION, path)
}

/// Replaces the initial weights that a file names; the average of a replaced
/// generator starts from it.
///
/// # Errors
/// [`Error::Usage`] where a tensor does not belong to the model.
pub fn initialise(session: &Session, checkpoint: &Checkpoint, path: &Path) -> Result<usize> {
    check_tensors(session, checkpoint, path, false)?;
    let state = session.state();
    let mut written = 0;
    for (name, (_, values)) in checkpoint
        .tensors
        .iter()
        .filter(|(name, _)| is_weight(name))
    {
        session.write(name, values)?;
        written += 1;
        let average = name.replacen("G.", "G_ema.", 1);
        if average != *name
            && state.iter().any(|(known, _)| *known == average)
            && !checkpoint.tensors.contains_key(&average)
        {
            session.write(&average, values)?;
        }
    }
    Ok(written)
}

/// Neither an optimiser's moments or an augmentation's strength, which belong to
/// their number of updates, nor PyTorch's count of batches, which nothing here
/// needs.
fn is_weight(name: &str) -> bool {
    let of_the_run = ["moment", "augment."];
    !of_the_run.iter().any(|prefix| name.starts_with(prefix))
        && !name.ends_with(".num_batches_tracked")
}

/// The configuration and image channels that a checkpoint was saved with.
///
/// # Errors
/// [`Error::Usage`] where the file holds none.
pub fn description(checkpoint: &Checkpoint, path: &Path) -> Result<(Config, usize)> {
    let config = Config::from_toml(text(checkpoint, CONFIG, path)?)?;
    let channels = text(checkpoint, CHANNELS, path)?
        .parse()
        .map_err(|_| foreign(path, "its channels are no number"))?;
    Ok((config, channels))
}

fn check_tensors(session: &Session, checkpoint: &Checkpoint, path: &Path, all: bool) -> Result<()> {
    let state = session.state();
    for (name, (shape, _)) in checkpoint
        .tensors
        .iter()
        .filter(|(name, _)| all || is_weight(name))
    {
        match state.iter().find(|(known, _)| known == name) {
            None => {
                return Err(foreign(
                    path,
                    format!("it has a tensor {name} that this model has not"),
                ));
            }
            Some((_, wanted)) if wanted[..] != shape[..] => {
                return Err(foreign(
                    path,
                    format!("its {name} is {shape:?}, this model's {wanted}"),
                ));
            }
            Some(_) => {}
        }
    }
    let missing = state
        .iter()
        .find(|(name, _)| !checkpoint.tensors.contains_key(name));
    match missing {
        Some((name, _)) if all => Err(foreign(
            path,
            format!("it lacks this model's tensor {name}"),
        )),
        _ if checkpoint.tensors.is_empty() => Err(foreign(path, "it holds no tensor")),
        _ => Ok(()),
    }
}

fn foreign(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::usage(
        format!(
            "{} is a checkpoint of another model: {what}",
            path.display()
        ),
        "give a checkpoint made with the same preset, sizes and channels",
    )
}

fn text<'a>(checkpoint: &'a Checkpoint, name: &str, path: &Path) -> Result<&'a str> {
    checkpoint.metadata.get(name).map(String::as_str).ok_or_else(|| {
        Error::usage(
            format!("{} has no {name} in its metadata, so this program did not write it", path.display()),
            "give a checkpoint-*.safetensors of a run; weights alone go to `gpugan train --init`",
        )
    })
}

fn read_json<T: serde::de::DeserializeOwned>(
    checkpoint: &Checkpoint,
    name: &str,
    path: &Path,
) -> Result<T> {
    serde_json::from_str(text(checkpoint, name, path)?)
        .map_err(|e| foreign(path, format!("its {name} cannot be read: {e}")))
}
