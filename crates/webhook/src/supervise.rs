//! Which subscriptions there are: read at every notice of a change and every minute. New ones get a task, changed ones are
//! told (what is on its way is finished under the old settings), removed ones end and lose their consumer.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use decnet_bus::{Durable, TopicFilter, TopicKind};
use decnet_db::{SealKey, Webhook};
use decnet_kit::{Ctx, Nudge};
use decnet_outbound::Trust;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    Pace,
    deliver::{Order, Task},
    health::Health,
    job::{Job, Surroundings},
    trial,
};

/// How often subscriptions are read where nobody says that they changed.
const RELOAD: Duration = Duration::from_mins(1);

/// A subscription's task.
struct Running {
    revision: u64,
    orders: watch::Sender<Order>,
    _end: DropGuard,
}

/// The worker's life.
pub async fn run(ctx: Ctx, pace: Pace) -> Result<()> {
    let key = SealKey::load_or_create(&ctx.settings().webhook_key_file)?;
    let trust = Trust::system()?;
    let around = Arc::new(Surroundings { ctx: ctx.clone(), key, trust, pace });
    let trials = ctx.bus().serve(&trial::filter(&ctx)).await;
    ctx.spawn("trials", trial::answer(trials, Arc::clone(&around)));
    let changes = TopicFilter::kind(TopicKind::NoticeWebhookChanged);
    let mut wakeups = ctx.wakeups(pace.of(RELOAD)).on(ctx.bus(), &changes).await;
    let nudge = wakeups.nudge();
    let mut running = HashMap::new();
    while wakeups.next().await.is_some() {
        if let Err(error) = pass(&around, &nudge, &mut running).await {
            // What is known goes on being served.
            tracing::warn!(error = format!("{error:#}"), "subscriptions cannot be read; trying again");
        }
        ctx.progress();
    }
    Ok(())
}

async fn pass(around: &Arc<Surroundings>, nudge: &Nudge, running: &mut HashMap<Uuid, Running>) -> Result<()> {
    let ctx = &around.ctx;
    let webhooks = ctx.db().await?.webhooks().list().await.context("reading the subscriptions")?;
    ctx.progress_handle().queue_depth(webhooks.iter().map(|webhook| webhook.health.waiting).sum());
    let known: HashSet<Uuid> = webhooks.iter().map(|webhook| webhook.uuid).collect();
    running.retain(|uuid, _| known.contains(uuid));
    for webhook in webhooks {
        match running.get_mut(&webhook.uuid) {
            Some(task) if task.revision == webhook.revision => {
                task.orders.send_modify(|order| order.pass = order.pass.wrapping_add(1));
            }
            found => serve(around, nudge, webhook, found.is_some(), running).await,
        }
    }
    forget_strangers(ctx, &known).await;
    Ok(())
}

/// Starts the task of a subscription, or tells it of its new settings.
async fn serve(
    around: &Arc<Surroundings>,
    nudge: &Nudge,
    webhook: Webhook,
    is_running: bool,
    running: &mut HashMap<Uuid, Running>,
) {
    let (ctx, uuid, revision) = (&around.ctx, webhook.uuid, webhook.revision);
    let mut health = Health::of(&webhook);
    let job = match Job::prepare(webhook, around) {
        Ok(job) => job,
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(webhook = %uuid, error, "this subscription cannot be served");
            health.unfit(ctx, &error);
            health.note(ctx, true).await;
            running.remove(&uuid);
            return;
        }
    };
    if is_running && let Some(task) = running.get_mut(&uuid) {
        task.revision = revision;
        task.orders.send_modify(|order| {
            order.job = job;
            order.pass = order.pass.wrapping_add(1);
        });
        return;
    }
    let (orders, receiver) = watch::channel(Order { job, pass: 0 });
    let end: CancellationToken = ctx.stop_token().child_token();
    let task = Task::new(Arc::clone(around), receiver, nudge.clone(), end.clone());
    ctx.spawn("subscription", task.run());
    running.insert(uuid, Running { revision, orders, _end: end.drop_guard() });
}

/// Removes consumers whose subscription is gone; without a broker they wait for the next pass.
async fn forget_strangers(ctx: &Ctx, known: &HashSet<Uuid>) {
    let kept: HashSet<String> = known.iter().map(|uuid| Durable::webhook_name(*uuid)).collect();
    let names = match ctx.bus().siem_names().await {
        Ok(names) => names,
        Err(error) => {
            tracing::debug!(%error, "consumers of removed subscriptions stay for now");
            return;
        }
    };
    for name in names.iter().filter(|name| !kept.contains(*name)) {
        match ctx.bus().remove_siem(name).await {
            Ok(()) => tracing::info!(consumer = name, "the consumer of a removed subscription is gone"),
            Err(error) => {
                tracing::warn!(consumer = name, %error, "a consumer without a subscription stays for now");
            }
        }
    }
}
