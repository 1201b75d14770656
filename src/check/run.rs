//! A case on a GPU, against the reference.

use std::fmt;

use serde::Serialize;

use super::{Case, STEP};
use crate::error::Result;
use crate::gpu::{Executable, Gpu, Memory};
use crate::graph::{Group, Places, Role, Shape};
use crate::ops::{Facts, Rung};
use crate::plan::Plan;
use crate::recording::{Slice, StepValues};
use crate::reference::Tensor;

/// Errors of tensors whose largest element is below this are taken relative to
/// it.
const SMALLEST_SCALE: f64 = 1e-6;

/// A tensor of a case as the GPU computed it, against the reference.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// `y`, or a gradient such as `dy/dx0`.
    pub tensor: String,
    /// Largest difference over the largest magnitude of the reference; `None`
    /// where the GPU's result is not finite.
    pub error: Option<f64>,
    /// Position of the element with that difference.
    pub element: Vec<usize>,
    /// What the GPU computed there.
    pub got: f64,
    /// What the reference computed there.
    pub want: f64,
    /// Whether the error is within the case's tolerance.
    pub ok: bool,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {:?} is {:e}, not {:e}",
            self.tensor, self.element, self.got, self.want
        )?;
        match self.error {
            Some(error) => write!(f, " (relative error {error:.1e})"),
            None => Ok(()),
        }
    }
}

/// Runs a case with its gradients, contractions on this rung, and compares all
/// tensors with the reference. Memory that the plan reuses is poisoned first,
/// and results are NaN until they are written.
///
/// # Errors
/// Where the case cannot be built or the GPU refuses it.
pub fn run_case(gpu: &Gpu, case: &Case, rung: Rung) -> Result<Vec<Comparison>> {
    let derived = case.derive()?;
    let (program, outputs) = derived.program()?;
    let mut places = Places::default();
    let inputs: Vec<(String, Shape)> = derived
        .inputs
        .iter()
        .map(|(id, tensor)| {
            let name = derived.graph.state_info(*id).name.clone();
            (name, tensor.shape.clone())
        })
        .collect();
    places.add_group(Group::Role(Role::Input), &inputs)?;
    places.add_group(Group::Role(Role::Output), &outputs)?;
    let facts = Facts {
        rung,
        ..gpu.facts.kernel_facts()
    };
    let plan = Plan::new(&program, &places, &facts)?;
    let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
    let memory = Memory::poisoned(gpu, &arenas, &plan.recording.temporaries)?;
    let place = |name: &str| places.get(name).map(|(_, slice)| slice);
    for ((name, _), (_, tensor)) in inputs.iter().zip(&derived.inputs) {
        let values: Vec<f32> = tensor.data.iter().map(|&value| value as f32).collect();
        if let Some(slice) = place(name) {
            memory.write(slice, &values)?;
        }
    }
    for arena in places.group(&Group::Role(Role::Output)) {
        memory.write(arena, &vec![f32::NAN; arena.len])?;
    }
    let (seed, counter) = STEP;
    let step = StepValues {
        seed,
        counter,
        ..StepValues::default()
    };
    Executable::new(gpu, &memory, &plan.recording)?.run(gpu, &step)?;
    let arenas = places
        .group(&Group::Role(Role::Output))
        .into_iter()
        .map(|arena| Ok((arena, memory.read(arena)?)))
        .collect::<Result<Vec<(Slice, Vec<f32>)>>>()?;
    let wanted = derived.reference()?;
    let mut comparisons = Vec::new();
    for ((name, _), want) in derived.results().iter().zip(&wanted) {
        let Some(slice) = place(name) else { continue };
        for (arena, values) in &arenas {
            if arena.storage == slice.storage {
                let got = &values[slice.offset..slice.offset + slice.len];
                comparisons.push(compare(name, got, want, case.tolerance));
            }
        }
    }
    Ok(comparisons)
}

/// The worst element of a tensor.
fn compare(name: &str, got: &[f32], want: &Tensor, tolerance: f64) -> Comparison {
    let scale = want
        .data
        .iter()
        .fold(SMALLEST_SCALE, |scale, value| scale.max(value.abs()));
    // A difference that is no number counts as the worst.
    let difference = |place: usize| {
        let difference = (f64::from(got[place]) - want.data[place]).abs();
        if difference.is_finite() {
            difference
        } else {
            f64::INFINITY
        }
    };
    let worst = (0..got.len())
        .max_by(|&a, &b| difference(a).total_cmp(&difference(b)))
        .unwrap_or(0);
    let error = difference(worst) / scale;
    Comparison {
        tensor: name.to_owned(),
        error: error.is_finite().then_some(error),
        element: position(worst, &want.shape),
        got: f64::from(got[worst]),
        want: want.data[worst],
        ok: error <= tolerance,
    }
}

fn position(mut place: usize, shape: &Shape) -> Vec<usize> {
    let mut position = vec![0; shape.rank()];
    for axis in (0..shape.rank()).rev() {
        position[axis] = place % shape[axis];
        place /= shape[axis];
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_element_is_named_and_nan_is_wrong() {
        let want = Tensor::new([2, 2], vec![1.0, -2.0, 3.0, 4.0]).expect("four elements");
        let good = compare("y", &[1.0, -2.0, 3.0, 4.0001], &want, 1e-4);
        assert!(good.ok, "{good}");
        assert_eq!(good.element, [1, 1]);
        let bad = compare("y", &[1.0, -2.0, 3.1, 4.0], &want, 1e-4);
        assert!(!bad.ok);
        assert_eq!(bad.element, [1, 0]);
        for poison in [f32::NAN, f32::INFINITY] {
            let bad = compare("y", &[1.0, poison, 3.0, 5.0], &want, 1e-4);
            assert!(!bad.ok && bad.error.is_none(), "{bad}");
            assert_eq!(bad.element, [0, 1]);
        }
        assert!(!compare("y", &[1.0, -2.0, 3.0, 4.000_000_5], &want, 0.0).ok);
    }
}
