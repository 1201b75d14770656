#![no_main]

#[path = "../readers.rs"]
#[expect(dead_code, reason = "a target is one of the readers")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::numpy(bytes));
