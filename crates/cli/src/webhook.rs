//! `decnet webhook`: where events go. Straight to the database, as the listings do; the worker is told over the bus, and
//! looks by itself within a minute where there is none. A trial is the worker's: nothing else may call out.

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use decnet_alerts::{Draft, Fault, Target, check_secret};
use decnet_bus::{
    Topic,
    payload::{Empty, WebhookTestRequest, WebhookTested},
    public_topics,
};
use decnet_core::{IdSource, SystemIds};
use decnet_db::{Db, Edited, Paging, SealKey, Webhook, WebhookSettings};
use decnet_kit::{args::CommonArgs, settings::Loaded};
use serde_json::{Value, json};

use crate::{BadInput, attackers::open, block_on, bus, config, render};

/// How long the worker may take to try a receiver.
const TRIAL: Duration = Duration::from_secs(14);

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a subscription; prints its secret once
    Add(Add),
    /// All subscriptions
    List(render::Format),
    /// One subscription
    Show(Named),
    /// Post a test event, once
    Test(Named),
    /// Remove a subscription with its dead letters
    Remove(Named),
    /// Send events (again), and forget its failures
    Enable(Named),
    /// Let events wait
    Disable(Named),
    /// What the receiver refused for good
    DeadLetters(Letters),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// Where to post: https://…, or http://… within --allow
    url: String,
    /// A simple choice, such as `AttackerDetail` (repeat it for more)
    #[arg(long = "event", value_name = "CHOICE")]
    events: Vec<String>,
    /// A public topic with `*` and a last `>`, such as `canary.*.triggered` (repeat it for more)
    #[arg(long = "pattern", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// An address range that may be called although it is not public, such as 10.0.0.0/8 (repeat it for more)
    #[arg(long = "allow", value_name = "CIDR")]
    allow: Vec<String>,
    /// File that holds the secret (`-` for stdin); else one is made
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Up to eight events at once, in any order
    #[arg(long)]
    unordered: bool,
    /// Do not send anything yet
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    format: render::Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// Its name or id
    webhook: String,
    #[command(flatten)]
    format: render::Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Letters {
    /// Its name or id
    webhook: String,
    /// Send all of them again
    #[arg(long, conflicts_with = "purge")]
    redeliver: bool,
    /// Forget all of them
    #[arg(long)]
    purge: bool,
    /// How many to show at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    #[command(flatten)]
    format: render::Format,
}

pub(crate) fn run(common: &CommonArgs, verb: &Verb) -> Result<()> {
    let loaded = config::load(common)?;
    block_on(async {
        // A wrong argument is told of before anything is opened.
        if let Verb::Add(args) = verb {
            return add(&loaded, args).await;
        }
        let db = open(&loaded.settings).await?;
        match verb {
            Verb::Add(_) => Ok(()),
            Verb::List(format) => list(&db, *format).await,
            Verb::Show(args) => show(&find(&db, &args.webhook).await?, args.format),
            Verb::Test(args) => test(&loaded, &find(&db, &args.webhook).await?, args.format).await,
            Verb::Remove(args) => {
                let webhook = find(&db, &args.webhook).await?;
                db.webhooks().delete(webhook.uuid).await?;
                done(&loaded, &webhook, "removed", args.format).await
            }
            Verb::Enable(args) => switch(&loaded, &db, args, true).await,
            Verb::Disable(args) => switch(&loaded, &db, args, false).await,
            Verb::DeadLetters(args) => dead_letters(&loaded, &db, args).await,
        }
    })
}

