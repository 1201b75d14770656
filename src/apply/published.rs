//! Networks in files that do not say what they are: tensors by the names of
//! pytorch-CycleGAN-and-pix2pix, without a network's name in front.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Value;

use super::model::presumed;
use crate::config::{Config, Override};
use crate::error::{Error, Result};
use crate::graph::Role;
use crate::run::blueprint::seen;
use crate::store::checkpoint::Checkpoint;
use crate::systems::{System, View, Weights};

/// What wrappers of PyTorch put in front of names.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What old files have of each normalisation, whether it uses them or not.
const STATISTICS: [&str; 2] = [".running_mean", ".running_var"];

/// A count of batches, which nothing needs.
const COUNTED: &str = ".num_batches_tracked";

/// The convolution next to the images, of a residual network and of a U-Net.
const FIRST: [&str; 2] = ["model.1.weight", "model.model.0.weight"];

/// Shapes by name.
type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors of a view's network as the program calls them.
///
/// # Errors
/// [`Error::Usage`] where one is missing, has another shape or is too much, with the
/// options that fit where there are such.
pub(super) fn adopted(
    config: &Config,
    system: &dyn System,
    view: &View,
    file: Checkpoint,
    path: &Path,
) -> Result<Checkpoint> {
    let (network, wanted) = wanted(system, view)?;
    let tensors = file.tensors.into_iter();
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)> = tensors
        .map(|(name, tensor)| (unwrapped(&name).to_owned(), tensor))
        .collect();
    let shapes: Shapes = tensors
        .iter()
        .map(|(name, (shape, _))| (name.clone(), shape.clone()))
        .collect();
    let shapes = used(&shapes, &wanted);
    if let Some(difference) = difference(&shapes, &wanted) {
        let mend = match fitting(config, view.name, &shapes) {
            Some(options) if !options.is_empty() => format!("give {}", options.join(" ")),
            _ => "give the options it was trained with by --set; docs/apply.md lists those of published models".to_owned(),
        };
        return Err(Error::usage(
            format!(
                "{} is not a {} of this preset: {difference}",
                path.display(),
                network.trim_end_matches('.')
            ),
            mend,
        ));
    }
    tensors.retain(|name, _| wanted.contains_key(name));
    let named = tensors.into_iter();
    Ok(Checkpoint {
        tensors: named
            .map(|(name, tensor)| (format!("{network}{name}"), tensor))
            .collect(),
        metadata: file.metadata,
    })
}

/// What a view needs, without the name of its network, which comes with it; by whole
/// names where it has several.
fn wanted(system: &dyn System, view: &View) -> Result<(String, Shapes)> {
    let networks = system.networks()?;
    let program = seen(system, &networks, view, Weights::Raw, view.records(1))?;
    let states = program.graph.states().iter();
    let tensors: Shapes = states
        .filter(|state| matches!(state.role, Role::Parameter | Role::Buffer))
        .map(|state| (state.name.clone(), state.shape.to_vec()))
        .collect();
    let prefix = |name: &String| name.split_inclusive('.').next().map(str::to_owned);
    let prefixes: BTreeSet<String> = tensors.keys().filter_map(prefix).collect();
    let network = match prefixes.len() {
        1 => prefixes.into_iter().next().unwrap_or_default(),
        _ => String::new(),
    };
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, shape)| (name[network.len()..].to_owned(), shape));
    Ok((network.clone(), tensors.collect()))
}

/// A name without what wrappers put in front.
fn unwrapped(mut name: &str) -> &str {
    while let Some(rest) = WRAPPERS
        .iter()
        .find_map(|wrapper| name.strip_prefix(wrapper))
    {
        name = rest;
    }
    name
}

