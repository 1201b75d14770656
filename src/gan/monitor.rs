//! The health program: what is measured on the GPU at the end of a tick. It
//! reads weights, gradients, the last batch and the last latents, and writes
//! nothing that training reads.

use super::programs::{Role, Step, input};
use crate::config::{Config, LossKind};
use crate::error::Result;
use crate::graph::{Binary, Graph, NodeId, Places, Program, Role as StateRole, Shape, Unary};
use crate::models::Model;
use crate::recording::{Command, Recording, Slice};

/// Elements of all reference images together, and their largest number: their
/// product with a batch stays small beside a step.
const REFERENCE_ELEMENTS: usize = 1 << 20;
const REFERENCES: usize = 1024;

/// Squared distance beyond any that occurs: takes a pair out of a minimum.
pub(super) const FAR: f32 = 1e30;

/// Part of the images' squared lengths below which a squared distance is
/// rounding: the two are one image.
const SAME: f32 = 1e-4;

/// A number of the health program, in the order of their places. Distances are
/// Euclidean, over all pixels of two images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Part of the real batch that D is right about.
    AccuracyReal,
    /// Part of the generated batch that D is right about.
    AccuracyFake,
    /// Sum over the batch of the squared derivative of G's loss with respect
    /// to a logit.
    LogitGradient,
    /// Squared length of G's gradient.
    GradientG,
    /// Squared length of D's gradient.
    GradientD,
    /// Squared length of G's weights before the last step.
    WeightsG,
    /// Squared length of D's weights before the last step.
    WeightsD,
    /// Squared length of what the last step changed in G's weights.
    ChangeG,
    /// Squared length of what the last step changed in D's weights.
    ChangeD,
    /// Weights and gradients that are infinite or NaN.
    NonFinite,
    /// Mean distance of two generated images.
    PairsFake,
    /// Mean distance of two real images.
    PairsReal,
    /// Mean distance of a generated image from the nearest other of its batch.
    TwinFake,
    /// Mean distance of a real image from the nearest other of its batch.
    TwinReal,
    /// Mean distance of a generated image from the nearest reference.
    NearFake,
    /// Mean distance of a real image from the nearest reference that is not
    /// the image itself.
    NearReal,
}

/// All probes in the order of their places.
pub const PROBES: [Probe; 16] = [
    Probe::AccuracyReal,
    Probe::AccuracyFake,
    Probe::LogitGradient,
    Probe::GradientG,
    Probe::GradientD,
    Probe::WeightsG,
    Probe::WeightsD,
    Probe::ChangeG,
    Probe::ChangeD,
    Probe::NonFinite,
    Probe::PairsFake,
    Probe::PairsReal,
    Probe::TwinFake,
    Probe::TwinReal,
    Probe::NearFake,
    Probe::NearReal,
];

impl Probe {
    fn name(self) -> String {
        format!("health.{self:?}")
    }
}

/// The tensor of reference images, `[references, C * H * W]` in the range of
/// the generator's output.
pub const REFERENCE_IMAGES: &str = "health.references";

/// Names of the whole arenas that a network's numbers are taken over.
struct Arenas {
    weights: Vec<(String, Shape)>,
    gradients: Vec<(String, Shape)>,
    before: Vec<(String, Shape)>,
}

/// What the monitor adds to a run's memory, and what it runs.
pub struct Monitor {
    nets: [Arenas; 2],
    references: usize,
}

