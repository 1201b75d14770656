//! Several primitives in one kernel, and memory orders that meet: what breaks
//! when each primitive alone is right.

use crate::check::{Case, Family, Values};
use crate::error::{Error, Result};
use crate::graph::{
    Binary, ConvGeometry, Distribution, Graph, NodeId, PadMode, Scalar, Unary, Window,
};
use crate::ops::Rung;

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Fusion, name, build)
}

const LEAKY: Unary = Unary::LeakyRelu(Scalar(0.2));

/// Kernel 3 and pad 1, or kernel 4, stride 2 and pad 1.
fn geometry(from: [usize; 2], stride: usize) -> Result<ConvGeometry> {
    let kernel = [stride + 2; 2];
    ConvGeometry::forward(from, kernel, [stride; 2], [1; 2], [[1; 2]; 2], 1)
        .ok_or_else(|| Error::shape("case", "the kernel does not fit into the image"))
}

/// A convolution whose result lies channels-last where the variant wants that.
fn conv(g: &mut Graph, x: NodeId, w: NodeId, stride: usize) -> Result<NodeId> {
    let shape = g.shape(x);
    let geometry = geometry([shape[2], shape[3]], stride)?;
    g.conv2d(x, w, geometry)
}

fn conv_transpose(g: &mut Graph, x: NodeId, w: NodeId) -> Result<NodeId> {
    let shape = g.shape(x);
    let from = [shape[2], shape[3]];
    let geometry = ConvGeometry::transposed(from, [4; 2], [2; 2], [1; 2], [[1; 2]; 2], [0; 2], 1)
        .ok_or_else(|| Error::shape("case", "the kernel does not fit into the image"))?;
    g.conv_transpose2d(x, w, geometry)
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = clusters();
    list.extend(epilogues());
    list.extend(orders());
    list.extend(networks());
    // What is fused is the same on every variant: on the plain one, too, where
    // epilogues differ, and not in every case.
    list.into_iter()
        .enumerate()
        .map(|(number, case)| match number % 2 {
            0 => case.also_on(Rung::Plain),
            _ => case,
        })
        .collect()
}

fn clusters() -> Vec<Case> {
    let many = |count: usize, name: &str, build: fn(&mut Graph, &[NodeId]) -> Result<NodeId>| {
        let mut case = case(format!("{name} of {count}"), build);
        for _ in 0..count {
            case = case.normal([5, 7]);
        }
        case
    };
    let chain = |g: &mut Graph, x: &[NodeId]| {
        let mut y = x[0];
        for &next in &x[1..] {
            let tanh = g.unary(Unary::Tanh, next);
            let product = g.mul(y, tanh)?;
            y = g.add(product, next)?;
        }
        Ok(y)
    };
    let tree = |g: &mut Graph, x: &[NodeId]| {
        let mut level = x.to_vec();
        while level.len() > 1 {
            let mut next = Vec::new();
            for pair in level.chunks(2) {
                next.push(match pair {
                    [a, b] => {
                        let sum = g.add(*a, *b)?;
                        g.unary(Unary::Tanh, sum)
                    }
                    _ => pair[0],
                });
            }
            level = next;
        }
        Ok(level[0])
    };
    let sum = |g: &mut Graph, x: &[NodeId]| {
        let mut y = x[0];
        for &next in &x[1..] {
            y = g.mul(y, next)?;
        }
        g.sum(y, &[1])
    };
    vec![
        many(7, "chain", chain),
        many(8, "chain", chain),
        many(13, "chain", chain),
        many(16, "tree", tree),
        many(9, "sum of a product", sum),
        case("one value in two clusters", |g, x| {
            let shared = g.unary(Unary::Exp, x[0]);
            let rows = g.sum(shared, &[1])?;
            g.div(shared, rows)
        })
        .normal([5, 7]),
        case("sum of squares", |g, x| {
            let square = g.square(x[0]);
            g.sum(square, &[0, 2])
        })
        .normal([3, 5, 7]),
        case("two-stage sum of a fused product", |g, x| {
            let tanh = g.unary(Unary::Tanh, x[0]);
            let product = g.mul(tanh, x[1])?;
            g.sum_all(product)
        })
        .normal([3, 6000])
        .normal([6000]),
        case("max of a fused sum", |g, x| {
            let sum = g.add(x[0], x[1])?;
            g.max(sum, &[1])
        })
        .with([5, 7], Values::Distinct)
        .with([5, 1], Values::Normal),
        case("norm of each row, as in a gradient penalty", |g, x| {
            let square = g.square(x[0]);
            let sum = g.sum(square, &[1])?;
            let norm = g.unary(Unary::Sqrt, sum);
            let off = g.binary_scalar(Binary::Sub, norm, 1.0);
            let off = g.square(off);
            g.mean_all(off)
        })
        .normal([5, 11]),
        case("cross entropy of logits", |g, x| {
            let softplus = g.unary(Unary::Softplus, x[0]);
            let along = g.mul(x[0], x[1])?;
            let loss = g.sub(softplus, along)?;
            g.mean_all(loss)
        })
        .with([13, 1], Values::Uniform(-4.0, 4.0))
        .with([13, 1], Values::Index(2)),
    ]
}

