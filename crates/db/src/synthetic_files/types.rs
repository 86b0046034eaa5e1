//! Planted files as plain data.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use serde::Serialize;
use uuid::Uuid;

use crate::DbError;
use crate::bounds::{count, time};
use crate::entity::synthetic_file::{Column, Model};

/// A file as planted or edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSyntheticFile {
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// Where (at most 512 characters: longer ones are refused).
    pub path: String,
    /// Whose file it is; empty for the machine's.
    pub persona: String,
    /// Login of its author; empty for the machine's.
    pub login: String,
    /// What kind of content.
    pub content_class: String,
    /// Its time, to the nanosecond.
    pub mtime: DateTime<Utc>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 (hex) of the body.
    pub content_hash: String,
    /// All of it.
    pub body: Vec<u8>,
    /// How often it has been edited; `None`: once more than the row knows (0 for a new row).
    pub edit_count: Option<u64>,
    /// Row of the action that did it.
    pub last_event_uuid: Option<Uuid>,
}

/// What has become of a planted file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It is there as we left it, as far as we know.
    Planted,
    /// Somebody else changed it: never touched again.
    Diverged,
    /// Somebody else removed it: never put back.
    Lost,
    /// We removed it.
    Gone,
}

impl FileState {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planted => "planted",
            Self::Diverged => "diverged",
            Self::Lost => "lost",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Result<Self, DbError> {
        [Self::Planted, Self::Diverged, Self::Lost, Self::Gone]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| DbError::Damaged { table: "synthetic_files", what: format!("state {text:?}") })
    }
}

/// A planted file without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyntheticFile {
    /// Row id.
    pub uuid: Uuid,
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// Where.
    pub path: String,
    /// Whose file it is; empty for the machine's.
    pub persona: String,
    /// Login of its author; empty for the machine's.
    pub login: String,
    /// What kind of content.
    pub content_class: String,
    /// When the row was made (not the planted time).
    pub created_at: DateTime<Utc>,
    /// When it was planted or edited last.
    pub last_modified: DateTime<Utc>,
    /// Edits.
    pub edit_count: u64,
    /// SHA-256 of the body.
    pub content_hash: String,
    /// Its time on the decky, to the nanosecond.
    pub planted_mtime: DateTime<Utc>,
    /// Bytes of the body.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What has become of it.
    pub state: FileState,
    /// When it was last found to be as planted, or not.
    pub last_verified_at: Option<DateTime<Utc>>,
    /// Row of the latest action on it.
    pub last_event_uuid: Option<String>,
    /// SHA-256 of what was found instead, if somebody changed it.
    pub found_hash: Option<String>,
}

/// A planted file with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticFileBody {
    /// The row.
    pub file: SyntheticFile,
    /// For people: the text, cut to 65 536 characters; empty if it is none.
    pub last_body: String,
    /// All of it; `None` if it was too large to be kept, and then it must not be edited either.
    pub body: Option<Vec<u8>>,
}

impl SyntheticFileBody {
    /// Whether `last_body` is less than the whole.
    pub fn is_truncated(&self) -> bool {
        count_bytes(&self.last_body) != self.file.size
    }
}

/// The columns of a row without its content.
#[derive(FromQueryResult)]
pub(super) struct Row {
    uuid: String,
    decky_uuid: String,
    path: String,
    persona: String,
    content_class: String,
    created_at: i64,
    last_modified: i64,
    edit_count: i64,
    content_hash: String,
    login: String,
    planted_mtime: i64,
    size: i64,
    mode: i64,
    uid: i64,
    gid: i64,
    state: String,
    last_verified_at: Option<i64>,
    last_event_uuid: Option<String>,
    found_hash: Option<String>,
}

impl Row {
    pub(super) const COLUMNS: [Column; 19] = [
        Column::Uuid,
        Column::DeckyUuid,
        Column::Path,
        Column::Persona,
        Column::ContentClass,
        Column::CreatedAt,
        Column::LastModified,
        Column::EditCount,
        Column::ContentHash,
        Column::Login,
        Column::PlantedMtime,
        Column::Size,
        Column::Mode,
        Column::Uid,
        Column::Gid,
        Column::State,
        Column::LastVerifiedAt,
        Column::LastEventUuid,
        Column::FoundHash,
    ];
}

impl TryFrom<Row> for SyntheticFile {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| DbError::Damaged {
                table: "synthetic_files",
                what: format!("uuid {:?}", row.uuid),
            })?,
            decky_uuid: row.decky_uuid,
            path: row.path,
            persona: row.persona,
            login: row.login,
            content_class: row.content_class,
            created_at: time(row.created_at),
            last_modified: time(row.last_modified),
            edit_count: count(row.edit_count),
            content_hash: row.content_hash,
            planted_mtime: DateTime::from_timestamp_nanos(row.planted_mtime),
            size: count(row.size),
            mode: small(row.mode),
            uid: small(row.uid),
            gid: small(row.gid),
            state: FileState::parse(&row.state)?,
            last_verified_at: row.last_verified_at.map(time),
            last_event_uuid: row.last_event_uuid,
            found_hash: row.found_hash,
        })
    }
}

impl TryFrom<Model> for SyntheticFileBody {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let size = count(row.size);
        let body = match row.body_b64 {
            Some(text) => Some(STANDARD.decode(text).map_err(|error| DbError::Damaged {
                table: "synthetic_files",
                what: format!("the body of {}: {error}", row.uuid),
            })?),
            None => (count_bytes(&row.last_body) == size).then(|| row.last_body.clone().into_bytes()),
        };
        let last_body = row.last_body;
        let file = SyntheticFile::try_from(Row {
            uuid: row.uuid,
            decky_uuid: row.decky_uuid,
            path: row.path,
            persona: row.persona,
            content_class: row.content_class,
            created_at: row.created_at,
            last_modified: row.last_modified,
            edit_count: row.edit_count,
            content_hash: row.content_hash,
            login: row.login,
            planted_mtime: row.planted_mtime,
            size: row.size,
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            state: row.state,
            last_verified_at: row.last_verified_at,
            last_event_uuid: row.last_event_uuid,
            found_hash: row.found_hash,
        })?;
        Ok(Self { file, last_body, body })
    }
}

pub(crate) fn count_bytes(text: &str) -> u64 {
    text.len() as u64
}

pub(crate) fn nanos(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(0)
}

pub(crate) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