impl Monitor {
    /// Lays out the monitor's tensors.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn new(places: &mut Places, config: &Config, model: &Model) -> Result<Self> {
        let mut arenas = |role: Role| -> Result<Arenas> {
            let net = role.name();
            let weights = places.name_arenas(net, &format!("health.{net}"))?;
            let before: Vec<_> = weights
                .iter()
                .map(|(name, shape)| (format!("{name}.before"), shape.clone()))
                .collect();
            places.add_group(&format!("health.{net}"), &before)?;
            Ok(Arenas {
                weights,
                gradients: places.name_arenas(
                    &format!("{net}.gradient"),
                    &format!("health.gradient.{net}"),
                )?,
                before,
            })
        };
        let nets = [arenas(Role::Generator)?, arenas(Role::Discriminator)?];
        let pixels: usize = model.image().iter().product();
        let references = (REFERENCE_ELEMENTS / pixels).clamp(config.batch.min(16), REFERENCES);
        places.add_group(
            "health.images",
            &[(REFERENCE_IMAGES.to_owned(), [references, pixels].into())],
        )?;
        places.add_group(
            "health",
            &PROBES.map(|probe| (probe.name(), Shape::scalar())),
        )?;
        Ok(Self { nets, references })
    }

    /// Keeps the weights as they are, to see what the next step changes.
    pub fn before(&self, places: &Places) -> Recording {
        let slice = |name: &str| places.get(name).map(|(_, slice)| slice);
        let pairs = self
            .nets
            .iter()
            .flat_map(|arenas| arenas.weights.iter().zip(&arenas.before));
        Recording {
            commands: pairs
                .filter_map(|((from, _), (to, _))| {
                    Some(Command::Copy {
                        from: slice(from)?,
                        to: slice(to)?,
                    })
                })
                .collect(),
            temporaries: Vec::new(),
        }
    }

    /// The program that fills all [`PROBES`].
    ///
    /// # Errors
    /// Where the model's sizes do not fit together.
    pub fn program(&self, config: &Config, model: &Model) -> Result<Program> {
        let mut step = Step::new(config, model);
        let z = input(&mut step.program.graph, "z", [config.batch, model.latent()])?;
        let images = model.generator(&mut step.program.graph, &mut step.net_g, z)?;
        let fake = model.packed(&mut step.program.graph, images)?;
        let real = step.real()?;
        let on_real = step.judge(real)?;
        let on_fake = step.judge(fake)?;
        let [of_real, of_fake] = [on_real.logits, on_fake.logits];
        let loss = step.generator_loss(on_fake, Some(on_real))?;

        let graph = &mut step.program.graph;
        let mut probes = accuracies(graph, config, of_real, of_fake)?;
        let gradient = graph.gradient(loss, &[of_fake])?[0];
        probes.push((Probe::LogitGradient, square_sum(graph, gradient)?));
        probes.extend(self.networks(graph)?);
        probes.extend(self.distances(graph, config.batch, images, real)?);
        let mut program = step.program;
        for (probe, node) in probes {
            let state = program
                .graph
                .declare(probe.name(), Shape::scalar(), StateRole::Output)?;
            program.assign(state, node)?;
        }
        Ok(program)
    }

    /// Gradients, changes and values that are not finite, of both networks.
    fn networks(&self, graph: &mut Graph) -> Result<Vec<(Probe, NodeId)>> {
        let mut probes = Vec::new();
        let mut broken = graph.constant(0.0, Shape::scalar());
        let names = [
            [Probe::GradientG, Probe::WeightsG, Probe::ChangeG],
            [Probe::GradientD, Probe::WeightsD, Probe::ChangeD],
        ];
        for (arenas, names) in self.nets.iter().zip(names) {
            let mut sums = [graph.constant(0.0, Shape::scalar()); 3];
            let parts = arenas
                .gradients
                .iter()
                .zip(&arenas.before)
                .zip(&arenas.weights);
            for ((gradient, before), weights) in parts {
                let [gradient, before, weights] = [gradient, before, weights]
                    .map(|(name, shape)| input(graph, name, shape.clone()));
                let (gradient, before, weights) = (gradient?, before?, weights?);
                let change = graph.sub(weights, before)?;
                for (sum, x) in sums.iter_mut().zip([gradient, before, change]) {
                    let square = square_sum(graph, x)?;
                    *sum = graph.add(*sum, square)?;
                }
                for x in [gradient, weights] {
                    // Counting the others would lose small differences of
                    // large sums.
                    let finite = graph.unary(Unary::Finite, x);
                    let not = graph.binary_scalar(Binary::Equal, finite, 0.0);
                    let count = graph.sum_all(not)?;
                    broken = graph.add(broken, count)?;
                }
            }
            probes.extend(names.into_iter().zip(sums));
        }
        probes.push((Probe::NonFinite, broken));
        Ok(probes)
    }

    /// How far generated and real images lie apart, and from the references.
    fn distances(
        &self,
        graph: &mut Graph,
        batch: usize,
        fake: NodeId,
        real: NodeId,
    ) -> Result<Vec<(Probe, NodeId)>> {
        let pixels = graph.shape(fake).numel() / batch;
        let references = input(graph, REFERENCE_IMAGES, [self.references, pixels])?;
        let [fake, real] = [fake, real].map(|x| graph.reshape(x, [batch, pixels]));
        let (fake, real) = (fake?, real?);
        let mut probes = Vec::new();
        for (x, pairs, twin) in [
            (fake, Probe::PairsFake, Probe::TwinFake),
            (real, Probe::PairsReal, Probe::TwinReal),
        ] {
            let squares = Squares::new(graph, x, x)?;
            let [rows, columns] = [0, 1].map(|axis| graph.iota([batch, batch], axis));
            let itself = graph.binary(Binary::Equal, rows?, columns?)?;
            let distances = graph.unary(Unary::Sqrt, squares.distances);
            let zero = graph.constant(0.0, [batch, batch]);
            let others = graph.select(itself, zero, distances)?;
            let sum = graph.sum_all(others)?;
            // 0 / 0 for a batch of one.
            let count = (batch * (batch - 1)) as f32;
            probes.push((pairs, graph.binary_scalar(Binary::Div, sum, count)));
            probes.push((twin, squares.nearest(graph, itself)?));
        }
        let of_fake = Squares::new(graph, fake, references)?;
        let nobody = graph.constant(0.0, [batch, self.references]);
        probes.push((Probe::NearFake, of_fake.nearest(graph, nobody)?));
        let of_real = Squares::new(graph, real, references)?;
        let rounding = graph.scale(of_real.lengths, SAME);
        let itself = graph.binary(Binary::GreaterEqual, rounding, of_real.distances)?;
        probes.push((Probe::NearReal, of_real.nearest(graph, itself)?));
        Ok(probes)
    }
}

