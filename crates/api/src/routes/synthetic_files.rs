//! Files that were planted, as we believe them to be; what somebody else made of them is their state.

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use decnet_db::{FileState, SyntheticFile, SyntheticFileQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{PageOf, check_length, check_paging, paging};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params, PathParam},
    problem::{FieldError, Outcome, Problem},
};

/// Most rows of a page.
const MAX_LIMIT: u64 = 500;

/// A planted file.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyntheticFileView {
    /// Row id.
    pub uuid: Uuid,
    /// The decky, as `host:name`.
    pub decky_uuid: String,
    /// Where on it.
    pub path: String,
    /// Whose file it is; null for the machine's.
    pub persona: Option<String>,
    /// What kind of content.
    pub content_class: String,
    /// `planted`, `diverged` (somebody else changed it), `lost` (somebody else removed it) or `gone` (we did).
    pub state: String,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
    /// When it was planted or edited last.
    pub last_modified: DateTime<Utc>,
    /// Its time on the decky.
    pub planted_mtime: DateTime<Utc>,
    /// When it was last looked at.
    pub last_verified_at: Option<DateTime<Utc>>,
    /// Edits.
    pub edit_count: u64,
    /// Bytes.
    pub size: u64,
    /// Permission bits, octal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of what was planted.
    pub content_hash: String,
    /// SHA-256 of what is there instead, where somebody else changed it.
    pub found_hash: Option<String>,
}

impl From<SyntheticFile> for SyntheticFileView {
    fn from(row: SyntheticFile) -> Self {
        Self {
            uuid: row.uuid,
            decky_uuid: row.decky_uuid,
            path: row.path,
            persona: Some(row.persona).filter(|persona| !persona.is_empty()),
            content_class: row.content_class,
            state: row.state.as_str().to_owned(),
            created_at: row.created_at,
            last_modified: row.last_modified,
            planted_mtime: row.planted_mtime,
            last_verified_at: row.last_verified_at,
            edit_count: row.edit_count,
            size: row.size,
            mode: format!("{:04o}", row.mode),
            uid: row.uid,
            gid: row.gid,
            content_hash: row.content_hash,
            found_hash: row.found_hash,
        }
    }
}

/// A planted file with its content.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyntheticFileBodyView {
    /// The row.
    #[serde(flatten)]
    pub file: SyntheticFileView,
    /// Its text, cut to 65,536 characters; empty if it is none.
    pub body: String,
    /// All of its bytes in base64, where they are no text.
    pub body_b64: Option<String>,
    /// Whether `body` is less than the whole.
    pub truncated: bool,
}

/// What has become of a file.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// It is as we left it.
    Planted,
    /// Somebody else changed it.
    Diverged,
    /// Somebody else removed it.
    Lost,
    /// We removed it.
    Gone,
}

impl From<StateName> for FileState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Planted => Self::Planted,
            StateName::Diverged => Self::Diverged,
            StateName::Lost => Self::Lost,
            StateName::Gone => Self::Gone,
        }
    }
}

/// Which files.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SyntheticFileParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Only on this decky, as `host:name`.
    #[param(max_length = 128)]
    decky_uuid: Option<String>,
    /// Only of this persona.
    #[param(max_length = 128)]
    persona: Option<String>,
    /// Only of this class, such as `note`.
    #[param(max_length = 32)]
    content_class: Option<String>,
    /// Only in this state.
    #[param(inline)]
    state: Option<StateName>,
}

impl Check for SyntheticFileParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
        check_length("decky_uuid", self.decky_uuid.as_deref(), 128, errors);
        check_length("persona", self.persona.as_deref(), 128, errors);
        check_length("content_class", self.content_class.as_deref(), 32, errors);
    }
}

/// Planted files without their contents, latest change first.
#[utoipa::path(
    get, path = "/realism/synthetic-files", tag = "life", params(SyntheticFileParams),
    responses((status = 200, description = "A page of planted files", body = PageOf<SyntheticFileView>))
)]
pub async fn list_synthetic_files(
    _: ViewerUser,
    State(app): State<App>,
    Params(params): Params<SyntheticFileParams>,
) -> Outcome<Json<PageOf<SyntheticFileView>>> {
    let query = SyntheticFileQuery {
        decky_uuid: params.decky_uuid,
        persona: params.persona,
        content_class: params.content_class,
        state: params.state.map(FileState::from),
        paging: paging(params.limit, params.offset),
    };
    let page = app.db().await?.synthetic_files().page(&query).await?;
    Ok(Json(PageOf::of(page, SyntheticFileView::from)))
}

/// One planted file with its content.
#[utoipa::path(
    get, path = "/realism/synthetic-files/{uuid}", tag = "life",
    params(("uuid" = Uuid, Path, description = "Row id")),
    responses(
        (status = 200, description = "The file as we left it", body = SyntheticFileBodyView),
        (status = 404, description = "No such file", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn get_synthetic_file(
    _: ViewerUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<SyntheticFileBodyView>> {
    let found = app.db().await?.synthetic_files().get(uuid).await?;
    let found = found.ok_or_else(|| Problem::not_found("there is no such planted file"))?;
    let truncated = found.is_truncated();
    let is_text = !found.last_body.is_empty() || found.file.size == 0;
    let body_b64 = found.body.filter(|_| !is_text).map(|bytes| STANDARD.encode(bytes));
    Ok(Json(SyntheticFileBodyView {
        file: found.file.into(),
        body: found.last_body,
        truncated: truncated && body_b64.is_none(),
        body_b64,
    }))
}
