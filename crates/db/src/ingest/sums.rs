//! How one line adds to an attacker and to a session. Arithmetic only: reading and writing rows is `fold` and `save`.

use super::SessionFacts;
use super::facts::NewAttacker;
use super::lines::Line;
use crate::bounds::{self, maybe};
use crate::entity::{attacker, attacker_decky, attacker_service, session};

/// A row, and whether this batch changed it.
pub(super) struct Row<M> {
    pub(super) row: M,
    pub(super) changed: bool,
}

/// An attacker with what this batch knows of it.
pub(super) struct Seen {
    pub(super) row: attacker::Model,
    pub(super) services: Vec<Row<attacker_service::Model>>,
    pub(super) deckies: Vec<Row<attacker_decky::Model>>,
    /// Commands typed before this batch.
    pub(super) commands_before: i64,
    pub(super) first: Option<NewAttacker>,
}

/// A session with what it was before this batch.
pub(super) struct Open {
    pub(super) row: session::Model,
    pub(super) changed: bool,
    pub(super) new: bool,
    pub(super) ended_before: bool,
}

impl Seen {
    pub(super) fn new(row: attacker::Model, first: Option<NewAttacker>) -> Self {
        let commands_before = row.command_count;
        Self { row, services: Vec::new(), deckies: Vec::new(), commands_before, first }
    }

    /// Adds a line to the attacker, its service and its decky.
    pub(super) fn add(&mut self, line: &Line<'_>, now: i64) {
        let row = &mut self.row;
        row.event_count += 1;
        row.first_seen = row.first_seen.min(line.at);
        row.last_seen = row.last_seen.max(line.at);
        row.updated_at = now;

        let known = self.services.iter().position(|service| service.row.service == line.service);
        let at = known.unwrap_or_else(|| {
            row.service_count += 1;
            self.services.push(Row {
                row: attacker_service::Model {
                    attacker_uuid: row.uuid.clone(),
                    service: line.service.clone().into_owned(),
                    interacted: false,
                    event_count: 0,
                    first_seen: line.at,
                    last_seen: line.at,
                },
                changed: true,
            });
            self.services.len() - 1
        });
        let service = &mut self.services[at];
        service.changed = true;
        service.row.interacted |= line.log.interaction;
        service.row.event_count += 1;
        service.row.first_seen = service.row.first_seen.min(line.at);
        service.row.last_seen = service.row.last_seen.max(line.at);

        let known = self
            .deckies
            .iter()
            .position(|decky| decky.row.decky == line.decky && decky.row.host_uuid == line.place.0);
        let at = known.unwrap_or_else(|| {
            self.deckies.push(Row {
                row: attacker_decky::Model {
                    attacker_uuid: row.uuid.clone(),
                    host_uuid: line.place.0.to_owned(),
                    decky: line.decky.clone().into_owned(),
                    ord: row.decky_count,
                    event_count: 0,
                    first_seen: line.at,
                    last_seen: line.at,
                },
                changed: true,
            });
            row.decky_count += 1;
            self.deckies.len() - 1
        });
        let decky = &mut self.deckies[at];
        decky.changed = true;
        decky.row.event_count += 1;
        decky.row.first_seen = decky.row.first_seen.min(line.at);
        decky.row.last_seen = decky.row.last_seen.max(line.at);
    }
}

impl Open {
    pub(super) fn add(&mut self, line: &Line<'_>, facts: &SessionFacts) {
        let row = &mut self.row;
        self.changed = true;
        row.event_count += 1;
        row.command_count += i64::from(line.log.command.is_some());
        row.auth_count += i64::from(facts.auth_attempt);
        row.authenticated |= facts.authenticated;
        row.started_at = row.started_at.min(line.at);
        row.last_seen = row.last_seen.max(line.at);
        if facts.ended {
            row.ended_at = Some(line.at);
        }
        if row.client.is_none() {
            row.client = maybe(facts.client.as_deref(), bounds::CLIENT);
        }
    }
}
