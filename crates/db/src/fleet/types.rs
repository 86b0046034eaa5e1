//! Deckies as the mirror knows them: plain data. The words of their states are the fleet's.

use chrono::{DateTime, Utc};
pub use decnet_fleet::DeckyState;
use serde::Serialize;
use serde_json::Value;

use crate::DbError;
use crate::bounds::{count, json_or_text, time};
use crate::entity::fleet_decky::Model;

/// A decky to mirror.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFleetDecky {
    /// Host that runs it; `None` is `local`.
    pub host_uuid: Option<String>,
    /// Its name.
    pub name: String,
    /// Service slugs.
    pub services: Vec<String>,
    /// The whole decky configuration.
    pub decky_config: Option<Value>,
    /// Its address.
    pub decky_ip: Option<String>,
    /// Its state.
    pub state: DeckyState,
    /// What went wrong, if something did.
    pub last_error: Option<String>,
    /// Hash of what was deployed.
    pub compose_hash: Option<String>,
    /// Generation of the state file that says so.
    pub generation: u64,
}

/// A mirrored decky.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetDecky {
    /// Host that runs it.
    pub host_uuid: String,
    /// Its name.
    pub name: String,
    /// Service slugs: a JSON list, or the text of the column when it is not JSON.
    pub services: Value,
    /// The whole decky configuration, likewise.
    pub decky_config: Option<Value>,
    /// Its address.
    pub decky_ip: Option<String>,
    /// Its state.
    pub state: DeckyState,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Hash of what was deployed.
    pub compose_hash: Option<String>,
    /// When it was last seen alive.
    pub last_seen: Option<DateTime<Utc>>,
    /// When the row changed.
    pub updated_at: DateTime<Utc>,
    /// Generation of the state file it was written from.
    pub generation: u64,
}

impl FleetDecky {
    /// `host:name`, the opaque id used everywhere else.
    pub fn id(&self) -> String {
        format!("{}:{}", self.host_uuid, self.name)
    }

    /// The slugs; a column that is not a list counts as no services.
    pub fn service_slugs(&self) -> Vec<String> {
        slugs(&self.services)
    }
}

/// Where a running decky comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeckySource {
    /// A `MazeNET` topology.
    Topology,
    /// The flat fleet.
    Fleet,
    /// A shard on an agent host.
    Shard,
}

/// A decky that runs now, whatever deployed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunningDecky {
    /// Opaque id: no foreign key may point at it.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: Option<String>,
    /// Service slugs.
    pub services: Vec<String>,
    /// Where it comes from.
    pub source: DeckySource,
    /// Topology, for topology deckies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_id: Option<String>,
    /// Host that runs it: ask that host's agent.
    pub host_uuid: String,
    /// The container in which commands and files of ours belong: the one with the shell, where it has one.
    pub container: String,
    /// Hash of the plan that it runs: another one means another machine under the same name.
    pub compose_hash: Option<String>,
}

/// One change of the mirror.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetChange {
    /// Insert or replace everything but `last_seen`.
    Upsert(NewFleetDecky),
    /// Set the state and `last_seen`; `None` leaves the last error alone.
    State {
        /// Host.
        host_uuid: String,
        /// Decky.
        name: String,
        /// New state.
        state: DeckyState,
        /// What went wrong.
        last_error: Option<String>,
    },
    /// It was seen as it is: only `last_seen` moves.
    Seen {
        /// Host.
        host_uuid: String,
        /// Decky.
        name: String,
    },
    /// It is gone.
    Delete {
        /// Host.
        host_uuid: String,
        /// Decky.
        name: String,
    },
}

fn slugs(services: &Value) -> Vec<String> {
    let Value::Array(items) = services else { return Vec::new() };
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

impl TryFrom<Model> for FleetDecky {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        Ok(Self {
            state: row.state.parse().map_err(|what| DbError::Damaged {
                table: "fleet_deckies",
                what: format!("{}:{}: {what}", row.host_uuid, row.name),
            })?,
            host_uuid: row.host_uuid,
            name: row.name,
            services: json_or_text(row.services),
            decky_config: row.decky_config.map(json_or_text),
            decky_ip: row.decky_ip,
            last_error: row.last_error,
            compose_hash: row.compose_hash,
            last_seen: row.last_seen.map(time),
            updated_at: time(row.updated_at),
            generation: count(row.generation),
        })
    }
}
