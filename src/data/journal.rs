//! What of a set could not be read, and who wants to hear of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Report;

/// What listens to reports.
type Listener = Arc<dyn Fn(&Report) + Send + Sync>;

/// Reports in the order they were made.
#[derive(Default)]
pub(super) struct Journal(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    reports: Vec<Report>,
    listener: Option<Listener>,
}

impl Journal {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that holds the lock can leave the entries half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a report and tells the listener.
    pub(super) fn note(&self, report: Report) {
        let listener = {
            let mut entries = self.entries();
            entries.reports.push(report.clone());
            entries.listener.clone()
        };
        if let Some(listener) = listener {
            listener(&report);
        }
    }

    /// Tells `listener` what was reported up to now, and later what will be.
    pub(super) fn listen(&self, listener: Listener) {
        let mut entries = self.entries();
        entries.reports.iter().for_each(&*listener);
        entries.listener = Some(listener);
    }

    pub(super) fn reports(&self) -> Vec<Report> {
        self.entries().reports.clone()
    }
}