async fn add(loaded: &Loaded, args: &Add) -> Result<()> {
    let mut settings = WebhookSettings {
        name: args.name.clone(),
        url: args.url.clone(),
        secret: String::new(),
        previous_secret: None,
        simple_events: args.events.clone(),
        topic_patterns: args.patterns.clone(),
        allow_cidrs: args.allow.clone(),
        enabled: !args.disabled,
        ordered: !args.unordered,
    };
    let target = check(&settings).map_err(|faults| {
        let lines: Vec<_> =
            faults.iter().map(|fault| format!("{}: {}", argument(fault.field), fault.reason)).collect();
        BadInput(lines.join("\n"))
    })?;
    let given = args.secret_file.as_deref().map(read_secret).transpose()?;
    let made = given.is_none().then(new_secret);
    let secret = given.as_ref().or(made.as_ref()).map(String::as_str).unwrap_or_default();
    for warning in target.warnings() {
        eprintln!("decnet: warning: {}", explain(warning));
    }
    let db = open(&loaded.settings).await?;
    let uuid = SystemIds.next_id();
    let key = SealKey::load_or_create(&loaded.settings.webhook_key_file)?;
    settings.secret = key.seal(&Webhook::owner(uuid), secret)?;
    let Some(webhook) = db.webhooks().create(uuid, &settings).await? else {
        bail!(BadInput(format!("NAME: {} is taken; choose another", args.name)));
    };
    announce(loaded).await;
    let mut view = view(&webhook);
    if let (Some(secret), Some(fields)) = (&made, view.as_object_mut()) {
        fields.insert("secret".to_owned(), Value::from(secret.as_str()));
    }
    if args.format.json {
        return render::json(&view);
    }
    render::line(&format!("webhook {} added ({uuid}); it gets what happens from now on", args.name))?;
    match made {
        Some(secret) => render::line(&format!("secret (shown this once): {secret}")),
        None => Ok(()),
    }
}

fn check(settings: &WebhookSettings) -> Result<Target, Vec<Fault>> {
    Draft {
        name: &settings.name,
        url: &settings.url,
        simple_events: &settings.simple_events,
        topic_patterns: &settings.topic_patterns,
        allow_cidrs: &settings.allow_cidrs,
    }
    .check(&public_topics())
}

/// How the tool calls a field.
fn argument(field: &str) -> &str {
    match field {
        "name" => "NAME",
        "url" => "URL",
        "simple_events" => "--event",
        "topic_patterns" => "--pattern",
        "allow_cidrs" => "--allow",
        "secret" => "--secret-file",
        other => other,
    }
}

fn explain(warning: &str) -> &str {
    match warning {
        "insecure_url" => "the address is plain http: whoever is on the way can read the events",
        "pattern_not_streamed" => {
            "some patterns match beats and notices only, which are not kept for webhooks (docs/topics.md)"
        }
        other => other,
    }
}

fn read_secret(path: &std::path::Path) -> Result<String> {
    let bad = |error: std::io::Error| BadInput(format!("--secret-file {}: {error}", path.display()));
    let mut text = String::new();
    // Far more than a secret may have; the check refuses it.
    let most = 4096;
    if path == std::path::Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text).map_err(bad)?;
    } else {
        std::fs::File::open(path).map_err(bad)?.take(most).read_to_string(&mut text).map_err(bad)?;
    }
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    check_secret(&secret).map_err(|fault| BadInput(format!("--secret-file: {}", fault.reason)))?;
    Ok(secret)
}

/// 64 hexadecimal digits of the machine's randomness.
fn new_secret() -> String {
    use std::fmt::Write as _;
    decnet_core::secret::entropy::<32>().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A subscription by its name, else by its id.
async fn find(db: &Db, text: &str) -> Result<Webhook> {
    let named = db.webhooks().by_name(text).await?;
    let found = match (named, text.parse()) {
        (None, Ok(uuid)) => db.webhooks().get(uuid).await?,
        (named, _) => named,
    };
    found.ok_or_else(|| BadInput(format!("there is no webhook {text:?}; see `decnet webhook list`")).into())
}

async fn list(db: &Db, format: render::Format) -> Result<()> {
    let webhooks = db.webhooks().list().await?;
    if format.json {
        return render::json(&webhooks.iter().map(view).collect::<Vec<_>>());
    }
    render::table(
        ["name", "url", "events", "state", "waiting", "last success", "last error"],
        webhooks.iter().map(|webhook| {
            let settings = &webhook.settings;
            let events: Vec<_> =
                settings.simple_events.iter().chain(&settings.topic_patterns).map(String::as_str).collect();
            [
                settings.name.clone(),
                settings.url.clone(),
                events.join(", "),
                state(webhook).to_owned(),
                webhook.health.waiting.to_string(),
                webhook
                    .health
                    .last_success_at
                    .map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string()),
                webhook.health.last_error.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        }),
    )
}

fn state(webhook: &Webhook) -> &str {
    match webhook.health.breaker.as_str() {
        _ if !webhook.settings.enabled => "disabled",
        "closed" => "enabled",
        // Events wait, and one is tried every five minutes.
        _ => "tripped",
    }
}

fn show(webhook: &Webhook, format: render::Format) -> Result<()> {
    let view = view(webhook);
    if format.json {
        return render::json(&view);
    }
    let rows = view.as_object().into_iter().flatten().map(|(name, value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        };
        [name.replace('_', " "), value]
    });
    render::table(["what", "value"], rows)
}

