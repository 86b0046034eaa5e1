//! What new lines add up to: attackers with their services, deckies and commands, and sessions. Rows that exist are
//! read once, the lines are added in memory in their order, and the sums are written back (see `save`).

use std::collections::HashMap;
use std::net::IpAddr;

use sea_orm::{DatabaseTransaction, FromQueryResult};

use super::credentials::Tried;
use super::facts::{IngestFacts, NewAttacker};
use super::lines::Line;
use super::lookup::rows_with;
use super::save;
use super::sums::{Open, Row, Seen};
use crate::bounds::{micros, time};
use crate::entity::{attacker, attacker_decky, attacker_service, session};
use crate::{Db, DbError, Session};

/// A command typed in this batch.
pub(super) struct Typed<'l> {
    pub(super) attacker: String,
    pub(super) line: &'l Line<'l>,
    pub(super) command: &'l str,
}

/// The sums of one batch, in order of first touch.
#[derive(Default)]
pub(super) struct Fold<'l> {
    pub(super) attackers: Vec<Seen>,
    pub(super) sessions: Vec<Open>,
    pub(super) commands: Vec<Typed<'l>>,
    by_ip: HashMap<IpAddr, usize>,
    by_connection: HashMap<String, Vec<usize>>,
}

impl<'l> Fold<'l> {
    /// Folds lines that were new into the tables; tells what came to light.
    pub(super) async fn over(
        db: &Db,
        tx: &DatabaseTransaction,
        fresh: &[&'l Line<'l>],
    ) -> Result<IngestFacts, DbError> {
        let lines: Vec<_> = fresh.iter().filter_map(|line| line.attacker.map(|ip| (*line, ip))).collect();
        if lines.is_empty() {
            return Ok(IngestFacts::default());
        }
        let mut fold = Fold::default();
        fold.load_attackers(tx, &lines).await?;
        fold.load_sessions(tx, &lines).await?;
        let mut tried = Tried::load(tx, &lines).await?;
        let now = micros(db.now());
        for (line, ip) in lines {
            let seen = fold.attacker(db, line, ip);
            seen.add(line, now);
            if let Some(secret) = &line.log.credential
                && tried.add(db, line, secret, &seen.row)
            {
                seen.row.credential_count += 1;
            }
            let attacker = seen.row.uuid.clone();
            if let Some(command) = &line.log.command {
                seen.row.command_count += 1;
                fold.commands.push(Typed { attacker: attacker.clone(), line, command });
            }
            if let (Some(facts), Some(connection)) = (&line.log.session, line.conn_id.as_deref()) {
                let open = fold.session(db, line, connection, (ip, &attacker));
                let new = open.row.event_count == 0;
                open.add(line, facts);
                if new {
                    fold.attacker(db, line, ip).row.session_count += 1;
                }
            }
        }
        save::all(tx, &fold).await?;
        tried.save(tx).await?;
        fold.facts(tried)
    }

    async fn load_attackers(
        &mut self,
        tx: &DatabaseTransaction,
        lines: &[(&'l Line<'l>, IpAddr)],
    ) -> Result<(), DbError> {
        let ips = distinct(lines.iter().map(|(line, _)| line.ip()));
        let rows = rows_with(tx, ("attackers", "*"), "ip", &ips, ("", &[])).await?;
        let mut by_uuid: HashMap<String, usize> = HashMap::new();
        for row in &rows {
            let row = attacker::Model::from_query_result(row, "")?;
            let Ok(ip) = row.ip.parse::<IpAddr>() else { continue };
            if self.by_ip.insert(ip, self.attackers.len()).is_none() {
                by_uuid.insert(row.uuid.clone(), self.attackers.len());
                self.attackers.push(Seen::new(row, None));
            }
        }
        let uuids: Vec<&str> = by_uuid.keys().map(String::as_str).collect();
        let services = distinct(lines.iter().map(|(line, _)| line.service.as_ref()));
        let touched = ("attacker_services", "*");
        for row in rows_with(tx, touched, "attacker_uuid", &uuids, ("service", &services)).await? {
            let row = attacker_service::Model::from_query_result(&row, "")?;
            if let Some(seen) = by_uuid.get(&row.attacker_uuid).and_then(|at| self.attackers.get_mut(*at)) {
                seen.services.push(Row { row, changed: false });
            }
        }
        let deckies = distinct(lines.iter().map(|(line, _)| line.decky.as_ref()));
        let touched = ("attacker_deckies", "*");
        for row in rows_with(tx, touched, "attacker_uuid", &uuids, ("decky", &deckies)).await? {
            let row = attacker_decky::Model::from_query_result(&row, "")?;
            if let Some(seen) = by_uuid.get(&row.attacker_uuid).and_then(|at| self.attackers.get_mut(*at)) {
                seen.deckies.push(Row { row, changed: false });
            }
        }
        Ok(())
    }

