//! Elements that move: views, borders, joins and look-ups.

use crate::Result;
use crate::check::{Case, Family, Values};
use crate::graph::{Graph, NodeId, PadMode, Unary};

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Movement, name, build)
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    for from in [
        [1, 3, 5, 7],
        [2, 1, 5, 7],
        [2, 3, 1, 7],
        [2, 3, 5, 1],
        [1, 3, 1, 1],
        [2, 1, 1, 7],
        [1, 1, 1, 1],
    ] {
        list.push(
            case(format!("broadcast {from:?}"), |g, x| {
                g.broadcast(x[0], [2, 3, 5, 7])
            })
            .normal(from),
        );
    }
    for (from, to) in [
        (vec![6, 35], vec![2, 3, 5, 7]),
        (vec![2, 3, 5, 7], vec![30, 7]),
        (vec![1], vec![]),
        (vec![4, 1, 9], vec![2, 3, 6]),
    ] {
        let name = format!("reshape {from:?} to {to:?}");
        list.push(case(name, move |g, x| g.reshape(x[0], to.clone())).normal(from));
    }
    for (shape, order) in [
        (vec![5, 7], vec![1, 0]),
        (vec![3, 5, 7], vec![2, 0, 1]),
        (vec![3, 5, 7], vec![0, 2, 1]),
        (vec![2, 3, 5, 7], vec![0, 2, 3, 1]),
        (vec![2, 3, 5, 7], vec![3, 2, 1, 0]),
        (vec![2, 3, 1, 5, 7], vec![4, 0, 2, 1, 3]),
        (vec![2, 3, 2, 3, 5, 2], vec![5, 3, 1, 0, 4, 2]),
    ] {
        let name = format!("permute {shape:?} to {order:?}");
        list.push(case(name, move |g, x| g.permute(x[0], &order)).normal(shape));
    }
    list.extend(borders());
    for (from, start, to) in [
        (vec![11], vec![3], vec![5]),
        (vec![5, 7], vec![0, 2], vec![5, 3]),
        (vec![2, 3, 5, 7], vec![1, 0, 2, 3], vec![1, 3, 2, 4]),
        (
            vec![2, 3, 2, 3, 5, 2],
            vec![0, 1, 1, 0, 2, 1],
            vec![2, 2, 1, 3, 3, 1],
        ),
    ] {
        let name = format!("slice {to:?} at {start:?} of {from:?}");
        list.push(case(name, move |g, x| g.slice(x[0], &start, to.clone())).normal(from));
    }
    list.extend(joins());
    list.extend(lookups());
    list.extend(views());
    list.extend([0, 1, 2].map(|axis| {
        case(format!("iota along {axis}"), move |g, x| {
            let iota = g.iota([3, 5, 7], axis)?;
            g.mul(x[0], iota)
        })
        .normal([3, 5, 7])
    }));
    list.push(case("iota", |g, _| g.iota([3, 5, 7], 1)).exact());
    list
}

fn borders() -> Vec<Case> {
    let mut list = Vec::new();
    for mode in [PadMode::Zero, PadMode::Reflect, PadMode::Replicate] {
        for (shape, before, after) in [
            (vec![5], vec![3], vec![4]),
            (vec![4, 7], vec![0, 2], vec![3, 0]),
            (vec![2, 3, 5, 7], vec![0, 0, 2, 1], vec![0, 0, 1, 3]),
            (vec![2, 3, 5, 7], vec![1, 2, 4, 6], vec![1, 1, 3, 2]),
        ] {
            let name = format!("pad {mode:?} {shape:?} by {before:?} and {after:?}");
            list.push(case(name, move |g, x| g.pad(x[0], &before, &after, mode)).normal(shape));
        }
    }
    list.extend([PadMode::Reflect, PadMode::Replicate].map(|mode| {
        case(format!("fold {mode:?}"), move |g, x| {
            g.pad_fold(x[0], &[0, 1, 2, 2], [2, 2, 3, 4], mode)
        })
        .normal([2, 4, 6, 9])
    }));
    list
}

