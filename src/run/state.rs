//! Between a session and its checkpoints.

use std::path::Path;

use super::finite;
use super::session::Session;
use crate::config::{Config, LONGEST};
use crate::data::{Position, Sides, Streams};
use crate::error::{Error, Result};
use crate::graph::Group;
use crate::nn::MASK;
use crate::store::checkpoint::Checkpoint;
use crate::systems::{self, Counters, Given, Network, System};

const CONFIG: &str = "config";
const COUNTERS: &str = "counters";
const POSITION: &str = "position";
const CHANNELS: &str = "channels";
const CLASSES: &str = "classes";
const SIDES: &str = "sides";
const STAGE: &str = "stage";
const STEP: &str = "step";
/// Metadata entry: [`identity`] of the data.
const DATA: &str = "data";
/// Metadata entry: the adapter and driver that the run was on.
pub(crate) const ADAPTER: &str = "adapter";
/// Metadata entry: the fingerprint of the kernels that trained it.
pub(crate) const ARITHMETIC: &str = "arithmetic";

/// More than a run counts of anything; sums of two fit in 64 bits.
const MOST: u64 = 1 << 60;
/// Channels of images at most.
const MOST_CHANNELS: usize = 4;
/// Pixels of a side of images at most.
const LONGEST_SIDE: usize = 1024;
/// Stages of a run at most.
const MOST_STAGES: usize = 16;
const KEPT: &str = "kept";

