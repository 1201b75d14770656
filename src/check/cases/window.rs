//! Pooling and resizing.

use crate::Result;
use crate::check::{Case, Family, Values};
use crate::graph::{Graph, NodeId, Window};

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Window, name, build)
}

/// Windows that meet, overlap, leave gaps and reach over the border.
fn windows() -> [(&'static str, Window); 5] {
    let window = |input, output, kernel, stride, pad| Window {
        input,
        output,
        kernel,
        stride,
        pad,
    };
    [
        ("tiles", Window::tiles([6, 10], [2, 5])),
        (
            "overlapping",
            window([7, 9], [3, 7], [3, 3], [2, 1], [0, 0]),
        ),
        ("padded", window([7, 5], [4, 3], [3, 3], [2, 2], [1, 1])),
        ("with gaps", window([8, 11], [3, 3], [2, 1], [3, 4], [0, 0])),
        ("uneven", window([5, 7], [3, 2], [2, 4], [2, 3], [1, 0])),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = Vec::new();
    for (name, w) in windows() {
        let image = [2, 3, w.input[0], w.input[1]];
        let pooled = [2, 3, w.output[0], w.output[1]];
        list.extend([
            case(format!("sum pool {name}"), move |g, x| g.sum_pool(x[0], w)).normal(image),
            case(format!("sum unpool {name}"), move |g, x| {
                g.sum_unpool(x[0], w)
            })
            .normal(pooled),
            case(format!("max pool {name}"), move |g, x| g.max_pool(x[0], w))
                .with(image, Values::Distinct),
            case(format!("pool scatter {name}"), move |g, x| {
                let index = g.max_pool_index(x[1], w)?;
                g.pool_scatter(x[0], index, w)
            })
            .normal(pooled)
            .with(image, Values::Distinct),
            case(format!("pool gather {name}"), move |g, x| {
                let index = g.max_pool_index(x[1], w)?;
                g.pool_gather(x[0], index, w)
            })
            .normal(image)
            .with(image, Values::Distinct),
        ]);
    }
    list.extend([
        case("max pool index", |g, x| {
            g.max_pool_index(x[0], windows()[2].1)
        })
        .with([2, 3, 7, 5], Values::Index(3))
        .exact(),
        case("average pool", |g, x| g.avg_pool(x[0], windows()[1].1)).normal([1, 5, 7, 9]),
        case("average pool inside the image", |g, x| {
            g.avg_pool_inside(x[0], windows()[2].1)
        })
        .normal([2, 3, 7, 5]),
        case("average pool of channels that lie together", |g, x| {
            let x = g.permute(x[0], &[0, 3, 1, 2])?;
            g.avg_pool(x, Window::tiles([4, 6], [2, 2]))
        })
        .normal([2, 4, 6, 8]),
        case("overlapping pool of channels that lie together", |g, x| {
            let x = g.permute(x[0], &[0, 3, 1, 2])?;
            g.avg_pool(x, windows()[1].1)
        })
        .normal([2, 7, 9, 4]),
        case(
            "nearest upsampling of channels that lie together",
            |g, x| {
                let x = g.permute(x[0], &[0, 3, 1, 2])?;
                g.upsample_nearest(x, [2, 3])
            },
        )
        .normal([2, 5, 1, 12]),
        case("nearest upsampling", |g, x| {
            g.upsample_nearest(x[0], [2, 3])
        })
        .normal([2, 3, 5, 1]),
        case("global sum pool", |g, x| {
            g.sum_pool(x[0], Window::tiles([5, 7], [5, 7]))
        })
        .normal([2, 3, 5, 7]),
        case("sum pool of channels last", |g, x| {
            let image = g.permute(x[0], &[0, 3, 1, 2])?;
            g.sum_pool(image, windows()[1].1)
        })
        .normal([2, 7, 9, 4]),
        case("max pool of a slice", |g, x| {
            let part = g.slice(x[0], &[0, 1, 0, 2], [2, 3, 7, 5])?;
            g.max_pool(part, windows()[2].1)
        })
        .with([2, 5, 7, 9], Values::Distinct),
    ]);
    for (from, to) in [
        ([5, 7], [10, 14]),
        ([5, 7], [3, 11]),
        ([8, 8], [4, 4]),
        ([1, 5], [3, 1]),
        ([7, 5], [2, 2]),
    ] {
        let shape = |[h, w]: [usize; 2]| [2, 3, h, w];
        list.extend([
            case(format!("resize {from:?} to {to:?}"), move |g, x| {
                g.resize_bilinear(x[0], to)
            })
            .normal(shape(from)),
            case(format!("resize adjoint {to:?} to {from:?}"), move |g, x| {
                g.resize_bilinear_adjoint(x[0], from)
            })
            .normal(shape(to)),
        ]);
    }
    list.push(
        case("resize of channels last", |g, x| {
            let image = g.permute(x[0], &[0, 3, 1, 2])?;
            g.resize_bilinear(image, [7, 4])
        })
        .normal([2, 4, 9, 5]),
    );
    list
}
