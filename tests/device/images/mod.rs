//! Systems that make images of images, trained on real ones and judged on others: each
//! has thresholds for a training of minutes, and some have lower ones for a training of
//! seconds, which one that learns nothing does not reach.

mod enlarge;
mod paired;
mod transfer;
mod unpaired;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gpugan::classify::{About, Classifier, Next, Recipe, train};
use gpugan::config::Config;
use gpugan::data::{Dataset, Feed, Loaders, Streams};
use gpugan::gpu::Gpu;
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::run::shown::Asked;
use gpugan::run::state;
use gpugan::store::checkpoint::Checkpoint;
use gpugan::systems::{self, Fresh, Given};

/// A training on these data from its first stage to its last step.
fn trained(gpu: &Gpu, config: &Config, data: &Streams) -> Session {
    let mirror = config.data.mirror;
    let mut feed = Loaders::new(data, config.batch, config.seed, &[], mirror).unwrap();
    shown(gpu, config, data, &mut feed)
}

/// A training on what a feed makes of these data.
fn shown(gpu: &Gpu, config: &Config, data: &Streams, feed: &mut dyn Feed) -> Session {
    staged(gpu, config, data, feed, &mut |_| ())
}

/// A training whose stages are looked at, each at its end but the last.
fn staged(
    gpu: &Gpu,
    config: &Config,
    data: &Streams,
    feed: &mut dyn Feed,
    ended: &mut dyn FnMut(&mut Session),
) -> Session {
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
    let (mut stage, mut session) = (0, open(0));
    while session.counters.step < config.steps {
        if session.system().stage().end == Some(session.counters.step) {
            stage += 1;
            ended(&mut session);
            let mut next = open(stage);
            state::carry_over(&session, &mut next).unwrap();
            session = next;
        }
        session.step(feed).unwrap();
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

/// How a classifier learns these data.
fn recipe(data: &Dataset, epochs: f64, seed: u64) -> Recipe {
    Recipe {
        seed,
        ..Recipe::of_epochs(epochs, data.len(), 64)
    }
}

/// A classifier of labelled images, as a file.
fn taught(gpu: &Gpu, data: &Arc<Dataset>, recipe: &Recipe) -> Checkpoint {
    let network = recipe.network(data.shape(), data.class_names().len());
    let mut file = train(gpu, data, recipe, |_| Ok(Next::GoOn))
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
    file
}

/// A classifier of labelled images, kept in a file.
fn classifier(gpu: &Gpu, data: &Arc<Dataset>, recipe: &Recipe, path: &Path) -> Classifier {
    let file = taught(gpu, data, recipe);
    file.save(path).unwrap();
    Classifier::new(gpu, &file, path).unwrap()
}

/// A classifier of labelled images that judges others; none for no epochs.
fn judge(gpu: &Gpu, data: &Arc<Dataset>, epochs: f64) -> Option<Classifier> {
    (epochs > 0.0).then(|| {
        let file = taught(gpu, data, &recipe(data, epochs, 0));
        Classifier::new(gpu, &file, "classifier".as_ref()).unwrap()
    })
}

/// Share of the images made that a classifier tells, over its share of the true ones; 0
/// where there is none.
fn told(judge: Option<&mut Classifier>, images: [&[f32]; 2], labels: &[u32]) -> f64 {
    judge.map_or(0.0, |judge| {
        let [made, truth] = images.map(|images| judge.accuracy(images, labels).unwrap());
        made / truth
    })
}

/// Seeds of the trainings of minutes.
const SEEDS: [u64; 3] = [0, 1, 2];

/// A figure of several trainings.
#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    /// Of one training.
    deviation: f64,
}

impl Spread {
    fn of<T>(found: &[T], figure: impl Fn(&T) -> f64) -> Self {
        let mean = mean(found.iter().map(&figure));
        let square = |found| (figure(found) - mean).powi(2);
        let freedom = found.len() as f64 - 1.0;
        Self {
            mean,
            deviation: (found.iter().map(square).sum::<f64>() / freedom).sqrt(),
        }
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(
            f,
            "{:.digits$} \u{b1} {:.digits$}",
            self.mean, self.deviation
        )
    }
}

/// Mean absolute difference, of values in [-1, 1].
fn l1(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    mean(a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())))
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}
