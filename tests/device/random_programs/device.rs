//! Random programs on the adapter of this machine, against the f64 reference:
//! temporaries poisoned, outputs NaN until they are written, run on two fillings
//! of the inputs and on the first again.

use std::sync::{LazyLock, Mutex};

use gpugan::gpu::{Executable, Gpu, Memory, Selector};
use gpugan::graph::{NodeId, Places, Role};
use gpugan::ops::{Facts, Rung};

use super::checker::check;
use super::generator::{Sample, Wish};
use super::values::{STEP, States, fill, truth};

static GPU: LazyLock<Gpu> = LazyLock::new(|| {
    let Ok(selector) = std::env::var("GPUGAN_ADAPTER")
        .unwrap_or_default()
        .parse::<Selector>();
    Gpu::open(&selector).unwrap_or_else(|error| panic!("{error}"))
});

/// One test at a time.
static TURN: Mutex<()> = Mutex::new(());

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// A planned program in memory.
struct Replay<'a> {
    sample: &'a Sample,
    places: &'a Places,
    memory: Memory,
    executable: Executable,
}

impl Replay<'_> {
    /// What the assigned tensors hold afterwards.
    fn step(&mut self, states: &States) -> Vec<Vec<f32>> {
        let Sample { program, .. } = self.sample;
        let place = |name: &str| self.places.get(name).unwrap().1;
        self.memory.poison_temporaries().unwrap();
        for info in program
            .graph
            .states()
            .iter()
            .filter(|s| s.role == Role::Output)
        {
            let slice = place(&info.name);
            self.memory
                .write(slice, &vec![f32::NAN; slice.len])
                .unwrap();
        }
        for (state, tensor) in states {
            // The arena that is read whole is written by parts.
            let name = &program.graph.state_info(*state).name;
            if !name.starts_with("whole") {
                self.memory
                    .write(place(name), &narrow(&tensor.data))
                    .unwrap();
            }
        }
        self.executable.run(&GPU, &STEP).unwrap();
        program
            .assigns
            .iter()
            .map(|(state, _)| place(&program.graph.state_info(*state).name))
            .map(|slice| self.memory.read(slice).unwrap())
            .collect()
    }
}

/// What is wrong with a program; none where a jump is too near to tell.
fn wrong(seed: u32, wish: Wish) -> Option<Vec<String>> {
    let sample = Sample::draw(seed, wish);
    let roots: Vec<NodeId> = sample
        .program
        .assigns
        .iter()
        .map(|&(_, node)| node)
        .collect();
    let fillings = [fill(&sample, 0), fill(&sample, 1)];
    let [first, second] = &fillings;
    let truths = [
        truth(&sample, &roots, first)?,
        truth(&sample, &roots, second)?,
    ];
    let facts = Facts {
        rung: if seed.is_multiple_of(2) {
            Rung::Best
        } else {
            Rung::Tiled(seed as usize)
        },
        ..GPU.facts.kernel_facts()
    };
    let plan = check(&sample.program, &sample.places, &facts)
        .unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    let arenas: Vec<usize> = sample.places.arenas().iter().map(|a| a.len).collect();
    let memory = Memory::new(&GPU, &arenas, &plan.recording.temporaries).unwrap();
    let executable = Executable::new(&GPU, &memory, &plan.recording).unwrap();
    let mut run = Replay {
        sample: &sample,
        places: &sample.places,
        memory,
        executable,
    };
    let found = [run.step(first), run.step(second), run.step(first)];
    let mut failures = Vec::new();
    let bits = |run: &[Vec<f32>]| run.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    if bits(&found[0]) != bits(&found[2]) {
        failures.push(format!("seed {seed}: other bits when it runs again"));
    }
    for (found, truth) in found.iter().zip(&truths) {
        for (index, values) in found.iter().enumerate() {
            let Some(tolerance) = truth.tolerances[index] else {
                continue;
            };
            for (place, (got, want)) in values.iter().zip(&truth.values[index].data).enumerate() {
                let error = (f64::from(*got) - want).abs();
                if error.is_nan() || error > tolerance {
                    let (state, node) = sample.program.assigns[index];
                    failures.push(format!(
                        "seed {seed}: {} = {:?} at {place} is {got:e}, not {want:e} within {tolerance:.1e}",
                        sample.program.graph.state_info(state).name,
                        sample.program.graph.node(node).op,
                    ));
                    break;
                }
            }
        }
    }
    Some(failures)
}

fn check_all(seeds: std::ops::Range<u32>, nodes: [usize; 2]) {
    let _turn = TURN.lock();
    let count = seeds.len();
    let mut compared = 0;
    let mut failures = Vec::new();
    for seed in seeds {
        let wish = Wish {
            nodes,
            orders: (seed % 3) as usize,
            stops: true,
        };
        if let Some(found) = wrong(seed, wish) {
            compared += 1;
            failures.extend(found);
        }
    }
    // Compiling is most of the time: the next run finds the pipelines.
    GPU.save_pipeline_cache();
    assert!(
        2 * compared > count,
        "only {compared} of {count} say something"
    );
    assert!(failures.is_empty(), "{compared}:\n{}", failures.join("\n"));
}

#[test]
fn random_programs_compute_what_the_reference_does() {
    check_all(0..9, [5, 12]);
}

#[test]
#[ignore = "minutes"]
fn many_random_programs_compute_what_the_reference_does() {
    check_all(0..400, [5, 25]);
}
