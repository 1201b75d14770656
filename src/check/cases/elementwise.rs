//! Functions of single elements.

use crate::Result;
use crate::check::{Case, Family, Values};
use crate::graph::{Binary, Graph, NodeId, Scalar, Unary};

fn case(
    name: impl Into<String>,
    build: impl Fn(&mut Graph, &[NodeId]) -> Result<NodeId> + Send + Sync + 'static,
) -> Case {
    Case::new(Family::Elementwise, name, build)
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = unary();
    list.extend(binary());
    list.extend([
        case("select", |g, x| g.select(x[0], x[1], x[2]))
            .with([3, 5, 7], Values::Index(2))
            .normal([3, 5, 7])
            .normal([3, 5, 7]),
        case("select stretches", |g, x| g.select(x[0], x[1], x[2]))
            .with([5, 1], Values::Index(2))
            .normal([3, 1, 7])
            .normal([]),
        // Stopped where the slope is 0 anyway, so that differences agree.
        case("stop gradient", |g, x| {
            let sign = g.unary(Unary::Sign, x[0]);
            let stopped = g.stop_gradient(sign);
            let square = g.square(x[0]);
            g.mul(square, stopped)
        })
        .with([5, 7], Values::Away(0.1)),
        case("constant", |g, _| Ok(g.constant(-0.1, [3, 5]))),
        case("constant scaled", |g, x| {
            let c = g.constant(0.1, [3, 5]);
            g.mul(x[0], c)
        })
        .normal([3, 5]),
    ]);
    // Every rank and the size of one; long enough for several workgroups.
    for shape in [
        vec![],
        vec![1],
        vec![331],
        vec![7, 11],
        vec![3, 5, 7],
        vec![2, 3, 5, 7],
        vec![2, 3, 1, 5, 7],
        vec![2, 3, 2, 3, 5, 2],
        vec![1; 6],
    ] {
        list.push(
            case(format!("x tanh y of {shape:?}"), |g, x| {
                let tanh = g.unary(Unary::Tanh, x[1]);
                g.mul(x[0], tanh)
            })
            .normal(shape.clone())
            .normal(shape),
        );
    }
    list
}

fn unary() -> Vec<Case> {
    let positive = Values::Uniform(0.3, 3.0);
    let wide = Values::Uniform(-7.0, 7.0);
    let mut list: Vec<Case> = [
        (Unary::Neg, Values::Normal),
        (Unary::Exp, Values::Normal),
        (Unary::Log, positive),
        (Unary::Sqrt, positive),
        (Unary::Rsqrt, positive),
        (Unary::Recip, Values::Away(0.3)),
        (Unary::Abs, Values::Away(0.1)),
        (Unary::Sign, Values::Away(0.1)),
        (Unary::Sigmoid, wide),
        (Unary::Tanh, wide),
        (Unary::Softplus, wide),
        (Unary::Atanh, Values::Uniform(-0.9, 0.9)),
        (Unary::Sin, wide),
        (Unary::Cos, wide),
        (Unary::Floor, Values::Uniform(-3.9, -3.1)),
        (Unary::Round, Values::Uniform(2.6, 3.4)),
        (Unary::Finite, Values::Normal),
        (Unary::LeakyRelu(Scalar(0.0)), Values::Away(0.1)),
        (Unary::LeakyRelu(Scalar(0.2)), Values::Away(0.1)),
    ]
    .into_iter()
    .map(|(f, values)| {
        case(format!("{f:?}"), move |g, x| Ok(g.unary(f, x[0]))).with([5, 7], values)
    })
    .collect();
    // Far out, where careless forms overflow.
    list.extend([Unary::Sigmoid, Unary::Tanh, Unary::Softplus].map(|f| {
        case(format!("{f:?} far out"), move |g, x| Ok(g.unary(f, x[0])))
            .with([5, 7], Values::Uniform(-85.0, 85.0))
    }));
    // Halves, where rounding has its ties.
    list.extend([Unary::Floor, Unary::Round].map(|f| {
        case(format!("{f:?} of halves"), move |g, x| {
            let halves = g.scale(x[0], 0.5);
            let halves = g.binary_scalar(Binary::Sub, halves, 3.0);
            Ok(g.unary(f, halves))
        })
        .with([5, 7], Values::Index(13))
        .exact()
    }));
    list
}

fn binary() -> Vec<Case> {
    let normal = [Values::Normal; 2];
    let small = [Values::Index(3); 2];
    let mut list: Vec<Case> = [
        (Binary::Add, normal),
        (Binary::Sub, normal),
        (Binary::Mul, normal),
        (Binary::Div, [Values::Normal, Values::Away(0.5)]),
        (Binary::Max, normal),
        (Binary::Min, normal),
        (Binary::Pow, [Values::Uniform(0.3, 2.0), Values::Normal]),
        (Binary::Greater, normal),
        (Binary::GreaterEqual, normal),
        (Binary::Equal, normal),
    ]
    .into_iter()
    .map(|(f, [a, b])| {
        case(format!("{f:?}"), move |g, x| g.binary(f, x[0], x[1]))
            .with([5, 7], a)
            .with([5, 7], b)
    })
    .collect();
    // Ties.
    list.extend(
        [
            Binary::Max,
            Binary::Min,
            Binary::Greater,
            Binary::GreaterEqual,
            Binary::Equal,
        ]
        .map(|f| {
            case(format!("{f:?} with ties"), move |g, x| {
                g.binary(f, x[0], x[1])
            })
            .with([5, 7], small[0])
            .with([5, 7], small[1])
            .exact()
        }),
    );
    for (f, b) in [
        (Binary::Add, Values::Normal),
        (Binary::Sub, Values::Normal),
        (Binary::Mul, Values::Normal),
        (Binary::Div, Values::Away(0.5)),
    ] {
        list.push(
            case(format!("{f:?} of a row and a column"), move |g, x| {
                g.binary(f, x[0], x[1])
            })
            .with([5, 1], Values::Normal)
            .with([3, 1, 7], b),
        );
    }
    list.push(
        case("Mul of a scalar", |g, x| g.mul(x[0], x[1]))
            .normal([])
            .normal([2, 3, 5, 7]),
    );
    list
}
