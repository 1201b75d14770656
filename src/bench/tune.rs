//! Which variant is fastest on this adapter for each contraction of a run.

use std::rc::Rc;

use super::measure;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gpu::{Executable, Gpu, Memory};
use crate::graph::Shape;
use crate::ops::{Contraction, Launch, Launches, Tuned, Variant};
use crate::random;
use crate::recording::{Access, Binding, Command, Dispatch, Recording, Slice, StepValues, Storage};
use crate::run::blueprint::Blueprint;
use crate::systems::{self, Given};

/// Runs of a candidate, each of some launches, of which the fastest counts; one
/// that is this much slower than the best at its first run gets no other.
/// Processors wake their threads so slowly that a lone short launch may be over
/// before the second one works.
const RUNS: usize = 4;
const LAUNCHES: usize = 4;
const HOPELESS: f64 = 1.5;

/// Largest difference from the plain variant over its largest result.
const TOLERANCE: f32 = 1e-4;

/// The contest for one contraction.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Contest {
    /// What was computed.
    pub contraction: Contraction,
    /// All candidates with their seconds.
    pub times: Vec<(Variant, f64)>,
    /// What the adapter's facts suggest, and its seconds.
    pub usual: (Variant, f64),
    /// The fastest of those with right results, and its seconds.
    pub winner: (Variant, f64),
    /// Candidates whose results were wrong.
    pub wrong: Vec<Variant>,
}

/// Measures all candidates for every contraction of a run.
///
/// # Errors
/// Where the configuration does not fit together or the device failed.
pub fn tune(
    gpu: &Gpu,
    config: &Config,
    show: &mut impl FnMut(&Contest) -> Result<()>,
) -> Result<Tuned> {
    let channels = config.data.channels.unwrap_or(1) * config.data.stack;
    let system = systems::open(config, &Given::presumed(config, channels))?;
    // What is known already must not decide which contractions there are.
    let facts = crate::ops::Facts {
        tuned: None,
        ..gpu.facts.kernel_facts()
    };
    let blueprint = Blueprint::new(config, &*system, &facts)?;
    let mut winners = Vec::new();
    for contraction in blueprint.contractions {
        let contest = contest(gpu, contraction, &facts)?;
        show(&contest)?;
        winners.push((contraction, contest.winner.0));
    }
    let mut tuned = gpu.facts.tuned.cloned().unwrap_or_default();
    tuned.add(winners);
    Ok(tuned)
}

fn contest(gpu: &Gpu, contraction: Contraction, facts: &crate::ops::Facts) -> Result<Contest> {
    let [_, first, second] = contraction.shapes();
    let operands = [(first, 1), (second, 2)].map(|(shape, stream)| {
        (0..shape.numel() as u32)
            .map(|element| 2.0 * random::uniform(element, stream, 1, 0) - 1.0)
            .collect::<Vec<f32>>()
    });
    let mut laid = Laid {
        operands,
        orders: Vec::new(),
    };
    let usual = contraction.choose(facts);
    let mut plain = Trial::new(gpu, contraction, Variant::Plain, &mut laid)?;
    measure::wake(gpu, &mut plain.executable, measure::WAKING)?;
    let seconds = plain.seconds(gpu, f64::INFINITY)?;
    let truth = plain.results()?;
    let mut contest = Contest {
        contraction,
        times: vec![(Variant::Plain, seconds)],
        usual: (usual, seconds),
        winner: (Variant::Plain, seconds),
        wrong: Vec::new(),
    };
    let mut candidates = contraction.candidates(facts);
    candidates.retain(|&variant| variant != Variant::Plain);
    for variant in candidates {
        let mut trial = Trial::new(gpu, contraction, variant, &mut laid)?;
        let seconds = trial.seconds(gpu, contest.winner.1)?;
        contest.times.push((variant, seconds));
        if variant == usual {
            contest.usual.1 = seconds;
        }
        if !agree(&trial.results()?, &truth) {
            contest.wrong.push(variant);
        } else if seconds < contest.winner.1 {
            contest.winner = (variant, seconds);
        }
    }
    Ok(contest)
}

