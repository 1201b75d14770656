//! Gradients of what holds gradients, through every layer that a penalised
//! critic may have: on the adapter against PyTorch's `create_graph`
//! (tests/torch/second_order.py makes the fixture) and against differences of
//! the f64 reference.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use gpugan::adversarial::{self, LossKind, Penalty, loss, penalty};
use gpugan::graph::{Graph, NodeId, Program, Role, Shape, StateId, Unary, Window};
use gpugan::nn::{self, Init, Inits, Mode, Net, Square};
use gpugan::random;
use gpugan::reference::{Tensor, evaluate};
use serde::Deserialize;

use super::compute;

/// Largest error of a value relative to PyTorch's, of an element relative to its
/// tensor's largest.
const TOLERANCE: f64 = 1e-4;
/// Of a slope relative to the gradient's length times the direction's.
const DIFFERENCES: f64 = 1e-4;
/// Part of a case's largest gradient that others are at least measured by: a bias
/// in front of a normalisation moves nothing but rounding.
const NOTHING: f64 = 1e-2;

const BATCH: usize = 4;
const UNROLL_RATE: f32 = 0.5;

/// A critic, what is computed of it and what PyTorch found.
#[derive(Clone, Deserialize)]
struct Case {
    /// As `tests/torch/second_order.py` reads them.
    layers: String,
    /// `[C, H, W]`
    image: [usize; 3],
    objective: String,
    value: f64,
    gradients: BTreeMap<String, Digest>,
}

/// A gradient, as tests/program/replay.rs has tensors.
#[derive(Clone, Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f64,
    /// Empty where PyTorch says that there is none.
    elements: Vec<f64>,
}

impl Case {
    fn largest(&self) -> f64 {
        let all = self.gradients.values().map(|digest| digest.largest);
        all.fold(0.0, f64::max)
    }
}

