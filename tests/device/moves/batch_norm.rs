//! The gradient of batch normalisation where its terms cancel.

use gpugan::graph::{Binary, Places, Program, Role};
use gpugan::ops::Facts;
use gpugan::plan::Plan;
use gpugan::reference::{Tensor, evaluate};

use super::harness::{execute, noise};

/// The gradient of `sum r batch_norm(x)`, and the same in f64.
fn gradient(x: &Tensor, r: &Tensor) -> (Vec<f32>, Vec<f64>) {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let states = ["x", "r"].map(|name| graph.declare(name, x.shape.clone(), Role::Input).unwrap());
    let nodes = states.map(|state| graph.state(state));
    let [gain, offset] = [1.0, 0.0].map(|value| graph.constant(value, [x.shape[1]]));
    let y = graph.batch_norm(nodes[0], gain, offset, 1e-5).unwrap();
    let dx = graph
        .vector_jacobian(&[(y, nodes[1])], &nodes[..1])
        .unwrap()[0];
    let output = graph.declare("dx", x.shape.clone(), Role::Output).unwrap();
    program.assign(output, dx).unwrap();
    let places = Places::of(&program).unwrap();
    let plan = Plan::new(&program, &places, &Facts::SOFTWARE).unwrap();
    let found = execute(&plan.recording, &places, &[("x", x), ("r", r)], "dx");
    let inputs = states.into_iter().zip([x.clone(), r.clone()]).collect();
    let exact = evaluate(&program.graph, &[dx], &inputs, 0, 0).unwrap();
    (found, exact[0].data.clone())
}

/// `values / by` as this driver divides by a constant.
fn quotients(values: &Tensor, by: f32) -> Vec<f32> {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let shape = values.shape.clone();
    let state = graph.declare("x", shape.clone(), Role::Input).unwrap();
    let x = graph.state(state);
    let quotient = graph.binary_scalar(Binary::Div, x, by);
    let output = graph.declare("y", shape, Role::Output).unwrap();
    program.assign(output, quotient).unwrap();
    let places = Places::of(&program).unwrap();
    let plan = Plan::new(&program, &places, &Facts::SOFTWARE).unwrap();
    execute(&plan.recording, &places, &[("x", values)], "y")
}

/// A sum of normalised numbers does not change. Numbers that lie evenly around
/// zero have an exact mean, so nothing but the division by their count could
/// round: not where a driver rounds it to the nearest number, by the 2.5 units that
/// Vulkan allows where it does not.
#[test]
fn the_gradient_of_a_sum_vanishes_but_for_the_division() {
    for count in [7, 15, 61, 63, 95] {
        let middle = f64::from(count / 2);
        let x = Tensor::from_fn([count as usize, 2], |p| p[0] as f64 - middle);
        let r = Tensor::full([count as usize, 2], 3.0);
        let (found, _) = gradient(&x, &r);
        let whole = Tensor::full([1], 3.0 * f64::from(count));
        let allowed = match quotients(&whole, count as f32)[0] {
            3.0 => 0.0,
            _ => 3.0 * 2.5 * f32::EPSILON,
        };
        println!("{count}: {allowed:e} allowed");
        assert!(
            found.iter().all(|dx| dx.abs() <= allowed),
            "{count}: {found:?}"
        );
    }
}

/// Two elements are normalised to nearly -1 and 1 whatever they are.
#[test]
fn the_gradient_of_two_elements_is_rounded_to_a_few_units() {
    let [x, r] = [50, 51].map(|salt| noise([2, 2000], salt));
    let (found, exact) = gradient(&x, &r);
    let mut sum = 0.0;
    for channel in 0..2000 {
        let half = (x.data[channel] - x.data[channel + 2000]).abs() / 2.0;
        let terms =
            (r.data[channel].abs() + r.data[channel + 2000].abs()) / (half * half + 1e-5).sqrt();
        sum += (f64::from(found[channel]) - exact[channel]).abs() / terms;
    }
    let error = sum / 2000.0;
    assert!(error < 2.3e-8, "{error:.1e} of the terms");
}
