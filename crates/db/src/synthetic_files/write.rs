//! Writing rows of planted files, inside the transactions of [`crate::Life`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::types::{FileState, NewSyntheticFile, nanos};
use crate::DbError;
use crate::bounds::{BODY, DECKY_ID, LOGIN, PATH, WHOLE_BODY, cut, micros, owned, signed};
use crate::entity::synthetic_file::{Column, Entity};

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
