//! Orders to the worker over the bus: `stop`, answered before it is obeyed.
//!
//! Unknown actions and malformed bodies are ignored, as the protocol says; `start` is systemd's business, since a stopped worker hears nothing.

use decnet_bus::{Request, Topic, TopicFilter, payload::Control};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::ctx::Ctx;

/// The answer to an order that is obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReply {
    /// The order that was understood.
    pub action: String,
    /// The worker that obeys.
    pub worker: String,
    /// Its process, so that the asker can see it go.
    pub pid: u32,
}

/// Listens until the task is dropped.
pub(crate) async fn run(ctx: Ctx) {
    let topic = Topic::SystemControl { host: ctx.settings().host.clone(), worker: ctx.worker().token() };
    let mut orders = ctx.bus().serve(&TopicFilter::exact(&topic)).await;
    while let Some(order) = orders.next().await {
        obey(&ctx, order).await;
    }
}

async fn obey(ctx: &Ctx, order: Request) {
    let control = match order.read::<Control>() {
        Ok(control) => control,
        Err(error) => {
            tracing::debug!(error, "ignored a malformed order");
            return;
        }
    };
    if control.action != "stop" {
        tracing::debug!(action = control.action, "ignored an unknown order");
        return;
    }
    tracing::info!(requested_by = control.requested_by, "stop was ordered over the bus");
    let (action, worker) = (control.action, ctx.worker().to_string());
    order.respond(Ok(ControlReply { action, worker, pid: std::process::id() })).await;
    ctx.stop();
}