/// A file's tensors without those that a network may leave: counts of batches, and
/// running statistics of a normalisation that has nothing else.
fn used(found: &Shapes, wanted: &Shapes) -> Shapes {
    let is_left = |name: &str| {
        let layer = STATISTICS.iter().find_map(|end| name.strip_suffix(end));
        let has_gain = |layer: &str| found.contains_key(&format!("{layer}.weight"));
        name.ends_with(COUNTED)
            || layer.is_some_and(|layer| !wanted.contains_key(name) && !has_gain(layer))
    };
    let all = found.iter().filter(|(name, _)| !is_left(name));
    all.map(|(name, shape)| (name.clone(), shape.clone()))
        .collect()
}

/// The first tensor that is not as wanted.
fn difference(found: &Shapes, wanted: &Shapes) -> Option<String> {
    for (name, shape) in wanted {
        match found.get(name) {
            None => return Some(format!("it has no tensor {name} of {shape:?}")),
            Some(other) if other != shape => {
                return Some(format!("its {name} is {other:?}, not {shape:?}"));
            }
            Some(_) => {}
        }
    }
    let mut found = found.iter();
    let extra = found.find(|(name, _)| !wanted.contains_key(*name));
    extra.map(|(name, shape)| format!("it has a tensor {name} of {shape:?} that is not used"))
}

/// The options with which a file fits, where there are any.
fn fitting(config: &Config, view: &str, found: &Shapes) -> Option<Vec<String>> {
    let told = told(found);
    let told: Vec<(&str, Value)> = told
        .into_iter()
        .filter(|(key, _)| config.value(key).is_some())
        .collect();
    let words = |words: &[&str]| -> Vec<Value> { words.iter().map(|&word| word.into()).collect() };
    let choices = [
        ("model.norm", words(&["batch", "instance", "none"])),
        ("model.dropout", vec![false.into(), true.into()]),
    ];
    let mut tries: Vec<Vec<(&str, Value)>> = vec![told];
    for (key, values) in choices {
        if config.value(key).is_none() {
            continue;
        }
        let with = |before: &Vec<(&'static str, Value)>, value: &Value| {
            let mut changes = before.clone();
            changes.push((key, value.clone()));
            changes
        };
        let more = tries.iter();
        tries = more
            .flat_map(|before| values.iter().map(move |value| with(before, value)))
            .collect();
    }
    tries.into_iter().find_map(|changes| {
        let overrides = changes.iter();
        let overrides = overrides.map(|(key, value)| Override::new(*key, value.clone()));
        let changed = config.with(overrides).ok()?;
        let system = presumed(&changed).ok()?;
        let views = system.views();
        let view = views.iter().find(|known| known.name == view)?;
        let (_, wanted) = wanted(&*system, view).ok()?;
        difference(&used(found, &wanted), &wanted)
            .is_none()
            .then(|| {
                let changes = changes.iter();
                let changes =
                    changes.filter(|(key, value)| config.value(key).as_ref() != Some(value));
                changes
                    .map(|(key, value)| format!("--set {key}={}", plain(value)))
                    .collect()
            })
    })
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What names and shapes alone say: width, residual blocks, and the levels of a U-Net
/// as the size of images that it has as many of.
fn told(found: &Shapes) -> Vec<(&'static str, Value)> {
    let number = |number: usize| Value::Integer(number as i64);
    let mut told = Vec::new();
    let first = FIRST.iter().find_map(|name| found.get(*name));
    if let Some(&[width, _, _, _]) = first.map(|shape| &shape[..]) {
        told.push(("model.width", number(width)));
    }
    let ends = |end: &str| found.keys().filter(|name| name.ends_with(end)).count();
    match ends("conv_block.1.weight") {
        0 => {
            let levels = |name: &String| name.matches("model.").count().saturating_sub(1);
            let levels = found.keys().map(levels).max().unwrap_or(0);
            if (2..=12).contains(&levels) {
                told.push(("data.size", number(1 << levels)));
            }
        }
        blocks => told.push(("model.blocks", number(blocks))),
    }
    told
}
