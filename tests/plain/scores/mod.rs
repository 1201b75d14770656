//! Scores: against closed forms, against SciPy, scikit-learn, PyTorch and
//! torch-fidelity, and through the command line.

mod closed;
mod golden;
mod quality;

use gpugan::metrics::Rows;
use gpugan::random;

/// Standard normal vectors `[count, width]`; each `stream` has its own.
fn normal(count: usize, width: usize, stream: u32) -> Rows {
    let values = (0..(count * width) as u32).map(|i| random::normal(i, stream, 0, 7) as f32);
    Rows {
        values: values.collect(),
        width,
    }
}
