//! Ctrl-C: the first asks a loop to end cleanly, the second ends the program.

use std::sync::atomic::{AtomicU8, Ordering};

/// How often the user asked to stop.
static STOPS: AtomicU8 = AtomicU8::new(0);

/// Listens from here on.
pub(crate) fn listen() {
    // A second handler cannot be set, as in tests that train twice in one
    // process; the first goes on counting.
    let _ = ctrlc::set_handler(|| {
        if STOPS.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(130);
        }
    });
}

/// Whether the user has asked to stop.
pub(crate) fn asked() -> bool {
    STOPS.load(Ordering::SeqCst) > 0
}
