//! Everything that runs, whatever deployed it (spec 9): topology, fleet, shard, each decky once.
//!
//! Where the rows come from is the repository's affair; so far only the flat fleet has a table.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::types::{DeckySource, FleetDecky, RunningDecky};

/// A row of one of the sources.
pub(super) struct Entry {
    pub(super) decky: RunningDecky,
    pub(super) last_seen: Option<DateTime<Utc>>,
}

impl From<FleetDecky> for Entry {
    fn from(row: FleetDecky) -> Self {
        let services = row.service_slugs();
        Self {
            last_seen: row.last_seen,
            decky: RunningDecky {
                uuid: row.id(),
                container: decnet_fleet::exec_target(&row.name, &services),
                services,
                name: row.name,
                ip: row.decky_ip,
                source: DeckySource::Fleet,
                topology_id: None,
                host_uuid: row.host_uuid,
                compose_hash: row.compose_hash,
            },
        }
    }
}

/// The sources in their order, each id once: with one shared database a host's fleet row and its master's shard row speak of
/// the same decky, and the shard's counts where it saw it later.
pub(super) fn union(sources: impl IntoIterator<Item = Entry>) -> Vec<RunningDecky> {
    let mut all: Vec<Entry> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for entry in sources {
        match places.get(&entry.decky.uuid).and_then(|at| all.get_mut(*at)) {
            None => {
                places.insert(entry.decky.uuid.clone(), all.len());
                all.push(entry);
            }
            Some(known) => {
                if entry.decky.source == DeckySource::Shard && entry.last_seen > known.last_seen {
                    *known = entry;
                }
            }
        }
    }
    // A shard that took a fleet row's place belongs to the shards.
    all.sort_by_key(|entry| entry.decky.source);
    all.into_iter().map(|entry| entry.decky).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source: DeckySource, uuid: &str, seen: Option<i64>) -> Entry {
        Entry {
            last_seen: seen.and_then(|s| DateTime::from_timestamp(s, 0)),
            decky: RunningDecky {
                uuid: uuid.to_owned(),
                name: uuid.to_owned(),
                ip: None,
                services: Vec::new(),
                source,
                topology_id: (source == DeckySource::Topology).then(|| "t".to_owned()),
                host_uuid: "local".to_owned(),
                container: uuid.to_owned(),
                compose_hash: None,
            },
        }
    }

    /// A7, as far as there are sources.
    #[test]
    fn each_decky_once_and_the_one_who_saw_it_last_speaks() {
        use DeckySource::{Fleet, Shard, Topology};
        let of = |entries| -> Vec<(DeckySource, String)> {
            union(entries).into_iter().map(|d| (d.source, d.uuid)).collect()
        };
        let said = |list: &[(DeckySource, &str)]| -> Vec<(DeckySource, String)> {
            list.iter().map(|(source, uuid)| (*source, (*uuid).to_owned())).collect()
        };
        let all = [
            entry(Topology, "7f1d", None),
            entry(Fleet, "h:a", Some(10)),
            entry(Fleet, "h:b", Some(10)),
            entry(Fleet, "h:c", None),
            entry(Shard, "h:a", Some(11)),
            entry(Shard, "h:b", Some(9)),
            entry(Shard, "h:c", None),
            entry(Shard, "h:d", None),
        ];
        let expected = [(Topology, "7f1d"), (Fleet, "h:b"), (Fleet, "h:c"), (Shard, "h:a"), (Shard, "h:d")];
        assert_eq!(of(Vec::from(all)), said(&expected));
    }
}
