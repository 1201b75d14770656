//! How far the compiling of kernels has come, for whoever waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts of the kernels that a device compiles. A kernel is done when the driver has
/// run it: some drivers compile when a pipeline is made, others when it is first used.
#[derive(Debug, Default)]
pub struct Compiling {
    kernels: AtomicUsize,
    made: AtomicUsize,
    used: AtomicUsize,
}

impl Compiling {
    /// Kernels so far, those included that are not done.
    pub fn kernels(&self) -> usize {
        self.kernels.load(Ordering::Relaxed)
    }

    /// The part of the work that is done, from 0 to 1.
    pub fn done(&self) -> f64 {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed) as f64;
        (of(&self.made) + of(&self.used)) / (2.0 * of(&self.kernels)).max(1.0)
    }

    /// So many more are compiled from here on.
    pub(super) fn expect(&self, kernels: usize) {
        self.kernels.fetch_add(kernels, Ordering::Relaxed);
    }

    /// A pipeline was made.
    pub(super) fn made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// A pipeline has run.
    pub(super) fn used(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_half_done_when_it_is_made_and_done_when_it_was_used() {
        let compiling = Compiling::default();
        assert_eq!((compiling.kernels(), compiling.done()), (0, 0.0));
        compiling.expect(2);
        compiling.made();
        assert_eq!((compiling.kernels(), compiling.done()), (2, 0.25));
        compiling.made();
        compiling.used();
        compiling.used();
        assert_eq!(compiling.done(), 1.0);
    }
}
