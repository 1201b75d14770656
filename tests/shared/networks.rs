//! Networks of images to images that are small enough for f64 loops and for the driver's
//! compiler, by the names that tests/torch/networks.py has for them.

use std::collections::HashMap;

use gpugan::error::Result;
use gpugan::graph::{Graph, NodeId, Role, Shape, StateId, Unary};
use gpugan::nets::ImageNorm::{self, Batch, Instance, None};
use gpugan::nets::{Drawer, Patches, SrDiscriminator, SrResnet, Ternary, Translator, Unet};
use gpugan::nn::{self, Mode, Net};
use gpugan::random;
use gpugan::reference::Tensor;

/// What builds a network on its input.
pub(crate) type Build = Box<dyn Fn(&mut Graph, &mut Net, NodeId) -> Result<NodeId>>;

pub(crate) fn unet(unet: Unet) -> Build {
    Box::new(move |graph, net, x| unet.build(graph, net, x))
}

pub(crate) fn translator(translator: Translator) -> Build {
    Box::new(move |graph, net, x| translator.build(graph, net, x))
}

pub(crate) fn patches(width: usize, layers: usize, norm: ImageNorm) -> Build {
    let patches = Patches {
        width,
        layers,
        norm,
    };
    Box::new(move |graph, net, x| Ok(patches.build(graph, net, x)?.logits))
}

pub(crate) fn srresnet(width: usize, blocks: usize, scale: usize) -> Build {
    let net = SrResnet {
        width,
        blocks,
        scale,
    };
    Box::new(move |graph, tensors, x| net.build(graph, tensors, x))
}

pub(crate) fn sr_discriminator(width: usize, stages: usize, units: usize) -> Build {
    let net = SrDiscriminator {
        width,
        stages,
        units,
    };
    Box::new(move |graph, tensors, x| Ok(net.build(graph, tensors, x)?.logits))
}

pub(crate) fn drawer(channels: usize, side: usize, width: usize) -> Build {
    let drawer = Drawer {
        channels,
        side,
        width,
    };
    Box::new(move |graph, net, x| drawer.build(graph, net, x))
}

pub(crate) fn ternary(width: usize) -> Build {
    Box::new(move |graph, net, x| Ok(Ternary { width }.build(graph, net, x)?.logits))
}

/// A network built on an input `x` of a shape.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) net: Net,
    pub(crate) x: NodeId,
    pub(crate) y: NodeId,
}

pub(crate) fn built(build: &Build, shape: impl Into<Shape>, mode: Mode) -> Result<Built> {
    let mut graph = Graph::new();
    let id = graph.declare("x", shape, Role::Input).unwrap();
    let x = graph.state(id);
    let mut net = Net::new("net", mode);
    let y = build(&mut graph, &mut net, x)?;
    Ok(Built { graph, net, x, y })
}

fn small_translator(channels: usize, blocks: usize, norm: ImageNorm, dropout: bool) -> Build {
    translator(Translator {
        channels,
        width: 2,
        blocks,
        norm,
        dropout,
    })
}

/// The networks and layers of networks.py by name, with the shape of their input.
pub(crate) fn small() -> Vec<(&'static str, Build, Vec<usize>)> {
    let capped = |channels, norm, most| {
        unet(Unet {
            most,
            ..Unet::new(channels, 2, 4, norm, true)
        })
    };
    let image = |shape: [usize; 4]| shape.to_vec();
    vec![
        (
            "unet, batch",
            unet(Unet::new(3, 2, 5, Batch, true)),
            image([2, 3, 32, 32]),
        ),
        (
            "unet, instance",
            capped(1, Instance, 4),
            image([2, 2, 16, 32]),
        ),
        ("unet, none", capped(3, None, 2), image([1, 1, 16, 16])),
        (
            "translator, instance",
            small_translator(2, 2, Instance, false),
            image([2, 3, 8, 12]),
        ),
        (
            "translator, batch",
            small_translator(3, 1, Batch, true),
            image([2, 1, 12, 12]),
        ),
        ("patches of 1", patches(2, 1, None), image([2, 3, 8, 7])),
        ("patches of 2", patches(2, 2, Batch), image([2, 6, 16, 16])),
        (
            "patches of 5",
            patches(1, 5, Instance),
            image([1, 1, 128, 96]),
        ),
        ("pixels, batch", patches(3, 0, Batch), image([2, 6, 4, 5])),
        (
            "pixels, instance",
            patches(3, 0, Instance),
            image([2, 3, 4, 5]),
        ),
        ("srresnet of 4", srresnet(3, 2, 4), image([2, 3, 4, 5])),
        ("srresnet of 2", srresnet(2, 1, 2), image([2, 1, 4, 4])),
        (
            "srresnet's discriminator",
            sr_discriminator(2, 3, 5),
            image([3, 3, 9, 8]),
        ),
        ("drawer of 28", drawer(1, 28, 2), vec![3, 5]),
        ("drawer of 32", drawer(3, 32, 2), vec![2, 4]),
        ("ternary of 28", ternary(2), image([3, 1, 28, 28])),
        ("ternary of 32", ternary(2), image([2, 3, 32, 32])),
        (
            "instance norm",
            layer(|graph, _, x| nn::instance_norm(graph, x)),
            image([2, 3, 4, 5]),
        ),
        (
            "reflection",
            layer(|graph, _, x| nn::reflection_pad(graph, x, 2)),
            image([1, 2, 3, 4]),
        ),
        (
            "prelu",
            layer(|graph, net, x| net.prelu(graph, "layer", x)),
            image([2, 3, 2, 2]),
        ),
        (
            "shuffle",
            layer(|graph, _, x| nn::pixel_shuffle(graph, x, 3)),
            image([2, 18, 2, 1]),
        ),
        (
            "unshuffle",
            layer(|graph, _, x| nn::pixel_unshuffle(graph, x, 2)),
            image([2, 3, 4, 6]),
        ),
        (
            "enlarged",
            layer(|graph, _, x| nn::resize_bicubic(graph, x, [12, 10])),
            image([2, 3, 3, 5]),
        ),
        (
            "shrunk",
            layer(|graph, _, x| nn::resize_bicubic(graph, x, [3, 2])),
            image([1, 2, 9, 7]),
        ),
    ]
}

