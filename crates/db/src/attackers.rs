//! Who was seen: one row for each source address, with the services, deckies and commands it used. Rows are made by
//! `ingest`; this file reads them.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bounds::{count, time};
use crate::entity::{attacker, attacker_command, attacker_decky, attacker_service};
use crate::page::{Page, Paging, capped_count};
use crate::search::contains;
use crate::{Db, DbError};

/// An attacker's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attacker {
    /// Row id.
    pub uuid: Uuid,
    /// Source address.
    pub ip: String,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
    /// Lines.
    pub event_count: u64,
    /// Distinct services.
    pub service_count: u64,
    /// Distinct deckies.
    pub decky_count: u64,
    /// Distinct secrets tried.
    pub credential_count: u64,
    /// Sessions.
    pub session_count: u64,
    /// Commands typed (more than are kept, for a chatty one).
    pub command_count: u64,
    /// Touched more than one decky.
    pub is_traversal: bool,
    /// When the row changed.
    pub updated_at: DateTime<Utc>,
}

/// A service an attacker used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackerService {
    /// Service slug.
    pub service: String,
    /// It was interacted with, not only scanned.
    pub interacted: bool,
    /// Lines.
    pub event_count: u64,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
}

/// A decky an attacker touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackerDecky {
    /// Host of the decky.
    pub host_uuid: String,
    /// Its name.
    pub decky: String,
    /// Order of first contact, from 0.
    pub ord: u64,
    /// Lines.
    pub event_count: u64,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
}

/// A command an attacker typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackerCommand {
    /// Row number.
    pub id: i64,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// Host of the decky.
    pub host_uuid: String,
    /// Where.
    pub decky: String,
    /// In which service.
    pub service: String,
    /// In which connection.
    pub conn_id: Option<String>,
    /// The command.
    pub command: String,
}

/// An attacker with its lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackerDetail {
    /// The row.
    #[serde(flatten)]
    pub attacker: Attacker,
    /// Services, by name.
    pub services: Vec<AttackerService>,
    /// Deckies, in order of first contact.
    pub deckies: Vec<AttackerDecky>,
}

/// Order of the attacker list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackerSort {
    /// Latest line first.
    #[default]
    Recent,
    /// Most lines first.
    Active,
    /// Most deckies first, those of one decky left out.
    Traversals,
}

/// Which attackers are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttackerQuery {
    /// Part of the address.
    pub search: Option<String>,
    /// Used this service.
    pub service: Option<String>,
    /// Order.
    pub sort: AttackerSort,
    /// Which part.
    pub paging: Paging,
}

/// The attacker repository.
#[derive(Debug, Clone, Copy)]
pub struct Attackers<'a>(pub(crate) &'a Db);

