//! What the orchestrator did: invented traffic, planted files, delivered mail.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use decnet_db::{Db, DbError, EmailQuery, OrchestratorEmail, OrchestratorEvent, OrchestratorQuery, Paging};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{MAX_LIMIT, PageOf, check_length, check_paging, paging};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params},
    problem::{FieldError, Outcome},
};

/// One action.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionView {
    /// Row id.
    pub uuid: Uuid,
    /// When.
    pub ts: DateTime<Utc>,
    /// `traffic`, `file` or `email`.
    pub kind: String,
    /// Protocol or means.
    pub protocol: String,
    /// What was done.
    pub action: String,
    /// Who acted, as `host:name`.
    pub src_decky_uuid: Option<String>,
    /// On whom, as `host:name`.
    pub dst_decky_uuid: String,
    /// Whether it worked.
    pub success: bool,
    /// Details.
    pub payload: Value,
    /// What only mail has.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailView>,
}

/// What an action of mail has besides. Its `src_decky_uuid` and `dst_decky_uuid` are the addresses.
#[derive(Debug, Serialize, ToSchema)]
pub struct MailView {
    /// The decky that holds the mailbox.
    pub mail_decky_uuid: String,
    /// Thread.
    pub thread_id: String,
    /// `Message-ID`.
    pub message_id: String,
    /// `In-Reply-To`.
    pub in_reply_to: Option<String>,
    /// From.
    pub sender_email: String,
    /// To.
    pub recipient_email: String,
    /// Subject.
    pub subject: String,
    /// Language of the text.
    pub language: String,
}

impl From<OrchestratorEvent> for ActionView {
    fn from(row: OrchestratorEvent) -> Self {
        Self {
            uuid: row.uuid,
            ts: row.ts,
            kind: row.kind,
            protocol: row.protocol,
            action: row.action,
            src_decky_uuid: row.src_decky_uuid,
            dst_decky_uuid: row.dst_decky_uuid,
            success: row.success,
            payload: row.payload,
            mail: None,
        }
    }
}

impl From<OrchestratorEmail> for ActionView {
    fn from(row: OrchestratorEmail) -> Self {
        Self {
            uuid: row.uuid,
            ts: row.ts,
            kind: "email".to_owned(),
            protocol: "smtp".to_owned(),
            action: row.subject.clone(),
            src_decky_uuid: Some(row.sender_email.clone()),
            dst_decky_uuid: row.recipient_email.clone(),
            success: row.success,
            payload: row.payload,
            mail: Some(MailView {
                mail_decky_uuid: row.mail_decky_uuid,
                thread_id: row.thread_id,
                message_id: row.message_id,
                in_reply_to: row.in_reply_to,
                sender_email: row.sender_email,
                recipient_email: row.recipient_email,
                subject: row.subject,
                language: row.language,
            }),
        }
    }
}

/// The newest actions of every kind, newest first.
pub(super) async fn newest(db: &Db, count: u64) -> Result<Vec<ActionView>, DbError> {
    let paging = Paging { limit: count, offset: 0 };
    let actions =
        db.orchestrator().page(&OrchestratorQuery { paging, ..OrchestratorQuery::default() }).await?;
    let mails = db.emails().page(&EmailQuery { paging, ..EmailQuery::default() }).await?;
    let mut all: Vec<_> = actions.data.into_iter().map(ActionView::from).collect();
    all.extend(mails.data.into_iter().map(ActionView::from));
    all.sort_by_key(|action| std::cmp::Reverse((action.ts, action.uuid)));
    all.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(all)
}

/// Kinds of action.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Traffic between deckies.
    Traffic,
    /// A file planted, edited, rotated or removed.
    File,
    /// A message delivered. Its `action` is the subject, its ends are mail addresses.
    Email,
}

/// Which actions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Only of this kind; absent = traffic and files.
    #[param(inline)]
    kind: Option<ActionKind>,
    /// Only on this decky, as `host:name`; of mail, the decky that holds the mailbox.
    #[param(max_length = 128)]
    dst_decky_uuid: Option<String>,
    /// Only those that worked, or did not.
    success: Option<bool>,
    /// At or after this time.
    since: Option<DateTime<Utc>>,
}

impl Check for ActionParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
        check_length("dst_decky_uuid", self.dst_decky_uuid.as_deref(), 128, errors);
    }
}

/// Actions of the orchestrator, newest first.
#[utoipa::path(
    get, path = "/orchestrator/events", tag = "life", params(ActionParams),
    responses((status = 200, description = "A page of actions", body = PageOf<ActionView>))
)]
pub async fn list_actions(
    _: ViewerUser,
    State(app): State<App>,
    Params(params): Params<ActionParams>,
) -> Outcome<Json<PageOf<ActionView>>> {
    let kind = match params.kind {
        None => None,
        Some(ActionKind::Traffic) => Some("traffic".to_owned()),
        Some(ActionKind::File) => Some("file".to_owned()),
        Some(ActionKind::Email) => {
            let query = EmailQuery {
                mail_decky_uuid: params.dst_decky_uuid,
                success: params.success,
                since: params.since,
                paging: paging(params.limit, params.offset),
                ..EmailQuery::default()
            };
            let page = app.db().await?.emails().page(&query).await?;
            return Ok(Json(PageOf::of(page, ActionView::from)));
        }
    };
    let query = OrchestratorQuery {
        kind,
        dst_decky_uuid: params.dst_decky_uuid,
        success: params.success,
        since: params.since,
        paging: paging(params.limit, params.offset),
    };
    let page = app.db().await?.orchestrator().page(&query).await?;
    Ok(Json(PageOf::of(page, ActionView::from)))
}
