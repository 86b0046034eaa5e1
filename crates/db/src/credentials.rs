//! Secrets that were tried, for reading. Masking them for viewers is the API's decision. Rows are made by `ingest`.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, Expr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds::{count, json_or_text, time};
use crate::entity::credential::{Column, Entity, Model};
use crate::page::{Page, Paging, capped_count};
use crate::search::contains;
use crate::{Db, DbError};

/// A secret tried by one attacker on one service of one decky.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Credential {
    /// Row id.
    pub id: Uuid,
    /// Source address.
    pub attacker_ip: String,
    /// Attacker's row.
    pub attacker_uuid: Option<Uuid>,
    /// Host of the decky that saw it first.
    pub host_uuid: String,
    /// Decky.
    pub decky_name: String,
    /// Service.
    pub service: String,
    /// User name, if the protocol has one.
    pub principal: Option<String>,
    /// Kind of secret; equal hashes mean the same secret only within one kind.
    pub secret_kind: String,
    /// SHA-256 of the whole secret.
    pub secret_sha256: String,
    /// Its length in bytes.
    pub secret_len: u64,
    /// Base64, cut to the limit.
    pub secret_b64: Option<String>,
    /// Printable form, cut to the limit.
    pub secret_printable: Option<String>,
    /// Latest answer of the decoy.
    pub outcome: Option<String>,
    /// Fields of the first sighting.
    pub fields: Value,
    /// First attempt.
    pub first_seen: DateTime<Utc>,
    /// Latest attempt.
    pub last_seen: DateTime<Utc>,
    /// Attempts.
    pub attempt_count: u64,
}

/// Which credentials are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialQuery {
    /// Part of principal, printable secret, decky, address, or the start of the hash.
    pub search: Option<String>,
    /// Service slug.
    pub service: Option<String>,
    /// Source address.
    pub attacker_ip: Option<String>,
    /// Which part.
    pub paging: Paging,
}

/// The credential repository.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a>(pub(crate) &'a Db);

impl Credentials<'_> {
    /// A page, latest attempt first.
    pub async fn page(&self, query: &CredentialQuery) -> Result<Page<Credential>, DbError> {
        let backend = self.0.backend();
        let select = Entity::find()
            .apply_if(query.service.as_deref(), |select, service| select.filter(Column::Service.eq(service)))
            .apply_if(query.attacker_ip.as_deref(), |select, ip| select.filter(Column::AttackerIp.eq(ip)))
            .apply_if(query.search.as_deref(), |select, text| {
                let columns = [
                    Column::Principal,
                    Column::SecretPrintable,
                    Column::DeckyName,
                    Column::AttackerIp,
                    Column::SecretSha256,
                ];
                select.filter(columns.into_iter().fold(Condition::any(), |any, column| {
                    any.add(contains(Expr::col(column), text, backend))
                }))
            });
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::LastSeen)
            .order_by_desc(Column::Id)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(Credential::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// One credential.
    pub async fn get(&self, id: Uuid) -> Result<Option<Credential>, DbError> {
        Entity::find_by_id(id.to_string()).one(self.0.reader()).await?.map(Credential::try_from).transpose()
    }
}

impl TryFrom<Model> for Credential {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let id = |text: &str| {
            text.parse().map_err(|_| DbError::Damaged { table: "credentials", what: format!("id {text:?}") })
        };
        Ok(Self {
            id: id(&row.id)?,
            attacker_uuid: row.attacker_uuid.as_deref().map(id).transpose()?,
            attacker_ip: row.attacker_ip,
            host_uuid: row.host_uuid,
            decky_name: row.decky_name,
            service: row.service,
            principal: row.principal,
            secret_kind: row.secret_kind,
            secret_sha256: row.secret_sha256,
            secret_len: count(row.secret_len),
            secret_b64: row.secret_b64,
            secret_printable: row.secret_printable,
            outcome: row.outcome,
            fields: json_or_text(row.fields),
            first_seen: time(row.first_seen),
            last_seen: time(row.last_seen),
            attempt_count: count(row.attempt_count),
        })
    }
}
