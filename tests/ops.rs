//! Every case of the list on the adapter of this machine, with its first and
//! second gradients, against the f64 reference. Without an adapter these tests
//! fail, with the mend in the message.

use std::sync::OnceLock;

use gpugan::check::{Case, Family, cases, run_case};
use gpugan::gpu::{Gpu, Selector};
use gpugan::ops::Rung;

/// The best adapter, or the one that GPUGAN_ADAPTER names; opened once.
fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| {
        let Ok(selector) = std::env::var("GPUGAN_ADAPTER")
            .unwrap_or_default()
            .parse::<Selector>();
        Gpu::open(&selector).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Everything that is wrong with a case on this rung.
fn wrong(case: &Case, rung: Rung) -> Vec<String> {
    match run_case(gpu(), case, rung) {
        Ok(comparisons) => comparisons
            .iter()
            .filter(|comparison| !comparison.ok)
            .map(|comparison| format!("{case:?} on {rung:?}: {comparison}"))
            .collect(),
        Err(error) => vec![format!("{case:?} on {rung:?}: {error}")],
    }
}

/// Runs a family as the adapter would, and where it holds contractions also
/// with all of them plain and with a tile that differs from case to case.
#[track_caller]
fn assert_right(families: &[Family]) {
    let mut failures = Vec::new();
    let mut count = 0;
    for case in cases()
        .iter()
        .filter(|case| families.contains(&case.family))
    {
        count += 1;
        failures.extend(wrong(case, Rung::Best));
        if case.derive().unwrap().contracts() {
            failures.extend(wrong(case, Rung::Plain));
            failures.extend(wrong(case, Rung::Tiled(count)));
        }
    }
    assert!(count > 0);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn elementwise_and_movement() {
    assert_right(&[Family::Elementwise, Family::Movement]);
}

#[test]
fn reductions_windows_and_random() {
    assert_right(&[Family::Reduction, Family::Window, Family::Random]);
}

#[test]
fn normalization() {
    assert_right(&[Family::Normalization]);
}

#[test]
fn matrix_products() {
    assert_right(&[Family::MatMul]);
}

#[test]
fn convolutions() {
    assert_right(&[Family::Convolution]);
}

#[test]
fn fusion() {
    assert_right(&[Family::Fusion]);
}
