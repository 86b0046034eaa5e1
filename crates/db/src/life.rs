//! What life has done and was about to do: the changes of one action in one transaction, how old each decky is, and the intents
//! that a crash left open.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds::{DECKY_ID, json_or_text, json_text, micros, owned, time};
use crate::emails::{self, NewOrchestratorEmail};
use crate::entity::{life_state, orchestrator_intent};
use crate::orchestrator::{self, NewOrchestratorEvent};
use crate::outbox::{self, NewOutbox};
use crate::synthetic_files::{self, FileState, NewSyntheticFile};
use crate::{Db, DbError};

/// One change that an action brings.
#[derive(Debug, Clone, PartialEq)]
pub enum LifeChange {
    /// It is about to be made: written before the agent is asked.
    Intend(Intent),
    /// The intent is settled, done or not.
    Settle(Uuid),
    /// A file is there like this.
    File(Box<NewSyntheticFile>),
    /// A file has become something else.
    FileState {
        /// Opaque id of the decky.
        decky_uuid: String,
        /// Where.
        path: String,
        /// What it is now.
        state: FileState,
        /// SHA-256 of what is there, if that is known.
        found: Option<String>,
        /// Row of the action that found it.
        event: Option<Uuid>,
    },
    /// A message was delivered, or could not be.
    Mail(Box<NewOrchestratorEmail>),
    /// A message has its answer.
    Answered {
        /// Opaque id of the mail decky.
        decky_uuid: String,
        /// The message that was answered.
        message_id: String,
    },
    /// A row of what was done.
    Event(Box<NewOrchestratorEvent>),
    /// A decky's disk is this one now.
    Lived(LifeState),
}

/// Something that is about to be done on a decky.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intent {
    /// Row id.
    pub uuid: Uuid,
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// `create`, `edit`, `rotate`, `delete`, `email`.
    pub kind: String,
    /// Where.
    pub path: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// Everything that is needed to tell whether it was done, and to write its rows.
    pub document: Value,
}

/// How far a decky's life has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifeState {
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// The disk that its files are on.
    pub incarnation: String,
    /// When its history begins.
    pub born: DateTime<Utc>,
    /// When all of its history was put there; `None`: not yet.
    pub aged_at: Option<DateTime<Utc>>,
}

/// The repository of life's own state.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a>(pub(crate) &'a Db);

impl Life<'_> {
    /// Makes all changes, and writes the events that tell of them, in one transaction.
    pub async fn apply(&self, changes: &[LifeChange], events: &[NewOutbox]) -> Result<(), DbError> {
        for change in changes {
            match change {
                LifeChange::File(file) => synthetic_files::check(&file.path)?,
                LifeChange::Mail(mail) => synthetic_files::check(&mail.eml_path)?,
                LifeChange::Intend(intent) => synthetic_files::check(&intent.path)?,
                _ => {}
            }
        }
        // Ids are drawn once: a transaction that is tried again is the same transaction.
        let ids: Vec<Uuid> = changes.iter().map(|_| self.0.new_id()).collect();
        let (now, ids) = (self.0.now(), &ids);
        self.0
            .write(|tx| async move {
                for (change, id) in changes.iter().zip(ids) {
                    make(&tx, change, *id, now).await?;
                }
                outbox::insert(&tx, events, now).await
            })
            .await
    }

    /// What was begun and not settled, oldest first.
    pub async fn intents(&self) -> Result<Vec<Intent>, DbError> {
        use orchestrator_intent::{Column, Entity};
        let rows = Entity::find()
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Uuid)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(Intent::try_from).collect()
    }

    /// How far the life of every known decky has got.
    pub async fn states(&self) -> Result<Vec<LifeState>, DbError> {
        let rows = life_state::Entity::find().all(self.0.reader()).await?;
        Ok(rows.into_iter().map(LifeState::from).collect())
    }

    /// How far the life of one decky has got.
    pub async fn state(&self, decky_uuid: &str) -> Result<Option<LifeState>, DbError> {
        let row = life_state::Entity::find_by_id(decky_uuid).one(self.0.reader()).await?;
        Ok(row.map(LifeState::from))
    }

    /// Forgets deckies that are not among `known` and were not touched since `before`.
    pub async fn prune(&self, before: DateTime<Utc>, known: &[String]) -> Result<u64, DbError> {
        use life_state::{Column, Entity};
        let old = Column::UpdatedAt.lt(micros(before));
        let rows = Entity::find().filter(old.clone()).all(self.0.reader()).await?;
        let mut gone = 0;
        for row in rows.iter().filter(|row| !known.contains(&row.decky_uuid)) {
            let old = &old;
            gone += self
                .0
                .write(|tx| async move {
                    let filter = sea_orm::Condition::all()
                        .add(Column::DeckyUuid.eq(row.decky_uuid.as_str()))
                        .add(old.clone());
                    Ok(Entity::delete_many().filter(filter).exec(&*tx).await?.rows_affected)
                })
                .await?;
        }
        Ok(gone)
    }
}

