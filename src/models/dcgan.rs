//! DCGAN (Radford et al. 2015, 1511.06434) in the form of PyTorch's example:
//! 4x4 kernels, stride 2, batch normalisation except next to the images,
//! LeakyReLU 0.2 in the discriminator, which may be normalised otherwise or not
//! at all.
//!
//! With stem `conv` the networks run between a 1x1 latent image and a square of
//! 16, 32, 64, ...; with stem `linear` between a dense layer at a quarter of
//! the image and the image.

use super::{Judgement, Model, output};
use crate::config::{Norm, Stem};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::nn::{Init, Inits, Net, Square, flatten, leaky_relu};

/// Halves or doubles an image.
const HALVE: Square = Square {
    kernel: 4,
    stride: 2,
    pad: 1,
};
/// Between 1x1 and 4x4.
const WHOLE: Square = Square {
    kernel: 4,
    stride: 1,
    pad: 0,
};
const SLOPE: f32 = 0.2;

pub(super) fn generator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    z: NodeId,
) -> Result<NodeId> {
    let config = &model.config;
    let [image_channels, height, width] = model.image;
    let (weight, gain) = inits(model);
    let batch = graph.shape(z)[0];
    let doublings = doublings(model);
    let mut channels = config.width << (doublings - 1);
    let mut layer = 0;
    let mut h = match config.stem {
        Stem::Conv => {
            let point = graph.reshape(z, [batch, config.latent, 1, 1])?;
            net.conv_transpose(
                graph,
                "main.0",
                point,
                channels,
                WHOLE,
                Inits::weight(weight.clone()),
            )?
        }
        Stem::Linear => {
            let (rows, columns) = (height >> doublings, width >> doublings);
            let dense = net.linear(
                graph,
                "main.0",
                z,
                channels * rows * columns,
                Inits::weight(weight.clone()),
            )?;
            // The reshape is a layer of its own in an nn.Sequential.
            layer += 1;
            graph.reshape(dense, [batch, channels, rows, columns])?
        }
    };
    for _ in 1..doublings {
        h = net.batch_norm(graph, &format!("main.{}", layer + 1), h, gain.clone())?;
        h = leaky_relu(graph, h, 0.0);
        channels /= 2;
        h = net.conv_transpose(
            graph,
            &format!("main.{}", layer + 3),
            h,
            channels,
            HALVE,
            Inits::weight(weight.clone()),
        )?;
        layer += 3;
    }
    h = net.batch_norm(graph, &format!("main.{}", layer + 1), h, gain)?;
    h = leaky_relu(graph, h, 0.0);
    let last = format!("main.{}", layer + 3);
    h = net.conv_transpose(
        graph,
        &last,
        h,
        image_channels,
        HALVE,
        edge(config.stem, weight),
    )?;
    Ok(output(graph, config.output, h))
}

pub(super) fn discriminator(
    model: &Model,
    graph: &mut Graph,
    net: &mut Net,
    x: NodeId,
) -> Result<Judgement> {
    let config = &model.config;
    let (weight, gain) = inits(model);
    let batch = graph.shape(x)[0];
    let mut channels = config.width;
    let inits = edge(config.stem, weight.clone());
    let mut h = net.conv(graph, "main.0", x, channels, HALVE, inits)?;
    h = leaky_relu(graph, h, SLOPE);
    let mut hidden = vec![h];
    let mut layer = 2;
    for _ in 1..doublings(model) {
        channels *= 2;
        let name = format!("main.{layer}");
        if config.norm_d == Norm::None {
            let inits = Inits::zero_bias(weight.clone());
            h = net.conv(graph, &name, h, channels, HALVE, inits)?;
            layer += 2;
        } else {
            h = net.conv(
                graph,
                &name,
                h,
                channels,
                HALVE,
                Inits::weight(weight.clone()),
            )?;
            let name = format!("main.{}", layer + 1);
            h = model.normalised(graph, net, &name, h, gain.clone())?;
            layer += 3;
        }
        h = leaky_relu(graph, h, SLOPE);
        hidden.push(h);
    }
    let features = h;
    h = model.compared(graph, net, h, weight.clone())?;
    let logits = match config.stem {
        Stem::Conv => {
            let name = format!("main.{layer}");
            let logits = net.conv(graph, &name, h, 1, WHOLE, Inits::weight(weight))?;
            graph.reshape(logits, [batch, 1])?
        }
        Stem::Linear => {
            let flat = flatten(graph, h)?;
            // nn.Flatten comes before.
            let layer = format!("main.{}", layer + 1);
            net.linear(graph, &layer, flat, 1, Inits::zero_bias(weight))?
        }
    };
    Ok(Judgement {
        logits,
        features,
        hidden,
    })
}

/// How often the generator doubles its first image.
fn doublings(model: &Model) -> usize {
    match model.config.stem {
        Stem::Conv => (model.image[1] / 4).ilog2() as usize,
        Stem::Linear => 2,
    }
}

fn inits(model: &Model) -> (Init, Init) {
    let std = model.config.init_std as f32;
    (
        Init::Normal { mean: 0.0, std },
        Init::Normal { mean: 1.0, std },
    )
}

/// Convolutions next to the image have a bias in the small form only.
fn edge(stem: Stem, weight: Init) -> Inits {
    match stem {
        Stem::Linear => Inits::zero_bias(weight),
        Stem::Conv => Inits::weight(weight),
    }
}
