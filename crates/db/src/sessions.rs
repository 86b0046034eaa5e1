//! Connections of attackers: one row for each (host, decky, connection). Begun and counted by `ingest`; a session whose
//! end was never logged (a decoy was killed) is closed here after a silence.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;
use uuid::Uuid;

use crate::bounds::{count, micros, port, signed, time};
use crate::entity::session::{Column, Entity, Model};
use crate::outbox::{self, NewOutbox};
use crate::page::{Page, Paging, capped_count};
use crate::{Db, DbError};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Row id.
    pub id: Uuid,
    /// Host of the decky.
    pub host_uuid: String,
    /// Decky.
    pub decky: String,
    /// Connection id within the decky.
    pub conn_id: String,
    /// Attacker's row.
    pub attacker_uuid: Uuid,
    /// Source address.
    pub attacker_ip: String,
    /// Source port.
    pub src_port: Option<u16>,
    /// Service.
    pub service: String,
    /// First line.
    pub started_at: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// Lines.
    pub event_count: u64,
    /// Commands.
    pub command_count: u64,
    /// Login attempts.
    pub auth_count: u64,
    /// A login was let in.
    pub authenticated: bool,
    /// Client banner, user agent or HASSH.
    pub client: Option<String>,
}

/// Which sessions are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Of this attacker.
    pub attacker_uuid: Option<Uuid>,
    /// From this address.
    pub attacker_ip: Option<String>,
    /// On this decky.
    pub decky: Option<String>,
    /// On this service.
    pub service: Option<String>,
    /// Only open (`true`) or only ended (`false`) ones.
    pub open: Option<bool>,
    /// Which part.
    pub paging: Paging,
}

/// The session repository.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a>(pub(crate) &'a Db);

impl Sessions<'_> {
    /// A page, latest start first.
    pub async fn page(&self, query: &SessionQuery) -> Result<Page<Session>, DbError> {
        let select = Entity::find()
            .apply_if(query.attacker_uuid, |select, uuid| {
                select.filter(Column::AttackerUuid.eq(uuid.to_string()))
            })
            .apply_if(query.attacker_ip.as_deref(), |select, ip| select.filter(Column::AttackerIp.eq(ip)))
            .apply_if(query.decky.as_deref(), |select, decky| select.filter(Column::Decky.eq(decky)))
            .apply_if(query.service.as_deref(), |select, service| select.filter(Column::Service.eq(service)))
            .apply_if(query.open, |select, open| {
                select.filter(if open { Column::EndedAt.is_null() } else { Column::EndedAt.is_not_null() })
            });
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::StartedAt)
            .order_by_desc(Column::Id)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(Session::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// One session.
    pub async fn get(&self, id: Uuid) -> Result<Option<Session>, DbError> {
        Entity::find_by_id(id.to_string()).one(self.0.reader()).await?.map(Session::try_from).transpose()
    }

    /// Whether somebody may be looking at a decky from inside: one of `services` (those with a shell) has a session that is not
    /// over, or one with a login that ended after `since`.
    pub async fn inhabited(
        &self,
        host_uuid: &str,
        decky: &str,
        services: &[&str],
        since: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        let open = Column::EndedAt.is_null();
        let recent = Column::EndedAt.gte(micros(since)).and(Column::Authenticated.eq(true));
        let found: Option<String> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Decky.eq(decky))
            .filter(Column::HostUuid.eq(host_uuid))
            .filter(Column::Service.is_in(services.iter().copied()))
            .filter(open.or(recent))
            .limit(1)
            .into_tuple()
            .one(self.0.reader())
            .await?;
        Ok(found.is_some())
    }

    /// Ends sessions silent since `before` (at most `limit`), with the events that tell of it, in one transaction. Each
    /// ends at its latest line. Returns how many.
    pub async fn end_silent<F>(&self, before: DateTime<Utc>, limit: u64, events: F) -> Result<u64, DbError>
    where
        F: Fn(&[Session]) -> Vec<NewOutbox> + Send + Sync,
    {
        let (now, events) = (self.0.now(), &events);
        self.0
            .write(|tx| async move {
                crate::ingest::lock(&tx).await?;
                let rows = Entity::find()
                    .filter(Column::EndedAt.is_null())
                    .filter(Column::LastSeen.lt(micros(before)))
                    .order_by_asc(Column::LastSeen)
                    .limit(limit.clamp(1, 1000))
                    .all(&*tx)
                    .await?;
                let mut ended = Vec::with_capacity(rows.len());
                for mut row in rows {
                    row.ended_at = Some(row.last_seen);
                    ended.push(Session::try_from(row)?);
                }
                for chunk in ended.chunks(500) {
                    Entity::update_many()
                        .col_expr(Column::EndedAt, sea_orm::sea_query::Expr::col(Column::LastSeen))
                        .filter(Column::Id.is_in(chunk.iter().map(|session| session.id.to_string())))
                        .exec(&*tx)
                        .await?;
                }
                outbox::insert(&tx, &events(&ended), now).await?;
                Ok(ended.len() as u64)
            })
            .await
    }
}

impl TryFrom<Model> for Session {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let id = |text: &str| {
            text.parse().map_err(|_| DbError::Damaged { table: "sessions", what: format!("id {text:?}") })
        };
        Ok(Self {
            id: id(&row.id)?,
            attacker_uuid: id(&row.attacker_uuid)?,
            host_uuid: row.host_uuid,
            decky: row.decky,
            conn_id: row.conn_id,
            attacker_ip: row.attacker_ip,
            src_port: port(row.src_port),
            service: row.service,
            started_at: time(row.started_at),
            last_seen: time(row.last_seen),
            ended_at: row.ended_at.map(time),
            event_count: count(row.event_count),
            command_count: count(row.command_count),
            auth_count: count(row.auth_count),
            authenticated: row.authenticated,
            client: row.client,
        })
    }
}

impl From<Session> for Model {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            host_uuid: session.host_uuid,
            decky: session.decky,
            conn_id: session.conn_id,
            attacker_uuid: session.attacker_uuid.to_string(),
            attacker_ip: session.attacker_ip,
            src_port: session.src_port.map(i64::from),
            service: session.service,
            started_at: micros(session.started_at),
            last_seen: micros(session.last_seen),
            ended_at: session.ended_at.map(micros),
            event_count: signed(session.event_count),
            command_count: signed(session.command_count),
            auth_count: signed(session.auth_count),
            authenticated: session.authenticated,
            client: session.client,
        }
    }
}