fn epilogues() -> Vec<Case> {
    let residual = |g: &mut Graph, x: &[NodeId]| {
        let y = conv(g, x[0], x[1], 1)?;
        let bias = g.reshape(x[2], [1, 8, 1, 1])?;
        let y = g.add(y, bias)?;
        let y = g.unary(LEAKY, y);
        g.add(y, x[0])
    };
    vec![
        case("linear, bias and leaky relu", |g, x| {
            let y = g.matmul(x[0], x[1], false, true)?;
            let y = g.add(y, x[2])?;
            Ok(g.unary(LEAKY, y))
        })
        .normal([9, 33])
        .normal([20, 33])
        .normal([20]),
        case("linear, bias, tanh and noise", |g, x| {
            let y = g.matmul(x[0], x[1], false, false)?;
            let y = g.add(y, x[2])?;
            let y = g.unary(Unary::Tanh, y);
            g.mul(y, x[3])
        })
        .normal([7, 5])
        .normal([5, 3])
        .normal([3])
        .normal([7, 1]),
        // Images of 128 elements can be bound one by one, numbers cannot.
        case("conv, bias and residual in parts", residual)
            .normal([3, 8, 4, 4])
            .normal([8, 8, 3, 3])
            .normal([8]),
        case("conv and a number for each image", |g, x| {
            let y = conv(g, x[0], x[1], 1)?;
            g.mul(y, x[2])
        })
        .normal([3, 8, 4, 4])
        .normal([8, 8, 3, 3])
        .normal([3, 1, 1, 1]),
        case(
            "batched product with a full and a stretched extra",
            |g, x| {
                let y = g.matmul(x[0], x[1], true, false)?;
                let y = g.mul(y, x[2])?;
                let y = g.add(y, x[3])?;
                Ok(g.unary(Unary::Tanh, y))
            },
        )
        .normal([2, 12, 8])
        .normal([2, 12, 4])
        .normal([2, 8, 4])
        .normal([2, 1, 4]),
        case("product with more extras than bindings", |g, x| {
            let mut y = g.matmul(x[0], x[1], false, false)?;
            for &extra in &x[2..] {
                y = g.mul(y, extra)?;
            }
            Ok(y)
        })
        .normal([5, 3])
        .normal([3, 7])
        .normal([5, 7])
        .normal([5, 1])
        .normal([1, 7])
        .normal([7])
        .normal([5, 7])
        .normal([])
        .normal([5, 7]),
        case("product of two products", |g, x| {
            let a = g.matmul(x[0], x[1], false, false)?;
            let b = g.matmul(x[2], x[1], false, false)?;
            g.mul(a, b)
        })
        .normal([5, 9])
        .normal([9, 7])
        .normal([5, 9]),
        case("square of a product", |g, x| {
            let y = g.matmul(x[0], x[1], false, false)?;
            Ok(g.square(y))
        })
        .normal([5, 9])
        .normal([9, 7]),
        case("conv, bias and leaky relu", |g, x| {
            let y = conv(g, x[0], x[1], 2)?;
            let bias = g.reshape(x[2], [1, 8, 1, 1])?;
            let y = g.add(y, bias)?;
            Ok(g.unary(LEAKY, y))
        })
        .normal([2, 4, 8, 8])
        .normal([8, 4, 4, 4])
        .normal([8]),
        case("conv transpose, bias and tanh", |g, x| {
            let y = conv_transpose(g, x[0], x[1])?;
            let bias = g.reshape(x[2], [1, 3, 1, 1])?;
            let y = g.add(y, bias)?;
            Ok(g.unary(Unary::Tanh, y))
        })
        .normal([2, 8, 4, 3])
        .normal([8, 3, 4, 4])
        .normal([3]),
        case("weight gradient and decay", |g, x| {
            let geometry = geometry([5, 7], 1)?;
            let w = g.conv_weight_grad(x[0], x[1], geometry)?;
            let decay = g.scale(x[2], 1e-2);
            g.add(w, decay)
        })
        .normal([2, 4, 5, 7])
        .normal([2, 8, 5, 7])
        .normal([8, 4, 3, 3]),
        case("weight gradient with turned axes", |g, x| {
            let w = g.conv_weight_grad(x[0], x[1], geometry([5, 7], 1)?)?;
            let turned = g.permute(w, &[1, 2, 3, 0])?;
            g.reshape(turned, [36, 8])
        })
        .normal([2, 4, 5, 7])
        .normal([2, 8, 5, 7]),
        case("outer product with turned axes", |g, x| {
            let product = g.matmul(x[0], x[1], true, true)?;
            let image = g.reshape(product, [6, 3, 2, 2])?;
            let turned = g.permute(image, &[0, 2, 3, 1])?;
            let scaled = g.mul(turned, x[2])?;
            g.add(scaled, x[3])
        })
        .normal([1, 6])
        .normal([12, 1])
        .normal([6, 2, 2, 3])
        .normal([3]),
        case("residual block", residual)
            .normal([2, 8, 5, 5])
            .normal([8, 8, 3, 3])
            .normal([8]),
        case("conv plus a turned tensor", |g, x| {
            let y = conv(g, x[0], x[1], 1)?;
            let turned = g.permute(x[2], &[0, 3, 1, 2])?;
            g.mul(y, turned)
        })
        .normal([2, 4, 5, 3])
        .normal([8, 4, 3, 3])
        .normal([2, 5, 3, 8]),
        case("conv times noise of one plane", |g, x| {
            let y = conv(g, x[0], x[1], 1)?;
            let strength = g.reshape(x[3], [1, 4, 1, 1])?;
            let noise = g.mul(x[2], strength)?;
            g.add(y, noise)
        })
        .normal([3, 4, 5, 3])
        .normal([4, 4, 3, 3])
        .normal([3, 1, 5, 3])
        .normal([4]),
    ]
}

