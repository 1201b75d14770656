//! Networks of images to images on the adapter against the f64 loops, which
//! tests/plain/networks holds against PyTorch.

use gpugan::graph::{Program, Role};
use gpugan::reference::evaluate;

use crate::small::{pose, small};
use crate::theory::compute;

/// Of an element relative to its tensor's largest.
const TOLERANCE: f64 = 1e-4;
/// Part of a case's largest tensor that others are at least measured by: a bias in
/// front of a normalisation moves nothing but rounding.
const NOTHING: f64 = 1e-2;

/// One of each network, and every layer: others have the same kernels at other sizes.
const NETWORKS: [&str; 6] = [
    "unet, instance",
    "translator, instance",
    "patches of 2",
    "srresnet of 4",
    "drawer of 28",
    "ternary of 28",
];
const LAYERS: [&str; 7] = [
    "instance norm",
    "reflection",
    "prelu",
    "shuffle",
    "unshuffle",
    "enlarged",
    "shrunk",
];

#[test]
fn outputs_and_gradients_are_those_of_the_loops() {
    let (mut wrong, mut tried) = (String::new(), 0);
    for (name, build, shape) in small() {
        let is_layer = LAYERS.contains(&name);
        if !is_layer && !NETWORKS.contains(&name) {
            continue;
        }
        tried += 1;
        let posed = pose(&build, shape, is_layer);
        let roots: Vec<_> = posed.roots.iter().map(|&(_, node)| node).collect();
        let wanted = evaluate(&posed.graph, &roots, &posed.states, 0, 0).unwrap();
        let mut program = Program {
            graph: posed.graph,
            assigns: Vec::new(),
        };
        for (target, node) in &posed.roots {
            let shape = program.graph.shape(*node).clone();
            let named = format!("out.{target}");
            let id = program.graph.declare(named, shape, Role::Output).unwrap();
            program.assign(id, *node).unwrap();
        }
        let states = program.graph.clone();
        let found = compute(&program, |tensor, shape| {
            let id = states.find_state(tensor).unwrap();
            // Running statistics are declared too, and not read.
            let value = posed.states.get(&id).map(|value| value.data.clone());
            let value = value.unwrap_or_else(|| vec![0.0; shape.numel()]);
            value.into_iter().map(|x| x as f32).collect()
        });
        let largest = |data: &[f64]| data.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let least = wanted.iter().map(|tensor| largest(&tensor.data));
        let least = NOTHING * least.fold(0.0, f64::max);
        for ((target, _), wanted) in posed.roots.iter().zip(&wanted) {
            let found = &found[&format!("out.{target}")];
            assert_eq!(found.len(), wanted.data.len());
            let scale = largest(&wanted.data).max(least);
            for (found, wanted) in found.iter().zip(&wanted.data) {
                let error = (f64::from(*found) - wanted).abs() / scale;
                if error > TOLERANCE || error.is_nan() {
                    wrong += &format!("\n{name}: {target} is {error:.1e} off");
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(tried, NETWORKS.len() + LAYERS.len());
}
