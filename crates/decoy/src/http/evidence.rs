//! What is reported of a request: one line with everything that was sent, before the answer goes out.
//!
//! Header order, case and repetitions are kept (a JSON list of pairs). Nothing is judged here.

use serde_json::{Value, json};

use super::{creds::Captured, head::Head};
use crate::connection::Connection;

/// Bytes of a body that the line carries; the whole goes to the artifact folder.
const BODY_SHOWN: usize = 512;

/// What is known of a request when it is reported.
pub struct Seen<'a> {
    /// What could be read of the head.
    pub head: Option<&'a Head>,
    /// Decoded path.
    pub path: Option<&'a str>,
    /// Query as sent.
    pub query: Option<&'a str>,
    /// Kept bytes of the body.
    pub body: &'a [u8],
    /// Bytes of the body that came.
    pub total: u64,
    /// The credential in it.
    pub captured: Option<&'a Captured>,
    /// What a sign-in led to.
    pub outcome: Option<&'static str>,
}

/// Reports a request and its answer's status; `raw` is the input when it was no request.
pub async fn report(conn: &Connection, seen: &Seen<'_>, status: u16, raw: Option<&[u8]>) {
    let mut report = conn.report("request").field("remote_addr", conn.src_ip()).field("status", status);
    if let Some(head) = seen.head {
        let target = String::from_utf8_lossy(&head.target);
        let (raw_path, raw_query) =
            target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
        let headers: Vec<Value> =
            head.headers.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect();
        report = report
            .field("method", &head.method)
            .field("path", seen.path.unwrap_or(raw_path))
            .opt("query", seen.query.or(raw_query))
            .field("version", &head.version_text)
            .opt("host", head.text("host"))
            .opt("user_agent", head.text("user-agent"))
            .json("headers", &headers);
        if seen.path.is_some_and(|path| path != raw_path) {
            report = report.field("raw_target", &target);
        }
    }
    if let Some(raw) = raw {
        report = report.bytes("raw", shown(raw)).field("raw_size", raw.len());
    }
    if !seen.body.is_empty() {
        report = report.bytes("body", shown(seen.body)).field("body_size", seen.total);
        if seen.body.len() > BODY_SHOWN
            && let Some(stored) = conn.store("http-body", seen.body).await
        {
            report = report
                .field("body_stored_as", stored.stored_as)
                .field("body_sha256", stored.sha256)
                .field("body_truncated", seen.total > stored.size);
        }
    }
    if let Some(captured) = seen.captured {
        report = report
            .field("auth_method", captured.method)
            .opt("outcome", seen.outcome)
            .secret(captured.secret.clone());
        for (name, value) in &captured.extra {
            report = report.field(name, value);
        }
    }
    conn.emit(report).await;
}

fn shown(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len().min(BODY_SHOWN)).unwrap_or_default()
}