/// A convolution's channels-last result in kernels that know nothing of it.
fn orders() -> Vec<Case> {
    let after = |name: &str, then: fn(&mut Graph, NodeId) -> Result<NodeId>| {
        case(format!("conv, then {name}"), move |g, x| {
            let y = conv(g, x[0], x[1], 1)?;
            then(g, y)
        })
        .normal([2, 4, 6, 6])
        .normal([8, 4, 3, 3])
    };
    vec![
        after("flatten", |g, y| g.reshape(y, [2, 288])),
        after("reshape within the image", |g, y| g.reshape(y, [2, 8, 36])),
        after("reshape of the channels", |g, y| {
            g.reshape(y, [2, 2, 4, 6, 6])
        }),
        after("concat of channels", |g, y| g.concat(&[y, y], 1)),
        after("slice", |g, y| g.slice(y, &[0, 3, 1, 2], [2, 4, 3, 4])),
        after("permute", |g, y| g.permute(y, &[0, 2, 3, 1])),
        after("sum over channels", |g, y| g.sum(y, &[1])),
        after("sum over images", |g, y| g.sum(y, &[0, 2, 3])),
        after("max over channels", |g, y| g.max(y, &[1])),
        after("max pool", |g, y| {
            g.max_pool(y, Window::tiles([6, 6], [2, 3]))
        }),
        after("sum pool", |g, y| {
            g.sum_pool(y, Window::tiles([6, 6], [3, 2]))
        }),
        after("upsampling", |g, y| g.upsample_nearest(y, [2, 2])),
        after("resize", |g, y| g.resize_bilinear(y, [4, 9])),
        after("reflection", |g, y| {
            g.pad(y, &[0, 0, 1, 2], &[0, 0, 2, 1], PadMode::Reflect)
        }),
        after("channel stats", Graph::channel_stats),
        after("argmax", |g, y| {
            let index = g.argmax(y, &[1])?;
            g.gather(y, index, 1)
        }),
        after("matmul", |g, y| {
            let flat = g.reshape(y, [2, 288])?;
            g.matmul(flat, flat, false, true)
        }),
        after("two branches", |g, y| {
            let tanh = g.unary(Unary::Tanh, y);
            let sum = g.sum(tanh, &[2, 3])?;
            g.mul(y, sum)
        }),
        case("conv of a sliced image", |g, x| {
            let part = g.slice(x[0], &[1, 1, 2, 0], [2, 4, 5, 6])?;
            conv(g, part, x[1], 1)
        })
        .normal([3, 6, 7, 6])
        .normal([8, 4, 3, 3]),
        case("conv of an image in channels last", |g, x| {
            let image = g.permute(x[0], &[0, 3, 1, 2])?;
            conv(g, image, x[1], 1)
        })
        .normal([2, 5, 6, 8])
        .normal([3, 8, 3, 3]),
        case("conv of a reshaped latent", |g, x| {
            let image = g.reshape(x[0], [3, 4, 3, 3])?;
            conv(g, image, x[1], 1)
        })
        .normal([3, 36])
        .normal([8, 4, 3, 3]),
        case("conv of a stretched image", |g, x| {
            let image = g.broadcast(x[0], [2, 4, 5, 7])?;
            conv(g, image, x[1], 1)
        })
        .normal([2, 4, 1, 1])
        .normal([8, 4, 3, 3]),
        case("conv of a join", |g, x| {
            let plane = g.broadcast(x[2], [2, 4, 5, 7])?;
            let image = g.concat(&[x[0], plane], 1)?;
            conv(g, image, x[1], 1)
        })
        .normal([2, 4, 5, 7])
        .normal([4, 8, 3, 3])
        .normal([2, 4, 1, 1]),
        case("conv of what it is added to", |g, x| {
            let image = g.unary(Unary::Tanh, x[0]);
            let y = conv(g, image, x[1], 1)?;
            g.add(y, image)
        })
        .normal([2, 8, 5, 6])
        .normal([8, 8, 3, 3]),
        case("conv of what is turned besides", |g, x| {
            let image = g.unary(Unary::Tanh, x[0]);
            let turned = g.permute(image, &[0, 1, 3, 2])?;
            let y = conv(g, image, x[1], 1)?;
            g.mul(y, turned)
        })
        .normal([2, 8, 6, 6])
        .normal([8, 8, 3, 3]),
        case("weight gradient of an image with itself", |g, x| {
            let image = g.unary(Unary::Tanh, x[0]);
            g.conv_weight_grad(image, image, geometry([6, 6], 1)?)
        })
        .normal([2, 8, 6, 6]),
        case("product of rows with themselves", |g, x| {
            let rows = g.unary(Unary::Tanh, x[0]);
            g.matmul(rows, rows, true, false)
        })
        .normal([33, 12]),
        case("two convs of one image", |g, x| {
            let a = conv(g, x[0], x[1], 1)?;
            let b = conv(g, x[0], x[2], 1)?;
            g.mul(a, b)
        })
        .normal([2, 4, 5, 5])
        .normal([4, 4, 3, 3])
        .normal([4, 4, 3, 3]),
    ]
}

