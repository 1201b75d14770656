//! The corpus of `fuzz/` and mutations of it through the readers of files, without a
//! fuzzer. Inputs that crashed a reader are kept in the corpus.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gpugan::random::bits;

#[path = "../../fuzz/readers.rs"]
mod readers;

/// The inputs of a target that are kept.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new("fuzz/corpus").join(target);
    let files = fs::read_dir(folder).unwrap();
    let mut seeds: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds of {target}");
    seeds.iter().map(|seed| fs::read(seed).unwrap()).collect()
}

/// Reads the seeds of a target and `mutants` mutations of each.
fn replay(target: &str, read: Reader, mutants: u32) {
    for (number, seed) in seeds(target).iter().enumerate() {
        read(seed);
        for mutant in 0..mutants {
            read(&mutated(seed, mutant, number as u32));
        }
    }
}

/// Bytes with one to four changes: another byte, a flipped bit, a part left out, a part
/// twice, a cut end, or a number that is large.
fn mutated(bytes: &[u8], mutant: u32, seed: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in 0..1 + mutant % 4 {
        let [kind, at, length, value] = bits(mutant, change, seed, 0);
        if bytes.is_empty() {
            break;
        }
        let at = at as usize % bytes.len();
        let end = (at + 1 + length as usize % 16).min(bytes.len());
        match kind % 6 {
            0 => bytes[at] = value as u8,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => bytes.truncate(at),
            _ => drop(bytes.splice(at..end, *b"99999999999999999999")),
        }
    }
    bytes
}

type Reader = fn(&[u8]);

const TARGETS: [(&str, Reader); 9] = [
    ("archive", readers::archive),
    ("checkpoint", readers::checkpoint),
    ("cifar", readers::cifar),
    ("config", readers::config),
    ("idx", readers::idx),
    ("labels", readers::labels),
    ("numpy", readers::numpy),
    ("picture", readers::picture),
    ("stats", readers::stats),
];

#[test]
fn no_reader_panics_on_the_corpus_or_near_it() {
    for (target, read) in TARGETS {
        replay(target, read, 100);
    }
}

/// Ten million inputs, the same number of each seed, on every core, minutes where `TMPDIR`
/// is in memory, as each is a file, and hours where it is not; memory stays
/// below 1 GiB where the system tells it.
#[test]
#[ignore = "long: make test-long"]
fn no_reader_panics_on_many_mutations() {
    const INPUTS: usize = 10_000_000;
    let count: usize = TARGETS.iter().map(|(target, _)| seeds(target).len()).sum();
    let mutants = INPUTS.div_ceil(count);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((target, read)) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            replay(target, *read, mutants as u32);
            let inputs = mutants * seeds(target).len();
            let peak = peak_mebibytes();
            println!(
                "{target}: {inputs} inputs, {:.0?}, peak {peak:?} MiB",
                start.elapsed()
            );
            assert!(peak.is_none_or(|peak| peak < 1024));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
}

/// The most memory that this process has had, on Linux.
fn peak_mebibytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10)
}
