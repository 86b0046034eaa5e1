//! When the worker counts as started, and the line that `systemctl status` shows of it.
//!
//! The policy: ready once the body has subscribed, the database is open and the broker has answered. A broker that does not
//! answer within its grace does not hold readiness back: the worker lives from the database, says so, and connects later.

use std::time::Duration;

use crate::{ctx::Ctx, signs::Link};

/// Tells the service manager, until the task is dropped.
pub(crate) async fn run(ctx: Ctx, grace: Duration) {
    ctx.0.subscribed.notified().await;
    if let Some(database) = &ctx.0.database
        && database.opened().await.is_none()
    {
        return;
    }
    let notifier = ctx.progress_handle().notifier();
    let mut link = Link::new(ctx.bus());
    if ctx.bus().is_enabled() && !link.is_up() {
        let _ = tokio::time::timeout(grace, link.came_up()).await;
    }
    let status = |link: &Link| match link.refusal() {
        _ if link.is_up() => "running".to_owned(),
        Some(reason) => format!("running without the broker, polling the database: {reason}"),
        None => "running without the broker, polling the database".to_owned(),
    };
    let tell = |link: &Link| {
        if link.is_up() || !ctx.bus().is_enabled() {
            tracing::info!("{}", status(link));
        } else {
            tracing::warn!("{}", status(link));
        }
    };
    notifier.ready(&status(&link));
    tell(&link);
    loop {
        link.changed().await;
        // A worker that leaves the bus has not lost it.
        if ctx.is_stopping() {
            return;
        }
        notifier.status(&status(&link));
        tell(&link);
    }
}
