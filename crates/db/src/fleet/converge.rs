//! Writing what a reconcile pass found: each row only if it still is what was read, each event only with its row, all in one
//! transaction. So agent and reconciler (or two reconcilers) that saw the same change tell it once.
//!
//! What to write is decided in `decnet_fleet::reconcile`.

use chrono::{DateTime, Utc};
use decnet_fleet::reconcile::{Action, Change, Counters, Read, Record, Row};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Value};

use super::{Fleet, FleetDecky};
use crate::bounds::{self, json_text, maybe, micros, signed};
use crate::bulk::Bulk;
use crate::entity::fleet_decky::{Column, Entity};
use crate::outbox::{self, NewOutbox};
use crate::{DbError, DeckyState};

/// A row that nobody may have made meanwhile.
const NEW: Bulk = Bulk {
    table: "fleet_deckies",
    columns: &[
        "host_uuid",
        "name",
        "services",
        "decky_config",
        "decky_ip",
        "state",
        "last_error",
        "compose_hash",
        "last_seen",
        "updated_at",
        "generation",
    ],
    key: &["host_uuid", "name"],
    replace: &[],
};

/// Names in one `IN`.
const MOST_NAMES: usize = 256;

/// One action of a pass, with the event that tells of it.
#[derive(Debug, Clone)]
pub struct FleetStep {
    /// What to write.
    pub action: Action,
    /// Whom it is told, if anybody is to know.
    pub event: Option<NewOutbox>,
}

/// What came of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Converged {
    /// What was written (`orphans` is not the database's affair).
    pub counters: Counters,
    /// Actions that somebody else had made needless or wrong by then: the next pass looks again.
    pub overtaken: u64,
}

impl Fleet<'_> {
    /// Writes the steps of a pass over `host`, and `events` beside them, in one transaction.
    pub async fn converge(
        &self,
        host: &str,
        steps: &[FleetStep],
        events: &[NewOutbox],
    ) -> Result<Converged, DbError> {
        let now = self.0.now();
        self.0
            .write(|tx| async move {
                let mut done = Converged::default();
                let mut told: Vec<NewOutbox> = Vec::new();
                let mut seen: Vec<&str> = Vec::new();
                for FleetStep { action, event } in steps {
                    if action.change == Change::Seen {
                        seen.push(action.name.as_str());
                    } else if write(&tx, host, action, now).await? {
                        done.counters.count(action);
                        told.extend(event.clone());
                    } else {
                        done.overtaken += 1;
                    }
                }
                for names in seen.chunks(MOST_NAMES) {
                    let names = names.iter().copied();
                    Entity::update_many()
                        .col_expr(Column::LastSeen, micros(now).into())
                        .filter(Column::HostUuid.eq(host).and(Column::Name.is_in(names)))
                        .exec(&*tx)
                        .await?;
                }
                told.extend_from_slice(events);
                outbox::insert(&tx, &told, now).await?;
                Ok(done)
            })
            .await
    }
}

/// Whether the row still was what had been read, and is written now.
async fn write(
    tx: &DatabaseTransaction,
    host: &str,
    action: &Action,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let now = micros(now);
    let still = |read: &Read| {
        Column::HostUuid
            .eq(host)
            .and(Column::Name.eq(action.name.as_str()))
            .and(Column::State.eq(read.state.as_str()))
            .and(Column::UpdatedAt.eq(micros(read.updated_at)))
    };
    let touched = match &action.change {
        Change::Insert { record, seen } => {
            let columns = Columns::of(record);
            let row: [Value; 11] = [
                host.into(),
                action.name.as_str().into(),
                columns.services.into(),
                columns.config.into(),
                columns.ip.into(),
                record.state.as_str().into(),
                columns.last_error.into(),
                columns.hash.into(),
                seen.then_some(now).into(),
                now.into(),
                columns.generation.into(),
            ];
            NEW.write(tx, [row].into_iter()).await?
        }
        Change::Update { read, record, seen } => {
            let columns = Columns::of(record);
            let mut update = Entity::update_many()
                .col_expr(Column::Services, columns.services.into())
                .col_expr(Column::DeckyConfig, columns.config.into())
                .col_expr(Column::DeckyIp, columns.ip.into())
                .col_expr(Column::State, record.state.as_str().into())
                .col_expr(Column::LastError, columns.last_error.into())
                .col_expr(Column::ComposeHash, columns.hash.into())
                .col_expr(Column::UpdatedAt, now.into())
                .col_expr(Column::Generation, columns.generation.into())
                .filter(still(read));
            if *seen {
                update = update.col_expr(Column::LastSeen, now.into());
            }
            update.exec(tx).await?.rows_affected
        }
        Change::Restate { read, state, last_error } => {
            let update = Entity::update_many()
                .col_expr(Column::State, state.as_str().into())
                .col_expr(Column::LastError, maybe(last_error.as_deref(), bounds::LAST_ERROR).into())
                .col_expr(Column::UpdatedAt, now.into())
                .filter(still(read));
            update.exec(tx).await?.rows_affected
        }
        Change::Delete { read } => Entity::delete_many().filter(still(read)).exec(tx).await?.rows_affected,
        Change::Seen => 1,
    };
    Ok(touched > 0)
}

/// A record as its columns hold it.
struct Columns {
    services: String,
    config: Option<String>,
    ip: Option<String>,
    last_error: Option<String>,
    hash: Option<String>,
    generation: i64,
}

impl Columns {
    fn of(record: &Record) -> Self {
        Self {
            services: json_text(&record.services),
            config: Some(json_text(&record.config)),
            ip: maybe(Some(&record.ip), 45),
            last_error: maybe(record.last_error.as_deref(), bounds::LAST_ERROR),
            hash: maybe(record.plan_hash.as_deref(), 128),
            generation: signed(record.generation),
        }
    }
}

impl FleetDecky {
    /// The row as a pass compares it.
    pub fn into_row(self) -> Row {
        let state: DeckyState = self.state;
        Row {
            name: self.name,
            services: serde_json::from_value(self.services).ok(),
            config: self.decky_config,
            ip: self.decky_ip,
            state,
            last_error: self.last_error,
            plan_hash: self.compose_hash,
            generation: self.generation,
            last_seen: self.last_seen,
            updated_at: self.updated_at,
        }
    }
}
