//! What is sent: an event as bytes. Exactly these bytes are signed.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// The shape of a body. Others (`ecs`, `cef`, `stix-sighting`) get their variant here and their arm in [`body`]; nothing
/// else knows what a body looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Our own JSON: `{id, payload, topic, ts, type, v}`.
    #[default]
    Native,
}

/// An event as subscriptions see it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// 32 hex digits; the same at every try.
    pub id: &'a str,
    /// Public topic.
    pub topic: &'a str,
    /// Tells apart variants that share a topic.
    pub kind: &'a str,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub payload: &'a Value,
}

/// The body of an event: one event has one body, however often and by whichever version it is rendered.
pub fn body(dialect: Dialect, event: &Event<'_>) -> Vec<u8> {
    match dialect {
        Dialect::Native => native(event),
    }
}

fn native(event: &Event<'_>) -> Vec<u8> {
    let value = json!({
        "id": event.id,
        "payload": sorted(event.payload),
        "topic": event.topic,
        "ts": event.at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "type": event.kind,
        "v": 1,
    });
    // The members above stand in alphabetical order, and the map keeps the order of insertion.
    value.to_string().into_bytes()
}

/// The same value with the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let members = members.into_iter().map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_all_the_way_down() {
        let payload = serde_json::from_str(r#"{"z":[{"b":1,"a":"é\n"}],"a":null}"#).unwrap();
        let event = Event {
            id: "0123456789abcdef0123456789abcdef",
            topic: "attacker.observed",
            kind: "",
            at: DateTime::from_timestamp_micros(1_767_225_600_250_000).unwrap(),
            payload: &payload,
        };
        let expected = concat!(
            r#"{"id":"0123456789abcdef0123456789abcdef","payload":{"a":null,"z":[{"a":"é\n","b":1}]},"#,
            r#""topic":"attacker.observed","ts":"2026-01-01T00:00:00.250000Z","type":"","v":1}"#
        );
        assert_eq!(String::from_utf8(body(Dialect::Native, &event)).unwrap(), expected);
    }
}