/// Everything that a run needs to go on, as a checkpoint.
///
/// # Errors
/// Where the device failed.
pub fn save(
    session: &Session,
    config: &Config,
    about: &About,
    positions: &[Position],
) -> Result<Checkpoint> {
    let mut checkpoint = weights(session)?;
    let json = |value: serde_json::Result<String>| {
        value.map_err(|e| Error::usage(e.to_string(), "report this as a bug"))
    };
    checkpoint.metadata = [
        ("format", "gpugan 1".to_owned()),
        (STEP, session.counters.step.to_string()),
        (ADAPTER, session.gpu().facts.identity()),
        (ARITHMETIC, session.arithmetic().to_owned()),
        (CONFIG, config.to_toml()),
        (CHANNELS, about.channels.to_string()),
        (CLASSES, serde_json::json!(about.classes).to_string()),
        (COUNTERS, json(serde_json::to_string(&session.counters))?),
        (POSITION, json(serde_json::to_string(positions))?),
        (SIDES, json(serde_json::to_string(&about.sides))?),
        (STAGE, about.stage.to_string()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into();
    let data = about.data.iter().cloned();
    let data = data.map(|data| (DATA.to_owned(), data));
    checkpoint.metadata.extend(data);
    let kept = session.system().kept();
    if !kept.is_empty() {
        checkpoint.metadata.insert(KEPT.to_owned(), kept);
    }
    Ok(checkpoint)
}

/// What a checkpoint says of its data, to tell them from others.
pub(crate) fn identity(data: &Streams) -> String {
    let of = data.sets().map(|set| format!("{:08x}", set.identity()));
    of.collect::<Vec<_>>().join("-")
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

/// The tensors of a session's networks, without what belongs to the training.
///
/// # Errors
/// Where the device failed.
pub(crate) fn network(session: &Session) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::default();
    for (name, shape) in session.tensors(Group::is_network) {
        let values = session.read(&name)?;
        checkpoint.tensors.insert(name, (shape.to_vec(), values));
    }
    Ok(checkpoint)
}

/// Puts a session where its checkpoint was saved and returns the position of each
/// of the data's streams.
///
/// # Errors
/// [`Error::Usage`] where the file is of another model or no checkpoint of
/// this program.
pub fn restore(
    session: &mut Session,
    checkpoint: &Checkpoint,
    path: &Path,
) -> Result<Vec<Position>> {
    check_tensors(session, checkpoint, path)?;
    finite::check(checkpoint, path, finite::required(session))?;
    let (counters, positions) = progress(checkpoint, path)?;
    for (name, (_, values)) in &checkpoint.tensors {
        session.write(name, values)?;
    }
    session.counters = counters;
    Ok(positions)
}

/// What a run had done when it was saved, and where its streams go on.
///
/// # Errors
/// [`Error::Usage`] where the file does not say, or says what no run can have done.
pub(crate) fn progress(checkpoint: &Checkpoint, path: &Path) -> Result<(Counters, Vec<Position>)> {
    let counters: Counters = read_json(checkpoint, COUNTERS, path)?;
    // Files of earlier programs have one position, of the only stream.
    let positions: Vec<Position> = read_json(checkpoint, POSITION, path)
        .or_else(|_| read_json(checkpoint, POSITION, path).map(|position| vec![position]))?;
    if text(checkpoint, STEP, path)? != counters.step.to_string() {
        return Err(foreign(path, "its step and its counters differ"));
    }
    let counts = [counters.step, counters.batches].into_iter();
    let counts = counts.chain(counters.updates.values().copied());
    let counts = counts.chain(positions.iter().map(|position| position.drawn));
    if counts.max() > Some(MOST) || counters.step > LONGEST as u64 {
        return Err(foreign(
            path,
            format!("it counts more than {LONGEST} steps"),
        ));
    }
    Ok((counters, positions))
}

/// Gives a session what the next stage of its run takes over from another: weights,
/// averages and memory of the same names and shapes, and all counters but those of
/// updates, as optimisers start anew.
///
/// # Errors
/// Where a device failed.
pub fn carry_over(from: &Session, to: &mut Session) -> Result<()> {
    let lasting = |group: &Group| group.is_network() || *group == Group::Memory;
    let there = from.tensors(lasting);
    for tensor in to.tensors(lasting) {
        if there.contains(&tensor) {
            to.write(&tensor.0, &from.read(&tensor.0)?)?;
        }
    }
    to.counters = Counters {
        updates: Default::default(),
        ..from.counters.clone()
    };
    Ok(())
}

/// What initial weights took from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Tensors that were taken.
    pub count: usize,
    /// What was not taken, each with the reason.
    pub left: Vec<String>,
}

/// Replaces the initial weights of the names and shapes that a file has; the average of a
/// replaced tensor starts from it.
///
/// # Errors
/// [`Error::Usage`] where nothing of the file belongs to the model or a tensor of it is
/// not finite.
pub fn initialise(session: &Session, checkpoint: &Checkpoint, path: &Path) -> Result<Taken> {
    let own = session.tensors(Group::is_network);
    let state = session.state();
    let of_training = |name: &str| state.iter().any(|(known, _)| known == name);
    let shape_of = |name: &str| own.iter().find(|(known, _)| known == name).map(|(_, s)| s);
    let mut taken = Taken::default();
    finite::check(checkpoint, path, |name| shape_of(name).is_some())?;
    for (name, (shape, values)) in &checkpoint.tensors {
        match shape_of(name) {
            // Masks of another order of the pixels beside this model's own would let
            // outputs depend on what they must not.
            Some(_) if name.ends_with(MASK) => continue,
            Some(wanted) if wanted[..] == shape[..] => {
                session.write(name, values)?;
                taken.count += 1;
            }
            Some(wanted) => {
                let differs = format!("{name} is {shape:?} there and {wanted} here");
                taken.left.push(differs);
                continue;
            }
            // PyTorch counts batches, which nothing here needs; moments and memory
            // belong to the updates of another run.
            None if name.ends_with(".num_batches_tracked") || of_training(name) => continue,
            None => {
                taken.left.push(format!("{name} is not in this model"));
                continue;
            }
        }
        for network in session.networks() {
            let average = network.averaged(name);
            let given = checkpoint.tensors.contains_key(&average);
            if average != *name && !given && shape_of(&average).is_some_and(|s| s[..] == shape[..])
            {
                session.write(&average, values)?;
            }
        }
    }
    let averages = session.networks().iter().map(Network::average_name);
    let averages: Vec<String> = averages.map(|name| format!("{name}.")).collect();
    let missing = own.iter().map(|(name, _)| name).filter(|name| {
        let is_average = averages.iter().any(|average| name.starts_with(average));
        !is_average && !checkpoint.tensors.contains_key(*name)
    });
    taken
        .left
        .extend(missing.map(|name| format!("{name} is not in the file")));
    match taken.count {
        0 => Err(foreign(
            path,
            "no tensor has the name and shape of one of this model",
        )),
        _ => Ok(taken),
    }
}

/// What a run was made for, as its checkpoints say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Channels of images.
    pub channels: usize,
    /// What there is beside the images.
    pub sides: Sides,
    /// Names of classes; empty where there are no labels.
    pub classes: Vec<String>,
    /// The stage that the run was in.
    pub stage: usize,
    /// What tells them from others; unknown in files of earlier programs.
    pub data: Option<String>,
    /// What its system was to keep ([`System::kept`]).
    pub kept: String,
}

/// Whether a file says what model it is of, as those of this program do.
pub fn is_described(checkpoint: &Checkpoint) -> bool {
    checkpoint.metadata.contains_key(CONFIG)
}

