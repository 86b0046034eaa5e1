//! The JetStream streams and durable consumers, as data derived from the subject table. `provision.rs` brings
//! them to the server; workers never create or delete any.

use std::time::Duration;

use decnet_core::HostId;

use crate::{Delivery, Field, TopicFilter, TopicKind, Worker};

const MIB: u64 = 1024 * 1024;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamName {
    /// All topics of class stream.
    Events,
    /// Raw lines on their way into the database.
    Ingest,
    /// Work for agents.
    Commands,
    /// A copy of `EVENTS` for the webhook worker, which may manage its own consumers there.
    Siem,
    /// Last beat of each worker.
    Health,
}

impl StreamName {
    /// All of them, sources first.
    pub const ALL: &'static [Self] = &[Self::Events, Self::Ingest, Self::Commands, Self::Siem, Self::Health];

    /// Its name on the server.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "EVENTS",
            Self::Ingest => "INGEST",
            Self::Commands => "COMMANDS",
            Self::Siem => "SIEM",
            Self::Health => "HEALTH",
        }
    }

    /// The stream that keeps topics of a class.
    pub const fn of_class(class: Delivery) -> Option<Self> {
        match class {
            Delivery::Core => None,
            Delivery::Stream => Some(Self::Events),
            Delivery::Ingest => Some(Self::Ingest),
            Delivery::Command => Some(Self::Commands),
            Delivery::Health => Some(Self::Health),
        }
    }
}

/// What a full stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Forgets its oldest messages.
    DropOldest,
    /// Refuses new messages, so that the publisher keeps them.
    Refuse,
}

/// How a stream is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Which.
    pub name: StreamName,
    /// One filter per row of the table, never a catch-all.
    pub subjects: Vec<String>,
    /// The stream it copies.
    pub source: Option<StreamName>,
    /// In memory instead of in files.
    pub in_memory: bool,
    /// How long messages are kept.
    pub max_age: Duration,
    /// How many bytes are kept.
    pub max_bytes: u64,
    /// What happens then.
    pub when_full: WhenFull,
    /// Each message goes to one consumer and is gone once acknowledged.
    pub work_queue: bool,
    /// Messages kept per subject.
    pub max_per_subject: Option<u32>,
    /// How long a `Nats-Msg-Id` is remembered. Only a window: consumers need a key of their own too.
    pub duplicate_window: Duration,
    /// In words, for the documentation.
    pub doc: &'static str,
}

/// Bytes that all file streams take at most, unless less is given.
pub const FULL_STORAGE: u64 = (2048 + 4096 + 256 + 1024) * MIB;
/// Fewer bytes than this are not worth starting with.
pub const LEAST_STORAGE: u64 = 128 * MIB;

impl StreamSpec {
    /// The stream `name` where all file streams together may take `storage` bytes.
    pub fn of(name: StreamName, storage: u64) -> Self {
        let share = |mib: u64| {
            let scaled =
                u128::from(mib * MIB) * u128::from(storage.min(FULL_STORAGE)) / u128::from(FULL_STORAGE);
            u64::try_from(scaled).unwrap_or(mib * MIB)
        };
        let class = |class| TopicFilter::kinds(TopicKind::of_class(class)).subjects();
        let base = Self {
            name,
            subjects: Vec::new(),
            source: None,
            in_memory: false,
            max_age: 7 * DAY,
            max_bytes: share(2048),
            when_full: WhenFull::DropOldest,
            work_queue: false,
            max_per_subject: None,
            duplicate_window: HOUR / 6,
            doc: "",
        };
        match name {
            StreamName::Events => Self {
                subjects: class(Delivery::Stream),
                doc: "7 days, 2 GiB, drops the oldest, remembers message ids for 10 minutes",
                ..base
            },
            StreamName::Ingest => Self {
                subjects: class(Delivery::Ingest),
                max_age: 3 * DAY,
                max_bytes: share(4096),
                when_full: WhenFull::Refuse,
                // What the database has makes room. Were it kept for its three days, a busy fleet would fill the
                // store with lines that are long done, and be refused.
                work_queue: true,
                // Thousands of ids a second: ten minutes of them would be memory spent on what the database's
                // unique key does anyway.
                duplicate_window: HOUR / 30,
                doc: "until the database has it, at most 3 days and 4 GiB; refuses when full, so that agents keep the lines",
                ..base
            },
            StreamName::Commands => Self {
                subjects: class(Delivery::Command),
                max_age: HOUR,
                max_bytes: share(256),
                when_full: WhenFull::Refuse,
                work_queue: true,
                doc: "work queue, 1 hour, 256 MiB; the database row stays the truth",
                ..base
            },
            StreamName::Siem => Self {
                source: Some(StreamName::Events),
                max_bytes: share(1024),
                doc: "copy of EVENTS, 7 days, 1 GiB, for the webhook worker",
                ..base
            },
            StreamName::Health => Self {
                subjects: class(Delivery::Health),
                in_memory: true,
                max_age: HOUR / 6,
                max_bytes: 16 * MIB,
                max_per_subject: Some(1),
                duplicate_window: HOUR / 30,
                doc: "memory, last message per subject, 10 minutes, direct reads",
                ..base
            },
        }
    }
}