/// A layer and a smooth function, so that there is a second derivative.
pub(crate) fn layer(
    build: impl Fn(&mut Graph, &mut Net, NodeId) -> Result<NodeId> + 'static,
) -> Build {
    Box::new(move |graph, net, x| {
        let y = build(graph, net, x)?;
        Ok(graph.unary(Unary::Tanh, y))
    })
}

/// Element by element what `start` of tests/torch/second_order.py draws.
pub(crate) fn start(name: &str, shape: &Shape, stream: u32) -> Tensor {
    let tensor = name.rsplit('.').next().unwrap_or_default();
    let (is_weight, rank) = (tensor == "weight", shape.rank());
    let inputs = (shape.numel() / shape[0]) as f64;
    let mut element = 0;
    Tensor::from_fn(shape.clone(), |_| {
        let x = 2.0 * f64::from(random::uniform(element, stream, 1, 0)) - 1.0;
        element += 1;
        let x = match (is_weight, rank) {
            (true, 1) => 1.0 + x / 2.0,
            (true, _) => x * (3.0 / inputs).sqrt(),
            (false, _) => x,
        };
        f64::from(x as f32)
    })
}

/// What is computed of a network with output y on its input x.
pub(crate) struct Posed {
    pub(crate) graph: Graph,
    /// What is read, by state.
    pub(crate) states: HashMap<StateId, Tensor>,
    /// The gradients of sum(y v) by what they are with respect to, `x` first; for a
    /// layer, `second`, the gradient of the first one's sum of squares; and `output`, y.
    pub(crate) roots: Vec<(String, NodeId)>,
}

/// Builds a network without dropout on the batch's statistics, with the inputs,
/// weights and v that networks.py draws.
pub(crate) fn pose(build: &Build, shape: Vec<usize>, is_layer: bool) -> Posed {
    let mode = Mode {
        dropout: false,
        ..Mode::TRAIN
    };
    let Built {
        mut graph,
        net,
        x,
        y,
    } = built(build, shape, mode).unwrap();
    let mut named: Vec<(String, StateId)> = net
        .trained()
        .map(|(p, id)| (p.name["net.".len()..].to_owned(), id))
        .collect();
    named.sort();
    named.insert(0, ("x".to_owned(), graph.find_state("x").unwrap()));
    let nodes: Vec<NodeId> = named.iter().map(|&(_, id)| graph.state(id)).collect();
    let shape = graph.shape(y).clone();
    let v = graph.declare("v", shape, Role::Input).unwrap();
    let drawn = named.iter().map(|(name, id)| (name.as_str(), *id));
    let drawn = drawn.chain([("v", v)]).zip(0..);
    let states = drawn.map(|((name, id), stream)| {
        let shape = &graph.state_info(id).shape;
        (id, start(name, shape, stream))
    });
    let states = states.collect();
    let v = graph.state(v);
    let product = graph.mul(y, v).unwrap();
    let sum = graph.sum_all(product).unwrap();
    let gradients = graph.gradient(sum, &nodes).unwrap();
    let first = gradients[0];
    let names = named.into_iter().map(|(name, _)| name);
    let mut roots: Vec<(String, NodeId)> = names.zip(gradients).collect();
    if is_layer {
        let squares = graph.square(first);
        let squares = graph.sum_all(squares).unwrap();
        let second = graph.gradient(squares, &[x]).unwrap()[0];
        roots.push(("second".to_owned(), second));
    }
    roots.push(("output".to_owned(), y));
    Posed {
        graph,
        states,
        roots,
    }
}