    async fn load_sessions(
        &mut self,
        tx: &DatabaseTransaction,
        lines: &[(&'l Line<'l>, IpAddr)],
    ) -> Result<(), DbError> {
        let connections = distinct(
            lines
                .iter()
                .filter(|(line, _)| line.log.session.is_some())
                .filter_map(|(line, _)| line.conn_id.as_deref()),
        );
        for row in rows_with(tx, ("sessions", "*"), "conn_id", &connections, ("", &[])).await? {
            let row = session::Model::from_query_result(&row, "")?;
            let same = self.by_connection.entry(row.conn_id.clone()).or_default();
            same.push(self.sessions.len());
            let ended_before = row.ended_at.is_some();
            self.sessions.push(Open { row, changed: false, new: false, ended_before });
        }
        Ok(())
    }

    fn attacker(&mut self, db: &Db, line: &Line<'_>, ip: IpAddr) -> &mut Seen {
        let attackers = &mut self.attackers;
        let at = *self.by_ip.entry(ip).or_insert_with(|| {
            let uuid = db.new_id();
            let row = attacker::Model {
                uuid: uuid.to_string(),
                ip: line.ip().to_owned(),
                first_seen: line.at,
                last_seen: line.at,
                event_count: 0,
                service_count: 0,
                decky_count: 0,
                credential_count: 0,
                session_count: 0,
                command_count: 0,
                updated_at: line.at,
            };
            let first = NewAttacker {
                uuid,
                attacker_ip: ip,
                host_uuid: line.place.0.to_owned(),
                decky: line.decky.clone().into_owned(),
                service: line.service.clone().into_owned(),
                event_type: line.event_type.clone().into_owned(),
                first_seen: time(line.at),
            };
            attackers.push(Seen::new(row, Some(first)));
            attackers.len() - 1
        });
        &mut attackers[at]
    }

    fn session(&mut self, db: &Db, line: &Line<'_>, connection: &str, from: (IpAddr, &str)) -> &mut Open {
        if !self.by_connection.contains_key(connection) {
            self.by_connection.insert(connection.to_owned(), Vec::new());
        }
        let sessions = &mut self.sessions;
        let same = self.by_connection.entry(connection.to_owned()).or_default();
        let known = same.iter().copied().find(|at| {
            sessions
                .get(*at)
                .is_some_and(|open| open.row.decky == line.decky && open.row.host_uuid == line.place.0)
        });
        let at = known.unwrap_or_else(|| {
            let row = session::Model {
                id: db.new_id().to_string(),
                host_uuid: line.place.0.to_owned(),
                decky: line.decky.clone().into_owned(),
                conn_id: connection.to_owned(),
                attacker_uuid: from.1.to_owned(),
                attacker_ip: from.0.to_string(),
                src_port: line.log.src_port.map(i64::from),
                service: line.service.clone().into_owned(),
                started_at: line.at,
                last_seen: line.at,
                ended_at: None,
                event_count: 0,
                command_count: 0,
                auth_count: 0,
                authenticated: false,
                client: None,
            };
            same.push(sessions.len());
            sessions.push(Open { row, changed: true, new: true, ended_before: false });
            sessions.len() - 1
        });
        &mut sessions[at]
    }

    fn facts(self, tried: Tried<'_>) -> Result<IngestFacts, DbError> {
        let mut facts = IngestFacts { credentials: tried.facts()?, ..IngestFacts::default() };
        facts.new_attackers = self.attackers.into_iter().filter_map(|seen| seen.first).collect();
        for open in self.sessions {
            let ended = !open.ended_before && open.row.ended_at.is_some();
            if !open.new && !ended {
                continue;
            }
            let new = open.new;
            let session = Session::try_from(open.row)?;
            if ended {
                facts.sessions_ended.push(session.clone());
            }
            if new {
                facts.sessions_started.push(session);
            }
        }
        Ok(facts)
    }
}

/// Values without repetition, in order of appearance.
pub(super) fn distinct<'v>(values: impl Iterator<Item = &'v str>) -> Vec<&'v str> {
    let mut seen = std::collections::HashSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}
