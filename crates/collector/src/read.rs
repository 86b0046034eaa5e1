//! From a raw line to what the database keeps of it: who caused it, what it says, which secret is in it.
//!
//! Total over any bytes: whatever is no record is kept as evidence with its error. Nothing a line says can make it
//! speak for another decky than the one whose output it came from.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use decnet_bus::payload::IngestLine;
use decnet_core::traffic::SourcePorts;
use decnet_db::{NewCredential, NewLog, Origin, RawLine, RejectedLine, SessionFacts};
use decnet_logline::{CapturedSecret, EventClass, Record, attacker_ip, captured_secret, class_of, scan};
use serde_json::{Map, Value};

use crate::own::OwnTraffic;

/// Fields that carry the secret itself; they live in the credential's own columns.
const SECRET_FIELDS: [&str; 4] = ["secret_printable", "secret_b64", "secret_kind", "outcome"];

/// What a line turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record.
    Log(Box<NewLog>),
    /// Not a record: evidence with its error.
    Rejected(RejectedLine),
    /// Nothing: the end that was put behind a line which its decoy could not finish.
    Empty,
}

/// Reads lines of one fleet.
#[derive(Debug)]
pub struct Reader {
    own: OwnTraffic,
}

impl Reader {
    /// A reader that knows the fleet's own traffic by these source ports.
    pub fn new(ports: SourcePorts) -> Self {
        Self { own: OwnTraffic::new(ports) }
    }

    /// Reads one line that arrived at `received_at`.
    pub fn read(&self, line: &IngestLine, received_at: DateTime<Utc>) -> Line {
        if line.line.iter().all(u8::is_ascii_whitespace) {
            return Line::Empty;
        }
        match scan(&line.line) {
            Ok(record) => Line::Log(Box::new(self.log(line, record))),
            Err(error) => Line::Rejected(RejectedLine {
                host_uuid: line.host.to_string(),
                source: line.source.clone(),
                seq: line.seq,
                decky: line.decky.to_string(),
                raw: raw(&line.line),
                error: error.reason.to_owned(),
                offset: u64::try_from(error.offset).unwrap_or(u64::MAX),
                received_at,
            }),
        }
    }

    fn log(&self, line: &IngestLine, record: Record) -> NewLog {
        let ip = attacker_ip(&record);
        let forged = record.hostname != line.decky.as_str();
        let origin = self.origin(&record, ip);
        let fields = record.fields.to_json();
        NewLog {
            host_uuid: line.host.to_string(),
            source: line.source.clone(),
            seq: line.seq,
            timestamp: record.timestamp,
            // The output that the line came from says whose it is; what the line says is kept in `raw_line`.
            decky: line.decky.to_string(),
            attacker_ip: ip,
            src_port: number(&record, "src_port"),
            conn_id: record.fields.get("conn_id").map(str::to_owned),
            origin,
            forged,
            raw_line: String::from_utf8_lossy(&line.line).into_owned(),
            trace_id: None,
            span_id: None,
            interaction: class_of(&record.msgid) == EventClass::Interaction,
            credential: captured_secret(&record).map(|secret| credential(secret, &fields)),
            command: command(&record),
            session: (origin == Origin::Attacker).then(|| session(&record)),
            fields,
            msg: record.msg,
            service: record.app_name,
            event_type: record.msgid,
        }
    }

    /// Ours by its keyed source port, the decoy's own if it names no peer, else an intruder's.
    fn origin(&self, record: &Record, ip: Option<IpAddr>) -> Origin {
        let Some(ip) = ip else { return Origin::System };
        let to = record.fields.get("dst_ip").and_then(|ip| ip.parse().ok());
        match (number(record, "src_port"), to, number(record, "dst_port")) {
            (Some(port), Some(to), Some(to_port))
                if self.own.is_ours((ip, port), (to, to_port), record.timestamp) =>
            {
                Origin::Life
            }
            _ => Origin::Attacker,
        }
    }
}

fn number(record: &Record, name: &str) -> Option<u16> {
    record.fields.get(name)?.parse().ok()
}

fn raw(line: &[u8]) -> RawLine {
    match std::str::from_utf8(line) {
        Ok(text) if !text.contains('\0') => RawLine::Text(text.to_owned()),
        _ => RawLine::Base64(STANDARD.encode(line)),
    }
}

