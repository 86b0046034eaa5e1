//! What every request shares: configuration, database, bus, clock, keys, caches. Cheap to clone.
//!
//! It starts no tasks; [`crate::tasks`] does.

use std::{path::PathBuf, sync::Arc, time::Duration};

use decnet_bus::Bus;
use decnet_core::{Clock, HostId, IdSource};
use decnet_db::Db;
use decnet_kit::{
    Ctx, Database, DatabaseError, Settings,
    settings::{RuntimeKind, Secret},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Accounts, LoginLimiter, Passwords, Tokens, key},
    cache::ReadCaches,
    evidence::Evidence,
    limits,
    live::{Hub, Slots},
    problem::{Failure, Problem},
    registry::Registry,
    systemd::Systemd,
};

/// The API's part of the settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// This machine in the fleet.
    pub host: HostId,
    /// Where the first password is kept until it is changed.
    pub state_dir: PathBuf,
    /// The fleet's state file.
    pub state_file: PathBuf,
    /// Captured files and recorded terminals.
    pub artifacts_root: PathBuf,
    /// The fleet secret, read when a deployment is planned.
    pub secret_file: PathBuf,
    /// The file of the pool of personas, where one is named.
    pub personas: Option<PathBuf>,
    /// The key that seals the secrets of webhooks, read when one is made.
    pub webhook_key_file: PathBuf,
    /// What runs the deckies.
    pub runtime: RuntimeKind,
    /// The first administrator.
    pub admin_user: String,
    /// Their password; made and shown once when absent.
    pub admin_password: Option<Secret>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Whether logins are counted.
    pub limiter_enabled: bool,
    /// Streams that one user may hold open.
    pub sse_max_per_user: usize,
    /// Between two comments of a silent stream.
    pub keepalive: Duration,
    /// The key that signs tokens.
    pub jwt_key: Secret,
    /// Life of an access token.
    pub jwt_minutes: u32,
}

impl Config {
    /// Takes the API's part out of the settings. Makes the key file if there is neither key nor file.
    pub fn from_settings(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(origin) = settings.cors_origins.iter().find(|origin| origin.contains('*')) {
            anyhow::bail!(
                "DECNET_CORS_ORIGINS {origin:?}: name each origin, wildcards would let any web site in"
            );
        }
        let jwt_key = match &settings.jwt_secret {
            Some(secret) => {
                key::check(secret.expose())?;
                secret.clone()
            }
            None => Secret::new(key::load_or_create(&settings.jwt_secret_file)?),
        };
        Ok(Self {
            host: settings.host.clone(),
            state_dir: settings.state_dir.clone(),
            state_file: settings.state_file.clone(),
            artifacts_root: settings.artifacts_root.clone(),
            secret_file: settings.secret_file.clone(),
            personas: settings.realism_personas.clone(),
            webhook_key_file: settings.webhook_key_file.clone(),
            runtime: settings.runtime,
            admin_user: settings.admin_user.clone(),
            admin_password: settings.admin_password.clone(),
            cors_origins: settings.cors_origins.clone(),
            limiter_enabled: settings.limiter_enabled,
            sse_max_per_user: usize::try_from(settings.sse_max_per_user.get())?,
            keepalive: Duration::from_secs(15),
            jwt_key,
            jwt_minutes: settings.jwt_exp_minutes.get(),
        })
    }
}

/// Where the database comes from.
#[derive(Clone)]
pub enum Store {
    /// From the worker's surroundings.
    Worker(Ctx),
    /// From a handle of its own (tests, embedding).
    Own(Database),
}

impl Store {
    async fn get(&self) -> Result<Db, DatabaseError> {
        match self {
            Self::Worker(ctx) => ctx.db().await,
            Self::Own(database) => database.get().await,
        }
    }
}

/// What the application is made of.
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// Database.
    pub store: Store,
    /// Bus.
    pub bus: Bus,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Ends streams and tasks.
    pub stop: CancellationToken,
}

/// The application.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    tokens: Tokens,
    passwords: Passwords,
    limiter: LoginLimiter,
    accounts: Accounts,
    caches: ReadCaches,
    registry: Registry,
    systemd: Systemd,
    hub: Hub,
    slots: Slots,
    evidence: Evidence,
    requests: Arc<Semaphore>,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let config = &parts.config;
        let (clock, ids) = (Arc::clone(&parts.clock), Arc::clone(&parts.ids));
        Ok(Self(Arc::new(Inner {
            tokens: Tokens::new(
                config.jwt_key.expose(),
                config.jwt_minutes,
                Arc::clone(&clock),
                Arc::clone(&ids),
            ),
            passwords: Passwords::new()?,
            limiter: LoginLimiter::new(config.limiter_enabled, Arc::clone(&clock)),
            accounts: Accounts::new(),
            caches: ReadCaches::new(),
            registry: Registry::new(Arc::clone(&clock)),
            systemd: Systemd::new(),
            hub: Hub::new(ids.next_id()),
            slots: Slots::new(config.sse_max_per_user),
            evidence: Evidence::new(&config.artifacts_root),
            requests: Arc::new(Semaphore::new(limits::AT_ONCE)),
            parts,
        })))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.parts.config
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.0.parts.bus
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.parts.clock
    }

    /// The id source.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.0.parts.ids
    }

    /// Cancelled when the server stops.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.parts.stop
    }

    /// The open database, or the answer that there is none.
    pub async fn db(&self) -> Result<Db, Failure> {
        self.0.parts.store.get().await.map_err(|error| {
            tracing::debug!(%error, "request refused: no usable database");
            Problem::unavailable("the database does not answer; try again in a moment", 5).into()
        })
    }

    /// The open database, or why there is none: for health.
    pub async fn database(&self) -> Result<Db, DatabaseError> {
        self.0.parts.store.get().await
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn limiter(&self) -> &LoginLimiter {
        &self.0.limiter
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(crate) fn caches(&self) -> &ReadCaches {
        &self.0.caches
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn systemd(&self) -> &Systemd {
        &self.0.systemd
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.0.slots
    }

    pub(crate) fn evidence(&self) -> &Evidence {
        &self.0.evidence
    }

    pub(crate) fn requests(&self) -> &Arc<Semaphore> {
        &self.0.requests
    }
}
