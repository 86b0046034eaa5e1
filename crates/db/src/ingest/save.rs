//! Writing the sums of a batch back: attackers before what hangs on them, and no more commands for one attacker than
//! its share.

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, Value};

use super::fold::{Fold, Typed};
use super::sums::Open;
use crate::DbError;
use crate::bounds::{self, COMMANDS_PER_ATTACKER, owned};
use crate::bulk::{Bulk, placeholders};
use crate::entity::{attacker, attacker_decky, attacker_service};

const ATTACKERS: Bulk = Bulk {
    table: "attackers",
    columns: &[
        "uuid",
        "ip",
        "first_seen",
        "last_seen",
        "event_count",
        "service_count",
        "decky_count",
        "credential_count",
        "session_count",
        "command_count",
        "updated_at",
    ],
    key: &["uuid"],
    replace: &[
        "first_seen",
        "last_seen",
        "event_count",
        "service_count",
        "decky_count",
        "credential_count",
        "session_count",
        "command_count",
        "updated_at",
    ],
};

const SERVICES: Bulk = Bulk {
    table: "attacker_services",
    columns: &["attacker_uuid", "service", "interacted", "event_count", "first_seen", "last_seen"],
    key: &["attacker_uuid", "service"],
    replace: &["interacted", "event_count", "first_seen", "last_seen"],
};

const DECKIES: Bulk = Bulk {
    table: "attacker_deckies",
    columns: &["attacker_uuid", "host_uuid", "decky", "ord", "event_count", "first_seen", "last_seen"],
    key: &["attacker_uuid", "host_uuid", "decky"],
    replace: &["event_count", "first_seen", "last_seen"],
};

const COMMANDS: Bulk = Bulk {
    table: "attacker_commands",
    columns: &["attacker_uuid", "timestamp", "host_uuid", "decky", "service", "conn_id", "command"],
    key: &[],
    replace: &[],
};

const SESSIONS: Bulk = Bulk {
    table: "sessions",
    columns: &[
        "id",
        "host_uuid",
        "decky",
        "conn_id",
        "attacker_uuid",
        "attacker_ip",
        "src_port",
        "service",
        "started_at",
        "last_seen",
        "ended_at",
        "event_count",
        "command_count",
        "auth_count",
        "authenticated",
        "client",
    ],
    key: &["id"],
    replace: &[
        "started_at",
        "last_seen",
        "ended_at",
        "event_count",
        "command_count",
        "auth_count",
        "authenticated",
        "client",
    ],
};

/// Writes everything a batch changed.
pub(super) async fn all(tx: &DatabaseTransaction, fold: &Fold<'_>) -> Result<(), DbError> {
    let touched: Vec<_> = fold.attackers.iter().collect();
    ATTACKERS.write(tx, touched.iter().map(|seen| attacker_values(&seen.row))).await?;
    let services: Vec<_> =
        touched.iter().flat_map(|seen| &seen.services).filter(|service| service.changed).collect();
    SERVICES.write(tx, services.iter().map(|service| service_values(&service.row))).await?;
    let deckies: Vec<_> =
        touched.iter().flat_map(|seen| &seen.deckies).filter(|decky| decky.changed).collect();
    DECKIES.write(tx, deckies.iter().map(|decky| decky_values(&decky.row))).await?;
    let sessions: Vec<_> = fold.sessions.iter().filter(|open| open.changed).collect();
    SESSIONS.write(tx, sessions.iter().map(|open| session_values(open))).await?;
    COMMANDS.write(tx, fold.commands.iter().map(command_values)).await?;
    for seen in touched {
        if seen.row.command_count > seen.commands_before
            && bounds::count(seen.row.command_count) > COMMANDS_PER_ATTACKER
        {
            forget_commands(tx, &seen.row.uuid).await?;
        }
    }
    Ok(())
}

/// Deletes the oldest commands beyond an attacker's share. The lines themselves stay in `logs`.
async fn forget_commands(tx: &DatabaseTransaction, attacker: &str) -> Result<(), DbError> {
    let backend = tx.get_database_backend();
    let mut number = 0;
    let mut sql = String::from("SELECT id FROM attacker_commands WHERE attacker_uuid = ");
    placeholders(&mut sql, backend, 1, &mut number);
    sql.push_str(" ORDER BY id DESC LIMIT 1 OFFSET ");
    sql.push_str(&COMMANDS_PER_ATTACKER.to_string());
    let newest = Statement::from_sql_and_values(backend, sql, [attacker.into()]);
    let Some(row) = tx.query_one_raw(newest).await? else { return Ok(()) };
    let newest: i64 = row.try_get_by_index(0)?;
    let mut number = 0;
    let mut sql = String::from("DELETE FROM attacker_commands WHERE attacker_uuid = ");
    placeholders(&mut sql, backend, 1, &mut number);
    sql.push_str(" AND id <= ");
    placeholders(&mut sql, backend, 1, &mut number);
    let delete = Statement::from_sql_and_values(backend, sql, [attacker.into(), newest.into()]);
    tx.execute_raw(delete).await?;
    Ok(())
}

fn attacker_values(row: &attacker::Model) -> [Value; 11] {
    [
        row.uuid.as_str().into(),
        row.ip.as_str().into(),
        row.first_seen.into(),
        row.last_seen.into(),
        row.event_count.into(),
        row.service_count.into(),
        row.decky_count.into(),
        row.credential_count.into(),
        row.session_count.into(),
        row.command_count.into(),
        row.updated_at.into(),
    ]
}

fn service_values(row: &attacker_service::Model) -> [Value; 6] {
    [
        row.attacker_uuid.as_str().into(),
        row.service.as_str().into(),
        row.interacted.into(),
        row.event_count.into(),
        row.first_seen.into(),
        row.last_seen.into(),
    ]
}

fn decky_values(row: &attacker_decky::Model) -> [Value; 7] {
    [
        row.attacker_uuid.as_str().into(),
        row.host_uuid.as_str().into(),
        row.decky.as_str().into(),
        row.ord.into(),
        row.event_count.into(),
        row.first_seen.into(),
        row.last_seen.into(),
    ]
}

fn command_values(typed: &Typed<'_>) -> [Value; 7] {
    let line = typed.line;
    [
        typed.attacker.as_str().into(),
        line.at.into(),
        line.place.0.into(),
        line.decky.as_ref().into(),
        line.service.as_ref().into(),
        line.conn_id.as_deref().into(),
        owned(typed.command, bounds::COMMAND).into(),
    ]
}

fn session_values(open: &Open) -> [Value; 16] {
    let row = &open.row;
    [
        row.id.as_str().into(),
        row.host_uuid.as_str().into(),
        row.decky.as_str().into(),
        row.conn_id.as_str().into(),
        row.attacker_uuid.as_str().into(),
        row.attacker_ip.as_str().into(),
        row.src_port.into(),
        row.service.as_str().into(),
        row.started_at.into(),
        row.last_seen.into(),
        row.ended_at.into(),
        row.event_count.into(),
        row.command_count.into(),
        row.auth_count.into(),
        row.authenticated.into(),
        row.client.as_deref().into(),
    ]
}
