//! Trying a receiver: one post of `test.ping`, for the API and the operator's tool, which may not call out themselves. It
//! touches no counter and no consumer.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use decnet_alerts::{Dialect, Event, body};
use decnet_bus::{
    Request, Requests, Topic, TopicFilter,
    payload::{WebhookTestRequest, WebhookTested},
};
use decnet_kit::Ctx;
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    job::{Job, Surroundings},
    post::{Tried, post},
};

/// Trials at once; each is bounded by the client.
const AT_ONCE: usize = 4;
/// The topic of a trial.
const TOPIC: &str = "test.ping";

/// The question that is answered here.
pub(crate) fn filter(ctx: &Ctx) -> TopicFilter {
    TopicFilter::exact(&Topic::AskWebhookTest { host: ctx.settings().host.clone() })
}

/// Answers until the worker ends.
pub(crate) async fn answer(mut requests: Requests, around: Arc<Surroundings>) -> Result<()> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let request = tokio::select! {
            biased;
            () = around.ctx.stopping() => return Ok(()),
            request = requests.recv() => request,
        };
        let Some(request) = request else {
            // No bus: nobody can ask.
            around.ctx.stopping().await;
            return Ok(());
        };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let shared = Arc::clone(&around);
        around.ctx.spawn("trial", async move {
            let tried = one(&request, &shared).await.map_err(|error| format!("{error:#}"));
            request.respond(tried).await;
            drop(slot);
            Ok(())
        });
    }
}

async fn one(request: &Request, around: &Surroundings) -> Result<WebhookTested> {
    let question: WebhookTestRequest = request.read().map_err(anyhow::Error::msg)?;
    let uuid: Uuid = question.webhook.parse().context("the webhook's id is no UUID")?;
    let ctx = &around.ctx;
    let webhook = ctx.db().await?.webhooks().get(uuid).await?.context("no such webhook")?;
    let job = match Job::prepare(webhook, around) {
        Ok(job) => job,
        Err(error) => {
            return Ok(WebhookTested { error: Some(format!("{error:#}")), ..WebhookTested::default() });
        }
    };
    let id = ctx.next_id().simple().to_string();
    let payload = json!({ "message": "A test of this webhook; nothing has happened.", "webhook": job.webhook.settings.name });
    let event = Event { id: &id, topic: TOPIC, kind: "", at: ctx.now(), payload: &payload };
    let bytes = Bytes::from(body(Dialect::Native, &event));
    Ok(match post(&job, ctx, &id, TOPIC, bytes).await {
        Tried::Delivered { status } => {
            WebhookTested { delivered: true, status_code: Some(status), error: None }
        }
        Tried::Later { status, error, .. } => {
            WebhookTested { delivered: false, status_code: status, error: Some(error) }
        }
        Tried::Refused { status, error } => {
            WebhookTested { delivered: false, status_code: Some(status), error: Some(error) }
        }
    })
}
