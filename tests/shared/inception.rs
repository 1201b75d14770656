//! The Inception network of the Fréchet Inception distance with the weights of
//! tests/torch/inception.py.

use std::collections::BTreeMap;

use gpugan::graph::Graph;
use gpugan::nets::Inception;
use gpugan::nn::{Mode, Net};
use gpugan::random;
use gpugan::store::checkpoint::Checkpoint;

/// In [-1, 1), those of a stream.
pub(crate) fn uniform(count: usize, stream: u32) -> Vec<f32> {
    let element = |element| 2.0 * random::uniform(element as u32, stream, 1, 0) - 1.0;
    (0..count).map(element).collect()
}

/// Every tensor of the published file by name, each with its shape.
pub(crate) fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut graph = Graph::new();
    let mut net = Net::new("net", Mode::EVAL);
    let images = graph.constant(0.0, [1, 3, 8, 8]);
    Inception.build(&mut graph, &mut net, images).unwrap();
    let mut shapes = BTreeMap::new();
    for parameter in net.parameters() {
        let name = parameter.name.trim_start_matches("net.");
        let shape = parameter.shape.to_vec();
        match name.strip_suffix("conv.bias") {
            None => _ = shapes.insert(name.to_owned(), shape),
            Some(layer) => {
                for tensor in ["weight", "bias", "running_mean", "running_var"] {
                    shapes.insert(format!("{layer}bn.{tensor}"), shape.clone());
                }
            }
        }
    }
    shapes.insert("fc.bias".to_owned(), vec![Inception::CLASSES]);
    shapes
}

/// The published file with that script's weights.
pub(crate) fn weights() -> Checkpoint {
    let shapes = shapes().into_iter().zip(2..);
    let tensors = shapes.map(|((name, shape), stream)| {
        let mut values = uniform(shape.iter().product(), stream);
        let inputs = shape[1..].iter().product::<usize>() as f64;
        let change = |x: f32| match name.rsplit('.').next() {
            Some("weight") if shape.len() > 1 => {
                let x = (f64::from(x) * (3.0 / inputs).sqrt()) as f32;
                if name.starts_with("fc") { x } else { 1.375 * x }
            }
            Some("weight") => 1.0 + x / 2.0,
            Some("running_var") => x.abs() + 0.5,
            _ => x / 16.0,
        };
        values.iter_mut().for_each(|x| *x = change(*x));
        (name.clone(), (shape, values))
    });
    Checkpoint {
        tensors: tensors.collect(),
        ..Checkpoint::default()
    }
}
