//! Runs a decky: builds its services, binds their ports and ends in order. Knows no protocol.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use decnet_core::{Clock, DecoyConfig, IdSource, ServiceEntry, SystemClock, SystemIds};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::{Running, Shared, keep_accepting},
    admission::Admission,
    catalogue, health,
    listener::{self, BindError},
    machine::Machine,
    mail::Stores,
    output::{Output, PATIENCE},
    report::Report,
    service::{BuildError, ServiceContext},
};

/// How long conversations may take to end at shutdown.
const FAREWELL: Duration = Duration::from_secs(4);

/// Why a decky does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The document names a service that is not in the table.
    #[error("unknown service {slug:?}; this decoy serves: {}", catalogue::known())]
    Unknown {
        /// As it was written.
        slug: String,
    },
    /// Nothing to do.
    #[error("no service to run; give --services, one or more of: {}", catalogue::known())]
    Nothing,
    /// A service refuses its settings.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The artifact folder or the writing thread.
    #[error("cannot prepare the output ({0}); check that the artifact folder exists and is writable")]
    Output(std::io::Error),
}

impl StartError {
    /// Whether what was asked for is wrong, rather than the machine's state.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Nothing | Self::Build(_) | Self::Bind(BindError::Range { .. })
        )
    }
}

/// What a decky is started with besides its document.
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of connections.
    pub ids: Arc<dyn IdSource>,
    /// How long a conversation waits for a blocked output.
    pub patience: Duration,
    /// Let the system choose every port (tests); see [`Decoy::addresses`].
    pub any_port: bool,
    /// Where to report health.
    pub health_file: Option<PathBuf>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            patience: PATIENCE,
            any_port: false,
            health_file: None,
        }
    }
}

/// A running decky.
pub struct Decoy {
    shared: Arc<Shared>,
    services: Vec<Arc<Running>>,
    broken: CancellationToken,
}

impl Decoy {
    /// Starts everything or nothing. Lines go to `sink`.
    pub async fn start(
        config: DecoyConfig,
        surroundings: Surroundings,
        sink: impl Write + Send + 'static,
    ) -> Result<Self, StartError> {
        if config.services.is_empty() {
            return Err(StartError::Nothing);
        }
        let Surroundings { clock, ids, patience, any_port, health_file } = surroundings;
        let mut ready = Vec::new();
        let machine = config.shell.is_some().then(Machine::read);
        let persona = match &machine {
            Some(machine) => machine.shown_as(config.persona),
            None => config.persona,
        };
        let boot = machine.and_then(|machine| machine.booted);
        let persona = Arc::new(persona);
        let started = clock.now();
        let mail = Stores::default();
        for entry in config.services {
            let known = catalogue::find(&entry.slug)
                .ok_or_else(|| StartError::Unknown { slug: entry.slug.clone() })?;
            let sockets = bind_all(known, &entry, any_port)?;
            let context = ServiceContext {
                decky: config.decky.clone(),
                persona: persona.clone(),
                host_seed: config.seed.clone(),
                seed: config.seed.child(format!("service/{}", entry.slug)),
                settings: entry.settings,
                bind: entry.bind,
                root: config.root.clone(),
                artifacts: config.artifacts.clone(),
                mail: mail.clone(),
                shell: config.shell.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                started,
                boot,
            };
            // Making keys takes a while: not on a thread that others wait for.
            let service = tokio::task::spawn_blocking(move || (known.build)(&context))
                .await
                .map_err(|_| BuildError { slug: known.slug, reason: "failed while starting".to_owned() })??;
            ready.push((service, sockets));
        }
        let broken = CancellationToken::new();
        let output = Output::start(
            config.decky,
            clock.clone(),
            sink,
            config.artifacts.as_deref(),
            patience,
            broken.clone(),
        )
        .map_err(StartError::Output)?;
        let shared = Arc::new(Shared {
            clock,
            ids,
            output: Arc::new(output),
            admission: Arc::new(Admission::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut services = Vec::new();
        for (service, sockets) in ready {
            let addresses: Vec<_> = sockets.iter().filter_map(|s| s.local_addr().ok()).collect();
            let running = Arc::new(Running {
                service,
                addresses,
                open: AtomicU64::new(0),
                accepted: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                errors: AtomicU64::new(0),
            });
            shared.output.announce(running.service.slug(), started_report(&running)).await;
            for socket in sockets {
                shared.tasks.spawn(keep_accepting(shared.clone(), running.clone(), socket));
            }
            services.push(running);
        }
        if let Some(path) = health_file {
            let (shared, services) = (shared.clone(), services.clone());
            tokio::spawn(async move { health::keep_writing(path, &shared, &services).await });
        }
        Ok(Self { shared, services, broken })
    }

    /// Where each service listens.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.services
            .iter()
            .flat_map(|running| running.addresses.iter().map(|addr| (running.service.slug(), *addr)))
            .collect()
    }

    /// Connections now.
    pub fn open(&self) -> usize {
        self.shared.admission.open()
    }

    /// Ends when the output can no longer be written.
    pub async fn output_broke(&self) {
        self.broken.cancelled().await;
    }

    /// Ends all conversations, then writes `shutdown` for each service. Bounded in time.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let all_ended = tokio::time::timeout(FAREWELL, self.shared.tasks.wait()).await.is_ok();
        for running in &self.services {
            let report = Report::new("shutdown")
                .field("accepted", running.accepted.load(Ordering::Relaxed))
                .field("still_open", if all_ended { 0 } else { running.open.load(Ordering::Relaxed) });
            self.shared.output.announce(running.service.slug(), report).await;
        }
    }
}

fn bind_all(
    known: &'static catalogue::Entry,
    entry: &ServiceEntry,
    any_port: bool,
) -> Result<Vec<TcpListener>, StartError> {
    let mut sockets = Vec::new();
    for standard in known.ports {
        let port = if any_port { 0 } else { listener::port(known.slug, *standard, entry.port_base)? };
        for ip in &entry.bind {
            sockets.push(listener::bind(known.slug, *ip, port)?);
        }
    }
    Ok(sockets)
}

fn started_report(running: &Running) -> Report {
    let ports: Vec<u16> = running.addresses.iter().map(SocketAddr::port).collect();
    let hosts: Vec<IpAddr> = running.addresses.iter().map(SocketAddr::ip).collect();
    Report::new("startup")
        .json("ports", &ports)
        .json("bind", &hosts)
        .field("version", env!("CARGO_PKG_VERSION"))
}
