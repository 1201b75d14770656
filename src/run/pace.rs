//! How fast a loop is, and how long it still takes.

use std::time::Instant;

/// The pace of steps since the first ended. That one is left out: what is done only once
/// is done there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    begin: Option<Instant>,
    count: u64,
    images: f64,
    seconds: f64,
}

impl Pace {
    /// So many steps over so many images ended.
    pub(crate) fn steps(&mut self, now: Instant, count: u64, images: f64) {
        match self.begin {
            None => self.begin = Some(now),
            Some(begin) => {
                self.count += count;
                self.images += images;
                self.seconds = now.duration_since(begin).as_secs_f64();
            }
        }
    }

    /// Seconds a step takes, all between steps included; `None` where that is not known.
    pub(crate) fn seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / self.count as f64)
    }

    /// Images a second; `None` where that is not known.
    pub(crate) fn images(&self) -> Option<f64> {
        (self.images > 0.0 && self.seconds > 0.0).then(|| self.images / self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_step_counts_for_nothing_and_nothing_is_known_after_it() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        assert_eq!((pace.seconds(), pace.images()), (None, None));
        // Twenty seconds of compiling before it ended.
        let first = begin + Duration::from_secs(20);
        pace.steps(first, 1, 64.0);
        assert_eq!((pace.seconds(), pace.images()), (None, None));
        for step in 1..=4 {
            pace.steps(first + step * Duration::from_millis(500), 1, 64.0);
        }
        assert_eq!((pace.seconds(), pace.images()), (Some(0.5), Some(128.0)));
    }

    #[test]
    fn steps_without_images_have_no_rate_of_them() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        pace.steps(begin, 5, 0.0);
        pace.steps(begin + Duration::from_secs(1), 2, 0.0);
        assert_eq!((pace.seconds(), pace.images()), (Some(0.5), None));
    }
}
