//! Plans of random programs, without a GPU.

use gpugan::ops::{Facts, Rung};

use super::checker::check;
use super::generator::{Sample, Wish};

/// Plans all programs of these seeds in several ways.
fn check_all(seeds: impl Iterator<Item = u32>) {
    let mut wrong = Vec::new();
    for seed in seeds {
        let wish = Wish {
            nodes: [5, 25],
            orders: (seed % 3) as usize,
            stops: true,
        };
        let sample = Sample::draw(seed, wish);
        let facts = [
            Facts::SOFTWARE,
            Facts::CARD,
            Facts {
                rung: Rung::Tiled(seed as usize),
                ..Facts::CARD
            },
        ];
        for facts in &facts[..if seed.is_multiple_of(4) { 3 } else { 1 }] {
            if let Err(what) = check(&sample.program, &sample.places, facts) {
                wrong.push(format!("seed {seed}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong[0]);
}

#[test]
fn plans_of_random_programs_hold_what_is_meant() {
    check_all(0..2_000);
}

#[test]
#[ignore = "minutes"]
fn plans_of_many_random_programs_hold_what_is_meant() {
    check_all(0..10_000);
}
