//! Any bytes as a raw line: exactly one outcome, nothing lost, no panic.
#![no_main]

use decnet_bus::payload::IngestLine;
use decnet_collector::read::{Line, Reader};
use decnet_core::{FleetSecret, traffic::SourcePorts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let reader = Reader::new(SourcePorts::of_fleet(&FleetSecret::from_number(1).seed()));
    let ingest = IngestLine {
        host: "local".parse().expect("host"),
        decky: "web-01".parse().expect("decky"),
        source: "fuzz".to_owned(),
        seq: 0,
        line: line.to_vec().into(),
    };
    match reader.read(&ingest, chrono::DateTime::UNIX_EPOCH) {
        Line::Log(log) => assert_eq!(log.raw_line.as_bytes(), line),
        Line::Rejected(rejected) => assert!(usize::try_from(rejected.offset).expect("offset") <= line.len()),
        Line::Empty => assert!(line.iter().all(u8::is_ascii_whitespace)),
    }
});
