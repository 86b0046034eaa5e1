//! What happened to a decky's services, as a line beside the intruders' (spec 6.5) and as a message.
//!
//! Both go through the outbox: the line to the ingest path, whose collector stores it, and the message to the events.
//! The line's key is made of the operation, so that an operation that is repeated after a crash tells it once.

use decnet_bus::{
    Token, Topic,
    payload::{DeckyMutation, IngestLine},
};
use decnet_core::{DeckyId, DeckyName};
use decnet_db::NewOutbox;
use decnet_fleet::DeckyPlan;
use decnet_kit::Ctx;
use decnet_logline::{Record, Severity};

use super::Report;

/// APP-NAME of the line.
const APP: &str = "mutator";
/// MSGID of the line.
const MSG: &str = "decky_mutated";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lifecycle {
    decky: DeckyName,
    old: Vec<String>,
    new: Vec<String>,
    trigger: &'static str,
}

impl Lifecycle {
    /// A decky runs its plan now; `None` if it serves what it served before.
    pub(super) fn deployed(decky: &DeckyPlan, old: Option<&[String]>) -> Option<Self> {
        let new = decky.config.services.clone();
        let trigger = if old.is_some() { "operator" } else { "creation" };
        let old = old.unwrap_or_default().to_vec();
        (old != new).then(|| Self { decky: decky.name().clone(), old, new, trigger })
    }

    /// A decky is gone.
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as `deployed`")]
    pub(super) fn retired(decky: &DeckyName, old: Option<&Vec<String>>) -> Option<Self> {
        let old = old.cloned().unwrap_or_default();
        Some(Self { decky: decky.clone(), old, new: Vec::new(), trigger: "retirement" })
    }

    /// The rows that tell it.
    pub(super) fn events(&self, ctx: &Ctx, report: &Report) -> anyhow::Result<Vec<NewOutbox>> {
        let host = ctx.settings().host.clone();
        let id = DeckyId::new(host.clone(), self.decky.clone());
        let actor = &report.requested_by;
        let topic = Topic::DeckyMutation { host: host.clone(), decky: Token::from(&id) };
        let payload = DeckyMutation {
            decky: self.decky.to_string(),
            old_services: self.old.clone(),
            new_services: self.new.clone(),
            trigger: self.trigger.to_owned(),
            actor: Some(actor.clone()),
        };
        let message = ctx.event(&topic, &payload)?;

        let mut record = Record::new(ctx.now(), self.decky.as_str(), APP, MSG);
        record.severity = Severity::Notice;
        for (name, value) in [
            ("decky", self.decky.as_str()),
            ("old_services", &self.old.join(",")),
            ("new_services", &self.new.join(",")),
            ("trigger", self.trigger),
            ("actor", actor),
        ] {
            record.fields.push(name, value);
        }
        let line = IngestLine {
            host,
            decky: self.decky.clone(),
            source: format!("lifecycle-{}-{}-{}", report.operation, self.trigger, self.decky),
            seq: 0,
            line: record.encode().into(),
        };
        let topic = line.topic();
        let line = NewOutbox {
            id: ctx.next_id(),
            producer: ctx.worker().to_string(),
            subject: topic.subject(),
            topic: topic.label(),
            msg_id: line.message_id(),
            headers: Vec::new(),
            body: String::from_utf8(line.to_body()?.to_vec())?,
        };
        Ok(vec![message, line])
    }
}