fn joins() -> Vec<Case> {
    let mut list = Vec::new();
    for axis in 0..4 {
        let part = |size: usize| {
            let mut shape = [2, 3, 5, 7];
            shape[axis] = size;
            shape
        };
        list.push(
            case(format!("concat along {axis}"), move |g, x| {
                g.concat(&[x[0], x[1], x[2]], axis)
            })
            .normal(part(1))
            .normal(part(4))
            .normal(part(3)),
        );
    }
    list.extend([
        case("concat of the same", |g, x| g.concat(&[x[0], x[0]], 0)).normal([3, 5]),
        case("concat of eleven", |g, x| {
            let parts: Vec<NodeId> = (0..11).map(|i| g.scale(x[0], i as f32 - 4.0)).collect();
            g.concat(&parts, 1)
        })
        .normal([3, 5]),
        case("concat of views and numbers", |g, x| {
            let turned = g.permute(x[0], &[1, 0])?;
            let stretched = g.broadcast(x[1], [7, 2])?;
            let numbers = g.constant(0.5, [7, 1]);
            g.concat(&[turned, stretched, numbers, x[1]], 1)
        })
        .normal([5, 7])
        .normal([7, 1]),
    ]);
    list
}

fn lookups() -> Vec<Case> {
    let mut list = Vec::new();
    for (axis, index) in [(0, [11, 5, 7]), (1, [3, 2, 7]), (2, [3, 5, 13])] {
        let size = [3, 5, 7][axis];
        list.push(
            case(format!("gather along {axis}"), move |g, x| {
                g.gather(x[0], x[1], axis)
            })
            .normal([3, 5, 7])
            .with(index, Values::Index(size)),
        );
        list.push(
            case(format!("scatter along {axis}"), move |g, x| {
                g.scatter_add(x[0], x[1], axis, size)
            })
            .normal(index)
            .with(index, Values::Index(size)),
        );
    }
    list.extend([
        case("gather from a turned tensor", |g, x| {
            let turned = g.permute(x[0], &[1, 0])?;
            g.gather(turned, x[1], 0)
        })
        .normal([5, 7])
        .with([3, 5], Values::Index(7)),
        case("rows of an embedding", |g, x| {
            let index = g.broadcast(x[1], [9, 5])?;
            let rows = g.gather(x[0], index, 0)?;
            Ok(g.unary(Unary::Tanh, rows))
        })
        .normal([7, 5])
        .with([9, 1], Values::Index(7)),
    ]);
    list
}

/// Views of views, and reshapes that strides cannot express.
fn views() -> Vec<Case> {
    vec![
        case("slice of permute of broadcast", |g, x| {
            let wide = g.broadcast(x[0], [3, 5, 7])?;
            let turned = g.permute(wide, &[2, 0, 1])?;
            g.slice(turned, &[2, 1, 0], [3, 2, 4])
        })
        .normal([3, 1, 7]),
        case("permute of slice of slice", |g, x| {
            let inner = g.slice(x[0], &[0, 1, 2], [3, 4, 5])?;
            let inner = g.slice(inner, &[1, 0, 1], [2, 3, 2])?;
            let turned = g.permute(inner, &[1, 2, 0])?;
            Ok(g.unary(Unary::Tanh, turned))
        })
        .normal([3, 5, 7]),
        case("reshape of permute", |g, x| {
            let turned = g.permute(x[0], &[0, 2, 3, 1])?;
            g.reshape(turned, [2, 35, 3])
        })
        .normal([2, 3, 5, 7]),
        case("reshape of permute that needs a copy", |g, x| {
            let turned = g.permute(x[0], &[0, 2, 3, 1])?;
            let flat = g.reshape(turned, [210])?;
            g.mul(flat, x[1])
        })
        .normal([2, 3, 5, 7])
        .normal([210]),
        case("reshape of a slice", |g, x| {
            let part = g.slice(x[0], &[0, 1, 2], [3, 4, 5])?;
            g.reshape(part, [6, 10])
        })
        .normal([3, 5, 7]),
        case("reshape of a broadcast", |g, x| {
            let wide = g.broadcast(x[0], [3, 5, 7])?;
            let flat = g.reshape(wide, [15, 7])?;
            g.mul(flat, x[1])
        })
        .normal([3, 1, 7])
        .normal([15, 7]),
        case("pixel shuffle", |g, x| {
            let apart = g.reshape(x[0], [2, 3, 2, 2, 5, 7])?;
            let mixed = g.permute(apart, &[0, 1, 4, 2, 5, 3])?;
            g.reshape(mixed, [2, 3, 10, 14])
        })
        .normal([2, 12, 5, 7]),
        case("the same tensor in two orders", |g, x| {
            let turned = g.permute(x[0], &[1, 0])?;
            g.mul(x[0], turned)
        })
        .normal([7, 7]),
        case("scalar from the middle", |g, x| {
            let one = g.slice(x[0], &[2, 3], [1, 1])?;
            let one = g.reshape(one, [])?;
            g.mul(one, x[0])
        })
        .normal([5, 7]),
    ]
}
