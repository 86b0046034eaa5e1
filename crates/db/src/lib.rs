//! The database: one repository file per aggregate over private entities, domain structs out, on SQLite (default),
//! PostgreSQL and MariaDB/MySQL.
//!
//! ```text
//! let db = Db::connect("sqlite:///var/lib/decnet/decnet.db", DbOptions::default()).await?;
//! db.check_schema().await?;                            // workers; `decnet migrate` calls db.migrate()
//! db.ingest(&batch, |facts| events_of(facts)).await?;  // logs, attackers, sessions, credentials, outbox: one transaction
//! db.logs().page(&LogQuery { search: Search::parse("decky:web-01 root")?, ..LogQuery::default() }).await?;
//! ```
//!
//! It deliberately does not depend on the bus: outbox rows carry subject, topic, headers and body as text. It does not
//! parse log lines either: the collector hands over typed lines.

mod access;
mod attackers;
pub mod bounds;
mod bulk;
mod connection;
mod content_pool;
mod credentials;
mod emails;
#[expect(unreachable_pub, reason = "the entity derive wants `pub`; the module is private")]
mod entity;
mod error;
mod fleet;
mod ingest;
mod life;
mod logs;
mod orchestrator;
mod outbox;
mod page;
mod reinit;
mod seal;
mod search;
mod sessions;
mod state;
mod stats;
mod synthetic_files;
mod webhooks;

pub use access::{NewUser, Role, User, Users};
pub use attackers::{
    Attacker, AttackerCommand, AttackerDecky, AttackerDetail, AttackerQuery, AttackerService, AttackerSort,
    Attackers,
};
pub use connection::{Db, DbOptions};
pub use content_pool::{ContentPool, NewPoolText, PoolText};
pub use credentials::{Credential, CredentialQuery, Credentials};
pub use decnet_migrations::SchemaError;
pub use emails::{EmailQuery, NewOrchestratorEmail, OrchestratorEmail, OrchestratorEmails};
pub use error::DbError;
pub use fleet::{
    Converged, DeckySource, DeckyState, Fleet, FleetChange, FleetDecky, FleetStep, NewFleetDecky,
    RunningDecky,
};
pub use ingest::{
    CapturedCredential, IngestBatch, IngestFacts, IngestOutcome, NewAttacker, NewCredential, NewLog, Origin,
    RawLine, RejectedLine, SessionFacts,
};
pub use life::{Intent, Life, LifeChange, LifeState};
pub use logs::{Bucket, LogQuery, LogRow, Logs, RejectedRow};
pub use orchestrator::{NewOrchestratorEvent, OrchestratorEvent, OrchestratorEvents, OrchestratorQuery};
pub use outbox::{NewOutbox, Outbox, OutboxRow};
pub use page::{Page, Paging};
pub use reinit::Deleted;
pub use seal::{SealError, SealKey};
pub use search::{Search, SearchError, Term};
pub use sessions::{Session, SessionQuery, Sessions};
pub use state::State;
pub use stats::Stats;
pub use synthetic_files::{
    FileState, NewSyntheticFile, SyntheticFile, SyntheticFileBody, SyntheticFileQuery, SyntheticFiles,
};
pub use webhooks::{
    DEAD_LETTERS, DeadLetter, Edited, NewDeadLetter, PreviousSecret, Webhook, WebhookHealth, WebhookSettings,
    Webhooks,
};

impl Db {
    /// Captured lines, for reading.
    pub fn logs(&self) -> Logs<'_> {
        Logs(self)
    }

    /// Who was seen.
    pub fn attackers(&self) -> Attackers<'_> {
        Attackers(self)
    }

    /// Secrets that were tried.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials(self)
    }

    /// Connections of attackers.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    /// Accounts of operators, and tokens taken back.
    pub fn users(&self) -> Users<'_> {
        Users(self)
    }

    /// The key/value shelf.
    pub fn state(&self) -> State<'_> {
        State(self)
    }

    /// The mirror of what is deployed.
    pub fn fleet(&self) -> Fleet<'_> {
        Fleet(self)
    }

    /// What the orchestrator did.
    pub fn orchestrator(&self) -> OrchestratorEvents<'_> {
        OrchestratorEvents(self)
    }

    /// Files the orchestrator planted.
    pub fn synthetic_files(&self) -> SyntheticFiles<'_> {
        SyntheticFiles(self)
    }

    /// Mail the orchestrator delivered.
    pub fn emails(&self) -> OrchestratorEmails<'_> {
        OrchestratorEmails(self)
    }

    /// Changes of life's rows, and how far it has got.
    pub fn life(&self) -> Life<'_> {
        Life(self)
    }

    /// Texts that a model wrote ahead of time.
    pub fn content_pool(&self) -> ContentPool<'_> {
        ContentPool(self)
    }

    /// Where events go, and what was refused there.
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks(self)
    }

    /// Events waiting to be published.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }
}