fn cases() -> BTreeMap<String, Case> {
    let path = "tests/torch/fixtures/second_order.json";
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Scores `[N, 1]` of images. With `straight`, smooth functions are replaced by
/// their tangents, which have the same value and slope and no second
/// derivative.
fn critic(
    graph: &mut Graph,
    net: &mut Net,
    layers: &str,
    images: NodeId,
    straight: bool,
) -> NodeId {
    let mut x = images;
    let words = layers.split(", ").filter(|&layer| layer != "spectral");
    for (index, layer) in words.enumerate() {
        let (word, numbers) = layer.split_once(' ').unwrap_or((layer, ""));
        let numbers: Vec<f32> = numbers
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        let whole: Vec<usize> = numbers.iter().map(|&number| number as usize).collect();
        let name = index.to_string();
        let inits = Inits::zero_bias(Init::Constant(0.0));
        x = match word {
            "linear" => {
                let flat = nn::flatten(graph, x).unwrap();
                net.linear(graph, &name, flat, whole[0], inits).unwrap()
            }
            "conv" | "convt" => {
                let square = Square {
                    kernel: whole[1],
                    stride: whole[2],
                    pad: whole[3],
                };
                if word == "conv" {
                    net.conv(graph, &name, x, whole[0], square, inits).unwrap()
                } else {
                    net.conv_transpose(graph, &name, x, whole[0], square, inits)
                        .unwrap()
                }
            }
            "norm" => {
                let gain = Init::Constant(1.0);
                net.group_norm(graph, &name, x, whole[0], gain).unwrap()
            }
            "maxout" => nn::maxout(graph, x, whole[0]).unwrap(),
            "minibatch" => nn::minibatch_std(graph, x, whole[0]).unwrap(),
            "lrelu" => nn::leaky_relu(graph, x, numbers[0]),
            "upsample" => graph.upsample_nearest(x, [2; 2]).unwrap(),
            "pool" => {
                let (h, w) = (graph.shape(x)[2], graph.shape(x)[3]);
                let window = Window {
                    input: [h, w],
                    output: [h / 2, w / 2],
                    kernel: [2; 2],
                    stride: [2; 2],
                    pad: [0; 2],
                };
                graph.avg_pool(x, window).unwrap()
            }
            "tanh" | "sigmoid" | "softplus" => {
                let f = match word {
                    "tanh" => Unary::Tanh,
                    "sigmoid" => Unary::Sigmoid,
                    _ => Unary::Softplus,
                };
                if straight {
                    tangent(graph, f, x)
                } else {
                    graph.unary(f, x)
                }
            }
            _ => panic!("no layer is called {word}"),
        };
    }
    x
}

/// `f(x) + f'(x) (y - x)` at `y = x`, where x does not move.
fn tangent(graph: &mut Graph, f: Unary, x: NodeId) -> NodeId {
    let here = graph.stop_gradient(x);
    let value = graph.unary(f, here);
    let sum = graph.sum_all(value).unwrap();
    let slope = graph.gradient(sum, &[here]).unwrap()[0];
    let (value, slope) = (graph.stop_gradient(value), graph.stop_gradient(slope));
    let way = graph.sub(x, here).unwrap();
    let change = graph.mul(slope, way).unwrap();
    graph.add(value, change).unwrap()
}

/// A case as a graph: what is differentiated, and its gradients by name.
struct Built {
    graph: Graph,
    value: NodeId,
    gradients: Vec<(String, StateId, NodeId)>,
}

fn build(case: &Case, straight: bool) -> Built {
    let mut graph = Graph::new();
    let spectral = case.layers.starts_with("spectral");
    let mut net = Net::new("D", Mode::TRAIN).spectral(spectral);
    let [c, h, w] = case.image;
    let [(_, real), (fake_id, fake)] = ["real", "fake"].map(|name| {
        let id = graph.declare(name, [BATCH, c, h, w], Role::Input).unwrap();
        (id, graph.state(id))
    });
    let layers = &case.layers;
    let kind = match case.objective.as_str() {
        "gradient" => Some(Penalty::Gradient),
        "r1" => Some(Penalty::R1),
        _ => None,
    };
    let value = if let Some(kind) = kind {
        penalty::penalty(&mut graph, kind, real, fake, |graph, x| {
            Ok(critic(graph, &mut net, layers, x, straight))
        })
        .unwrap()
    } else {
        let [on_real, on_fake] =
            [real, fake].map(|x| critic(&mut graph, &mut net, layers, x, straight));
        let config = adversarial::Loss::default();
        let loss = loss::discriminator(&mut graph, &config, on_real, on_fake).unwrap();
        let trained: Vec<StateId> = net.trained().map(|(_, id)| id).collect();
        let weights: Vec<NodeId> = trained.iter().map(|&id| graph.state(id)).collect();
        let gradients = graph.gradient(loss, &weights).unwrap();
        let moved = trained.iter().zip(weights).zip(gradients);
        let moved = moved.map(|((&id, weight), gradient)| {
            let change = graph.scale(gradient, UNROLL_RATE);
            (id, graph.sub(weight, change).unwrap())
        });
        let moved = moved.collect();
        net.replace(moved);
        let logits = critic(&mut graph, &mut net, layers, fake, straight);
        loss::generator(&mut graph, LossKind::NonSaturating, logits.into(), None).unwrap()
    };
    let mut targets: Vec<(String, StateId)> = net
        .trained()
        .map(|(p, id)| (p.name["D.".len()..].to_owned(), id))
        .collect();
    if kind.is_none() {
        targets.push(("fake".to_owned(), fake_id));
    }
    let nodes: Vec<NodeId> = targets.iter().map(|&(_, id)| graph.state(id)).collect();
    let gradients = graph.gradient(value, &nodes).unwrap();
    let named = targets.into_iter().zip(gradients);
    Built {
        value,
        gradients: named.map(|((name, id), node)| (name, id, node)).collect(),
        graph,
    }
}

/// How the tensors of a graph start; second_order.py has the same rule.
fn start(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
    let states = graph.states().iter();
    let mut tensors: Vec<(&str, &Shape)> = states.map(|s| (s.name.as_str(), &s.shape)).collect();
    // The images come first, then the critic's by name.
    tensors.sort_by_key(|&(name, _)| (name != "real", name != "fake", name));
    let drawn = tensors.into_iter().zip(0u32..);
    drawn
        .map(|((name, shape), stream)| {
            let tensor = name.rsplit('.').next().unwrap_or_default();
            let is_weight = tensor.starts_with("weight");
            let values = (0..shape.numel() as u32).map(|element| {
                let x = 2.0 * f64::from(random::uniform(element, stream, 1, 0)) - 1.0;
                let x = if is_weight && shape.rank() > 1 {
                    x * (3.0 / (shape.numel() / shape[0]) as f64).sqrt()
                } else if tensor == "weight" {
                    1.0 + x / 2.0
                } else {
                    x
                };
                x as f32
            });
            (name.to_owned(), values.collect())
        })
        .collect()
}

/// Value and gradients by name.
type Results = BTreeMap<String, Vec<f32>>;

fn on_the_adapter(built: &Built) -> Results {
    let mut program = Program {
        graph: built.graph.clone(),
        assigns: Vec::new(),
    };
    let gradients = built.gradients.iter();
    let outputs = gradients.map(|(name, _, node)| (name.clone(), *node));
    for (name, node) in outputs.chain([("value".to_owned(), built.value)]) {
        let shape = program.graph.shape(node).clone();
        let name = format!("out.{name}");
        let id = program.graph.declare(name, shape, Role::Output).unwrap();
        program.assign(id, node).unwrap();
    }
    let start = start(&built.graph);
    let computed = compute(&program, |name, _| start[name].clone());
    let computed = computed.into_iter();
    computed
        .map(|(name, values)| (name["out.".len()..].to_owned(), values))
        .collect()
}

/// All cases, built and computed once for all tests.
fn computed() -> &'static BTreeMap<String, (Case, Built, Results)> {
    static COMPUTED: OnceLock<BTreeMap<String, (Case, Built, Results)>> = OnceLock::new();
    COMPUTED.get_or_init(|| {
        let cases = cases().into_iter();
        cases
            .map(|(name, case)| {
                let built = build(&case, false);
                let results = on_the_adapter(&built);
                (name, (case, built, results))
            })
            .collect()
    })
}

