//! Channel statistics and batch normalisation.

use crate::Result;
use crate::check::{Case, Family};
use crate::graph::{Binary, Graph, NodeId, Scalar, Unary};

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Normalization, name, build)
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    for shape in [
        vec![7, 5],
        vec![3, 5, 11],
        vec![2, 3, 5, 7],
        vec![1, 4, 3, 3],
        vec![2, 3, 5, 7, 2],
        vec![5, 2, 61, 31],
    ] {
        let channels = shape[1];
        list.extend([
            case(format!("channel stats {shape:?}"), |g, x| {
                g.channel_stats(x[0])
            })
            .normal(shape.clone()),
            case(format!("channel dot {shape:?}"), |g, x| {
                g.channel_dot(x[0], x[1], x[2])
            })
            .normal(shape.clone())
            .normal(shape.clone())
            .normal([2, channels]),
            batch_norm(format!("batch norm {shape:?}"), &shape),
        ]);
    }
    list.extend([
        batch_norm(
            "batch norm of one element a channel".to_owned(),
            &[1, 5, 1, 1],
        ),
        case("batch norm of channels last", |g, x| {
            let image = g.permute(x[0], &[0, 3, 1, 2])?;
            g.batch_norm(image, x[1], x[2], 1e-5)
        })
        .normal([2, 5, 7, 4])
        .normal([4])
        .normal([4]),
        case("batch norm of a slice", |g, x| {
            let part = g.slice(x[0], &[1, 1, 0, 2], [2, 3, 5, 4])?;
            g.batch_norm(part, x[1], x[2], 1e-5)
        })
        .normal([3, 5, 5, 7])
        .normal([3])
        .normal([3]),
        case("batch norm of a stretched tensor", |g, x| {
            let wide = g.broadcast(x[0], [3, 5, 2, 7])?;
            g.batch_norm(wide, x[1], x[2], 1e-5)
        })
        .normal([3, 5, 1, 7])
        .normal([5])
        .normal([5]),
        case("batch norm far from zero", |g, x| {
            let far = g.binary_scalar(Binary::Add, x[0], 100.0);
            g.batch_norm(far, x[1], x[2], 1e-5)
        })
        .normal([4, 3, 5, 5])
        .normal([3])
        .normal([3]),
        case("batch norm and leaky relu", |g, x| {
            let y = g.batch_norm(x[0], x[1], x[2], 1e-5)?;
            Ok(g.unary(Unary::LeakyRelu(Scalar(0.2)), y))
        })
        .normal([3, 5, 3, 3])
        .normal([5])
        .normal([5]),
        case("instance norm", |g, x| {
            let mean = g.mean(x[0], &[2, 3])?;
            let centred = g.sub(x[0], mean)?;
            let squares = g.square(centred);
            let variance = g.mean(squares, &[2, 3])?;
            let variance = g.binary_scalar(Binary::Add, variance, 1e-5);
            let inverse = g.unary(Unary::Rsqrt, variance);
            g.mul(centred, inverse)
        })
        .normal([2, 3, 5, 7]),
        case("standard deviation of a batch", |g, x| {
            let mean = g.mean(x[0], &[0])?;
            let centred = g.sub(x[0], mean)?;
            let squares = g.square(centred);
            let variance = g.mean(squares, &[0])?;
            let variance = g.binary_scalar(Binary::Add, variance, 1e-8);
            let deviation = g.unary(Unary::Sqrt, variance);
            let mean = g.mean_all(deviation)?;
            let plane = g.broadcast(mean, [4, 1, 3, 5])?;
            g.concat(&[x[0], plane], 1)
        })
        .normal([4, 3, 3, 5]),
    ]);
    list
}

fn batch_norm(name: String, shape: &[usize]) -> Case {
    case(name, |g, x| g.batch_norm(x[0], x[1], x[2], 1e-5))
        .normal(shape)
        .normal([shape[1]])
        .normal([shape[1]])
}