/// A durable pull consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    stream: StreamName,
    name: String,
    filter: TopicFilter,
    ack_wait: Duration,
    max_ack_pending: u32,
}

impl Durable {
    /// The collector's view of `INGEST`.
    pub fn collector() -> Self {
        Self {
            stream: StreamName::Ingest,
            name: Worker::Collector.as_str().to_owned(),
            filter: TopicFilter::kinds(TopicKind::of_class(Delivery::Ingest)),
            // A batch is committed in well under a second; what a killed collector held comes back after this.
            ack_wait: Duration::from_secs(10),
            // A consumer stalls silently at this number, so it is well above any batch.
            max_ack_pending: 8192,
        }
    }

    /// The commands for the agent of `host`.
    pub fn agent(host: &HostId) -> Self {
        Self {
            stream: StreamName::Commands,
            name: format!("{}-{host}", Worker::Agent),
            filter: TopicFilter::kinds(TopicKind::of_class(Delivery::Command)).bind(Field::Host, host),
            // Deploying takes long; the agent says `progress` meanwhile.
            ack_wait: Duration::from_mins(1),
            max_ack_pending: 64,
        }
    }

    /// The events that wake `worker`; `None` where the table has none.
    pub fn events(worker: Worker) -> Option<Self> {
        let filter = TopicFilter::rows(|row| row.class == Delivery::Stream && row.wakes.contains(&worker));
        (!filter.subjects().is_empty()).then(|| Self {
            stream: StreamName::Events,
            name: worker.as_str().to_owned(),
            filter,
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 1000,
        })
    }

    /// A consumer of `SIEM` for a subscription; the webhook worker makes it, and no other names begin like it.
    pub(crate) fn siem(name: String, filter: TopicFilter, max_ack_pending: u32) -> Self {
        Self {
            stream: StreamName::Siem,
            name,
            filter,
            // A post may take ten seconds.
            ack_wait: Duration::from_secs(30),
            max_ack_pending,
        }
    }

    /// Everything that the workers of this release consume, with an agent on each of `hosts`.
    pub fn all(hosts: &[HostId]) -> Vec<Self> {
        let mut all = vec![Self::collector()];
        all.extend(hosts.iter().map(Self::agent));
        all.extend(Worker::BUILT.iter().filter_map(|worker| Self::events(*worker)));
        all
    }

    /// Its stream.
    pub const fn stream(&self) -> StreamName {
        self.stream
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it gets.
    pub const fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// How long a message may stay unacknowledged before it is delivered again.
    pub const fn ack_wait(&self) -> Duration {
        self.ack_wait
    }

    /// The same consumer with another patience; tests do not want to wait half a minute.
    #[must_use]
    pub const fn with_ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }

    /// How many messages may be unacknowledged at once.
    pub const fn max_ack_pending(&self) -> u32 {
        self.max_ack_pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_durables_of_the_work_queue_overlap() {
        let other = HostId::parse("7f1d4a52-6b0c-4d5e-8f4e-1c2b3a4d5e6f").unwrap();
        let mut subjects: Vec<String> = [HostId::default(), other]
            .iter()
            .flat_map(|host| Durable::agent(host).filter().subjects())
            .collect();
        assert!(subjects.iter().all(|subject| !subject.contains('*')), "{subjects:?}");
        let count = subjects.len();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), count);
    }

    #[test]
    fn small_disks_get_small_streams_and_the_shares_stay_within_the_whole() {
        for storage in [u64::MAX, FULL_STORAGE, 1024 * MIB, LEAST_STORAGE] {
            let total: u64 = StreamName::ALL
                .iter()
                .map(|name| StreamSpec::of(*name, storage))
                .filter(|spec| !spec.in_memory)
                .map(|spec| spec.max_bytes)
                .sum();
            assert!(total <= storage.min(FULL_STORAGE), "{total} of {storage}");
        }
        assert_eq!(StreamSpec::of(StreamName::Events, u64::MAX).max_bytes, 2048 * MIB);
    }

    #[test]
    fn every_woken_worker_of_this_release_has_its_consumer() {
        let names: Vec<_> =
            Durable::all(&[HostId::default()]).iter().map(|d| (d.stream(), d.name().to_owned())).collect();
        assert!(names.contains(&(StreamName::Ingest, "collector".to_owned())));
        assert!(names.contains(&(StreamName::Commands, "agent-local".to_owned())));
        assert!(names.contains(&(StreamName::Events, "orchestrator".to_owned())));
        assert!(!names.iter().any(|(_, name)| name == "clusterer"), "not built yet: {names:?}");
    }
}
