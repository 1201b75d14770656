//! Sums by index, sorted and plain, against a loop in the order of the index.

use gpugan::graph::{Places, Program, Role, Shape};
use gpugan::ops::{Facts, Rung};
use gpugan::plan::Plan;
use gpugan::reference::Tensor;

use super::harness::{execute, noise};

/// `updates` of `[count, width]` added at `index`, `[count, 1]` or of their own
/// shape, to rows of zeros; with the number of launches.
fn scattered(
    updates: &Tensor,
    index: &Tensor,
    rows: usize,
    axis: usize,
    rung: Rung,
) -> (Vec<f32>, usize) {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let inputs = [("updates", updates), ("index", index)].map(|(name, tensor)| {
        let shape = tensor.shape.clone();
        graph.declare(name, shape, Role::Input).unwrap()
    });
    let [x, places_of_x] = inputs.map(|id| graph.state(id));
    let wide = graph.broadcast(places_of_x, updates.shape.clone()).unwrap();
    let sum = graph.scatter_add(x, wide, axis, rows).unwrap();
    let shape = graph.shape(sum).clone();
    let output = graph.declare("y", shape, Role::Output).unwrap();
    program.assign(output, sum).unwrap();
    let places = Places::of(&program).unwrap();
    let facts = Facts {
        rung,
        ..Facts::SOFTWARE
    };
    let plan = Plan::new(&program, &places, &facts).unwrap();
    let found = execute(
        &plan.recording,
        &places,
        &[("updates", updates), ("index", index)],
        "y",
    );
    (found, plan.recording.commands.len())
}

/// The sums as f32 in the order of the index.
fn expected(updates: &Tensor, index: &Tensor, rows: usize, axis: usize) -> Vec<f32> {
    let mut shape = updates.shape.to_vec();
    shape[axis] = rows;
    let mut sums = Tensor::full(Shape::from(shape), 0.0);
    let strides = updates.shape.strides();
    for (number, &value) in updates.data.iter().enumerate() {
        let mut place: Vec<usize> = (0..strides.len())
            .map(|axis| number / strides[axis] % updates.shape[axis])
            .collect();
        let of_index: Vec<usize> = (0..strides.len())
            .map(|axis| place[axis].min(index.shape[axis] - 1))
            .collect();
        place[axis] = index.at(&of_index) as usize;
        let sum = sums.at_mut(&place);
        *sum = f64::from(*sum as f32 + value as f32);
    }
    sums.data.iter().map(|&sum| sum as f32).collect()
}

/// Whole numbers below `rows` that repeat and leave some out.
fn indices(shape: &[usize], rows: usize) -> Tensor {
    let mut index = noise(shape, 41);
    for value in &mut index.data {
        *value = ((*value + 1.0) / 2.0 * rows as f64).floor();
    }
    index
}

#[test]
fn sorted_sums_have_the_bits_of_plain_ones() {
    for (shape, index_shape, rows, axis) in [
        (vec![1], vec![1], 3, 0),
        (vec![33], vec![33], 5, 0),
        (vec![300, 3], vec![300, 1], 7, 0),
        (vec![3, 129, 2], vec![3, 129, 2], 50, 1),
        (vec![3, 2, 97], vec![1, 2, 97], 1, 2),
    ] {
        let updates = noise(shape.clone(), 40);
        let index = indices(&index_shape, rows);
        let wanted = expected(&updates, &index, rows, axis);
        for rung in [Rung::Plain, Rung::Tiled(0)] {
            let (found, launches) = scattered(&updates, &index, rows, axis, rung);
            assert_eq!(found, wanted, "{shape:?} on {rung:?}");
            assert_eq!(launches > 1, rung != Rung::Plain, "{shape:?} on {rung:?}");
        }
    }
}

/// As the gradient of a million rows that are gathered from as many.
#[test]
fn a_million_updates_are_added_in_seconds() {
    let count = 1_000_000;
    let updates = noise([count, 1], 40);
    let index = indices(&[count, 1], count);
    let (found, _) = scattered(&updates, &index, count, 0, Rung::Best);
    assert!(found == expected(&updates, &index, count, 0));
}
