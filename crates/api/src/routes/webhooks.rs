//! Webhook subscriptions: making, changing, trying and removing them, and their dead letters.
//!
//! The API posts nothing itself: it has no way out of its box. A trial is asked of the webhook worker, letters that shall be
//! sent again are marked for it. A secret is shown once, where it is made.

mod letters;
mod view;

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use chrono::TimeDelta;
use decnet_alerts::{Draft, Fault, Target, check_secret};
use decnet_bus::{
    Topic,
    payload::{Empty, WebhookTestRequest, WebhookTested},
    public_topics,
};
use decnet_db::{Edited, PreviousSecret, SealKey, Webhook, WebhookSettings};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::{letters::*, view::*};
use super::{auth::Message, users::audit};
use crate::{
    app::App,
    auth::AdminUser,
    extract::{Body, Check, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// How long the worker may take to try a receiver: a little more than it gives the receiver.
const TRIAL: Duration = Duration::from_secs(14);
/// How long a secret stays good after it was replaced.
const OVERLAP: TimeDelta = TimeDelta::days(1);

/// A subscription to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhook {
    /// Its name, unique.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Where to post: https, or http within `allow_cidrs`.
    #[schema(min_length = 8, max_length = 2048)]
    pub url: String,
    /// What signs the posts; made and shown once when absent.
    #[schema(min_length = 16, max_length = 256, format = Password)]
    pub secret: Option<String>,
    /// Simple choices, such as `AttackerDetail`.
    #[serde(default)]
    pub simple_events: Vec<String>,
    /// Public topics, with `*` for one token and a last `>` for the rest.
    #[serde(default)]
    pub topic_patterns: Vec<String>,
    /// Address ranges that may be called although they are not public.
    #[serde(default)]
    pub allow_cidrs: Vec<String>,
    /// Whether events are sent.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// One event at a time, in order; else up to eight at once.
    #[serde(default = "yes")]
    pub ordered: bool,
}

const fn yes() -> bool {
    true
}

impl Check for CreateWebhook {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if let Some(Err(fault)) = self.secret.as_deref().map(check_secret) {
            errors.push(FieldError::new(fault.field, fault.reason));
        }
    }
}

/// What to change; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWebhook {
    /// Its name.
    #[schema(min_length = 1, max_length = 64)]
    pub name: Option<String>,
    /// Where to post.
    #[schema(min_length = 8, max_length = 2048)]
    pub url: Option<String>,
    /// A new secret; the old one stays good for a day.
    #[schema(min_length = 16, max_length = 256, format = Password)]
    pub secret: Option<String>,
    /// Make a new secret and show it once.
    #[serde(default)]
    pub rotate_secret: bool,
    /// Simple choices.
    pub simple_events: Option<Vec<String>>,
    /// Patterns.
    pub topic_patterns: Option<Vec<String>>,
    /// Address ranges.
    pub allow_cidrs: Option<Vec<String>>,
    /// Whether events are sent. `true` also forgets the failures: the receiver is tried at once.
    pub enabled: Option<bool>,
    /// One event at a time.
    pub ordered: Option<bool>,
}

impl Check for ChangeWebhook {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if let Some(Err(fault)) = self.secret.as_deref().map(check_secret) {
            errors.push(FieldError::new(fault.field, fault.reason));
        }
        if self.secret.is_some() && self.rotate_secret {
            errors.push(FieldError::new("rotate_secret", "give either a secret or rotate_secret"));
        }
    }
}

impl ChangeWebhook {
    const fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.url.is_none()
            && self.secret.is_none()
            && !self.rotate_secret
            && self.simple_events.is_none()
            && self.topic_patterns.is_none()
            && self.allow_cidrs.is_none()
            && self.enabled.is_none()
            && self.ordered.is_none()
    }
}

/// Makes a subscription. It gets what happens from now on.
#[utoipa::path(
    post, path = "/webhooks", tag = "webhooks", request_body = CreateWebhook,
    responses(
        (status = 201, description = "The subscription, with its secret where one was made", body = WebhookView),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn create_webhook(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    Body(request): Body<CreateWebhook>,
) -> Outcome<(StatusCode, Json<WebhookView>)> {
    let uuid = app.ids().next_id();
    let shown = request.secret.is_none().then(new_secret);
    let secret = shown.clone().or(request.secret).unwrap_or_default();
    let mut settings = WebhookSettings {
        name: request.name,
        url: request.url,
        secret: String::new(),
        previous_secret: None,
        simple_events: request.simple_events,
        topic_patterns: request.topic_patterns,
        allow_cidrs: request.allow_cidrs,
        enabled: request.enabled,
        ordered: request.ordered,
    };
    checked(&settings)?;
    settings.secret = sealed(&app, uuid, secret).await?;
    let made = app.db().await?.webhooks().create(uuid, &settings).await?;
    let webhook = made.ok_or_else(name_taken)?;
    announced(&app).await;
    audit(&caller, "create-webhook", uuid);
    Ok((StatusCode::CREATED, Json(WebhookView::of(webhook, shown))))
}

/// All subscriptions, by name.
#[utoipa::path(
    get, path = "/webhooks", tag = "webhooks",
    responses((status = 200, description = "The subscriptions, without their secrets", body = Vec<WebhookView>))
)]
pub async fn list_webhooks(_: AdminUser, State(app): State<App>) -> Outcome<Json<Vec<WebhookView>>> {
    let webhooks = app.db().await?.webhooks().list().await?;
    Ok(Json(webhooks.into_iter().map(|webhook| WebhookView::of(webhook, None)).collect()))
}

