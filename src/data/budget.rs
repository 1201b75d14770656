//! The memory that pictures may take while they are decoded.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes for all pictures that are decoded at one time, and so for one.
pub(super) const BYTES: u64 = 1 << 30;

static LEFT: Mutex<u64> = Mutex::new(BYTES);
static RETURNED: Condvar = Condvar::new();

/// Bytes that are given back when this is dropped.
pub(super) struct Share(u64);

/// Waits until `bytes` of the budget are free; more than all of it count as
/// all of it.
pub(super) fn take(bytes: u64) -> Share {
    let bytes = bytes.min(BYTES);
    // A number is never half changed.
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    while *left < bytes {
        left = RETURNED.wait(left).unwrap_or_else(PoisonError::into_inner);
    }
    *left -= bytes;
    Share(bytes)
}

impl Drop for Share {
    fn drop(&mut self) {
        *LEFT.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        RETURNED.notify_all();
    }
}
