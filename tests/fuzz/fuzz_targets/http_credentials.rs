//! Any bytes where credentials may be: headers, bodies, queries. What is captured was sent, no panic.
#![no_main]

use decnet_decoy::http::creds::{of_authorization, of_body, of_query};
use libfuzzer_sys::fuzz_target;

const TYPES: [Option<&str>; 4] = [
    None,
    Some("application/x-www-form-urlencoded"),
    Some("application/json"),
    Some("multipart/form-data; boundary=x"),
];

fuzz_target!(|input: &[u8]| {
    let _ = of_authorization(input);
    for kind in TYPES {
        let _ = of_body(kind, input);
    }
    let _ = of_query(&String::from_utf8_lossy(input));
});
