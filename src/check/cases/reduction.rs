//! Sums, maxima and their places.

use crate::Result;
use crate::check::{Case, Family, Values};
use crate::graph::{Binary, Graph, NodeId, Unary};

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Reduction, name, build)
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    // 18,000 and more in one row are summed in two stages.
    for (shape, axes) in [
        (vec![3], vec![0]),
        (vec![257], vec![0]),
        (vec![5000], vec![0]),
        (vec![20_000], vec![0]),
        (vec![3, 18_000], vec![1]),
        (vec![16_384, 3], vec![0]),
        (vec![4, 3, 64, 70], vec![0, 2, 3]),
        (vec![5, 7], vec![0]),
        (vec![5, 7], vec![1]),
        (vec![5, 1, 7], vec![1, 2]),
        (vec![2, 3, 5, 7], vec![1]),
        (vec![2, 3, 5, 7], vec![0, 2]),
        (vec![2, 3, 5, 7], vec![1, 3]),
        (vec![2, 3, 5, 7], vec![0, 1, 2, 3]),
        (vec![2, 3, 2, 3, 5, 2], vec![0, 3, 5]),
        (vec![2, 3, 2, 3, 5, 2], vec![1, 2, 4]),
        (vec![257, 3], vec![0]),
        (vec![3, 257], vec![1]),
        (vec![1031, 2], vec![1]),
    ] {
        let name = format!("sum {axes:?} of {shape:?}");
        list.push(case(name, move |g, x| g.sum(x[0], &axes)).normal(shape));
    }
    for (shape, axes) in [
        (vec![1], vec![0]),
        (vec![257], vec![0]),
        (vec![5000], vec![0]),
        (vec![18_000], vec![0]),
        (vec![5, 7], vec![0]),
        (vec![5, 7], vec![1]),
        (vec![2, 3, 5, 7], vec![0, 2]),
        (vec![2, 3, 5, 7], vec![1, 3]),
        (vec![2, 3, 5, 7], vec![0, 1, 2, 3]),
    ] {
        let (name, of) = (format!("{axes:?} of {shape:?}"), axes.clone());
        list.push(
            case(format!("max {name}"), move |g, x| g.max(x[0], &of))
                .with(shape.clone(), Values::Distinct),
        );
        list.push(
            case(format!("argmax {name}"), move |g, x| g.argmax(x[0], &axes))
                .with(shape, Values::Distinct)
                .exact(),
        );
    }
    list.extend([
        case("argmax of equals", |g, x| g.argmax(x[0], &[1]))
            .with([37, 5], Values::Index(2))
            .exact(),
        case("argmax of many equals", |g, x| g.argmax(x[0], &[0]))
            .with([3001], Values::Index(2))
            .exact(),
        case("max of negatives", |g, x| {
            let shifted = g.binary_scalar(Binary::Sub, x[0], 1000.0);
            g.max(shifted, &[1])
        })
        .with([3, 301], Values::Distinct),
        case("mean of all", |g, x| g.mean_all(x[0])).normal([3, 5, 7]),
        case("log-sum-exp", |g, x| {
            let largest = g.max(x[0], &[1])?;
            let largest = g.stop_gradient(largest);
            let shifted = g.sub(x[0], largest)?;
            let powers = g.unary(Unary::Exp, shifted);
            let sum = g.sum(powers, &[1])?;
            let log = g.unary(Unary::Log, sum);
            g.add(log, largest)
        })
        .with([5, 11], Values::Distinct),
        case("maxout", |g, x| {
            let pieces = g.reshape(x[0], [7, 11, 3])?;
            let best = g.max(pieces, &[2])?;
            g.reshape(best, [7, 11])
        })
        .with([7, 33], Values::Distinct),
        case("sum of a turned tensor", |g, x| {
            let turned = g.permute(x[0], &[2, 0, 1])?;
            g.sum(turned, &[0, 2])
        })
        .normal([3, 5, 7]),
        case("sum of a broadcast", |g, x| {
            let wide = g.broadcast(x[0], [3, 5, 7])?;
            let product = g.mul(wide, x[1])?;
            g.sum(product, &[0, 1])
        })
        .normal([3, 1, 7])
        .normal([5, 7]),
    ]);
    list
}