/// What is shown of a subscription: never its secret.
fn view(webhook: &Webhook) -> Value {
    let (settings, health) = (&webhook.settings, &webhook.health);
    let warnings = check(settings).map_or_else(|_| vec!["unusable"], |target| target.warnings());
    json!({
        "uuid": webhook.uuid,
        "name": settings.name,
        "url": settings.url,
        "simple_events": settings.simple_events,
        "topic_patterns": settings.topic_patterns,
        "allow_cidrs": settings.allow_cidrs,
        "enabled": settings.enabled,
        "ordered": settings.ordered,
        "state": state(webhook),
        "warnings": warnings,
        "breaker": health.breaker,
        "failure_count": health.failure_count,
        "auto_disabled_at": health.auto_disabled_at,
        "last_success_at": health.last_success_at,
        "last_failure_at": health.last_failure_at,
        "last_error": health.last_error,
        "waiting": health.waiting,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    })
}

async fn test(loaded: &Loaded, webhook: &Webhook, format: render::Format) -> Result<()> {
    let bus = bus::connect(loaded).await?;
    let topic = Topic::AskWebhookTest { host: loaded.settings.host.clone() };
    let question = WebhookTestRequest { webhook: webhook.uuid.to_string() };
    let tried: WebhookTested =
        bus.request(&topic, &question, TRIAL).await.context("the webhook worker could not be asked")?;
    if format.json {
        render::json(&tried)?;
    }
    match (tried.delivered, tried.status_code) {
        (true, status) if !format.json => {
            render::line(&format!("delivered: the receiver answered {}", status.unwrap_or_default()))
        }
        (true, _) => Ok(()),
        (false, _) => bail!("not delivered: {}", tried.error.unwrap_or_default()),
    }
}

async fn switch(loaded: &Loaded, db: &Db, args: &Named, enabled: bool) -> Result<()> {
    let read = find(db, &args.webhook).await?;
    let settings = WebhookSettings { enabled, ..read.settings.clone() };
    match db.webhooks().edit(&read, &settings, enabled).await? {
        Edited::Done(webhook) => {
            done(loaded, &webhook, if enabled { "enabled" } else { "disabled; its events wait" }, args.format)
                .await
        }
        Edited::NameTaken | Edited::Stale => {
            bail!("somebody else changed this webhook at the same time; look at it and repeat")
        }
    }
}

async fn dead_letters(loaded: &Loaded, db: &Db, args: &Letters) -> Result<()> {
    let webhook = find(db, &args.webhook).await?;
    if args.purge || args.redeliver {
        let (count, text) = if args.purge {
            (db.webhooks().purge_letters(webhook.uuid, None).await?, "forgotten")
        } else {
            let count = db.webhooks().request_letters(webhook.uuid, None).await?;
            announce(loaded).await;
            (count, "on their way again")
        };
        if args.format.json {
            return render::json(&json!({ "letters": count }));
        }
        return render::line(&format!("{count} dead letters {text}"));
    }
    let paging = Paging { limit: args.limit, ..Paging::default() };
    let page = db.webhooks().dead_letters(webhook.uuid, paging).await?;
    if args.format.json {
        return render::json(&page);
    }
    render::table(
        ["when", "topic", "event", "tries", "last error", "state"],
        page.data.iter().map(|letter| {
            [
                letter.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                letter.topic.clone(),
                letter.event_id.clone(),
                letter.attempts.to_string(),
                letter.last_error.clone().unwrap_or_default(),
                if letter.requested_at.is_some() { "to be sent again" } else { "kept" }.to_owned(),
            ]
        }),
    )
}

async fn done(loaded: &Loaded, webhook: &Webhook, what: &str, format: render::Format) -> Result<()> {
    announce(loaded).await;
    if format.json {
        return render::json(&view(webhook));
    }
    render::line(&format!("webhook {} {what}", webhook.settings.name))
}

/// Tells the worker to look.
async fn announce(loaded: &Loaded) {
    match bus::connect(loaded).await {
        Ok(bus) => {
            bus.publish(&Topic::NoticeWebhookChanged, &Empty {}).await;
            bus.drain().await;
        }
        Err(_) => eprintln!(
            "decnet: warning: no broker answers; the change takes effect within a minute after it is back"
        ),
    }
}
