//! Scores: against closed forms, against SciPy, scikit-learn, PyTorch and
//! torch-fidelity, and through the command line.

mod closed;
mod commands;
mod compare;
mod golden;
mod representation;
mod stacked;

use gpugan::metrics::Rows;
use gpugan::reference::random;

/// Standard normal vectors `[count, width]`; each `stream` has its own.
fn normal(count: usize, width: usize, stream: u32) -> Rows {
    let values = (0..(count * width) as u32).map(|i| random::normal(i, stream, 0, 7) as f32);
    Rows {
        values: values.collect(),
        width,
    }
}

/// Within a relative difference.
fn assert_near(what: &str, found: f64, wanted: f64, relative: f64) {
    let off = (found - wanted).abs() / wanted.abs().max(1e-12);
    assert!(
        off <= relative,
        "{what}: {found}, not {wanted} ({off:.2e} off)"
    );
}
