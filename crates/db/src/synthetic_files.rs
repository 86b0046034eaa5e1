//! Files the orchestrator planted, as it believes them to be. What is really on the decky is the agent's to say.
//!
//! Written by [`crate::Life`], together with the event that tells of it; here they are read and pruned.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use serde::Serialize;
use uuid::Uuid;

use crate::bounds::{BODY, DECKY_ID, LOGIN, PATH, WHOLE_BODY, count, cut, micros, owned, signed, time};
use crate::entity::synthetic_file::{Column, Entity, Model};
use crate::page::{Page, Paging, capped_count};
use crate::{Db, DbError};

/// Rows deleted in one transaction.
const PRUNE_STEP: u64 = 500;

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

/// Which files are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyntheticFileQuery {
    /// On this decky.
    pub decky_uuid: Option<String>,
    /// Of this persona.
    pub persona: Option<String>,
    /// Of this class.
    pub content_class: Option<String>,
    /// In this state.
    pub state: Option<FileState>,
    /// Which part.
    pub paging: Paging,
}

/// The repository of planted files.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticFiles<'a>(pub(crate) &'a Db);

impl SyntheticFiles<'_> {
    /// A page without contents, latest change first.
    pub async fn page(&self, query: &SyntheticFileQuery) -> Result<Page<SyntheticFile>, DbError> {
        let select = Entity::find()
            .apply_if(query.decky_uuid.as_deref(), |select, decky| select.filter(Column::DeckyUuid.eq(decky)))
            .apply_if(query.persona.as_deref(), |select, persona| select.filter(Column::Persona.eq(persona)))
            .apply_if(query.content_class.as_deref(), |select, class| {
                select.filter(Column::ContentClass.eq(class))
            })
            .apply_if(query.state, |select, state| select.filter(Column::State.eq(state.as_str())));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .select_only()
            .columns(Row::COLUMNS)
            .order_by_desc(Column::LastModified)
            .order_by_desc(Column::Uuid)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .into_model::<Row>()
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(SyntheticFile::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// One file with its content.
    pub async fn get(&self, uuid: Uuid) -> Result<Option<SyntheticFileBody>, DbError> {
        let row = Entity::find_by_id(uuid.to_string()).one(self.0.reader()).await?;
        row.map(SyntheticFileBody::try_from).transpose()
    }

    /// One file by where it is.
    pub async fn at(&self, decky_uuid: &str, path: &str) -> Result<Option<SyntheticFileBody>, DbError> {
        let row = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::Path.eq(path))
            .one(self.0.reader())
            .await?;
        row.map(SyntheticFileBody::try_from).transpose()
    }

    /// What we believe to be on a decky, in the order of paths: all but what we removed ourselves.
    pub async fn shelf(&self, decky_uuid: &str) -> Result<Vec<SyntheticFileBody>, DbError> {
        let rows = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::State.ne(FileState::Gone.as_str()))
            .order_by_asc(Column::Path)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(SyntheticFileBody::try_from).collect()
    }

    /// Which of these hashes some file of the fleet has already.
    pub async fn known_hashes(&self, hashes: &[String]) -> Result<Vec<String>, DbError> {
        let mut known = Vec::new();
        for hashes in hashes.chunks(256) {
            let found: Vec<String> = Entity::find()
                .select_only()
                .column(Column::ContentHash)
                .distinct()
                .filter(Column::ContentHash.is_in(hashes.iter().map(String::as_str)))
                .into_tuple()
                .all(self.0.reader())
                .await?;
            known.extend(found);
        }
        Ok(known)
    }

    /// How many of each state there are.
    pub async fn counts(&self) -> Result<Vec<(String, u64)>, DbError> {
        let rows: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::State)
            .column_as(Column::Uuid.count(), "n")
            .group_by(Column::State)
            .order_by_asc(Column::State)
            .into_tuple()
            .all(self.0.reader())
            .await?;
        Ok(rows.into_iter().map(|(state, number)| (state, count(number))).collect())
    }

    /// Forgets what was removed from deckies before `before`, and all files of deckies that are not among `known` and were not
    /// touched since. Files that are there are never forgotten.
    pub async fn prune(&self, before: DateTime<Utc>, known: &[String]) -> Result<u64, DbError> {
        let old = Column::LastModified.lt(micros(before));
        let removed = Column::State.eq(FileState::Gone.as_str()).and(old.clone());
        let mut gone = self.delete_all(&removed).await?;
        let owners: Vec<String> = Entity::find()
            .select_only()
            .column(Column::DeckyUuid)
            .distinct()
            .into_tuple()
            .all(self.0.reader())
            .await?;
        for owner in owners.iter().filter(|owner| !known.contains(owner)) {
            gone += self.delete_all(&Column::DeckyUuid.eq(owner.as_str()).and(old.clone())).await?;
        }
        Ok(gone)
    }

    /// In short transactions.
    async fn delete_all(&self, filter: &sea_orm::sea_query::SimpleExpr) -> Result<u64, DbError> {
        let mut gone = 0;
        loop {
            let uuids: Vec<String> = Entity::find()
                .select_only()
                .column(Column::Uuid)
                .filter(filter.clone())
                .limit(PRUNE_STEP)
                .into_tuple()
                .all(self.0.reader())
                .await?;
            if uuids.is_empty() {
                return Ok(gone);
            }
            let uuids = &uuids;
            gone += self
                .0
                .write(|tx| async move {
                    // The filter once more: what was touched since it was read stays.
                    let chosen = Column::Uuid.is_in(uuids.iter().map(String::as_str)).and(filter.clone());
                    Ok(Entity::delete_many().filter(chosen).exec(&*tx).await?.rows_affected)
                })
                .await?;
        }
    }
}

