//! Networks of images to images: their sizes and names, and what they compute against
//! PyTorch (tests/torch/networks.py made the fixture).

mod counts;
mod golden;

use std::collections::BTreeMap;

use gpugan::error::Result;
use gpugan::graph::{Graph, NodeId, Role, Shape};
use gpugan::nets::{
    Drawer, ImageNorm, Patches, SrDiscriminator, SrResnet, Ternary, Translator, Unet,
};
use gpugan::nn::{Mode, Net};
use serde::Deserialize;

/// What builds a network on its input.
type Build = Box<dyn Fn(&mut Graph, &mut Net, NodeId) -> Result<NodeId>>;

fn unet(unet: Unet) -> Build {
    Box::new(move |graph, net, x| unet.build(graph, net, x))
}

fn translator(translator: Translator) -> Build {
    Box::new(move |graph, net, x| translator.build(graph, net, x))
}

fn patches(width: usize, layers: usize, norm: ImageNorm) -> Build {
    let patches = Patches {
        width,
        layers,
        norm,
    };
    Box::new(move |graph, net, x| Ok(patches.build(graph, net, x)?.logits))
}

fn srresnet(width: usize, blocks: usize, scale: usize) -> Build {
    let net = SrResnet {
        width,
        blocks,
        scale,
    };
    Box::new(move |graph, tensors, x| net.build(graph, tensors, x))
}

fn sr_discriminator(width: usize, stages: usize, units: usize) -> Build {
    let net = SrDiscriminator {
        width,
        stages,
        units,
    };
    Box::new(move |graph, tensors, x| Ok(net.build(graph, tensors, x)?.logits))
}

fn drawer(channels: usize, side: usize, width: usize) -> Build {
    let drawer = Drawer {
        channels,
        side,
        width,
    };
    Box::new(move |graph, net, x| drawer.build(graph, net, x))
}

fn ternary(width: usize) -> Build {
    Box::new(move |graph, net, x| Ok(Ternary { width }.build(graph, net, x)?.logits))
}

/// A network built on an input `x` of a shape.
struct Built {
    graph: Graph,
    net: Net,
    x: NodeId,
    y: NodeId,
}

fn built(build: &Build, shape: impl Into<Shape>, mode: Mode) -> Result<Built> {
    let mut graph = Graph::new();
    let id = graph.declare("x", shape, Role::Input).unwrap();
    let x = graph.state(id);
    let mut net = Net::new("net", mode);
    let y = build(&mut graph, &mut net, x)?;
    Ok(Built { graph, net, x, y })
}

#[derive(Deserialize)]
struct Digest {
    shape: Vec<usize>,
    largest: f64,
    elements: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    output: Digest,
    gradients: BTreeMap<String, Digest>,
    second: Option<Digest>,
}

#[derive(Deserialize)]
struct Fixture {
    names: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    cases: BTreeMap<String, Case>,
}

fn fixture() -> Fixture {
    let path = "tests/torch/fixtures/networks.json";
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