/// The configuration that a checkpoint was saved with, and what it was made for.
///
/// # Errors
/// [`Error::Usage`] where the file holds none.
pub fn description(checkpoint: &Checkpoint, path: &Path) -> Result<(Config, About)> {
    let config = systems::read_config(text(checkpoint, CONFIG, path)?, [])?;
    let channels = text(checkpoint, CHANNELS, path)?;
    // Files of earlier programs know of no classes, sides and stages.
    let about = About {
        channels: channels
            .parse()
            .map_err(|_| foreign(path, "its channels are not a number"))?,
        sides: read_or_default(checkpoint, SIDES, path)?,
        classes: read_or_default(checkpoint, CLASSES, path)?,
        stage: read_or_default(checkpoint, STAGE, path)?,
        data: checkpoint.metadata.get(DATA).cloned(),
        kept: checkpoint.metadata.get(KEPT).cloned().unwrap_or_default(),
    };
    let [c, h, w] = about.sides.input().unwrap_or([1; 3]);
    let channels = [about.channels, c].map(|channels| (1..=MOST_CHANNELS).contains(&channels));
    let sides = [h, w].map(|side| (1..=LONGEST_SIDE).contains(&side));
    if channels != [true; 2] || sides != [true; 2] || about.stage >= MOST_STAGES {
        return Err(foreign(
            path,
            format!(
                "{} channels, inputs of {c}x{h}x{w} and stage {} are out of range",
                about.channels, about.stage
            ),
        ));
    }
    Ok((config, about))
}

/// The system that a checkpoint was saved by.
///
/// # Errors
/// As of [`description`], and where sizes do not fit together.
pub fn system_of(config: &Config, about: &About) -> Result<std::sync::Arc<dyn System>> {
    let size = config.data.size;
    systems::open(
        config,
        &Given {
            image: [about.channels, size.height, size.width],
            sides: about.sides,
            classes: &about.classes,
            stage: about.stage,
            kept: &about.kept,
            fresh: None,
        },
    )
}

fn check_tensors(session: &Session, checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    let state = session.state();
    for (name, (shape, _)) in &checkpoint.tensors {
        match state.iter().find(|(known, _)| known == name) {
            None => {
                return Err(foreign(
                    path,
                    format!("it has a tensor {name} that this model does not have"),
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
    let mut missing = state.iter().map(|(name, _)| name);
    match missing.find(|name| !checkpoint.tensors.contains_key(*name)) {
        Some(name) => Err(foreign(
            path,
            format!("it lacks this model's tensor {name}"),
        )),
        None => Ok(()),
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
            "give a checkpoint-*.safetensors of a run; for weights alone use `gpugan train --init`",
        )
    })
}

/// An entry that files of earlier programs lack.
fn read_or_default<T: serde::de::DeserializeOwned + Default>(
    checkpoint: &Checkpoint,
    name: &str,
    path: &Path,
) -> Result<T> {
    match checkpoint.metadata.contains_key(name) {
        true => read_json(checkpoint, name, path),
        false => Ok(T::default()),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(
    checkpoint: &Checkpoint,
    name: &str,
    path: &Path,
) -> Result<T> {
    serde_json::from_str(text(checkpoint, name, path)?)
        .map_err(|e| foreign(path, format!("its {name} cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::data::{IMAGE, Same};
    use crate::gpu::{Gpu, Selector};
    use crate::run::blueprint::Blueprint;
    use crate::systems::presets;

    const IMAGE_SHAPE: [usize; 3] = [1, 4, 4];

    fn config() -> Config {
        let keys = ["batch", "model.hidden", "model.latent"];
        let changes = keys.map(|key| Override::new(key, 4));
        presets::load("vae").unwrap().with(changes).unwrap()
    }

    fn session(gpu: &Gpu) -> Session {
        let system = systems::open(&config(), &Given::images(IMAGE_SHAPE)).unwrap();
        let blueprint = Blueprint::new(&config(), &*system, &gpu.facts.kernel_facts()).unwrap();
        Session::new(gpu, &config(), system, blueprint).unwrap()
    }

    fn open() -> Gpu {
        Gpu::open(&Selector::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn saved(session: &Session) -> Result<Checkpoint> {
        let about = About {
            channels: 1,
            ..About::default()
        };
        save(session, &config(), &about, &[Position::default()])
    }

    fn steps(session: &mut Session, count: usize) -> Result<()> {
        let images = (0..4 * 16).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut feed = Same(vec![(IMAGE, images)]);
        for _ in 0..count {
            session.step(&mut feed)?;
        }
        session.finish().map(drop)
    }

    #[test]
    fn a_lost_device_ends_a_session_that_goes_on_from_its_checkpoint() {
        let mut whole = session(&open());
        steps(&mut whole, 5).unwrap();
        let lost = open();
        let mut broken = session(&lost);
        steps(&mut broken, 3).unwrap();
        let checkpoint = saved(&broken).unwrap();
        lost.lose();
        let error = steps(&mut broken, 1).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("was lost"), "{error}");
        // Nothing that could be taken for a checkpoint is made any more.
        assert_eq!(saved(&broken).unwrap_err().to_string(), error.to_string());
        let mut resumed = session(&open());
        restore(&mut resumed, &checkpoint, "checkpoint".as_ref()).unwrap();
        steps(&mut resumed, 2).unwrap();
        let [whole, resumed] = [&whole, &resumed].map(|session| saved(session).unwrap().tensors);
        assert!(whole == resumed && !whole.is_empty());
    }
}