/// Refuses a path that no row can hold.
pub(crate) fn check(path: &str) -> Result<(), DbError> {
    if path.is_empty() || path.chars().count() > PATH || path.contains('\0') {
        return Err(DbError::Refused(format!(
            "the path of a planted file has 1 to {PATH} characters and no NUL"
        )));
    }
    Ok(())
}

/// Writes a file inside a transaction: a new row, or the row of its path replaced.
pub(crate) async fn upsert(
    tx: &DatabaseTransaction,
    uuid: Uuid,
    file: &NewSyntheticFile,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let now = micros(now);
    let (text, whole) = kept(&file.body);
    let mut conflict = OnConflict::columns([Column::DeckyUuid, Column::Path]);
    conflict.update_columns([
        Column::Persona,
        Column::ContentClass,
        Column::LastModified,
        Column::ContentHash,
        Column::LastBody,
        Column::Login,
        Column::PlantedMtime,
        Column::Size,
        Column::Mode,
        Column::Uid,
        Column::Gid,
        Column::State,
        Column::LastVerifiedAt,
        Column::LastEventUuid,
        Column::BodyB64,
        Column::FoundHash,
    ]);
    match file.edit_count {
        None => conflict.value(Column::EditCount, Expr::col((Entity, Column::EditCount)).add(1)),
        // Another file at an old place.
        Some(edits) => {
            conflict.value(Column::EditCount, signed(edits)).value(Column::CreatedAt, Expr::value(now))
        }
    };
    let insert = Query::insert()
        .into_table(Entity)
        .columns([
            Column::Uuid,
            Column::DeckyUuid,
            Column::Path,
            Column::Persona,
            Column::ContentClass,
            Column::CreatedAt,
            Column::LastModified,
            Column::EditCount,
            Column::ContentHash,
            Column::LastBody,
            Column::Login,
            Column::PlantedMtime,
            Column::Size,
            Column::Mode,
            Column::Uid,
            Column::Gid,
            Column::State,
            Column::LastVerifiedAt,
            Column::LastEventUuid,
            Column::BodyB64,
            Column::FoundHash,
        ])
        .values_panic([
            uuid.to_string().into(),
            owned(&file.decky_uuid, DECKY_ID).into(),
            file.path.as_str().into(),
            owned(&file.persona, 128).into(),
            owned(&file.content_class, 32).into(),
            now.into(),
            now.into(),
            signed(file.edit_count.unwrap_or(0)).into(),
            owned(&file.content_hash, 64).into(),
            text.into(),
            owned(&file.login, LOGIN).into(),
            nanos(file.mtime).into(),
            signed(file.body.len() as u64).into(),
            i64::from(file.mode).into(),
            i64::from(file.uid).into(),
            i64::from(file.gid).into(),
            FileState::Planted.as_str().into(),
            Some(now).into(),
            file.last_event_uuid.map(|uuid| uuid.to_string()).into(),
            whole.into(),
            None::<String>.into(),
        ])
        .on_conflict(conflict)
        .to_owned();
    tx.execute(&insert).await?;
    Ok(())
}

/// Sets what has become of a file inside a transaction; true if it was known.
pub(crate) async fn set_state(
    tx: &DatabaseTransaction,
    key: (&str, &str),
    state: FileState,
    found: Option<&str>,
    event: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let now = micros(now);
    let mut update = Entity::update_many()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::LastVerifiedAt, Expr::value(Some(now)))
        .col_expr(Column::FoundHash, Expr::value(found.map(|hash| owned(hash, 64))))
        .filter(Column::DeckyUuid.eq(key.0))
        .filter(Column::Path.eq(key.1));
    if let Some(event) = event {
        update = update.col_expr(Column::LastEventUuid, Expr::value(Some(event.to_string())));
    }
    if state == FileState::Gone {
        update = update
            .col_expr(Column::LastModified, Expr::value(now))
            .col_expr(Column::LastBody, Expr::value(""))
            .col_expr(Column::BodyB64, Expr::value(None::<String>));
    }
    Ok(update.exec(tx).await?.rows_affected > 0)
}

/// What is kept of a body: its text, cut, and in base64 what the text is less than.
fn kept(body: &[u8]) -> (String, Option<String>) {
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'));
    let shown = text.map_or_else(String::new, |text| cut(text, BODY).into_owned());
    let whole = shown.len() == body.len() || body.len() > WHOLE_BODY;
    (shown, (!whole).then(|| STANDARD.encode(body)))
}

fn count_bytes(text: &str) -> u64 {
    text.len() as u64
}

pub(crate) fn nanos(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(0)
}

pub(crate) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The columns of a row without its content.
#[derive(FromQueryResult)]
struct Row {
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
    const COLUMNS: [Column; 19] = [
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
