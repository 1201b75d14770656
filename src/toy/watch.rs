//! What is seen of a run at a moment.

use super::density::{self, Lattice, Optimum};
use super::score::{self, Coverage};
use super::{DRAWN, Distribution};
use crate::adversarial::Loss;
use crate::error::{Error, Result};
use crate::run::latent;
use crate::run::session::Session;
use crate::run::shown::Asked;
use crate::run::stats::Tick;
use crate::systems::{Duel, Source, System};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Points of one pass through the discriminator or the generator: half of a
/// plane's lattice.
pub const PASS: usize = 4608;

/// Samples that are scored (as by Srivastava et al. 2017).
pub const SCORED: usize = 2500;

/// Points whose densities are estimated.
const ESTIMATED: usize = 4 * PASS;

/// The draw of the latents that are watched: no training reaches it.
const WATCHED: u32 = u32::MAX;

/// One moment of a run; a line of `stats.jsonl`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Record {
    /// Steps, losses and means since the last record.
    #[serde(flatten)]
    pub tick: Tick,
    /// Of data that have modes.
    #[serde(flatten)]
    pub score: Option<Coverage>,
    /// Jensen-Shannon divergence of data and generated points in nats, both
    /// smoothed; 0 to log 2.
    pub jsd: f64,
    /// The loss of the best discriminator against this generator, where the
    /// loss has one.
    pub best_loss_d: Option<f64>,
}

/// What is drawn of a moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Generated points `[DRAWN, dimensions]`.
    pub generated: Vec<f32>,
    /// Where the generator's loss pulls each of them, `[DRAWN, dimensions]`.
    pub pull: Vec<f32>,
    /// D of each of them.
    pub judged: Vec<f64>,
    /// Smoothed density of generated points on the lattice.
    pub q: Vec<f64>,
    /// D on the lattice: a probability where it is one, else the score.
    pub surface: Vec<f64>,
}

/// Looks at a run always in the same places.
#[derive(Debug)]
pub struct Watcher {
    /// Where surfaces and densities are known.
    pub lattice: Lattice,
    /// What the best discriminator would do.
    pub optimum: Optimum,
    /// Real points `[DRAWN, dimensions]`.
    pub real: Vec<f32>,
    /// Smoothed density of the data on the lattice.
    pub p: Vec<f64>,
    /// Whether `p` is exact but for the smoothing, not estimated.
    pub exact: bool,
    data: Distribution,
    loss: Loss,
    z: Vec<f32>,
}

impl Watcher {
    /// Of a run on `data`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the system is no game that can be watched.
    pub fn new(system: &dyn System, seed: u64, data: &Distribution) -> Result<Self> {
        let views = system.views();
        let input = views.first().and_then(|view| view.inputs.first());
        let (Some(Duel { loss, .. }), Some(field)) = (system.duel(), input) else {
            return Err(not_watched());
        };
        let Source::Latent(distribution) = field.source else {
            return Err(not_watched());
        };
        let count = ESTIMATED * field.record.iter().product::<usize>();
        let z = latent::batch(distribution, 0, count, WATCHED, seed);
        let dimensions = data.dimensions();
        let side = if dimensions == 1 { 384 } else { 96 };
        let lattice = Lattice { dimensions, side };
        // Not the points that are trained on.
        let mut rng = StdRng::seed_from_u64(!seed);
        let real = data.batch(DRAWN, &mut rng);
        let exact = lattice.exact(data);
        let is_exact = exact.is_some();
        let p = exact.unwrap_or_else(|| lattice.estimated(&data.batch(ESTIMATED, &mut rng)));
        Ok(Self {
            lattice,
            optimum: Optimum::new(&loss),
            real,
            p,
            exact: is_exact,
            data: data.clone(),
            z,
            loss,
        })
    }

    /// Generated points that densities are estimated from.
    pub fn estimated(&self) -> usize {
        ESTIMATED
    }

    /// Samples of the averaged generator scored, and all that is drawn.
    ///
    /// # Errors
    /// Where the device failed.
    pub fn look(&self, session: &mut Session, tick: Tick) -> Result<(Record, View)> {
        let dimensions = self.lattice.dimensions;
        let generated = session.sample(&self.z)?;
        let q = self.lattice.estimated(&generated);
        let points: Vec<f32> = self.lattice.points().iter().map(|&x| x as f32).collect();
        let (scores, _) = probe(session, &points, dimensions)?;
        let drawn = &generated[..DRAWN * dimensions];
        let (judged, slopes) = probe(session, drawn, dimensions)?;
        let pull = slopes
            .chunks(dimensions)
            .zip(&judged)
            .flat_map(|(slope, &score)| {
                let weight = self.weight(f64::from(score)) as f32;
                slope.iter().map(move |x| weight * x)
            })
            .collect();
        let shown = |scores: Vec<f32>| -> Vec<f64> {
            let of = |score: f64| match self.optimum.is_probability() {
                true => sigmoid(score),
                false => score,
            };
            scores
                .into_iter()
                .map(|score| of(f64::from(score)))
                .collect()
        };
        let record = Record {
            tick,
            score: score::score(&self.data, &generated[..SCORED * dimensions]),
            jsd: density::jensen_shannon(self.lattice, &self.p, &q),
            best_loss_d: self.optimum.loss(self.lattice, &self.p, &q),
        };
        let view = View {
            generated: drawn.to_vec(),
            pull,
            judged: shown(judged),
            q,
            surface: shown(scores),
        };
        Ok((record, view))
    }

    /// How much the generator's loss falls as the score of a sample rises.
    /// Relativistic losses and matched features depend on the batch; of them the
    /// slope of the score itself is shown.
    fn weight(&self, score: f64) -> f64 {
        let pull = self.loss.kind.facts().pull;
        pull.map_or(1.0, |pull| pull(score))
    }
}

fn not_watched() -> Error {
    Error::usage(
        "only a game between a generator and a discriminator can be watched on points",
        "use --preset toy",
    )
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Scores `[N]` of points `[N, dimensions]` and their slopes.
fn probe(session: &mut Session, points: &[f32], dimensions: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    let (mut scores, mut slopes) = (Vec::new(), Vec::new());
    for part in points.chunks(PASS * dimensions) {
        let asked = Asked::given("images", part.to_vec(), part.len() / dimensions);
        let mut outputs = session.look("probe", &asked)?.into_iter();
        let [score, slope] = [(); 2].map(|()| outputs.next().unwrap_or_default());
        scores.extend(score);
        slopes.extend(slope);
    }
    Ok((scores, slopes))
}