/// The worst errors of value and gradients against PyTorch, each relative to its
/// largest.
fn errors(case: &Case, computed: &Results) -> (f64, f64) {
    let value = (f64::from(computed["value"][0]) - case.value).abs() / case.value.abs();
    let mut worst = 0.0f64;
    let least = NOTHING * case.largest();
    for (name, digest) in &case.gradients {
        let ours = &computed[name];
        assert_eq!(ours.len(), digest.shape.iter().product::<usize>(), "{name}");
        let largest = ours.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        let scale = digest.largest.max(least);
        let mut error = (f64::from(largest) - digest.largest).abs() / scale;
        for (index, y) in digest.elements.iter().enumerate() {
            let x = f64::from(ours[index * ours.len() / digest.elements.len()]);
            error = error.max((x - y).abs() / scale);
        }
        // A comparison with NaN would be false.
        worst = if error > worst || error.is_nan() {
            error
        } else {
            worst
        };
    }
    (value, worst)
}

#[test]
fn gradients_of_gradients_are_pytorchs() {
    let mut wrong = String::new();
    let (mut largest, mut count) = (0.0f64, 0);
    for (name, (case, _, computed)) in computed() {
        let (value, gradient) = errors(case, computed);
        if !(value <= TOLERANCE && gradient <= TOLERANCE) {
            wrong += &format!("\n{name}: value off by {value:.1e}, gradients by {gradient:.1e}");
        }
        largest = largest.max(value).max(gradient);
        count += 1;
    }
    println!("{count} cases, worst error {largest:.1e}");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 45);
}

/// The same comparison without the second derivatives of smooth functions: what
/// has the right value and the wrong gradient must be seen.
#[test]
fn a_missing_second_derivative_is_noticed() {
    let smooth = ["tanh", "sigmoid", "softplus"];
    let mut tried = 0;
    for (name, case) in cases() {
        let is_smooth = smooth.iter().any(|word| case.layers.contains(word));
        if !is_smooth || case.objective == "r1" {
            continue;
        }
        let (value, gradient) = errors(&case, &on_the_adapter(&build(&case, true)));
        assert!(value <= TOLERANCE, "{name}: {value:.1e}");
        assert!(gradient > 100.0 * TOLERANCE, "{name}: {gradient:.1e}");
        tried += 1;
    }
    assert!(tried >= 15);
}

/// The gradients along random directions are the slopes of the f64 reference.
#[test]
fn gradients_of_gradients_are_the_slopes() {
    const HALF: f64 = 1e-6;
    let mut wrong = String::new();
    let mut largest = 0.0f64;
    for (name, (case, built, computed)) in computed() {
        // The gradient takes the singular vectors for constants, as PyTorch's.
        if case.layers.starts_with("spectral") {
            continue;
        }
        let start = start(&built.graph);
        let states: HashMap<StateId, Tensor> = (0..built.graph.states().len())
            .map(|index| {
                let info = built.graph.state_info(StateId(index));
                let values = start[&info.name].iter().map(|&x| f64::from(x)).collect();
                let tensor = Tensor::new(info.shape.clone(), values).unwrap();
                (StateId(index), tensor)
            })
            .collect();
        for (target, id, _) in &built.gradients {
            let gradient = &computed[target];
            let direction: Vec<f64> = (0..gradient.len() as u32)
                .map(|element| f64::from(random::uniform(element, id.0 as u32, 2, 0)) - 0.5)
                .collect();
            let at = |way: f64| {
                let mut moved = states.clone();
                let tensor = moved.get_mut(id).unwrap();
                for (x, d) in tensor.data.iter_mut().zip(&direction) {
                    *x += way * d;
                }
                evaluate(&built.graph, &[built.value], &moved, 0, 0).unwrap()[0].data[0]
            };
            let slope = (at(HALF) - at(-HALF)) / (2.0 * HALF);
            let products = gradient.iter().zip(&direction);
            let predicted: f64 = products.map(|(&g, d)| f64::from(g) * d).sum();
            let length =
                |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
            let scale = length(&mut gradient.iter().map(|&g| f64::from(g)))
                * length(&mut direction.iter().copied());
            let error = (slope - predicted).abs() / scale.max(NOTHING * case.largest());
            if error.is_nan() || error > DIFFERENCES {
                wrong += &format!("\n{name}: the gradient of {target} is off by {error:.1e}");
            }
            largest = largest.max(error);
        }
    }
    println!("worst error {largest:.1e}");
    assert!(wrong.is_empty(), "{wrong}");
}
