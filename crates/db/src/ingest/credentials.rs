//! The secrets tried in a batch: counted by their unique key, the first sighting's details kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use sea_orm::{DatabaseTransaction, FromQueryResult, Value};

use super::NewCredential;
use super::facts::CapturedCredential;
use super::lines::Line;
use super::lookup::{each, rows_with};
use crate::bounds::{self, count, cut, fields_text, maybe, signed, time};
use crate::bulk::Bulk;
use crate::entity::{attacker, credential};
use crate::{Db, DbError};

const CREDENTIALS: Bulk = Bulk {
    table: "credentials",
    columns: &[
        "id",
        "attacker_ip",
        "attacker_uuid",
        "host_uuid",
        "decky_name",
        "service",
        "principal",
        "principal_key",
        "secret_kind",
        "secret_sha256",
        "secret_len",
        "secret_b64",
        "secret_printable",
        "outcome",
        "fields",
        "first_seen",
        "last_seen",
        "attempt_count",
    ],
    key: &["id"],
    replace: &["attacker_uuid", "outcome", "first_seen", "last_seen", "attempt_count"],
};

/// Columns of the unique key, in the order of [`key_of`] and of the index.
const KEY: [&str; 6] =
    ["secret_sha256", "attacker_ip", "decky_name", "service", "secret_kind", "principal_key"];

type Key<'l> = [Cow<'l, str>; 6];

struct Secret {
    row: credential::Model,
    before: i64,
}

/// The secrets of one batch, in order of first attempt.
#[derive(Default)]
pub(super) struct Tried<'l> {
    secrets: Vec<Secret>,
    by_key: HashMap<Key<'l>, usize>,
}

fn key_of<'l>(line: &'l Line<'_>, secret: &'l NewCredential) -> Key<'l> {
    [
        cut(&secret.secret_sha256, 64),
        Cow::Borrowed(line.ip()),
        Cow::Borrowed(line.decky.as_ref()),
        Cow::Borrowed(line.service.as_ref()),
        cut(&secret.secret_kind, bounds::SECRET_KIND),
        cut(secret.principal.as_deref().unwrap_or_default(), bounds::PRINCIPAL),
    ]
}

impl<'l> Tried<'l> {
    /// Reads the rows that the lines' secrets have already.
    pub(super) async fn load(
        tx: &DatabaseTransaction,
        lines: &[(&'l Line<'l>, IpAddr)],
    ) -> Result<Self, DbError> {
        let mut tried = Self::default();
        let mut seen = std::collections::HashSet::new();
        let keys: Vec<Key<'l>> = lines
            .iter()
            .filter_map(|(line, _)| line.log.credential.as_ref().map(|secret| key_of(line, secret)))
            .filter(|key| seen.insert(key.clone()))
            .collect();
        let binds: Vec<[Value; 6]> =
            keys.iter().map(|key| std::array::from_fn(|at| key[at].as_ref().into())).collect();
        let ids: Vec<Option<String>> = each(tx, ("id", "credentials"), KEY, &binds).await?;
        let known: HashMap<&str, &Key<'l>> =
            ids.iter().zip(&keys).filter_map(|(id, key)| id.as_deref().map(|id| (id, key))).collect();
        let ids: Vec<&str> = known.keys().copied().collect();
        for row in rows_with(tx, ("credentials", "*"), "id", &ids, ("", &[])).await? {
            let row = credential::Model::from_query_result(&row, "")?;
            if let Some(key) = known.get(row.id.as_str()) {
                tried.by_key.insert((*key).clone(), tried.secrets.len());
                tried.secrets.push(Secret { before: row.attempt_count, row });
            }
        }
        Ok(tried)
    }