/// Squared distances of two sets of vectors, `[N, M]`.
struct Squares {
    distances: NodeId,
    /// Sum of the squared lengths of each pair.
    lengths: NodeId,
}

impl Squares {
    fn new(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<Self> {
        let (n, m) = (graph.shape(a)[0], graph.shape(b)[0]);
        let mut lengths = |x: NodeId| {
            let squares = graph.square(x);
            graph.sum(squares, &[1])
        };
        let (of_a, of_b) = (lengths(a)?, lengths(b)?);
        let of_b = graph.reshape(of_b, [1, m])?;
        let of_a = graph.broadcast(of_a, [n, m])?;
        let lengths = graph.add(of_a, of_b)?;
        let products = graph.matmul(a, b, false, true)?;
        let products = graph.scale(products, -2.0);
        let distances = graph.add(lengths, products)?;
        let zero = graph.constant(0.0, [n, m]);
        // Rounding may leave less than nothing.
        let distances = graph.binary(Binary::Max, distances, zero)?;
        Ok(Self { distances, lengths })
    }

    /// Mean over the rows of the distance to the nearest column that is not
    /// `excluded` (1, else 0).
    fn nearest(&self, graph: &mut Graph, excluded: NodeId) -> Result<NodeId> {
        let far = graph.constant(FAR, graph.shape(self.distances).clone());
        let distances = graph.select(excluded, far, self.distances)?;
        let against = graph.neg(distances);
        let nearest = graph.max(against, &[1])?;
        let nearest = graph.neg(nearest);
        let roots = graph.unary(Unary::Sqrt, nearest);
        graph.mean_all(roots)
    }
}

fn square_sum(graph: &mut Graph, x: NodeId) -> Result<NodeId> {
    let squares = graph.square(x);
    graph.sum_all(squares)
}

/// The parts of both batches on which D is right: where a logit, or a critic's
/// score, lies on the right side of what it is compared with.
///
/// | kind | compared with |
/// |---|---|
/// | non-saturating, minimax, feature-matching, hinge | 0 |
/// | least-squares | half of the real target |
/// | relativistic | the other batch's mean |
/// | wasserstein | the middle of both means, as scores have no origin |
fn accuracies(
    graph: &mut Graph,
    config: &Config,
    real: NodeId,
    fake: NodeId,
) -> Result<Vec<(Probe, NodeId)>> {
    let level = |graph: &mut Graph, level: f64| graph.constant(level as f32, Shape::scalar());
    let (for_real, for_fake) = match config.loss.kind {
        LossKind::NonSaturating
        | LossKind::Minimax
        | LossKind::FeatureMatching
        | LossKind::Hinge => (level(graph, 0.0), level(graph, 0.0)),
        LossKind::LeastSquares => {
            let half = config.loss.real_label / 2.0;
            (level(graph, half), level(graph, half))
        }
        LossKind::Relativistic => (graph.mean_all(fake)?, graph.mean_all(real)?),
        LossKind::Wasserstein => {
            let (of_real, of_fake) = (graph.mean_all(real)?, graph.mean_all(fake)?);
            let sum = graph.add(of_real, of_fake)?;
            let middle = graph.scale(sum, 0.5);
            (middle, middle)
        }
    };
    let right_on_real = graph.binary(Binary::Greater, real, for_real)?;
    let right_on_fake = graph.binary(Binary::Greater, for_fake, fake)?;
    Ok(vec![
        (Probe::AccuracyReal, graph.mean_all(right_on_real)?),
        (Probe::AccuracyFake, graph.mean_all(right_on_fake)?),
    ])
}

/// The slice that holds all [`PROBES`], and each one's offset in it.
pub fn probes_slice(places: &Places) -> Option<(Slice, [usize; PROBES.len()])> {
    let slice = places.group("health").first().copied()?;
    let offset = |probe: Probe| {
        places
            .get(&probe.name())
            .map_or(0, |(_, slice)| slice.offset)
    };
    Some((slice, PROBES.map(offset)))
}
