//! Ordering something of the agent and watching it happen: the command goes to its durable queue, progress and
//! result come back as notices.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use decnet_bus::{
    Bus, Token, Topic, TopicFilter,
    payload::{OperationKind, OperationNotice, Payload},
};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

/// How long the tool waits for the next sign of life of an operation.
const SILENCE_BOUND: Duration = Duration::from_secs(90);

/// Sends `command` on `topic` and shows its progress until it is done; returns the agent's summary.
pub(crate) async fn order<P: Payload>(
    bus: &Bus,
    topic: &Topic,
    operation: Uuid,
    command: &P,
) -> Result<String> {
    let id = operation.to_string();
    let filter = TopicFilter::exact(&Topic::NoticeOperation { operation: Token::parse(&id)? });
    let mut notices = bus.subscribe(&filter).await;
    bus.publish_acked(topic, &id, &bus.envelope(topic, command)?)
        .await
        .context("the command could not be queued")?;
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    loop {
        let Ok(notice) = tokio::time::timeout(SILENCE_BOUND, notices.next()).await else {
            bail!(
                "the agent has said nothing for {} s; the command stays queued for an hour (operation {id}); is decnet-agent running?",
                SILENCE_BOUND.as_secs()
            );
        };
        let Some(notice) = notice else { bail!("the connection to the broker ended") };
        let Ok(notice) = serde_json::from_value::<OperationNotice>(notice.envelope.payload) else { continue };
        match notice.kind {
            OperationKind::Progress { done, total, decky, text } => {
                bar.set_length(u64::from(total));
                bar.set_position(u64::from(done));
                let decky = decky.map_or_else(String::new, |d| format!("{d}: "));
                bar.set_message(decnet_logline::clean(&format!("{decky}{text}")).into_owned());
            }
            OperationKind::Done { summary } => {
                bar.finish_and_clear();
                return Ok(summary);
            }
            OperationKind::Failed { reason } => {
                bar.finish_and_clear();
                bail!("{reason}");
            }
        }
    }
}
