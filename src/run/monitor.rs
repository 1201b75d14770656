//! The health program: what is measured on the GPU at the end of a tick. It
//! reads weights, gradients, the last batch and the last latents, and writes
//! nothing that training reads.

use crate::adversarial::Level;
use crate::error::Result;
use crate::graph::{
    Binary, Graph, Group, NodeId, Places, Program, Role as StateRole, Shape, Unary,
};
use crate::recording::{Command, Recording, Slice};
use crate::systems::{Build, Judged, Network, Observed, System};

/// Elements of all reference images together, and their largest number: their
/// product with a batch stays small beside a step.
const REFERENCE_ELEMENTS: usize = 1 << 20;
const MOST_REFERENCES: usize = 1024;

/// Squared distance beyond any that occurs: takes a pair out of a minimum.
pub(super) const FAR: f32 = 1e30;

/// Part of the images' squared lengths below which a squared distance is
/// rounding: the two are one image.
const SAME: f32 = 1e-4;

/// A number of the health program. Distances are Euclidean, over all elements of
/// two records; networks are counted in their system's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Part of the real batch that D is right about.
    AccuracyReal,
    /// Part of the generated batch that D is right about.
    AccuracyFake,
    /// Sum over the batch of the squared derivative of G's loss with respect
    /// to a logit.
    LogitGradient,
    /// Squared length of a network's gradient.
    Gradient(usize),
    /// Squared length of a network's weights before the last step.
    Weights(usize),
    /// Squared length of what the last step changed in a network's weights.
    Change(usize),
    /// Weights and gradients that are infinite or NaN.
    NonFinite,
    /// Mean distance of two generated records.
    PairsFake,
    /// Mean distance of two real records.
    PairsReal,
    /// Mean distance of a generated record from the nearest other of its batch.
    TwinFake,
    /// Mean distance of a real record from the nearest other of its batch.
    TwinReal,
    /// Mean distance of a generated record from the nearest reference.
    NearFake,
    /// Mean distance of a real record from the nearest reference that is not the
    /// record itself.
    NearReal,
}

impl Probe {
    fn name(self, networks: &[&str]) -> String {
        match self {
            Self::Gradient(network) => format!("health.Gradient{}", networks[network]),
            Self::Weights(network) => format!("health.Weights{}", networks[network]),
            Self::Change(network) => format!("health.Change{}", networks[network]),
            _ => format!("health.{self:?}"),
        }
    }
}

/// What there is to measure of a system, in the order of its places.
fn probes(networks: usize, judged: bool, records: bool) -> Vec<Probe> {
    let mut probes = Vec::new();
    if judged {
        probes.extend([
            Probe::AccuracyReal,
            Probe::AccuracyFake,
            Probe::LogitGradient,
        ]);
    }
    for of in [Probe::Gradient, Probe::Weights, Probe::Change] {
        probes.extend((0..networks).map(of));
    }
    probes.push(Probe::NonFinite);
    if records {
        probes.extend([
            Probe::PairsFake,
            Probe::PairsReal,
            Probe::TwinFake,
            Probe::TwinReal,
            Probe::NearFake,
            Probe::NearReal,
        ]);
    }
    probes
}

/// The tensor of reference records, `[references, elements]` in the range of the
/// generator's output.
pub const REFERENCES: &str = "health.references";

/// Names of the whole arenas that a network's numbers are taken over.
#[derive(Clone, Debug)]
struct Arenas {
    weights: Vec<(String, Shape)>,
    gradients: Vec<(String, Shape)>,
    before: Vec<(String, Shape)>,
}

/// What the monitor adds to a run's memory, and what it runs.
#[derive(Clone, Debug)]
pub struct Monitor {
    networks: Vec<&'static str>,
    arenas: Vec<Arenas>,
    probes: Vec<Probe>,
    /// Elements of a record whose distances are measured.
    elements: Option<usize>,
    program: Program,
}

impl Monitor {
    /// Lays out the monitor's tensors and builds its program.
    ///
    /// # Errors
    /// Where a name is taken or sizes do not fit together.
    pub fn new(
        places: &mut Places,
        system: &dyn System,
        networks: &[Network],
        batch: usize,
    ) -> Result<Self> {
        // What is frozen has neither gradients nor changes.
        let moving: Vec<&Network> = networks.iter().filter(|n| n.moves.is_some()).collect();
        let mut arenas = Vec::new();
        for network in &moving {
            let net = network.name;
            let weights = Group::Weights(net.to_owned());
            let weights = places.name_arenas(&weights, &format!("health.{net}"))?;
            let before: Vec<_> = weights
                .iter()
                .map(|(name, shape)| (format!("{name}.before"), shape.clone()))
                .collect();
            places.add_group(Group::Scratch(net.to_owned()), &before)?;
            let gradient = Group::Gradient(net.to_owned());
            arenas.push(Arenas {
                weights,
                gradients: places.name_arenas(&gradient, &format!("health.gradient.{net}"))?,
                before,
            });
        }
        let mut build = Build::pass(system, networks, batch);
        let observed = system.observe(&mut build)?;
        let elements = observed
            .records
            .map(|[made, _]| build.graph.shape(made).numel() / batch);
        let mut monitor = Self {
            networks: moving.iter().map(|network| network.name).collect(),
            probes: probes(moving.len(), observed.judged.is_some(), elements.is_some()),
            arenas,
            elements,
            program: Program::default(),
        };
        if let Some(elements) = elements {
            let count = references(elements, batch);
            let tensor = (REFERENCES.to_owned(), Shape::from([count, elements]));
            places.add_group(Group::Scratch(REFERENCES.to_owned()), &[tensor])?;
        }
        let names: Vec<_> = monitor
            .probes
            .iter()
            .map(|probe| (probe.name(&monitor.networks), Shape::scalar()))
            .collect();
        places.add_group(Group::Probe, &names)?;
        monitor.program = monitor.measuring(build.graph, &observed, batch)?;
        Ok(monitor)
    }

