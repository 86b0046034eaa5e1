//! The mirror of what is deployed: `fleet_deckies`, and the union of running deckies that the orchestrator and the
//! planters read. The state file is the source; this table is for readers. Nothing here decides about drift.

mod converge;
mod types;
mod union;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QueryTrait,
};

use crate::bounds::{self, json_text, maybe, micros, signed};
use crate::entity::fleet_decky::{Column, Entity};
use crate::outbox::{self, NewOutbox};
use crate::{Db, DbError};

pub use converge::{Converged, FleetStep};
pub use types::{DeckySource, DeckyState, FleetChange, FleetDecky, NewFleetDecky, RunningDecky};

/// The mirror's repository.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'a>(pub(crate) &'a Db);

impl Fleet<'_> {
    /// Applies changes, and writes the events that tell of them, in one transaction. Returns how many rows changed.
    pub async fn apply(&self, changes: &[FleetChange], events: &[NewOutbox]) -> Result<u64, DbError> {
        if let Some(bad) = changes.iter().find(|change| !named_well(change)) {
            return Err(DbError::Refused(format!(
                "a decky needs a name of 1 to 64 characters and a host id of 1 to 64: {bad:?}"
            )));
        }
        let now = self.0.now();
        self.0
            .write(|tx| async move {
                let mut changed = 0;
                for change in changes {
                    changed += apply(&tx, change, now).await?;
                }
                outbox::insert(&tx, events, now).await?;
                Ok(changed)
            })
            .await
    }

    /// Inserts or replaces one decky.
    pub async fn upsert(&self, decky: NewFleetDecky) -> Result<(), DbError> {
        self.apply(&[FleetChange::Upsert(decky)], &[]).await.map(|_| ())
    }

    /// Deletes one decky; true if it was there.
    pub async fn delete(&self, host_uuid: &str, name: &str) -> Result<bool, DbError> {
        let delete = FleetChange::Delete { host_uuid: host_uuid.to_owned(), name: name.to_owned() };
        Ok(self.apply(&[delete], &[]).await? > 0)
    }

    /// Sets state, `last_seen` and, if given, the last error; true if the decky was there.
    pub async fn update_state(
        &self,
        host_uuid: &str,
        name: &str,
        state: DeckyState,
        last_error: Option<&str>,
    ) -> Result<bool, DbError> {
        let change = FleetChange::State {
            host_uuid: host_uuid.to_owned(),
            name: name.to_owned(),
            state,
            last_error: last_error.map(str::to_owned),
        };
        Ok(self.apply(&[change], &[]).await? > 0)
    }

    /// Deckies in name order, of one host or of all.
    pub async fn list(&self, host_uuid: Option<&str>) -> Result<Vec<FleetDecky>, DbError> {
        self.select(host_uuid, None).await
    }

    /// One decky.
    pub async fn get(&self, host_uuid: &str, name: &str) -> Result<Option<FleetDecky>, DbError> {
        let key = (host_uuid.to_owned(), name.to_owned());
        Entity::find_by_id(key).one(self.0.reader()).await?.map(FleetDecky::try_from).transpose()
    }

    /// Deckies in state `running`, in name order.
    pub async fn list_running(&self) -> Result<Vec<FleetDecky>, DbError> {
        self.select(None, Some(DeckyState::Running)).await
    }

    /// Everything that runs, each decky once: topology, fleet, shard, in this order (the flat fleet is the only source so far).
    pub async fn list_running_deckies(&self) -> Result<Vec<RunningDecky>, DbError> {
        Ok(union::union(self.list_running().await?.into_iter().map(Into::into)))
    }

    async fn select(
        &self,
        host: Option<&str>,
        state: Option<DeckyState>,
    ) -> Result<Vec<FleetDecky>, DbError> {
        let rows = Entity::find()
            .apply_if(host, |select, host| select.filter(Column::HostUuid.eq(host)))
            .apply_if(state, |select, state| select.filter(Column::State.eq(state.as_str())))
            .order_by_asc(Column::Name)
            .order_by_asc(Column::HostUuid)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(FleetDecky::try_from).collect()
    }
}

fn named_well(change: &FleetChange) -> bool {
    let (host, name) = match change {
        FleetChange::Upsert(decky) => (decky.host_uuid.as_deref().unwrap_or("local"), decky.name.as_str()),
        FleetChange::State { host_uuid, name, .. }
        | FleetChange::Seen { host_uuid, name }
        | FleetChange::Delete { host_uuid, name } => (host_uuid.as_str(), name.as_str()),
    };
    [host, name].iter().all(|text| (1..=bounds::HOST).contains(&text.chars().count()))
}

async fn apply(tx: &DatabaseTransaction, change: &FleetChange, now: DateTime<Utc>) -> Result<u64, DbError> {
    let now = micros(now);
    let of = |host: &str, name: &str| Column::HostUuid.eq(host).and(Column::Name.eq(name));
    Ok(match change {
        FleetChange::Upsert(decky) => upsert(tx, decky, now).await?,
        FleetChange::State { host_uuid, name, state, last_error } => {
            let mut update = Entity::update_many()
                .col_expr(Column::State, state.as_str().into())
                .col_expr(Column::LastSeen, now.into())
                .col_expr(Column::UpdatedAt, now.into())
                .filter(of(host_uuid, name));
            if let Some(error) = maybe(last_error.as_deref(), bounds::LAST_ERROR) {
                update = update.col_expr(Column::LastError, error.into());
            }
            update.exec(tx).await?.rows_affected
        }
        FleetChange::Seen { host_uuid, name } => {
            let update =
                Entity::update_many().col_expr(Column::LastSeen, now.into()).filter(of(host_uuid, name));
            update.exec(tx).await?.rows_affected
        }
        FleetChange::Delete { host_uuid, name } => {
            Entity::delete_many().filter(of(host_uuid, name)).exec(tx).await?.rows_affected
        }
    })
}

async fn upsert(tx: &DatabaseTransaction, decky: &NewFleetDecky, now: i64) -> Result<u64, DbError> {
    let insert = Query::insert()
        .into_table(Entity)
        .columns([
            Column::HostUuid,
            Column::Name,
            Column::Services,
            Column::DeckyConfig,
            Column::DeckyIp,
            Column::State,
            Column::LastError,
            Column::ComposeHash,
            Column::UpdatedAt,
            Column::Generation,
        ])
        .values_panic([
            decky.host_uuid.as_deref().unwrap_or("local").into(),
            decky.name.as_str().into(),
            json_text(&decky.services).into(),
            decky.decky_config.as_ref().map(json_text).into(),
            maybe(decky.decky_ip.as_deref(), 45).into(),
            decky.state.as_str().into(),
            maybe(decky.last_error.as_deref(), bounds::LAST_ERROR).into(),
            maybe(decky.compose_hash.as_deref(), 128).into(),
            now.into(),
            signed(decky.generation).into(),
        ])
        .on_conflict(
            OnConflict::columns([Column::HostUuid, Column::Name])
                .update_columns([
                    Column::Services,
                    Column::DeckyConfig,
                    Column::DeckyIp,
                    Column::State,
                    Column::LastError,
                    Column::ComposeHash,
                    Column::UpdatedAt,
                    Column::Generation,
                ])
                .to_owned(),
        )
        .to_owned();
    tx.execute(&insert).await?;
    Ok(1)
}
