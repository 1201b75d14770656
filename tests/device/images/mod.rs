//! Systems that make images of images, trained on real ones and judged on others.

mod enlarge;
mod transfer;

use std::path::Path;
use std::sync::Arc;

use gpugan::classify::{About, Classifier, Next, Recipe, train};
use gpugan::config::Config;
use gpugan::data::{Dataset, Loaders, Streams};
use gpugan::gpu::Gpu;
use gpugan::nets;
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::run::state;
use gpugan::systems::{self, Fresh, Given};

/// A training on these data from its first stage to its last step.
fn trained(gpu: &Gpu, config: &Config, data: &Streams) -> Session {
    let images = data.images();
    let open = |stage| {
        let given = Given {
            sides: data.sides(),
            classes: images.class_names(),
            stage,
            fresh: Some(Fresh {
                mean_image: &|| Ok(Vec::new()),
            }),
            ..Given::images(images.shape())
        };
        let system = systems::open(config, &given).unwrap();
        let blueprint = Blueprint::new(config, &*system, &gpu.facts.kernel_facts()).unwrap();
        Session::new(gpu, config, system, blueprint).unwrap()
    };
    let mut feed = Loaders::new(data, config.batch, config.seed, &[], config.data.mirror).unwrap();
    let (mut stage, mut session) = (0, open(0));
    while session.counters.step < config.steps {
        if session.system().stage().end == Some(session.counters.step) {
            stage += 1;
            let mut next = open(stage);
            state::carry_over(&session, &mut next).unwrap();
            session = next;
        }
        session.step(&mut feed).unwrap();
        session.arrived().unwrap();
    }
    session.finish().unwrap();
    session
}

/// A classifier of labelled images, kept in a file.
fn classifier(gpu: &Gpu, data: &Arc<Dataset>, epochs: f64, seed: u64, path: &Path) -> Classifier {
    let recipe = Recipe {
        seed,
        ..Recipe::of_epochs(epochs, data.len(), 64)
    };
    let network = nets::Classifier::new(data.shape(), data.class_names().len());
    let mut file = train(gpu, data, &recipe, |_| Ok(Next::GoOn))
        .unwrap()
        .unwrap();
    let about = About {
        features: "own-classifier".into(),
        data: data.name().into(),
        classes: data.class_names().to_vec(),
        accuracy: 0.0,
        tested_on: String::new(),
        network,
    };
    file.metadata = about.metadata().into();
    file.save(path).unwrap();
    Classifier::load(gpu, path).unwrap()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}