    /// The program that fills all probes, which is left empty here.
    pub(super) fn take_program(&mut self) -> Program {
        std::mem::take(&mut self.program)
    }

    /// Names of the networks that are measured.
    pub(super) fn networks(&self) -> &[&'static str] {
        &self.networks
    }

    /// Elements of a record whose distances are measured.
    pub(super) fn elements(&self) -> Option<usize> {
        self.elements
    }

    /// Keeps the weights as they are, to see what the next step changes.
    pub fn before(&self, places: &Places) -> Recording {
        let slice = |name: &str| places.get(name).map(|(_, slice)| slice);
        let pairs = self
            .arenas
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

    fn measuring(&self, mut graph: Graph, observed: &Observed, batch: usize) -> Result<Program> {
        let mut values = Vec::new();
        if let Some(judged) = observed.judged {
            let graph = &mut graph;
            values.extend(accuracies(graph, judged)?);
            let gradient = graph.gradient(judged.loss, &[judged.fake])?[0];
            values.push((Probe::LogitGradient, square_sum(graph, gradient)?));
        }
        values.extend(self.of_networks(&mut graph)?);
        if let Some([made, real]) = observed.records {
            values.extend(self.distances(&mut graph, batch, made, real)?);
        }
        let mut program = Program {
            graph,
            ..Program::default()
        };
        for (probe, node) in values {
            let name = probe.name(&self.networks);
            let state = program
                .graph
                .declare(name, Shape::scalar(), StateRole::Output)?;
            program.assign(state, node)?;
        }
        Ok(program)
    }

    /// Gradients, changes and values that are not finite, of all networks.
    fn of_networks(&self, graph: &mut Graph) -> Result<Vec<(Probe, NodeId)>> {
        let mut probes = Vec::new();
        let mut broken = graph.constant(0.0, Shape::scalar());
        for (network, arenas) in self.arenas.iter().enumerate() {
            let names = [
                Probe::Gradient(network),
                Probe::Weights(network),
                Probe::Change(network),
            ];
            let mut sums = [graph.constant(0.0, Shape::scalar()); 3];
            let parts = arenas
                .gradients
                .iter()
                .zip(&arenas.before)
                .zip(&arenas.weights);
            for ((gradient, before), weights) in parts {
                let [gradient, before, weights] = [gradient, before, weights]
                    .map(|(name, shape)| graph.written(name, shape.clone()));
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
        let count = references(pixels, batch);
        let references = graph.written(REFERENCES, [count, pixels].into())?;
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
        let nobody = graph.constant(0.0, [batch, count]);
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
/// score, lies on the right side of what it is compared with. A patch counts as
/// a judgement of its own.
fn accuracies(graph: &mut Graph, judged: Judged) -> Result<Vec<(Probe, NodeId)>> {
    let Judged { real, fake, .. } = judged;
    let constant = |graph: &mut Graph, x: f64| graph.constant(x as f32, Shape::scalar());
    let (for_real, for_fake) = match judged.level {
        Level::Zero => (constant(graph, 0.0), constant(graph, 0.0)),
        Level::HalfTarget => {
            let half = judged.real_label / 2.0;
            (constant(graph, half), constant(graph, half))
        }
        Level::OtherMean => (graph.mean_all(fake)?, graph.mean_all(real)?),
        Level::Middle => {
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

/// Reference records: their product with a batch stays small beside a step.
fn references(elements: usize, batch: usize) -> usize {
    (REFERENCE_ELEMENTS / elements).clamp(batch.min(16), MOST_REFERENCES)
}

impl Monitor {
    /// The slice that holds all probes, and each one with its offset in it.
    pub(super) fn slice(&self, places: &Places) -> Option<(Slice, Vec<(Probe, usize)>)> {
        let slice = places.group(&Group::Probe).first().copied()?;
        let offsets = self.probes.iter().map(|&probe| {
            let place = places.get(&probe.name(&self.networks));
            (probe, place.map_or(0, |(_, slice)| slice.offset))
        });
        Some((slice, offsets.collect()))
    }
}
