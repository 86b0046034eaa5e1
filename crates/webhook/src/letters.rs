//! Dead letters that an operator wants sent again: the same bytes under the same event id, oldest first. One that the receiver
//! takes is forgotten; one that it refuses again stays; where it does not answer, the rest waits for the next pass.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    health::Health,
    job::{Job, Surroundings},
    post::{Tried, post},
};

/// Letters read at once.
const CHUNK: u64 = 20;

/// Sends what was asked for.
pub(crate) async fn send_again(
    job: &Job,
    around: &Surroundings,
    health: &mut Health,
    end: &CancellationToken,
) {
    if let Err(error) = try_to(job, around, health, end).await {
        tracing::warn!(webhook = %job.webhook.uuid, error = format!("{error:#}"), "dead letters are sent again later");
    }
}

async fn try_to(
    job: &Job,
    around: &Surroundings,
    health: &mut Health,
    end: &CancellationToken,
) -> anyhow::Result<()> {
    let (ctx, webhook) = (&around.ctx, job.webhook.uuid);
    loop {
        let db = ctx.db().await?;
        let letters = db.webhooks().requested_letters(webhook, CHUNK).await?;
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters {
            if end.is_cancelled() {
                return Ok(());
            }
            let body = Bytes::from(letter.body);
            match post(job, ctx, &letter.event_id, &letter.topic, body).await {
                Tried::Delivered { .. } => {
                    health.succeeded(ctx);
                    db.webhooks().purge_letters(webhook, Some(letter.uuid)).await?;
                }
                Tried::Refused { error, .. } => {
                    db.webhooks().refuse_letter(webhook, letter.uuid, &error).await?;
                }
                Tried::Later { error, .. } => {
                    health.failed(ctx, &error, false);
                    return Ok(());
                }
            }
        }
    }
}
