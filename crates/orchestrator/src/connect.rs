//! A connection from one decky to another, by the agent and from a keyed source port; whether the greeting is the protocol's.

use anyhow::Result;
use decnet_bus::RequestError;
use decnet_db::Db;
use serde_json::json;

use crate::{desk::Desk, world::Site};

/// Longest greeting in a row.
const BANNER: usize = 128;
/// Longest reason of a failure.
const REASON: usize = 256;

/// Connects and writes down what came of it. False: the pair is left alone at the moment, and nothing was done.
pub(crate) async fn connect(
    desk: &Desk,
    db: &Db,
    (from, to): (&Site, &Site),
    protocol: &str,
    port: u16,
) -> Result<bool> {
    let now = desk.ctx.now();
    let Some(ip) = to.ip else { return Ok(false) };
    if !desk.reach.may(&from.id, &to.id, port, now) {
        return Ok(false);
    }
    let reply = desk.agent.probe(from, ip, port, protocol).await;
    let success = reply.as_ref().is_ok_and(|reply| fits(protocol, reply.banner.as_deref()));
    let details = match &reply {
        Ok(reply) => json!({
            "port": port,
            "dst_ip": ip,
            "src_port": reply.src_port,
            "banner": reply.banner.as_deref().map(|text| text.chars().take(BANNER).collect::<String>()),
        }),
        Err(error) => json!({
            "port": port,
            "dst_ip": ip,
            "error": error.to_string().chars().take(REASON).collect::<String>(),
        }),
    };
    // That no agent answers says nothing about the pair.
    if matches!(reply, Ok(_) | Err(RequestError::Remote(_))) {
        desk.reach.note(&from.id, &to.id, port, success, now);
    }
    let action = format!("connect:{port}");
    let (_, event, row) =
        desk.row(to, "traffic", protocol, &action, Some(&from.id), success, details, desk.now())?;
    db.life().apply(&[row], &[event]).await?;
    desk.ctx.outbox().nudge();
    Ok(true)
}

/// Whether the other side greets as this protocol does; one that says nothing by itself has only to be there.
fn fits(protocol: &str, banner: Option<&str>) -> bool {
    let starts: &[&str] = match protocol {
        "ssh" => &["SSH-"],
        "http" => &["HTTP/"],
        "smtp" | "ftp" => &["220"],
        "imap" => &["* OK", "* PREAUTH"],
        "pop3" => &["+OK"],
        "redis" => &["+PONG", "-NOAUTH", "-ERR", "-DENIED", "$"],
        _ => return true,
    };
    banner.is_some_and(|banner| starts.iter().any(|start| banner.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_protocols_own_greeting_counts() {
        assert!(fits("ssh", Some("SSH-2.0-OpenSSH_9.2")));
        assert!(!fits("ssh", Some("HTTP/1.1 400 Bad Request")));
        assert!(!fits("ssh", None));
        assert!(fits("imap", Some("* OK IMAP4rev1")) && fits("http", Some("HTTP/1.1 200 OK")));
        assert!(fits("mysql", None));
    }
}
