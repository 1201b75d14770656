//! Every case of the list on the adapter of this machine, with its first and
//! second gradients, against the f64 reference. Without an adapter these tests
//! fail, with the mend in the message.

use gpugan::check::{Case, Family, cases, run_case};
use gpugan::gpu::Gpu;
use gpugan::ops::Rung;

use crate::adapter::open;

/// Everything that is wrong with a case on this rung.
fn wrong(gpu: &Gpu, case: &Case, rung: Rung) -> Vec<String> {
    match run_case(gpu, case, rung) {
        Ok(comparisons) => comparisons
            .iter()
            .filter(|comparison| !comparison.ok)
            .map(|comparison| format!("{case:?} on {rung:?}: {comparison}"))
            .collect(),
        Err(error) => vec![format!("{case:?} on {rung:?}: {error}")],
    }
}

/// Runs families, contractions on all their rungs. A device of its own for each
/// test, because a software driver compiles in its device's queue, one kernel
/// after the other.
#[track_caller]
fn assert_right(families: &[Family]) {
    let gpu = open();
    let mut failures = Vec::new();
    let mut count = 0;
    for case in cases()
        .iter()
        .filter(|case| families.contains(&case.family))
    {
        count += 1;
        for rung in case.rungs().unwrap() {
            failures.extend(wrong(&gpu, case, rung));
        }
    }
    assert!(count > 0);
    // Compiling is most of the time: the next run finds the pipelines.
    gpu.save_pipeline_cache();
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
