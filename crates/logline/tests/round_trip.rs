//! Acceptance property A12: whatever an intruder puts into a field, one line comes out and reads back equal.

use chrono::DateTime;
use decnet_logline::{Event, clean, scan};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_values_make_one_line_that_reads_back(
        values in prop::collection::vec((any::<String>(), any::<String>()), 0..12),
        service in any::<String>(), kind in any::<String>(), decky in any::<String>(),
        msg in any::<String>(), secs in 0i64..4_000_000_000, micros in 0u32..1_000_000,
    ) {
        let mut event = Event::new(&service, &kind).msg(msg);
        for (name, value) in &values {
            event = event.field(name, value);
        }
        let record = event.into_record(DateTime::from_timestamp(secs, micros * 1000).unwrap(), &decky);
        let line = record.encode();
        prop_assert!(!line.contains(['\n', '\r', '\0']));
        prop_assert_eq!(scan(line.as_bytes()).unwrap(), record.clone());
        for ((_, value), (_, read)) in values.iter().zip(record.fields.iter()) {
            prop_assert_eq!(clean(value), read);
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error_inside_the_line(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = scan(&bytes) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    /// The same, near the grammar, where a scanner goes wrong.
    #[test]
    fn any_mutation_of_a_line_is_a_record_or_an_error(at in 0usize..140, byte in any::<u8>(), cut in 0usize..140) {
        let mut line = br#"<134>1 2026-03-23T09:14:07.482913+00:00 web-01 http - request [relay@55555 src_ip="203.0.113.9" b="a\"b\\c\]d"] m"#.to_vec();
        if let Some(b) = line.get_mut(at) { *b = byte; }
        line.truncate(cut.max(1));
        if let Ok(record) = scan(&line) {
            prop_assert_eq!(scan(record.encode().as_bytes()).unwrap().fields, record.fields);
        }
    }
}

#[test]
fn a_body_that_holds_a_whole_record_stays_one_value() {
    let forged =
        "x\"]\n<134>1 2026-03-23T09:14:07Z other ssh - auth_attempt [relay@55555 src_ip=\"198.51.100.1\"]";
    let line = Event::new("http", "request")
        .field("src_ip", "203.0.113.9")
        .field("body", forged)
        .into_record(DateTime::UNIX_EPOCH, "web-01")
        .encode();
    assert_eq!(line.lines().count(), 1);
    let record = scan(line.as_bytes()).unwrap();
    assert_eq!((record.hostname.as_str(), record.fields.get("src_ip")), ("web-01", Some("203.0.113.9")));
    assert_eq!(record.fields.get("body").unwrap(), clean(forged));
}
