//! Work over many rows on all cores.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

/// `work` on ranges that make up `0..count`, a thread each; results in order.
pub(super) fn in_ranges<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(threads).max(1);
    let ranges: Vec<Range<usize>> = (0..count)
        .step_by(share)
        .map(|start| start..(start + share).min(count))
        .collect();
    thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = ranges
            .into_iter()
            .map(|range| scope.spawn(move || work(range)))
            .collect();
        handles
            .into_iter()
            // A panic of a part is a panic of the whole.
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// `value(index)` for each of `0..count`, on all cores.
pub(super) fn each<T: Send>(count: usize, value: impl Fn(usize) -> T + Sync) -> Vec<T> {
    in_ranges(count, |range| range.map(&value).collect::<Vec<T>>())
        .into_iter()
        .flatten()
        .collect()
}