/// Small networks as they are trained.
fn networks() -> Vec<Case> {
    vec![
        case("two-layer discriminator", |g, x| {
            let h = conv(g, x[0], x[1], 2)?;
            let h = g.unary(LEAKY, h);
            let h = conv(g, h, x[2], 2)?;
            let h = g.batch_norm(h, x[3], x[4], 1e-5)?;
            let h = g.unary(LEAKY, h);
            let h = g.reshape(h, [3, 32])?;
            g.matmul(h, x[5], false, true)
        })
        .normal([3, 3, 8, 8])
        .normal([4, 3, 4, 4])
        .normal([8, 4, 4, 4])
        .normal([8])
        .normal([8])
        .normal([1, 32]),
        case("two-layer generator", |g, x| {
            let h = g.matmul(x[0], x[1], false, false)?;
            let h = g.reshape(h, [3, 8, 3, 3])?;
            let h = g.batch_norm(h, x[2], x[3], 1e-5)?;
            let h = g.unary(Unary::LeakyRelu(Scalar(0.0)), h);
            let h = conv_transpose(g, h, x[4])?;
            Ok(g.unary(Unary::Tanh, h))
        })
        .normal([3, 10])
        .normal([10, 72])
        .normal([8])
        .normal([8])
        .normal([8, 3, 4, 4]),
        case("maxout and dropout network", |g, x| {
            let mask = g.random(Distribution::Bernoulli(Scalar(0.8)), [9, 12]);
            let h = g.mul(x[0], mask)?;
            let h = g.matmul(h, x[1], false, false)?;
            let h = g.add(h, x[2])?;
            let h = g.reshape(h, [9, 5, 3])?;
            let h = g.max(h, &[2])?;
            let h = g.reshape(h, [9, 5])?;
            g.matmul(h, x[3], false, false)
        })
        .normal([9, 12])
        .normal([12, 15])
        .normal([15])
        .normal([5, 1]),
        case("gradient penalty of a smooth discriminator", |g, x| {
            let h = conv(g, x[0], x[1], 2)?;
            let h = g.unary(Unary::Softplus, h);
            let h = g.reshape(h, [2, 64])?;
            let logits = g.matmul(h, x[2], false, true)?;
            let sum = g.sum_all(logits)?;
            let slope = g.gradient(sum, &[x[0]])?[0];
            let square = g.square(slope);
            let sum = g.sum(square, &[1, 2, 3])?;
            let norm = g.unary(Unary::Sqrt, sum);
            let off = g.binary_scalar(Binary::Sub, norm, 1.0);
            let off = g.square(off);
            g.mean_all(off)
        })
        .normal([2, 3, 8, 8])
        .normal([4, 3, 4, 4])
        .normal([1, 64]),
    ]
}
