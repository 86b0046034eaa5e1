//! The bus: the one subject table with its payloads, the envelope, and the client that carries them over
//! NATS/JetStream, or over a hub in memory in tests.
//!
//! * [`Topic`], [`TopicFilter`], [`payload`]: what can be said. No other crate spells a subject.
//! * [`Bus`]: publish, subscribe, consume, request, serve. It connects in the background, survives the broker's
//!   absence and never lets a notification fail or delay its caller.
//! * [`provision()`]: brings streams and durable consumers to the server; workers never do that.
//! * [`server`]: finds, checks and runs a nats-server, for `decnet up` and tests.
//!
//! Deliberately not here: the outbox (rows are the database's, the relay is the kit's) and any decision about
//! what a message means.

pub mod docs;
pub mod payload;
pub mod server;

mod bus;
mod config;
mod consumer;
mod envelope;
mod error;
mod keys;
mod memory;
mod nats;
mod permissions;
mod provision;
mod request;
mod ring;
mod siem;
mod status;
mod streams;
mod subscription;
mod token;
mod topic;
mod wire;
mod worker;

pub use self::{
    bus::{Bus, PUBLISH_BUDGET},
    config::{BusConfig, BusIdentity, BusType},
    consumer::{Consumer, Delivered},
    envelope::{Envelope, EnvelopeError, VERSION, epoch_seconds},
    error::{AckError, ConnectError, FetchError, ProvisionError, PublishError, RequestError},
    keys::{KeyError, KeyFolder},
    memory::MemoryHub,
    permissions::{Permissions, holders, listens, render_accounts},
    provision::{Provisioning, provision, provision_with},
    request::{Request, Requests},
    ring::CAPACITY as SUBSCRIPTION_CAPACITY,
    siem::{SiemPosition, public_topics},
    status::{BusStatus, Counters, Pending},
    streams::{Durable, FULL_STORAGE, LEAST_STORAGE, StreamName, StreamSpec, WhenFull},
    subscription::{Received, Subscription},
    token::{MAX_TOKEN, Token, TokenError},
    topic::{Delivery, Field, ROOT, Topic, TopicError, TopicFilter, TopicKind, TopicSpec},
    wire::{Origin, Stored},
    worker::{Grant, Place, Stage, Worker, WorkerSpec},
};
