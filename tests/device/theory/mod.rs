//! What is known of GANs in closed form, and PyTorch's gradients of gradients,
//! on the adapter of this machine: what the f64 reference cannot tell is
//! whether f32 keeps enough digits, and whether training gets there. Without an
//! adapter these tests fail, with the mend in the message.

mod digits;
mod game;
mod golden;
mod optima;
mod penalised;
mod second_order;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use gpugan::gpu::{Executable, Gpu, Memory};
use gpugan::graph::{Group, Places, Program, Role, Shape};
use gpugan::plan::Plan;
use gpugan::recording::StepValues;

use crate::adapter::open;

/// Opened once.
fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(open)
}

fn arenas(places: &Places) -> Vec<usize> {
    places.arenas().iter().map(|arena| arena.len).collect()
}

/// The outputs of a program by name, from `values` of everything it reads;
/// random numbers are those of seed 0, draw 0.
pub(crate) fn compute(
    program: &Program,
    values: impl Fn(&str, &Shape) -> Vec<f32>,
) -> BTreeMap<String, Vec<f32>> {
    let states = program.graph.states().iter();
    let (outputs, inputs): (Vec<_>, Vec<_>) = states
        .map(|state| ((state.name.clone(), state.shape.clone()), state.role))
        .partition(|&(_, role)| role == Role::Output);
    let named = |list: Vec<((String, Shape), Role)>| -> Vec<(String, Shape)> {
        list.into_iter().map(|(named, _)| named).collect()
    };
    let (inputs, outputs) = (named(inputs), named(outputs));
    let mut places = Places::default();
    places.add_group(Group::Role(Role::Input), &inputs).unwrap();
    places
        .add_group(Group::Role(Role::Output), &outputs)
        .unwrap();
    let gpu = gpu();
    let plan = Plan::new(program, &places, &gpu.facts.kernel_facts()).unwrap();
    let memory = Memory::poisoned(gpu, &arenas(&places), &plan.recording.temporaries).unwrap();
    let place = |name: &str| places.get(name).unwrap().1;
    for (name, shape) in &inputs {
        memory.write(place(name), &values(name, shape)).unwrap();
    }
    Executable::new(gpu, &memory, &plan.recording)
        .unwrap()
        .run(gpu, &StepValues::default())
        .unwrap();
    let read = |name: &String| memory.read(place(name)).unwrap();
    outputs
        .iter()
        .map(|(name, _)| (name.clone(), read(name)))
        .collect()
}

#[track_caller]
fn close(what: &str, got: f32, want: f64, relative: f64) {
    let error = (f64::from(got) - want).abs() / want.abs();
    assert!(error <= relative, "{what} is {got}, not {want}");
}