impl Attackers<'_> {
    /// A page of attackers.
    pub async fn page(&self, query: &AttackerQuery) -> Result<Page<Attacker>, DbError> {
        use attacker::Column;
        let backend = self.0.backend();
        let select = attacker::Entity::find()
            .apply_if(query.search.as_deref(), |select, text| {
                select.filter(contains(Expr::col(Column::Ip), text, backend))
            })
            .apply_if(query.service.as_deref(), |select, service| {
                let users = Query::select()
                    .column(attacker_service::Column::AttackerUuid)
                    .from(attacker_service::Entity)
                    .and_where(Expr::col(attacker_service::Column::Service).eq(service))
                    .to_owned();
                select.filter(Column::Uuid.in_subquery(users))
            });
        let select = match query.sort {
            AttackerSort::Traversals => select.filter(Column::DeckyCount.gt(1)),
            AttackerSort::Recent | AttackerSort::Active => select,
        };
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let ordered = match query.sort {
            AttackerSort::Recent => select.order_by_desc(Column::LastSeen),
            AttackerSort::Active => select.order_by_desc(Column::EventCount),
            AttackerSort::Traversals => select.order_by_desc(Column::DeckyCount),
        };
        let rows = ordered
            .order_by_desc(Column::Uuid)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(Attacker::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// One attacker with its services and deckies.
    pub async fn get(&self, uuid: Uuid) -> Result<Option<AttackerDetail>, DbError> {
        let Some(row) = attacker::Entity::find_by_id(uuid.to_string()).one(self.0.reader()).await? else {
            return Ok(None);
        };
        let services = attacker_service::Entity::find()
            .filter(attacker_service::Column::AttackerUuid.eq(row.uuid.as_str()))
            .order_by_asc(attacker_service::Column::Service)
            .all(self.0.reader())
            .await?;
        let deckies = attacker_decky::Entity::find()
            .filter(attacker_decky::Column::AttackerUuid.eq(row.uuid.as_str()))
            .order_by_asc(attacker_decky::Column::Ord)
            .limit(1000)
            .all(self.0.reader())
            .await?;
        Ok(Some(AttackerDetail {
            attacker: row.try_into()?,
            services: services.into_iter().map(AttackerService::from).collect(),
            deckies: deckies.into_iter().map(AttackerDecky::from).collect(),
        }))
    }

    /// The attacker at an address.
    pub async fn by_ip(&self, ip: std::net::IpAddr) -> Result<Option<Attacker>, DbError> {
        let ip = ip.to_canonical().to_string();
        let row = attacker::Entity::find().filter(attacker::Column::Ip.eq(ip)).one(self.0.reader()).await?;
        row.map(Attacker::try_from).transpose()
    }

    /// Commands of an attacker, newest first.
    pub async fn commands(
        &self,
        uuid: Uuid,
        service: Option<&str>,
        paging: Paging,
    ) -> Result<Page<AttackerCommand>, DbError> {
        use attacker_command::Column;
        let select = attacker_command::Entity::find()
            .filter(Column::AttackerUuid.eq(uuid.to_string()))
            .apply_if(service, |select, service| select.filter(Column::Service.eq(service)));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::Id)
            .limit(paging.limit())
            .offset(paging.offset)
            .all(self.0.reader())
            .await?;
        Ok(Page::new(paging, total, rows.into_iter().map(AttackerCommand::from).collect()))
    }
}

impl TryFrom<attacker::Model> for Attacker {
    type Error = DbError;

    fn try_from(row: attacker::Model) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row
                .uuid
                .parse()
                .map_err(|_| DbError::Damaged { table: "attackers", what: format!("uuid {:?}", row.uuid) })?,
            ip: row.ip,
            first_seen: time(row.first_seen),
            last_seen: time(row.last_seen),
            event_count: count(row.event_count),
            service_count: count(row.service_count),
            decky_count: count(row.decky_count),
            credential_count: count(row.credential_count),
            session_count: count(row.session_count),
            command_count: count(row.command_count),
            is_traversal: row.decky_count > 1,
            updated_at: time(row.updated_at),
        })
    }
}

impl From<attacker_service::Model> for AttackerService {
    fn from(row: attacker_service::Model) -> Self {
        Self {
            service: row.service,
            interacted: row.interacted,
            event_count: count(row.event_count),
            first_seen: time(row.first_seen),
            last_seen: time(row.last_seen),
        }
    }
}

impl From<attacker_decky::Model> for AttackerDecky {
    fn from(row: attacker_decky::Model) -> Self {
        Self {
            host_uuid: row.host_uuid,
            decky: row.decky,
            ord: count(row.ord),
            event_count: count(row.event_count),
            first_seen: time(row.first_seen),
            last_seen: time(row.last_seen),
        }
    }
}

impl From<attacker_command::Model> for AttackerCommand {
    fn from(row: attacker_command::Model) -> Self {
        Self {
            id: row.id,
            timestamp: time(row.timestamp),
            host_uuid: row.host_uuid,
            decky: row.decky,
            service: row.service,
            conn_id: row.conn_id,
            command: row.command,
        }
    }
}
