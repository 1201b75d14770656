//! Every kernel family on the shapes of real networks, forward and backward.

use std::collections::BTreeSet;

use super::ceiling::Ceilings;
use super::measure::{self, RUNS, Times};
use super::report::Row;
use crate::check::{Case, Derived, Size, shapes};
use crate::config::Optimizer;
use crate::error::{Error, Result};
use crate::gpu::{Executable, Gpu, Memory};
use crate::graph::{Graph, Group, NodeId, Op, Places, Program, Role, Shape};
use crate::ops::Facts;
use crate::optim;
use crate::plan::Plan;
use crate::recording::Recording;

/// Parameters of the optimiser's case.
const PARAMETERS: usize = 3_000_000;

const ADAM: &str = "Adam, 3 M parameters";

/// Names of all cases.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = shapes(Size::Real)
        .into_iter()
        .map(|case| case.name)
        .collect();
    names.push(ADAM.to_owned());
    names
}

fn asked(name: &str, words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

/// Refuses words that no case contains.
pub(super) fn check_words(words: &[String]) -> Result<()> {
    let names = names();
    match words
        .iter()
        .find(|word| !names.iter().any(|name| name.contains(word.as_str())))
    {
        None => Ok(()),
        Some(word) => Err(Error::usage(
            format!("no case name contains '{word}'"),
            "gpugan bench --list shows them all; step and scaling stand alone",
        )),
    }
}

/// Measures the cases that contain one of the words, all where there is none:
/// the result and each first gradient.
///
/// # Errors
/// Where the device failed.
pub fn run_kernels(
    gpu: &Gpu,
    ceilings: &Ceilings,
    words: &[String],
    show: &mut impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    for case in shapes(Size::Real) {
        if asked(&case.name, words) {
            run_case(gpu, ceilings, &case, show)?;
        }
    }
    if asked(ADAM, words) {
        show(adam(gpu, ceilings)?)?;
    }
    Ok(())
}

fn run_case(
    gpu: &Gpu,
    ceilings: &Ceilings,
    case: &Case,
    show: &mut impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    let derived = case.derive()?;
    for (name, program) in programs(case, &derived)? {
        let (recording, times) = time(gpu, &derived, &program)?;
        let flops = flops(&program.graph);
        let bytes = bytes(&program);
        let row = Row::new(name, &times, variants(&recording));
        show(rated(row, &times, ceilings, flops, bytes))?;
    }
    Ok(())
}

/// The result of a case and each first gradient, as programs.
fn programs(case: &Case, derived: &Derived) -> Result<Vec<(String, Program)>> {
    let mut parts = vec![(case.name.clone(), derived.result)];
    for gradient in &derived.first {
        // Such as the gradient of a sum, which is its cotangent stretched.
        let node = derived.graph.node(gradient.node);
        if !matches!(node.op, Op::Broadcast | Op::Constant(_)) {
            parts.push((format!("{}, d {}", case.name, gradient.of), gradient.node));
        }
    }
    let program = |(name, root)| {
        let mut program = Program {
            graph: derived.graph.clone(),
            assigns: Vec::new(),
        };
        let shape = derived.graph.shape(root).clone();
        let result = program.graph.declare("result", shape, Role::Output)?;
        program.assign(result, root)?;
        Ok((name, program.simplified()?))
    };
    parts.into_iter().map(program).collect()
}

/// The recordings of the cases that contain one of the words, all where there is none.
pub(super) fn recordings(facts: &Facts, words: &[String]) -> Result<Vec<(String, Recording)>> {
    let mut recordings = Vec::new();
    let cases = shapes(Size::Real).into_iter();
    for case in cases.filter(|case| asked(&case.name, words)) {
        for (name, program) in programs(&case, &case.derive()?)? {
            recordings.push((name, planned(facts, &program)?.1.recording));
        }
    }
    if asked(ADAM, words) {
        recordings.push((ADAM.to_owned(), adams()?.1));
    }
    Ok(recordings)
}

/// A row with rates: of arithmetic where there are contractions, else of memory.
fn rated(row: Row, times: &Times, ceilings: &Ceilings, flops: usize, bytes: usize) -> Row {
    let (rate, ceiling) = if flops > 0 {
        (flops as f64 / times.median(), ceilings.flops)
    } else {
        (bytes as f64 / times.median(), ceilings.bandwidth)
    };
    Row {
        gflops: (flops > 0).then_some(1e-9 * flops as f64 / times.median()),
        gbps: Some(1e-9 * bytes as f64 / times.median()),
        percent_of_ceiling: Some(100.0 * rate / ceiling),
        ..row
    }
}

fn planned(facts: &Facts, program: &Program) -> Result<(Places, Plan)> {
    let mut places = Places::default();
    let named = |role: Role| -> Vec<(String, Shape)> {
        program
            .graph
            .states()
            .iter()
            .filter(|info| (info.role == Role::Output) == (role == Role::Output))
            .map(|info| (info.name.clone(), info.shape.clone()))
            .collect()
    };
    places.add_group(Group::Role(Role::Input), &named(Role::Input))?;
    places.add_group(Group::Role(Role::Output), &named(Role::Output))?;
    let plan = Plan::new(program, &places, facts)?;
    Ok((places, plan))
}

fn time(gpu: &Gpu, derived: &Derived, program: &Program) -> Result<(Recording, Times)> {
    let (places, plan) = planned(&gpu.facts.kernel_facts(), program)?;
    let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
    let memory = Memory::new(gpu, &arenas, &plan.recording.temporaries)?;
    for (id, tensor) in &derived.inputs {
        let values: Vec<f32> = tensor.data.iter().map(|&value| value as f32).collect();
        if let Some((_, slice)) = places.get(&derived.graph.state_info(*id).name) {
            memory.write(slice, &values)?;
        }
    }
    let times = time_recording(gpu, &memory, &plan.recording)?;
    Ok((plan.recording, times))
}

/// Seconds of one of the runs that a measurement repeats back to back.
fn time_recording(gpu: &Gpu, memory: &Memory, recording: &Recording) -> Result<Times> {
    let repeated = Recording {
        commands: std::iter::repeat_n(recording.commands.clone(), RUNS)
            .flatten()
            .collect(),
        temporaries: recording.temporaries.clone(),
    };
    let mut executable = Executable::new(gpu, memory, &repeated)?;
    measure::gpu_seconds(gpu, &mut executable)?;
    measure::wake(gpu, &mut executable, measure::WAKING)?;
    measure::repeat(|| Ok(measure::gpu_seconds(gpu, &mut executable)? / RUNS as f64))
}

/// Adam over all parameters of one network.
fn adams() -> Result<(Places, Recording)> {
    let mut places = Places::default();
    let name = || "network".to_owned();
    let groups = [
        Group::Weights(name()),
        Group::Gradient(name()),
        Group::Moment(name(), 1),
        Group::Moment(name(), 2),
    ];
    for (index, group) in groups.into_iter().enumerate() {
        places.add_group(group, &[(format!("w{index}"), [PARAMETERS].into())])?;
    }
    let recording = optim::recording(&Optimizer::default(), None, &places, &name())?;
    Ok((places, recording))
}

fn adam(gpu: &Gpu, ceilings: &Ceilings) -> Result<Row> {
    let (places, recording) = adams()?;
    let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
    let memory = Memory::new(gpu, &arenas, &[])?;
    let times = time_recording(gpu, &memory, &recording)?;
    // Four are read, the weights and two moments written.
    let bytes = 7 * size_of::<f32>() * PARAMETERS;
    let row = Row::new(ADAM, &times, variants(&recording));
    Ok(rated(row, &times, ceilings, 0, bytes))
}

/// Multiplications and additions of the contractions.
fn flops(graph: &Graph) -> usize {
    let size = |id: NodeId| graph.shape(id);
    graph
        .nodes()
        .iter()
        .map(|node| match &node.op {
            Op::MatMul { transpose_a, .. } => {
                let a = size(node.inputs[0]);
                let depth = a[a.rank() - if *transpose_a { 2 } else { 1 }];
                2 * node.shape.numel() * depth
            }
            Op::Conv2d(_) => {
                let w = size(node.inputs[1]);
                2 * node.shape.numel() * w[1] * w[2] * w[3]
            }
            // The filter side is the first input of the one, the second of the
            // other.
            Op::ConvTranspose2d(_) => {
                let w = size(node.inputs[1]);
                2 * size(node.inputs[0]).numel() * w[1] * w[2] * w[3]
            }
            Op::ConvWeightGrad(_) => {
                let w = &node.shape;
                2 * size(node.inputs[1]).numel() * w[1] * w[2] * w[3]
            }
            _ => 0,
        })
        .sum()
}

/// Bytes of the tensors that a program reads and writes, each once.
fn bytes(program: &Program) -> usize {
    let read: BTreeSet<_> = program
        .graph
        .nodes()
        .iter()
        .filter_map(|node| match node.op {
            Op::State(state) => Some(state),
            _ => None,
        })
        .collect();
    let written = program.assigns.iter().map(|&(state, _)| state);
    let elements: usize = read
        .into_iter()
        .chain(written)
        .map(|state| program.graph.state_info(state).shape.numel())
        .sum();
    size_of::<f32>() * elements
}

/// The kernels of a recording, each once, in order: `conv_tile subgroup`.
pub(super) fn variants(recording: &Recording) -> String {
    let mut names = Vec::new();
    for dispatch in recording.dispatches() {
        let name = family(&dispatch.kernel);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// A kernel's file and rung.
pub(super) fn family(kernel: &crate::recording::Kernel) -> String {
    format!(
        "{} {}",
        kernel.file.trim_end_matches(".wgsl"),
        kernel.variant
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_as_the_textbook_does() {
        let count = |name: &str| {
            let case = shapes(Size::Real)
                .into_iter()
                .find(|case| case.name == name)
                .expect("a case of this name");
            let derived = case.derive().expect("it has gradients");
            let mut program = Program {
                graph: derived.graph.clone(),
                assigns: Vec::new(),
            };
            let shape = derived.graph.shape(derived.result).clone();
            let state = program
                .graph
                .declare("result", shape, Role::Output)
                .expect("free name");
            program.assign(state, derived.result).expect("same shape");
            let program = program.simplified().expect("it builds");
            (flops(&program.graph), bytes(&program))
        };
        assert_eq!(count("matmul 512^3"), (2 << 27, (3 * 4) << 18));
        // 64 8x8 outputs of 128 channels, from 64 channels under 16 taps.
        let conv = 2 * 64 * 64 * 128 * 64 * 16;
        let tensors = 64 * 256 * 64 + 64 * 64 * 128 + 128 * 64 * 16;
        assert_eq!(count("conv k4s2p1 64->128 at 16x16"), (conv, 4 * tensors));
        assert_eq!(count("conv_transpose k4s2p1 128->64 at 8x8").0, conv);
    }

    #[test]
    fn every_case_is_checked_under_its_name() {
        let checked: Vec<String> = crate::check::cases()
            .into_iter()
            .map(|case| case.name)
            .collect();
        for case in shapes(Size::Real) {
            assert!(checked.contains(&case.name), "{}", case.name);
        }
        assert!(check_words(&["matmul".to_owned()]).is_ok());
        assert!(check_words(&["matmull".to_owned()]).is_err());
    }
}
