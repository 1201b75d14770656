//! Systems that make images of images, trained on garments that come with the program:
//! each has thresholds for a training of minutes, and lower ones for a training of
//! seconds, which one that learns nothing does not reach.

mod paired;
mod unpaired;

use std::sync::Arc;

use gpugan::classify::{About, Classifier, Next, Recipe, train};
use gpugan::config::Config;
use gpugan::data::{Columns, Dataset, Feed, IMAGE, Loaders, Streams};
use gpugan::error::Error;
use gpugan::gpu::Gpu;
use gpugan::nets;
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::run::shown::Asked;
use gpugan::systems::{self, Given};

/// What a training is shown.
#[derive(Clone, Copy, PartialEq)]
enum Pairing {
    True,
    /// The inputs of other images of the batch.
    Shuffled,
}

struct Shown(Loaders, Pairing);

impl Feed for Shown {
    fn next_columns(&mut self, stream: usize) -> Result<Columns, Error> {
        let mut columns = self.0.next_columns(stream)?;
        for (name, values) in &mut columns {
            if *name == IMAGE && self.1 == Pairing::Shuffled {
                let half = values.len() / 2;
                values.rotate_right(half);
            }
        }
        Ok(columns)
    }
}

/// A training after so many steps.
fn trained(gpu: &Gpu, config: &Config, data: &Streams, pairing: Pairing) -> Session {
    let images = data.images();
    let given = Given {
        sides: data.sides(),
        classes: images.class_names(),
        ..Given::images(images.shape())
    };
    let system = systems::open(config, &given).unwrap();
    let blueprint =
        Blueprint::with_views(config, &*system, &gpu.facts.kernel_facts(), &[], 16).unwrap();
    let mut session = Session::new(gpu, config, system, blueprint).unwrap();
    let loaders = Loaders::new(data, config.batch, config.seed, &[], false).unwrap();
    let mut feed = Shown(loaders, pairing);
    for _ in 0..config.steps {
        session.step(&mut feed).unwrap();
        session.arrived().unwrap();
    }
    session.finish().unwrap();
    session
}

/// What a view makes of images.
fn applied(session: &mut Session, view: &str, images: &[f32], count: usize) -> Vec<f32> {
    let views = session.figures();
    let view = views.iter().find(|known| known.name == view).unwrap();
    let input = view.translation().unwrap().input;
    let asked = Asked::given(input, images.to_vec(), count);
    session.show_through(view, &asked).unwrap()
}

/// A classifier of a labelled set.
fn classifier(gpu: &Gpu, data: &Arc<Dataset>, epochs: f64) -> Classifier {
    let recipe = Recipe::of_epochs(epochs, data.len(), 64);
    let trained = train(gpu, data, &recipe, |_| Ok(Next::GoOn)).unwrap();
    let mut file = trained.unwrap();
    let about = About {
        features: "garments".into(),
        data: "fashion".into(),
        classes: data.class_names().to_vec(),
        accuracy: 0.0,
        tested_on: String::new(),
        network: nets::Classifier::new(data.shape(), data.class_names().len()),
    };
    file.metadata = about.metadata().into();
    Classifier::new(gpu, &file, "classifier".as_ref()).unwrap()
}

/// Mean absolute difference, of values in [-1, 1].
fn l1(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    sum / a.len() as f64
}

/// Mean squared difference of neighbouring pixels of images `[N, C, side, side]`.
fn edge_energy(images: &[f32], side: usize) -> f64 {
    let rows = images.chunks_exact(side);
    let along = rows.flat_map(|row| row.windows(2).map(|pair| f64::from(pair[1] - pair[0])));
    along.map(|x| x * x).sum::<f64>() / images.len() as f64
}
