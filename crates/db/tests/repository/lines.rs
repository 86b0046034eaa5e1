//! Lines as the collector would hand them over.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::IdSource;
use decnet_db::{
    IngestBatch, IngestFacts, NewCredential, NewLog, NewOutbox, Origin, RawLine, RejectedLine, SessionFacts,
};
use serde_json::{Map, Value};

/// A time to count from.
pub(crate) fn start() -> DateTime<Utc> {
    "2026-01-05T10:00:00.000001Z".parse().unwrap()
}

/// Line `seq` of `source`: an ssh event of an intruder on web-01, one second after the line before.
pub(crate) fn line(source: &str, seq: u64, ip: &str) -> NewLog {
    let mut fields = Map::new();
    fields.insert("src_ip".into(), Value::String(ip.into()));
    fields.insert("n".into(), Value::String(seq.to_string()));
    NewLog {
        host_uuid: "local".into(),
        source: source.into(),
        seq,
        timestamp: start() + TimeDelta::seconds(i64::try_from(seq).unwrap()),
        decky: "web-01".into(),
        service: "ssh".into(),
        event_type: "connect".into(),
        attacker_ip: Some(ip.parse::<IpAddr>().unwrap()),
        src_port: Some(40_001),
        conn_id: None,
        origin: Origin::Attacker,
        forged: false,
        raw_line: format!("<134>1 - web-01 ssh - connect [relay@55555 src_ip=\"{ip}\" n=\"{seq}\"]"),
        fields,
        msg: None,
        trace_id: None,
        span_id: None,
        interaction: false,
        credential: None,
        command: None,
        session: None,
    }
}

/// The same, with a password tried.
pub(crate) fn login(
    source: &str,
    seq: u64,
    ip: &str,
    conn: &str,
    user: Option<&str>,
    secret: &str,
) -> NewLog {
    NewLog {
        event_type: "auth".into(),
        conn_id: Some(conn.into()),
        credential: Some(NewCredential {
            principal: user.map(str::to_owned),
            secret_kind: "plaintext".into(),
            secret_sha256: format!("{secret:0>64}"),
            secret_len: secret.len() as u64,
            secret_b64: Some("eA==".into()),
            secret_printable: Some(secret.into()),
            outcome: Some("rejected".into()),
            fields: Map::new(),
        }),
        session: Some(SessionFacts { auth_attempt: true, ..SessionFacts::default() }),
        ..line(source, seq, ip)
    }
}

/// The same, with a command typed.
pub(crate) fn command(source: &str, seq: u64, ip: &str, conn: &str, command: &str) -> NewLog {
    NewLog {
        event_type: "command".into(),
        conn_id: Some(conn.into()),
        interaction: true,
        command: Some(command.into()),
        session: Some(SessionFacts::default()),
        ..line(source, seq, ip)
    }
}

/// The same, at the end of the connection.
pub(crate) fn goodbye(source: &str, seq: u64, ip: &str, conn: &str) -> NewLog {
    NewLog {
        event_type: "disconnect".into(),
        conn_id: Some(conn.into()),
        session: Some(SessionFacts { ended: true, ..SessionFacts::default() }),
        ..line(source, seq, ip)
    }
}

/// A line that nobody could read.
pub(crate) fn unreadable(source: &str, seq: u64) -> RejectedLine {
    RejectedLine {
        host_uuid: "local".into(),
        source: source.into(),
        seq,
        decky: "web-01".into(),
        raw: RawLine::Base64("/wD+".into()),
        error: "no priority".into(),
        offset: 0,
        received_at: start(),
    }
}

pub(crate) fn batch(logs: Vec<NewLog>) -> IngestBatch {
    IngestBatch { logs, rejected: Vec::new() }
}

/// One event for each fact, as the collector would write them.
pub(crate) fn events(facts: &IngestFacts) -> Vec<NewOutbox> {
    let topics = std::iter::repeat_n("attacker.observed", facts.new_attackers.len())
        .chain(std::iter::repeat_n("attacker.session.started", facts.sessions_started.len()))
        .chain(std::iter::repeat_n("attacker.session.ended", facts.sessions_ended.len()))
        .chain(std::iter::repeat_n("credential.captured", facts.credentials.len()));
    topics.map(|topic| event("collector", topic)).collect()
}

pub(crate) fn event(producer: &str, topic: &str) -> NewOutbox {
    let id = decnet_core::SystemIds.next_id();
    NewOutbox {
        id,
        producer: producer.into(),
        subject: format!("decnet.{topic}"),
        topic: topic.into(),
        msg_id: id.to_string(),
        headers: vec![("Decnet-Worker".into(), producer.into())],
        body: "{}".into(),
    }
}