/// Whether results are those of the plain variant but for rounding.
fn agree(results: &[f32], truth: &[f32]) -> bool {
    let scale = truth
        .iter()
        .fold(f32::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
    results
        .iter()
        .zip(truth)
        .all(|(got, want)| (got - want).abs() <= TOLERANCE * scale)
}

/// Operands, and how they lie in each memory order that a variant asked for.
struct Laid {
    operands: [Vec<f32>; 2],
    orders: Vec<(Contraction, Rc<Order>)>,
}

/// Of the output and both operands: where the elements lie, in row-major order of
/// their axes, and how much memory that takes; and the memory of both operands.
struct Order {
    places: [Vec<usize>; 3],
    lens: [usize; 3],
    memory: [Vec<f32>; 2],
}

impl Laid {
    fn order(&mut self, packed: Contraction) -> Rc<Order> {
        if let Some((_, order)) = self.orders.iter().find(|(known, _)| *known == packed) {
            return Rc::clone(order);
        }
        let (shapes, strides) = (packed.shapes(), packed.strides());
        let places = [0, 1, 2].map(|tensor| places(&shapes[tensor], &strides[tensor]));
        let lens = [0, 1, 2].map(|tensor: usize| {
            let places = &places[tensor];
            places.iter().max().map_or(1, |last| last + 1)
        });
        let memory = [0, 1].map(|operand: usize| {
            let mut memory = vec![0.0; lens[operand + 1]];
            for (&place, &value) in places[operand + 1].iter().zip(&self.operands[operand]) {
                memory[place] = value;
            }
            memory
        });
        let order = Rc::new(Order {
            places,
            lens,
            memory,
        });
        self.orders.push((packed, Rc::clone(&order)));
        order
    }
}

/// A variant with its operands on the device.
struct Trial {
    memory: Memory,
    executable: Executable,
    /// Dispatches of one of the [`LAUNCHES`].
    dispatches: usize,
    output: Slice,
    order: Rc<Order>,
}

impl Trial {
    fn new(gpu: &Gpu, contraction: Contraction, variant: Variant, laid: &mut Laid) -> Result<Self> {
        let packed = contraction.packed(variant);
        let order = laid.order(packed);
        let mut lens = order.lens.to_vec();
        let launched = launched(
            packed.launches(variant),
            &gpu.facts.kernel_facts(),
            &mut lens,
        );
        let memory = Memory::new(gpu, &lens, &[])?;
        let slice = |arena: usize| Slice {
            storage: Storage::Arena(arena),
            offset: 0,
            len: lens[arena],
        };
        for (arena, values) in (1..).zip(&order.memory) {
            memory.write(slice(arena), values)?;
        }
        // What is not written must not look right.
        memory.write(slice(0), &vec![f32::NAN; lens[0]])?;
        let commands: Vec<Command> = launched
            .into_iter()
            .map(|(launch, arenas)| {
                let binding = |(index, &arena)| Binding {
                    slice: slice(arena),
                    access: if index == 0 {
                        Access::Write
                    } else {
                        Access::Read
                    },
                };
                Command::Dispatch(Dispatch {
                    kernel: launch.kernel,
                    bindings: arenas.iter().enumerate().map(binding).collect(),
                    workgroups: launch.workgroups,
                    label: format!("{variant:?}"),
                })
            })
            .collect();
        let dispatches = commands.len();
        let recording = Recording {
            commands: std::iter::repeat_n(commands, LAUNCHES).flatten().collect(),
            temporaries: Vec::new(),
        };
        Ok(Self {
            executable: Executable::new(gpu, &memory, &recording)?,
            dispatches,
            output: slice(0),
            order,
            memory,
        })
    }

    /// The least of some runs, fewer where `best` is out of reach.
    fn seconds(&mut self, gpu: &Gpu, best: f64) -> Result<f64> {
        // The driver compiles at the first.
        self.executable.profile(gpu, &StepValues::default())?;
        // The candidate before it woke the card.
        measure::wake(gpu, &mut self.executable, measure::WAKING / 8)?;
        let mut least = f64::INFINITY;
        for run in 0..RUNS {
            if run > 0 && least > HOPELESS * best {
                break;
            }
            let times = self.executable.profile(gpu, &StepValues::default())?;
            for launch in times.chunks(self.dispatches) {
                let nanoseconds: u64 = launch.iter().map(|&(_, time)| time).sum();
                least = least.min(1e-9 * nanoseconds as f64);
            }
        }
        Ok(least)
    }

    /// Results in row-major order of their axes.
    fn results(&self) -> Result<Vec<f32>> {
        let memory = self.memory.read(self.output)?;
        let places = &self.order.places[0];
        Ok(places.iter().map(|&place| memory[place]).collect())
    }
}

/// Launches of a contraction in order, each with the arenas it binds, whose lengths
/// are added behind those of the output and the operands.
fn launched(
    launches: Launches,
    facts: &crate::ops::Facts,
    lens: &mut Vec<usize>,
) -> Vec<(Launch, Vec<usize>)> {
    let mut launched = Vec::new();
    let mut read = vec![1, 2];
    for (operand, launch) in read.iter_mut().zip(launches.operands) {
        if let Some((launch, len)) = launch {
            lens.push(len);
            launched.push((launch, vec![lens.len() - 1, *operand]));
            *operand = lens.len() - 1;
        }
    }
    if let Some(between) = launches.between {
        let (launch, len) = between.launch(false, |product| product.choose(facts));
        lens.push(len);
        launched.push((launch, [&[lens.len() - 1], &read[..]].concat()));
        read = vec![lens.len() - 1];
    }
    launched.push((launches.last, [&[0], &read[..]].concat()));
    launched
}

/// Places of a tensor's elements in memory, in row-major order of its axes.
fn places(shape: &Shape, strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (axis, &stride) in strides.iter().enumerate() {
        places = places
            .into_iter()
            .flat_map(|base| (0..shape[axis]).map(move |i| base + i * stride))
            .collect();
    }
    places
}

/// A line about a contest.
pub(super) fn line(contest: &Contest) -> String {
    let size = |shape: &Shape| shape.to_string();
    let [output, first, second] = contest.contraction.shapes();
    let name = match contest.contraction {
        Contraction::MatMul(_) => "matmul".to_owned(),
        Contraction::Conv(conv) => format!("{:?}", conv.kind).to_lowercase(),
    };
    let wrong = match contest.wrong[..] {
        [] => String::new(),
        _ => format!("  WRONG: {:?}", contest.wrong),
    };
    format!(
        "{name:<10} {:<18} {:<18} {:<18} {:>9.3} ms {:>9.3} ms {:>5.2}  {:?}{wrong}\n",
        size(&output),
        size(&first),
        size(&second),
        1e3 * contest.usual.1,
        1e3 * contest.winner.1,
        contest.winner.1 / contest.usual.1,
        contest.winner.0
    )
}

/// Ends a run in which candidates were wrong.
///
/// # Errors
/// [`Error::Gpu`] where there were any.
pub(super) fn verdict(gpu: &Gpu, wrong: usize) -> Result<()> {
    if wrong == 0 {
        return Ok(());
    }
    Err(Error::gpu(
        format!(
            "{wrong} kernel variants gave wrong results on {}",
            gpu.facts.name
        ),
        "they were left out; gpugan check says more about this driver",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_agree_up_to_rounding() {
        assert!(agree(&[1.0, 2.0001], &[1.0, 2.0]));
        assert!(!agree(&[1.0, 2.001], &[1.0, 2.0]));
        assert!(!agree(&[f32::NAN, 2.0], &[1.0, 2.0]));
        assert_eq!(places(&[2, 3].into(), &[1, 2]), [0, 2, 4, 1, 3, 5]);
    }
}
