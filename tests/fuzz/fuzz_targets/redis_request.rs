//! Any bytes as redis requests: each step uses up bytes or ends, nothing claims more than was sent, no panic.
#![no_main]

use decnet_decoy::redis::request::{Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for strict in [true, false] {
        let mut rest = input;
        while let Parsed::Request(words, used) = parse(rest, strict) {
            assert!(used > 0 && used <= rest.len());
            assert!(words.iter().map(Vec::len).sum::<usize>() <= used);
            rest = &rest[used..];
        }
    }
});
