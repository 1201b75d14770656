//! Models whose images are of a class, trained on the digits that come with the
//! program.

mod forms;
mod generated;

use std::sync::Arc;

use gpugan::Error;
use gpugan::config::Config;
use gpugan::data::{Columns, Dataset, Feed, LABEL, Loader, Position};
use gpugan::gpu::Gpu;
use gpugan::run::blueprint::Blueprint;
use gpugan::run::session::Session;
use gpugan::systems::{self, Given};

/// Digits of so many pixels, and a tenth of each class that no training sees.
fn digits(side: usize) -> [Arc<Dataset>; 2] {
    let all = Dataset::open("digits", side, side, Some(1)).unwrap();
    let (train, test) = all.hold_out(10);
    [train, test].map(Arc::new)
}

/// Which labels a training is told.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    True,
    /// Those of other images of the batch, which say nothing of an image.
    Shuffled,
}

struct Telling(Loader, Told);

impl Feed for Telling {
    fn next_columns(&mut self, stream: usize) -> Result<Columns, Error> {
        let mut columns = self.0.next_columns(stream)?;
        for (name, values) in &mut columns {
            if *name == LABEL && self.1 == Told::Shuffled {
                values.rotate_right(1);
            }
        }
        Ok(columns)
    }
}

/// A training after so many steps, and what each of them reported.
fn trained(
    gpu: &Gpu,
    config: &Config,
    data: &Arc<Dataset>,
    steps: u64,
    told: Told,
) -> (Session, Vec<Vec<f32>>) {
    let given = Given {
        classes: data.class_names(),
        ..Given::images(data.shape())
    };
    let system = systems::open(config, &given).unwrap();
    let blueprint = Blueprint::new(config, &*system, &gpu.facts.kernel_facts()).unwrap();
    let mut session = Session::new(gpu, config, system, blueprint).unwrap();
    let start = Position::default();
    let loader = Loader::new(Arc::clone(data), config.batch, config.seed, start, false).unwrap();
    let mut feed = Telling(loader, told);
    let mut reports = Vec::new();
    for _ in 0..steps {
        session.step(&mut feed).unwrap();
        reports.extend(session.arrived().unwrap());
    }
    reports.extend(session.finish().unwrap());
    (
        session,
        reports.into_iter().map(|(_, values)| values).collect(),
    )
}
