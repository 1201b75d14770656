//! State dicts as published ones are: without the name of their network, and without a
//! word of what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gpugan::config::Config;
use gpugan::store::checkpoint::Checkpoint;

use crate::preset::system;
use crate::small;

/// Tensors by name, each with its shape.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Element by element what `start` of tests/torch/second_order.py draws.
pub(crate) fn start(name: &str, shape: &[usize], stream: u32) -> Vec<f32> {
    let drawn = small::start(name, &shape.to_vec().into(), stream);
    drawn.data.into_iter().map(|x| x as f32).collect()
}

/// The tensors of a network of a configuration for colours, as tests/torch/apply.py
/// draws them.
pub(crate) fn state_dict(config: &Config, network: &str) -> Tensors {
    let networks = system(config, 3).networks().unwrap();
    let network = networks.iter().find(|known| known.name == network).unwrap();
    let prefix = format!("{}.", network.name);
    let tensors = network.tensors.iter();
    let mut shapes: Vec<(&str, Vec<usize>)> = tensors
        .map(|tensor| (&tensor.name[prefix.len()..], tensor.shape.to_vec()))
        .collect();
    shapes.sort();
    let draw = |(stream, (name, shape)): (u32, (&str, Vec<usize>))| {
        let mut values = start(name, &shape, stream);
        if name.ends_with("running_var") {
            values.iter_mut().for_each(|x| *x = x.abs() + 0.5);
        }
        (name.to_owned(), (shape, values))
    };
    (1..).zip(shapes).map(draw).collect()
}

/// Writes tensors as other programs do.
pub(crate) fn saved(folder: &Path, name: &str, tensors: Tensors) -> PathBuf {
    let path = folder.join(format!("{name}.safetensors"));
    let file = Checkpoint {
        tensors,
        metadata: BTreeMap::from([("format".to_owned(), "pt".to_owned())]),
    };
    file.save(&path).unwrap();
    path
}
