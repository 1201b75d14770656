//! Random numbers and masks.

use crate::check::{Case, Family};
use crate::graph::{Binary, Distribution, Scalar};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, distribution: Distribution| {
        Case::new(Family::Random, name, move |g, _| {
            // The second stream, so that the number is seen to matter.
            g.random(distribution, [2]);
            Ok(g.random(distribution, [3, 5, 71]))
        })
    };
    vec![
        case("uniform", Distribution::Uniform).exact(),
        case("normal", Distribution::Normal),
        case("bernoulli", Distribution::Bernoulli(Scalar(0.3))).exact(),
        case("bernoulli never", Distribution::Bernoulli(Scalar(0.0))).exact(),
        case("bernoulli always", Distribution::Bernoulli(Scalar(1.0))).exact(),
        Case::new(Family::Random, "dropout", |g, x| {
            let mask = g.random(Distribution::Bernoulli(Scalar(0.8)), [3, 5, 7]);
            let mask = g.binary_scalar(Binary::Div, mask, 0.8);
            g.mul(x[0], mask)
        })
        .normal([3, 5, 7]),
        Case::new(Family::Random, "dropout twice", |g, x| {
            let square = g.square(x[0]);
            let first = g.random(Distribution::Bernoulli(Scalar(0.5)), [5, 7]);
            let second = g.random(Distribution::Bernoulli(Scalar(0.5)), [5, 7]);
            let a = g.mul(square, first)?;
            let b = g.mul(square, second)?;
            g.concat(&[a, b], 0)
        })
        .normal([5, 7]),
        Case::new(Family::Random, "interpolates of a penalty", |g, x| {
            let way = g.random(Distribution::Uniform, [5, 1, 1, 1]);
            let apart = g.sub(x[1], x[0])?;
            let along = g.mul(way, apart)?;
            g.add(x[0], along)
        })
        .normal([5, 3, 2, 2])
        .normal([5, 3, 2, 2]),
    ]
}
