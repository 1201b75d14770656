//! Systems that say how probable an image is, on images of so few pixels that all
//! there are can be counted, in the f64 reference.

mod autoregressive;
mod variational;

use std::collections::HashMap;
use std::sync::Arc;

use gpugan::graph::{Graph, NodeId, StateId};
use gpugan::reference::{Tensor, evaluate};
use gpugan::systems::{self, Build, Given, System, Weights};

use crate::preset::changed;

/// A system for grey images of few pixels, with the weights of a run.
struct Tiny {
    system: Arc<dyn System>,
    image: [usize; 3],
    weights: HashMap<String, Tensor>,
}

/// Values of inputs by name, row-major.
type Inputs<'a> = [(&'a str, Vec<f64>)];

impl Tiny {
    /// A preset with keys set, and its initial weights times `scale`: those of a new
    /// run make nearly the same of all images.
    fn new(preset: &str, changes: &[&str], size: [usize; 2], scale: f64) -> Self {
        let config = changed(preset, changes);
        let image = [1, size[0], size[1]];
        let system = systems::open(&config, &Given::images(image)).unwrap();
        let networks = system.networks().unwrap();
        let tensors = networks.iter().flat_map(|network| &network.tensors);
        let weights = tensors.map(|tensor| {
            let drawn = tensor.init.draw(&tensor.shape, config.seed, &tensor.name);
            let scale = if tensor.is_trained() { scale } else { 1.0 };
            let values = drawn.iter().map(|&x| scale * f64::from(x)).collect();
            let values = Tensor::new(tensor.shape.clone(), values).unwrap();
            (tensor.name.clone(), values)
        });
        Self {
            weights: weights.collect(),
            system,
            image,
        }
    }

    fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    /// A view of `count` records as a graph.
    fn view(&self, name: &str, count: usize) -> Build<'_> {
        let networks = self.system.networks().unwrap();
        let view = self.system.views().into_iter().find(|v| v.name == name);
        let named = (name, view.unwrap().inputs);
        let mut build = Build::view(&*self.system, &networks, named, Weights::Averaged, count);
        self.system.look(name, &mut build).unwrap();
        build
    }

    /// The step's pass on `count` records as a graph.
    fn step(&self, count: usize) -> Build<'_> {
        let networks = self.system.networks().unwrap();
        let mut build = Build::pass(&*self.system, &networks, count);
        self.system.build("step", &mut build).unwrap();
        build
    }

    /// Tensors of a graph: the weights, and inputs whose names end with those given.
    fn states(&self, graph: &Graph, inputs: &Inputs<'_>) -> HashMap<StateId, Tensor> {
        let states = graph.states().iter().enumerate().map(|(index, state)| {
            let given = |(name, _): &&(&str, _)| state.name.rsplit('.').next() == Some(*name);
            let value = match self.weights.get(&state.name) {
                Some(weight) => weight.clone(),
                None => {
                    let (_, values) = inputs.iter().find(given).expect(&state.name);
                    Tensor::new(state.shape.clone(), values.clone()).unwrap()
                }
            };
            (StateId(index), value)
        });
        states.collect()
    }

    fn evaluate(&self, graph: &Graph, nodes: &[NodeId], inputs: &Inputs<'_>) -> Vec<Tensor> {
        evaluate(graph, nodes, &self.states(graph, inputs), 0, 0).unwrap()
    }

    /// Outputs of a view of `count` records.
    fn look<const N: usize>(
        &self,
        (view, count): (&str, usize),
        outputs: [&str; N],
        inputs: &Inputs<'_>,
    ) -> [Vec<f64>; N] {
        let build = self.view(view, count);
        let nodes = outputs.map(|name| build.result(name).unwrap());
        let mut values = self.evaluate(&build.graph, &nodes, inputs).into_iter();
        outputs.map(|_| values.next().unwrap().data)
    }
}

/// All black and white images of so many pixels, `[2^pixels, pixels]`; pixel `p` of
/// image `i` is bit `p` of `i`.
fn all_images(pixels: usize) -> Vec<f64> {
    let image = |i: usize| (0..pixels).map(move |p| (i >> p & 1) as f64);
    (0..1 << pixels).flat_map(image).collect()
}