fn credential(secret: CapturedSecret, fields: &Map<String, Value>) -> NewCredential {
    let others = fields.iter().filter(|(name, _)| !SECRET_FIELDS.contains(&name.as_str()));
    NewCredential {
        principal: secret.principal,
        secret_kind: secret.kind,
        secret_sha256: secret.sha256,
        secret_len: u64::try_from(secret.len).unwrap_or(u64::MAX),
        secret_b64: Some(secret.b64),
        secret_printable: secret.printable,
        outcome: secret.outcome,
        fields: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

/// The command line that an intruder typed. `exec` is left out: its text follows as a `command` of its own.
fn command(record: &Record) -> Option<String> {
    if record.msgid != "command" {
        return None;
    }
    let text = |name| record.fields.get(name).filter(|v| !v.is_empty());
    match (text("command").or_else(|| text("cmd"))?, text("args")) {
        (command, None) => Some(command.to_owned()),
        (command, Some(args)) => Some(format!("{command} {}", arguments(args))),
    }
}

/// Arguments are logged as a JSON list; they read better as words.
fn arguments(text: &str) -> String {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words.join(" "),
        Err(_) => text.to_owned(),
    }
}

fn session(record: &Record) -> SessionFacts {
    let kind = record.msgid.as_str();
    let auth_attempt = matches!(kind, "auth_attempt" | "auth" | "bind" | "auth_response");
    let outcome = record.fields.get("outcome");
    SessionFacts {
        auth_attempt,
        authenticated: auth_attempt && matches!(outcome, Some("success" | "accepted")),
        ended: kind == "disconnect",
        client: ["client_banner", "user_agent", "client_version"]
            .iter()
            .find_map(|name| record.fields.get(name))
            .filter(|v| !v.is_empty())
            .map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use decnet_core::FleetSecret;
    use decnet_logline::{Event, Secret};
    use proptest::prelude::*;

    use super::*;

    fn ports() -> SourcePorts {
        SourcePorts::of_fleet(&FleetSecret::from_number(1).seed())
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }

    fn ingest(line: impl Into<Bytes>) -> IngestLine {
        IngestLine {
            host: "local".parse().unwrap(),
            decky: "web-01".parse().unwrap(),
            source: "out".to_owned(),
            seq: 7,
            line: line.into(),
        }
    }

    fn log(event: Event, decky: &str) -> NewLog {
        let line = event.into_record(at(), decky).encode();
        match Reader::new(ports()).read(&ingest(line), at()) {
            Line::Log(log) => *log,
            other => panic!("{other:?}"),
        }
    }

    fn from(ip: &str, port: u16) -> Event {
        Event::new("ssh", "auth_attempt")
            .field("src_ip", ip)
            .field("src_port", port)
            .field("dst_ip", "127.77.0.2")
            .field("dst_port", 22)
            .field("conn_id", "c-1")
    }

    #[test]
    fn a_password_becomes_a_credential_of_the_decky_it_was_tried_on() {
        let secret = Secret::plaintext("root", "toor]\n");
        let log = log(from("203.0.113.9", 40000).secret(&secret).field("outcome", "failure"), "web-01");
        assert_eq!((log.origin, log.forged, log.service.as_str()), (Origin::Attacker, false, "ssh"));
        let credential = log.credential.unwrap();
        assert_eq!(credential.principal.as_deref(), Some("root"));
        assert_eq!(credential.outcome.as_deref(), Some("failure"));
        assert_eq!(credential.secret_len, 6);
        assert!(credential.fields.keys().all(|k| !k.starts_with("secret")));
        assert!(log.session.unwrap().auth_attempt);
    }

    #[test]
    fn our_own_traffic_is_life_and_an_intruder_on_a_decky_is_not() {
        let (a, b) = ("127.77.0.1".parse().unwrap(), "127.77.0.2".parse().unwrap());
        let keyed = ports().candidates(a, b, 22, at());
        let ours = log(from("127.77.0.1", keyed[0]), "web-01");
        assert_eq!((ours.origin, ours.session), (Origin::Life, None));
        let other = (32_768..40_000).find(|p| !ports().is_ours((a, *p), (b, 22), at())).unwrap();
        assert_eq!(log(from("127.77.0.1", other), "web-01").origin, Origin::Attacker);
        assert_eq!(log(Event::new("ssh", "startup"), "web-01").origin, Origin::System);
    }

    #[test]
    fn a_line_cannot_speak_for_another_decky() {
        let log = log(from("203.0.113.9", 40000), "db-09");
        assert_eq!((log.decky.as_str(), log.forged), ("web-01", true));
    }

    #[test]
    fn commands_read_as_they_were_typed() {
        let redis = from("203.0.113.9", 1).field("x", 1);
        let redis = Event::new("redis", "command").with_fields(redis.fields().clone());
        let redis = redis.field("cmd", "CONFIG").json("args", &["SET", "dir", "/root/.ssh"]);
        assert_eq!(log(redis, "web-01").command.as_deref(), Some("CONFIG SET dir /root/.ssh"));
        let shell = Event::new("ssh", "command").field("src_ip", "203.0.113.9").field("command", "uname -a");
        let shell = log(shell, "web-01");
        assert_eq!((shell.command.as_deref(), shell.interaction), (Some("uname -a"), true));
    }

    #[test]
    fn an_unfinished_line_and_its_mended_end() {
        let reader = Reader::new(ports());
        assert_eq!(reader.read(&ingest(""), at()), Line::Empty);
        let Line::Rejected(line) = reader.read(&ingest("<134>1 2026-"), at()) else { panic!() };
        assert_eq!((line.seq, line.raw), (7, RawLine::Text("<134>1 2026-".to_owned())));
        let Line::Rejected(line) = reader.read(&ingest(&b"\xff\x00"[..]), at()) else { panic!() };
        assert_eq!(line.raw, RawLine::Base64("/wA=".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_kept(line in prop::collection::vec(any::<u8>(), 0..300)) {
            match Reader::new(ports()).read(&ingest(line.clone()), at()) {
                Line::Empty => prop_assert!(line.iter().all(u8::is_ascii_whitespace)),
                Line::Rejected(rejected) => match rejected.raw {
                    RawLine::Text(text) => prop_assert_eq!(text.into_bytes(), line),
                    RawLine::Base64(text) => prop_assert_eq!(STANDARD.decode(text).unwrap(), line),
                },
                Line::Log(log) => prop_assert_eq!(log.raw_line.into_bytes(), line),
            }
        }
    }
}
