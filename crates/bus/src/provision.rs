//! Brings the streams and durable consumers of the table to the broker. Idempotent, done by `decnet up` and
//! `decnet migrate` with a key of their own; workers neither create nor delete any.

use std::time::Duration;

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::CreateStreamErrorKind,
    stream::{Config, DiscardPolicy, RetentionPolicy, Source, StorageType},
};
use decnet_core::HostId;
use tracing::info;

use crate::{
    Bus, BusStatus, Durable, ProvisionError, StreamName, StreamSpec, WhenFull,
    bus::Link,
    streams::{FULL_STORAGE, LEAST_STORAGE},
};

/// What to provision for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// Most bytes that all file streams together may take. The server's limit is respected anyway: where it has
    /// less, the streams become smaller in the same proportion.
    pub storage: u64,
    /// The consumers to have; others are left as they are.
    pub durables: Vec<Durable>,
}

impl Provisioning {
    /// Everything that the workers of this release need, with an agent on each of `hosts`.
    pub fn for_hosts(hosts: &[HostId]) -> Self {
        Self { storage: FULL_STORAGE, durables: Durable::all(hosts) }
    }
}

/// Provisions for a fleet of one host: this bus's own.
pub async fn provision(bus: &Bus) -> Result<(), ProvisionError> {
    provision_with(bus, &Provisioning::for_hosts(&[bus.identity().host.clone()])).await
}

/// Provisions.
pub async fn provision_with(bus: &Bus, wish: &Provisioning) -> Result<(), ProvisionError> {
    let mut storage = wish.storage.min(FULL_STORAGE);
    let specs =
        |storage| StreamName::ALL.iter().map(|name| StreamSpec::of(*name, storage)).collect::<Vec<_>>();
    let jetstream = match bus.link() {
        Link::Off(_) => return Err(ProvisionError::Disabled),
        Link::Memory(link) => return link.provision(specs(storage), wish.durables.clone()),
        Link::Nats(link) => {
            if !bus.connected_within(Duration::from_secs(10)).await {
                return Err(match &*bus.status().borrow() {
                    BusStatus::Refused(error) => error.clone().into(),
                    _ => ProvisionError::Disconnected,
                });
            }
            link.jetstream()
        }
    };
    while !streams_fit(jetstream, &specs(storage)).await? {
        storage /= 2;
        if storage < LEAST_STORAGE {
            return Err(ProvisionError::NoStorage);
        }
    }
    for durable in &wish.durables {
        jetstream
            .create_consumer_on_stream(consumer_config(durable), durable.stream().as_str())
            .await
            .map_err(|error| refused(durable.name(), &error.to_string()))?;
    }
    info!(storage_mib = storage / 1024 / 1024, consumers = wish.durables.len(), "the broker is provisioned");
    Ok(())
}

/// `false`: the server has less storage than the streams want.
async fn streams_fit(jetstream: &jetstream::Context, specs: &[StreamSpec]) -> Result<bool, ProvisionError> {
    for spec in specs {
        let Err(error) = jetstream.create_or_update_stream(stream_config(spec)).await else { continue };
        return match error.kind() {
            CreateStreamErrorKind::JetStream(reason)
                if matches!(
                    reason.error_code(),
                    ErrorCode::STORAGE_RESOURCES_EXCEEDED
                        | ErrorCode::INSUFFICIENT_RESOURCES
                        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
                ) =>
            {
                Ok(false)
            }
            CreateStreamErrorKind::TimedOut => Err(ProvisionError::Disconnected),
            _ => Err(refused(spec.name.as_str(), &error.to_string())),
        };
    }
    Ok(true)
}

fn refused(what: &str, reason: &str) -> ProvisionError {
    ProvisionError::Refused { what: what.to_owned(), reason: reason.to_owned() }
}

fn stream_config(spec: &StreamSpec) -> Config {
    Config {
        name: spec.name.as_str().to_owned(),
        description: Some(spec.doc.to_owned()),
        subjects: spec.subjects.clone(),
        sources: spec
            .source
            .map(|source| vec![Source { name: source.as_str().to_owned(), ..Source::default() }]),
        storage: if spec.in_memory { StorageType::Memory } else { StorageType::File },
        max_age: spec.max_age,
        max_bytes: i64::try_from(spec.max_bytes).unwrap_or(i64::MAX),
        max_messages: -1,
        max_messages_per_subject: spec.max_per_subject.map_or(-1, i64::from),
        max_consumers: -1,
        discard: match spec.when_full {
            WhenFull::DropOldest => DiscardPolicy::Old,
            WhenFull::Refuse => DiscardPolicy::New,
        },
        retention: if spec.work_queue { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        duplicate_window: spec.duplicate_window,
        num_replicas: 1,
        allow_direct: spec.name == StreamName::Health,
        ..Config::default()
    }
}

fn consumer_config(durable: &Durable) -> pull::Config {
    pull::Config {
        durable_name: Some(durable.name().to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: durable.ack_wait(),
        max_ack_pending: i64::from(durable.max_ack_pending()),
        max_deliver: -1,
        filter_subjects: durable.filter().subjects(),
        // No `backoff`: it overrides `ack_wait`, and the first retry would come while the first try still runs.
        ..pull::Config::default()
    }
}
