//! A record that can be read is written as one line that reads the same.
#![no_main]

use decnet_logline::scan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Ok(record) = scan(line) {
        let again = record.encode();
        assert!(!again.contains(['\n', '\r', '\0']));
        assert_eq!(scan(again.as_bytes()).expect("our own line").fields, record.fields);
    }
});