/// One subscription.
#[utoipa::path(
    get, path = "/webhooks/{uuid}", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, description = "The subscription, without its secret", body = WebhookView),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn get_webhook(
    _: AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<WebhookView>> {
    Ok(Json(WebhookView::of(found(&app, uuid).await?, None)))
}

/// Changes a subscription. Its place in the stream stays: no event is lost or sent twice because of a change.
#[utoipa::path(
    patch, path = "/webhooks/{uuid}", tag = "webhooks", request_body = ChangeWebhook,
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, description = "The subscription, with its secret where one was made", body = WebhookView),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken, or somebody else was quicker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn change_webhook(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Body(request): Body<ChangeWebhook>,
) -> Outcome<Json<WebhookView>> {
    let read = found(&app, uuid).await?;
    if request.is_empty() {
        return Ok(Json(WebhookView::of(read, None)));
    }
    // Where it goes, or who may vouch, has changed: what failed before says nothing about that.
    let reset = request.enabled == Some(true)
        || request.url.is_some()
        || request.allow_cidrs.is_some()
        || request.secret.is_some()
        || request.rotate_secret;
    let mut settings = read.settings.clone();
    settings.name = request.name.unwrap_or(settings.name);
    settings.url = request.url.unwrap_or(settings.url);
    settings.simple_events = request.simple_events.unwrap_or(settings.simple_events);
    settings.topic_patterns = request.topic_patterns.unwrap_or(settings.topic_patterns);
    settings.allow_cidrs = request.allow_cidrs.unwrap_or(settings.allow_cidrs);
    settings.enabled = request.enabled.unwrap_or(settings.enabled);
    settings.ordered = request.ordered.unwrap_or(settings.ordered);
    checked(&settings)?;
    let shown = request.rotate_secret.then(new_secret);
    if let Some(secret) = shown.clone().or(request.secret) {
        let old = std::mem::replace(&mut settings.secret, sealed(&app, uuid, secret).await?);
        settings.previous_secret = Some(PreviousSecret { sealed: old, until: app.clock().now() + OVERLAP });
    }
    let webhook = match app.db().await?.webhooks().edit(&read, &settings, reset).await? {
        Edited::Done(webhook) => *webhook,
        Edited::NameTaken => return Err(name_taken().into()),
        Edited::Stale => {
            let detail = "somebody else changed this subscription at the same time; read it again and repeat";
            return Err(Problem::conflict(detail).into());
        }
    };
    announced(&app).await;
    audit(&caller, "change-webhook", uuid);
    Ok(Json(WebhookView::of(webhook, shown)))
}

/// Removes a subscription with its dead letters.
#[utoipa::path(
    delete, path = "/webhooks/{uuid}", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, description = "Removed", body = Message),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn delete_webhook(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<Message>> {
    if !app.db().await?.webhooks().delete(uuid).await? {
        return Err(unknown());
    }
    announced(&app).await;
    audit(&caller, "delete-webhook", uuid);
    Ok(Message::json("Webhook deleted"))
}

/// Posts `test.ping` to a receiver, once. Its counters stay as they are.
#[utoipa::path(
    post, path = "/webhooks/{uuid}/test", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, description = "What came of it", body = TestView),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn test_webhook(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<TestView>> {
    found(&app, uuid).await?;
    audit(&caller, "test-webhook", uuid);
    let topic = Topic::AskWebhookTest { host: app.config().host.clone() };
    let question = WebhookTestRequest { webhook: uuid.to_string() };
    let asked = app.bus().request::<_, WebhookTested>(&topic, &question, TRIAL).await;
    Ok(Json(match asked {
        Ok(tried) => {
            TestView { delivered: tried.delivered, status_code: tried.status_code, error: tried.error }
        }
        Err(error) => {
            let error = Some(format!("the webhook worker could not be asked: {error}"));
            TestView { delivered: false, status_code: None, error }
        }
    }))
}

fn draft(settings: &WebhookSettings) -> Draft<'_> {
    Draft {
        name: &settings.name,
        url: &settings.url,
        simple_events: &settings.simple_events,
        topic_patterns: &settings.topic_patterns,
        allow_cidrs: &settings.allow_cidrs,
    }
}

fn checked(settings: &WebhookSettings) -> Result<Target, Failure> {
    draft(settings).check(&public_topics()).map_err(|faults| {
        let fields = faults.into_iter().map(|Fault { field, reason }| FieldError::new(field, reason));
        Problem::invalid(fields.collect()).into()
    })
}

/// 64 hexadecimal digits of the machine's randomness.
fn new_secret() -> String {
    use std::fmt::Write as _;
    decnet_core::secret::entropy::<32>().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn sealed(app: &App, uuid: Uuid, secret: String) -> Result<String, Failure> {
    let path = app.config().webhook_key_file.clone();
    let sealing = move || SealKey::load_or_create(&path)?.seal(&Webhook::owner(uuid), &secret);
    tokio::task::spawn_blocking(sealing).await.map_err(Failure::internal)?.map_err(Failure::internal)
}

async fn found(app: &App, uuid: Uuid) -> Result<Webhook, Failure> {
    app.db().await?.webhooks().get(uuid).await?.ok_or_else(unknown)
}

fn unknown() -> Failure {
    Problem::not_found("no such webhook; see GET /api/v1/webhooks").into()
}

fn name_taken() -> Problem {
    Problem::conflict("the name is taken; choose another")
}

/// Tells the worker to look. Without a bus it looks within a minute.
async fn announced(app: &App) {
    app.bus().publish(&Topic::NoticeWebhookChanged, &Empty {}).await;
}
