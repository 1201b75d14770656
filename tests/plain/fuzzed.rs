//! The corpus of `fuzz/` and mutations of it through the readers of files, without a
//! fuzzer. Inputs that crashed a reader are kept in the corpus.

use std::fs;
use std::path::Path;

use gpugan::random::bits;

#[path = "../../fuzz/readers.rs"]
mod readers;

/// Reads the seeds of a target and `mutants` mutations of each.
fn replay(target: &str, read: Reader, mutants: u32) {
    let folder = Path::new("fuzz/corpus").join(target);
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds of {target}");
    for (number, seed) in seeds.iter().enumerate() {
        let bytes = fs::read(seed).unwrap();
        read(&bytes);
        for mutant in 0..mutants {
            read(&mutated(&bytes, mutant, number as u32));
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

const TARGETS: [(&str, Reader); 5] = [
    ("checkpoint", readers::checkpoint),
    ("config", readers::config),
    ("idx", readers::idx),
    ("picture", readers::picture),
    ("stats", readers::stats),
];

#[test]
fn no_reader_panics_on_the_corpus_or_near_it() {
    for (target, read) in TARGETS {
        replay(target, read, 100);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn no_reader_panics_on_many_mutations() {
    for (target, read) in TARGETS {
        replay(target, read, 20_000);
    }
}