    /// Counts one attempt; true if nobody at this address had tried this secret here before.
    pub(super) fn add(
        &mut self,
        db: &Db,
        line: &'l Line<'_>,
        secret: &'l NewCredential,
        attacker: &attacker::Model,
    ) -> bool {
        let key = key_of(line, secret);
        let secrets = &mut self.secrets;
        let mut new = false;
        let at = *self.by_key.entry(key).or_insert_with_key(|key| {
            new = true;
            let [secret_sha256, attacker_ip, decky_name, service, secret_kind, principal_key] =
                key.clone().map(Cow::into_owned);
            let row = credential::Model {
                id: db.new_id().to_string(),
                attacker_ip,
                attacker_uuid: Some(attacker.uuid.clone()),
                host_uuid: line.place.0.to_owned(),
                decky_name,
                service,
                principal: secret.principal.as_ref().map(|_| principal_key.clone()),
                principal_key,
                secret_kind,
                secret_sha256,
                secret_len: signed(secret.secret_len),
                secret_b64: maybe(secret.secret_b64.as_deref(), bounds::SECRET_B64),
                secret_printable: maybe(secret.secret_printable.as_deref(), bounds::SECRET_PRINTABLE),
                outcome: None,
                fields: fields_text(&secret.fields),
                first_seen: line.at,
                last_seen: line.at,
                attempt_count: 0,
            };
            secrets.push(Secret { row, before: 0 });
            secrets.len() - 1
        });
        let row = &mut secrets[at].row;
        row.attempt_count += 1;
        row.attacker_uuid.get_or_insert_with(|| attacker.uuid.clone());
        row.first_seen = row.first_seen.min(line.at);
        row.last_seen = row.last_seen.max(line.at);
        if secret.outcome.is_some() {
            row.outcome = maybe(secret.outcome.as_deref(), bounds::OUTCOME);
        }
        new
    }

    /// Writes the rows.
    pub(super) async fn save(&self, tx: &DatabaseTransaction) -> Result<(), DbError> {
        CREDENTIALS.write(tx, self.secrets.iter().map(|secret| values(&secret.row))).await?;
        Ok(())
    }

    /// One fact for each secret.
    pub(super) fn facts(self) -> Result<Vec<CapturedCredential>, DbError> {
        let damaged = |what: String| DbError::Damaged { table: "credentials", what };
        self.secrets
            .into_iter()
            .map(|Secret { row, before }| {
                let attacker = row.attacker_uuid.as_deref().unwrap_or_default();
                Ok(CapturedCredential {
                    id: row.id.parse().map_err(|_| damaged(format!("id {:?}", row.id)))?,
                    first_sighting: before == 0,
                    attempts: count(row.attempt_count - before),
                    attacker_uuid: attacker
                        .parse()
                        .map_err(|_| damaged(format!("attacker {attacker:?} of {}", row.id)))?,
                    attacker_ip: row
                        .attacker_ip
                        .parse()
                        .map_err(|_| damaged(format!("address {:?} of {}", row.attacker_ip, row.id)))?,
                    host_uuid: row.host_uuid,
                    decky: row.decky_name,
                    service: row.service,
                    principal: row.principal,
                    secret_kind: row.secret_kind,
                    secret_sha256: row.secret_sha256,
                    last_seen: time(row.last_seen),
                })
            })
            .collect()
    }
}

fn values(row: &credential::Model) -> [Value; 18] {
    [
        row.id.as_str().into(),
        row.attacker_ip.as_str().into(),
        row.attacker_uuid.as_deref().into(),
        row.host_uuid.as_str().into(),
        row.decky_name.as_str().into(),
        row.service.as_str().into(),
        row.principal.as_deref().into(),
        row.principal_key.as_str().into(),
        row.secret_kind.as_str().into(),
        row.secret_sha256.as_str().into(),
        row.secret_len.into(),
        row.secret_b64.as_deref().into(),
        row.secret_printable.as_deref().into(),
        row.outcome.as_deref().into(),
        row.fields.as_str().into(),
        row.first_seen.into(),
        row.last_seen.into(),
        row.attempt_count.into(),
    ]
}
