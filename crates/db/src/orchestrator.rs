//! What the orchestrator did: one row for each action, written together with the event that tells of it. Decky ids are
//! opaque text; the rows outlive the deckies.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds::{DECKY_ID, json_or_text, json_text, maybe, micros, owned, time};
use crate::entity::orchestrator_event::{ActiveModel, Column, Entity, Model};
use crate::outbox::{self, NewOutbox};
use crate::page::{Page, Paging, capped_count};
use crate::{Db, DbError};

/// An action to record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOrchestratorEvent {
    /// Row id, if the caller has used it already (in the event).
    pub uuid: Uuid,
    /// When.
    pub ts: DateTime<Utc>,
    /// `traffic` or `file`.
    pub kind: String,
    /// How (`ssh`, `http`, …).
    pub protocol: String,
    /// What (`exec:tcp_connect:22`, `file:create`, …).
    pub action: String,
    /// From this decky.
    pub src_decky_uuid: Option<String>,
    /// To this decky.
    pub dst_decky_uuid: String,
    /// It worked.
    pub success: bool,
    /// Details.
    pub payload: Value,
}

/// A recorded action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrchestratorEvent {
    /// Row id.
    pub uuid: Uuid,
    /// When.
    pub ts: DateTime<Utc>,
    /// `traffic` or `file`.
    pub kind: String,
    /// How.
    pub protocol: String,
    /// What.
    pub action: String,
    /// From this decky.
    pub src_decky_uuid: Option<String>,
    /// To this decky.
    pub dst_decky_uuid: String,
    /// It worked.
    pub success: bool,
    /// Details.
    pub payload: Value,
}

/// Which actions are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrchestratorQuery {
    /// Of this kind.
    pub kind: Option<String>,
    /// To this decky.
    pub dst_decky_uuid: Option<String>,
    /// That worked, or that did not.
    pub success: Option<bool>,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Which part.
    pub paging: Paging,
}

/// The repository of actions.
#[derive(Debug, Clone, Copy)]
pub struct OrchestratorEvents<'a>(pub(crate) &'a Db);

impl OrchestratorEvents<'_> {
    /// Records an action and the events that tell of it, in one transaction.
    pub async fn record(&self, event: &NewOrchestratorEvent, events: &[NewOutbox]) -> Result<(), DbError> {
        let now = self.0.now();
        self.0
            .write(|tx| async move {
                insert(&tx, event).await?;
                outbox::insert(&tx, events, now).await
            })
            .await
    }

    /// A page, newest first.
    pub async fn page(&self, query: &OrchestratorQuery) -> Result<Page<OrchestratorEvent>, DbError> {
        let select = Entity::find()
            .apply_if(query.kind.as_deref(), |select, kind| select.filter(Column::Kind.eq(kind)))
            .apply_if(query.dst_decky_uuid.as_deref(), |select, dst| {
                select.filter(Column::DstDeckyUuid.eq(dst))
            })
            .apply_if(query.success, |select, success| select.filter(Column::Success.eq(success)))
            .apply_if(query.since, |select, since| select.filter(Column::Ts.gte(micros(since))));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::Ts)
            .order_by_desc(Column::Uuid)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(OrchestratorEvent::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// Keeps the newest `keep` actions for each destination; returns how many went. A range delete by (dst, ts, uuid).
    pub async fn prune(&self, keep: u64) -> Result<u64, DbError> {
        let crowded: Vec<String> = Entity::find()
            .select_only()
            .column(Column::DstDeckyUuid)
            .group_by(Column::DstDeckyUuid)
            .having(Expr::col(Column::Uuid).count().gt(crate::bounds::signed(keep)))
            .into_tuple()
            .all(self.0.reader())
            .await?;
        let mut gone = 0;
        for dst in crowded {
            // The newest row that must go; a short transaction for each destination.
            let mark: Option<(i64, String)> = Entity::find()
                .select_only()
                .columns([Column::Ts, Column::Uuid])
                .filter(Column::DstDeckyUuid.eq(dst.as_str()))
                .order_by_desc(Column::Ts)
                .order_by_desc(Column::Uuid)
                .offset(keep)
                .limit(1)
                .into_tuple()
                .one(self.0.reader())
                .await?;
            let Some((ts, uuid)) = mark else { continue };
            let (dst, uuid) = (dst.as_str(), uuid.as_str());
            gone += self
                .0
                .write(|tx| async move {
                    let older = Column::Ts.lt(ts).or(Column::Ts.eq(ts).and(Column::Uuid.lte(uuid)));
                    let delete = Entity::delete_many().filter(Column::DstDeckyUuid.eq(dst)).filter(older);
                    Ok(delete.exec(&*tx).await?.rows_affected)
                })
                .await?;
        }
        Ok(gone)
    }
}

/// Writes an action inside a transaction.
pub(crate) async fn insert(tx: &DatabaseTransaction, event: &NewOrchestratorEvent) -> Result<(), DbError> {
    let row = Model {
        uuid: event.uuid.to_string(),
        ts: micros(event.ts),
        kind: owned(&event.kind, 16),
        protocol: owned(&event.protocol, 16),
        action: owned(&event.action, 64),
        src_decky_uuid: maybe(event.src_decky_uuid.as_deref(), DECKY_ID),
        dst_decky_uuid: owned(&event.dst_decky_uuid, DECKY_ID),
        success: event.success,
        payload: json_text(&event.payload),
    };
    Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

impl TryFrom<Model> for OrchestratorEvent {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| DbError::Damaged {
                table: "orchestrator_events",
                what: format!("uuid {:?}", row.uuid),
            })?,
            ts: time(row.ts),
            kind: row.kind,
            protocol: row.protocol,
            action: row.action,
            src_decky_uuid: row.src_decky_uuid,
            dst_decky_uuid: row.dst_decky_uuid,
            success: row.success,
            payload: json_or_text(row.payload),
        })
    }
}
