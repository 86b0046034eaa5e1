//! Any bytes as a deployment INI: a fleet or errors with their lines, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let lines = text.split(|b| *b == b'\n').count();
    if let Err(errors) = decnet_fleet::ini::parse(text) {
        assert!(!errors.to_string().is_empty() && lines > 0);
    }
});
