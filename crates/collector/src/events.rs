//! The events that follow from a committed batch, as rows of the outbox. Never the secret itself.

use std::net::IpAddr;

use decnet_bus::{
    Topic,
    payload::{AttackerObserved, AttackerSession, CredentialCaptured, Payload},
};
use decnet_db::{IngestFacts, NewOutbox, Session};
use decnet_kit::Ctx;

/// One row for each thing that came to light, in the order of cause: who, what session, which secret, session's end.
pub fn rows(facts: &IngestFacts, ctx: &Ctx) -> Vec<NewOutbox> {
    let mut rows = Vec::new();
    let mut push = |row: Option<NewOutbox>| rows.extend(row);
    for attacker in &facts.new_attackers {
        let payload = AttackerObserved {
            attacker_ip: attacker.attacker_ip,
            decky: attacker.decky.clone(),
            service: attacker.service.clone(),
            event_type: attacker.event_type.clone(),
            first_seen: attacker.first_seen,
        };
        push(row(ctx, &Topic::AttackerObserved, &payload));
    }
    for session in &facts.sessions_started {
        push(row(ctx, &Topic::AttackerSessionStarted, &payload_of(session, false)));
    }
    for credential in &facts.credentials {
        let payload = CredentialCaptured {
            secret_sha256: credential.secret_sha256.clone(),
            secret_kind: credential.secret_kind.clone(),
            attacker_ip: credential.attacker_ip,
            decky: credential.decky.clone(),
            service: credential.service.clone(),
        };
        push(row(ctx, &Topic::CredentialCaptured, &payload));
    }
    rows.extend(ended(&facts.sessions_ended, ctx));
    rows
}

/// One row for each session that ended.
pub fn ended(sessions: &[Session], ctx: &Ctx) -> Vec<NewOutbox> {
    let row = |session| row(ctx, &Topic::AttackerSessionEnded, &payload_of(session, true));
    sessions.iter().filter_map(row).collect()
}

fn payload_of(session: &Session, ended: bool) -> AttackerSession {
    AttackerSession {
        session_id: session.id.to_string(),
        attacker_ip: session.attacker_ip.parse().unwrap_or(IpAddr::from([0, 0, 0, 0])),
        decky: session.decky.clone(),
        service: session.service.clone(),
        started_at: session.started_at,
        ended_at: session.ended_at.filter(|_| ended),
        command_count: session.command_count,
    }
}

fn row<P: Payload>(ctx: &Ctx, topic: &Topic, payload: &P) -> Option<NewOutbox> {
    // A payload of ours that cannot be written is a mistake of ours: said aloud, and never a reason to lose the batch.
    ctx.event(topic, payload).inspect_err(|error| tracing::error!(%error, "an event cannot be written")).ok()
}
