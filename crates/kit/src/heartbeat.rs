//! The worker's beat: at once, every 30 seconds, and again when the broker comes (back), so that the panel is not left waiting.
//!
//! A beat is best effort: nothing here can fail or hold up the worker. Status of a worker is judged by the API.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use decnet_bus::{Topic, epoch_seconds, payload::Heartbeat};
use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{ctx::Ctx, signs};

/// What a worker adds to its beat.
pub type Extra = Box<dyn Fn() -> anyhow::Result<Map<String, Value>> + Send + Sync>;

/// The worker's own part of the beat.
#[derive(Default)]
pub(crate) struct ExtraSlot(Mutex<Option<Extra>>);

impl ExtraSlot {
    pub(crate) fn set(&self, extra: Extra) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(extra);
    }

    fn call(&self) -> Map<String, Value> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(extra) = slot.as_ref() else { return Map::new() };
        // A callback that panics must not take the beat with it either.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(extra)) {
            Ok(Ok(map)) => map,
            Ok(Err(error)) => {
                tracing::debug!(error = format!("{error:#}"), "the worker's part of the heartbeat failed");
                Map::new()
            }
            Err(_) => {
                tracing::debug!("the worker's part of the heartbeat panicked");
                Map::new()
            }
        }
    }
}

/// The beat of this moment.
pub(crate) fn beat(ctx: &Ctx, started: Instant) -> Heartbeat {
    let mut extra = ctx.extra().call();
    // The spec's own names are not the worker's to redefine.
    extra.retain(|key, _| {
        ![
            "worker",
            "ts",
            "version",
            "pid",
            "uptime_s",
            "rss_bytes",
            "queue_depth",
            "last_progress_ts",
            "errors_5m",
        ]
        .contains(&key.as_str())
    });
    Heartbeat {
        worker: ctx.worker().to_string(),
        ts: epoch_seconds(ctx.clock().now()),
        version: Some(ctx.version().to_owned()),
        pid: Some(std::process::id()),
        uptime_s: Some(started.elapsed().as_secs_f64()),
        rss_bytes: signs::resident_bytes(),
        queue_depth: ctx.progress_handle().depth(),
        last_progress_ts: ctx.progress_handle().last().map(epoch_seconds),
        errors_5m: Some(ctx.errors_5m()),
        extra,
    }
}

/// Beats until the task is dropped.
pub(crate) async fn run(ctx: Ctx, every: Duration, started: Instant) {
    let topic = Topic::SystemHealth { host: ctx.settings().host.clone(), worker: ctx.worker().token() };
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut link = signs::Link::new(ctx.bus());
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = link.came_up() => timer.reset(),
        }
        ctx.bus().publish(&topic, &beat(&ctx, started)).await;
    }
}