async fn make(
    tx: &DatabaseTransaction,
    change: &LifeChange,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    match change {
        LifeChange::Intend(intent) => intend(tx, intent).await,
        LifeChange::Settle(uuid) => {
            orchestrator_intent::Entity::delete_by_id(uuid.to_string()).exec(tx).await?;
            Ok(())
        }
        LifeChange::File(file) => synthetic_files::upsert(tx, id, file, now).await,
        LifeChange::FileState { decky_uuid, path, state, found, event } => {
            synthetic_files::set_state(tx, (decky_uuid, path), *state, found.as_deref(), *event, now).await?;
            Ok(())
        }
        LifeChange::Mail(mail) => emails::insert(tx, mail).await,
        LifeChange::Answered { decky_uuid, message_id } => emails::answered(tx, decky_uuid, message_id).await,
        LifeChange::Event(event) => orchestrator::insert(tx, event).await,
        LifeChange::Lived(state) => lived(tx, state, now).await,
    }
}

async fn intend(tx: &DatabaseTransaction, intent: &Intent) -> Result<(), DbError> {
    use orchestrator_intent::{Column, Entity};
    let insert = Query::insert()
        .into_table(Entity)
        .columns([
            Column::Uuid,
            Column::DeckyUuid,
            Column::Kind,
            Column::Path,
            Column::CreatedAt,
            Column::Document,
        ])
        .values_panic([
            intent.uuid.to_string().into(),
            owned(&intent.decky_uuid, DECKY_ID).into(),
            owned(&intent.kind, 16).into(),
            intent.path.as_str().into(),
            micros(intent.created_at).into(),
            json_text(&intent.document).into(),
        ])
        .to_owned();
    tx.execute(&insert).await?;
    Ok(())
}

async fn lived(tx: &DatabaseTransaction, state: &LifeState, now: DateTime<Utc>) -> Result<(), DbError> {
    use life_state::{Column, Entity};
    let insert = Query::insert()
        .into_table(Entity)
        .columns([Column::DeckyUuid, Column::Incarnation, Column::Born, Column::AgedAt, Column::UpdatedAt])
        .values_panic([
            owned(&state.decky_uuid, DECKY_ID).into(),
            owned(&state.incarnation, 128).into(),
            micros(state.born).into(),
            state.aged_at.map(micros).into(),
            micros(now).into(),
        ])
        .on_conflict(
            OnConflict::column(Column::DeckyUuid)
                .update_columns([Column::Incarnation, Column::Born, Column::AgedAt, Column::UpdatedAt])
                .to_owned(),
        )
        .to_owned();
    tx.execute(&insert).await?;
    Ok(())
}

impl From<life_state::Model> for LifeState {
    fn from(row: life_state::Model) -> Self {
        Self {
            decky_uuid: row.decky_uuid,
            incarnation: row.incarnation,
            born: time(row.born),
            aged_at: row.aged_at.map(time),
        }
    }
}

impl TryFrom<orchestrator_intent::Model> for Intent {
    type Error = DbError;

    fn try_from(row: orchestrator_intent::Model) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| DbError::Damaged {
                table: "orchestrator_intents",
                what: format!("uuid {:?}", row.uuid),
            })?,
            decky_uuid: row.decky_uuid,
            kind: row.kind,
            path: row.path,
            created_at: time(row.created_at),
            document: json_or_text(row.document),
        })
    }
}
