//! Runs launches on the GPU and compares.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gpugan::gpu::{Executable, Gpu, Memory};
use gpugan::graph::{Op, Places, Shape};
use gpugan::ops::Launch;
use gpugan::ops::reduce::Stages;
use gpugan::recording::{
    Access, Binding, Command, Dispatch, Recording, Slice, StepValues, Storage,
};
use gpugan::reference::{Tensor, apply};

use crate::adapter::open;

static GPU: LazyLock<Gpu> = LazyLock::new(open);

/// One test at a time: a reader only knows that its own wait has returned, while
/// the callback that maps its buffer may still be running in another thread.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn slice(storage: Storage, len: usize) -> Slice {
    Slice {
        storage,
        offset: 0,
        len,
    }
}

fn dispatch(launch: &Launch, bindings: Vec<Binding>) -> Command {
    Command::Dispatch(Dispatch {
        kernel: launch.kernel.clone(),
        bindings,
        workgroups: launch.workgroups,
        label: "test".to_owned(),
    })
}

fn replay(memory: &Memory, commands: Vec<Command>, temporaries: Vec<usize>, step: &StepValues) {
    let recording = Recording {
        commands,
        temporaries,
    };
    let mut executable = Executable::new(&GPU, memory, &recording).unwrap();
    executable.run(&GPU, step).unwrap();
}

/// The `len` elements of the output, as they lie in memory; the inputs too are
/// given as they lie. Elements that nothing writes are NaN.
pub(crate) fn run_step(
    stages: &Stages,
    inputs: &[Vec<f32>],
    len: usize,
    step: &StepValues,
) -> Vec<f32> {
    let _turn = turn();
    let sizes: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let partial = match stages {
        Stages::One(_) => 1,
        Stages::Two { partial, .. } => *partial,
    };
    let memory = Memory::poisoned(&GPU, &sizes, &[len, partial]).unwrap();
    let mut reads = Vec::new();
    for (place, input) in inputs.iter().enumerate() {
        let at = slice(Storage::Arena(place), input.len());
        memory.write(at, input).unwrap();
        reads.push(Binding {
            slice: at,
            access: Access::Read,
        });
    }
    let output = slice(Storage::Temporary(0), len);
    let between = slice(Storage::Temporary(1), partial);
    let bind = |slice, access| Binding { slice, access };
    let with_output = |target, reads: &[Binding]| {
        let mut bindings = vec![bind(target, Access::Write)];
        bindings.extend_from_slice(reads);
        bindings
    };
    let commands = match stages {
        Stages::One(launch) => vec![dispatch(launch, with_output(output, &reads))],
        Stages::Two { first, second, .. } => vec![
            dispatch(first, with_output(between, &reads)),
            dispatch(second, with_output(output, &[bind(between, Access::Read)])),
        ],
    };
    replay(&memory, commands, vec![len, partial], step);
    memory.read(output).unwrap()
}

pub(crate) fn run(launch: Launch, inputs: &[Vec<f32>], len: usize) -> Vec<f32> {
    run_step(&Stages::One(launch), inputs, len, &StepValues::default())
}

/// The tensor `output` after a recording ran on these inputs.
pub(crate) fn execute(
    recording: &Recording,
    places: &Places,
    inputs: &[(&str, &Tensor)],
    output: &str,
) -> Vec<f32> {
    let _turn = turn();
    let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
    let memory = Memory::poisoned(&GPU, &arenas, &recording.temporaries).unwrap();
    let place = |name| places.get(name).unwrap().1;
    for (name, tensor) in inputs {
        let values: Vec<f32> = tensor.data.iter().map(|&value| value as f32).collect();
        memory.write(place(name), &values).unwrap();
    }
    let mut executable = Executable::new(&GPU, &memory, recording).unwrap();
    executable.run(&GPU, &StepValues::default()).unwrap();
    memory.read(place(output)).unwrap()
}

/// Runs a kernel that updates its buffers in place.
pub(crate) fn update(
    launch: &Launch,
    accesses: &[Access],
    buffers: &mut [Vec<f32>],
    step: &StepValues,
) {
    let _turn = turn();
    let sizes: Vec<usize> = buffers.iter().map(Vec::len).collect();
    let memory = Memory::poisoned(&GPU, &sizes, &[]).unwrap();
    let mut bindings = Vec::new();
    for (place, (buffer, &access)) in buffers.iter().zip(accesses).enumerate() {
        let at = slice(Storage::Arena(place), buffer.len());
        memory.write(at, buffer).unwrap();
        bindings.push(Binding { slice: at, access });
    }
    assert_eq!(bindings.len(), buffers.len());
    replay(
        &memory,
        vec![dispatch(launch, bindings.clone())],
        Vec::new(),
        step,
    );
    for (buffer, binding) in buffers.iter_mut().zip(bindings) {
        *buffer = memory.read(binding.slice).unwrap();
    }
}

/// Numbers in [-1, 1) that repeat nowhere near, exact in f32.
pub(crate) fn noise(shape: impl Into<Shape>, salt: u32) -> Tensor {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(12345);
    Tensor::from_fn(shape, |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 9) / f64::from(1 << 22) - 1.0
    })
}

/// The reference's answer; the shape of the output is `shape`.
pub(crate) fn truth(op: &Op, inputs: &[&Tensor], shape: &[usize]) -> Tensor {
    apply(op, inputs, &Shape::from(shape), 0, 0).unwrap()
}

/// Strides of a shape whose axes lie in memory in `order`, outermost first.
pub(crate) fn strides(shape: &[usize], order: &[usize]) -> Vec<usize> {
    Shape::from(shape).strides_in(order)
}

/// A tensor's elements as they lie in memory in `order`.
pub(crate) fn lay(tensor: &Tensor, order: &[usize]) -> Vec<f32> {
    let steps = strides(&tensor.shape, order);
    let mut memory = vec![0.0; tensor.data.len()];
    let rows = Shape::strides(&tensor.shape);
    for (number, &value) in tensor.data.iter().enumerate() {
        let at: usize = (0..steps.len())
            .map(|axis| number / rows[axis] % tensor.shape[axis] * steps[axis])
            .sum();
        memory[at] = value as f32;
    }
    memory
}

/// Every element within `relative` of the truth, or of its distance `absolute`.
#[track_caller]
pub(crate) fn close(found: &[f32], expected: &[f32], relative: f32, absolute: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (&f, &e)) in found.iter().zip(expected).enumerate() {
        let bits = f.to_bits() & 0x7fff_ffff;
        assert!(
            bits <= 0x7f80_0000 && (f - e).abs() <= absolute + relative * e.abs(),
            "{what}: element {place} is {f:e}, not {e:e}"
        );
    }
}
