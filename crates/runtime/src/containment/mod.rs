//! Keeps an intruder in: whatever runs in a decky answers who calls it, reaches the fleet, and nothing else.
//!
//! ```text
//! let guard = Guard::install(front_pid, options, lines).await?;   // the rules are in force now
//! guard.set_fleet(&addresses)?;                                   // live, microseconds
//! guard.blocked()?;                                               // packets refused so far
//! guard.covers(front_pid);                                        // false: it restarted, install again
//! drop(guard);                                                    // ends the listener; the rules stay
//! ```
//!
//! The rules (see `rules`) live in the decky's network namespace, put there from outside: no container needs a right for
//! it, and none can take them away. A namespace that has them already keeps its counter. The guard holds the namespace's
//! sockets, so drop it once the decky is gone. What a refused attempt tells of its sender is in `egress_blocked` lines.
//!
//! What it does not do: decide what belongs to the fleet, or filter who calls a decky.

mod control;
mod culprit;
mod listen;
mod namespace;
mod refused;
mod rules;
mod tally;

use std::{
    collections::BTreeSet,
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use decnet_core::{Clock, DeckyName};
use decnet_logline::Record;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{control::Control, culprit::Culprits, listen::Listener, namespace::Namespace, rules::Allowed};
use crate::capture::process;

/// Where the host's own lines about a decky go. Called where blocking is allowed, one whole line a call.
pub type Lines = Arc<dyn Fn(Record) + Send + Sync>;

/// Why a namespace is not contained.
#[derive(Debug, thiserror::Error)]
pub enum ContainmentError {
    /// No such process.
    #[error(
        "the network namespace of process {pid} cannot be opened ({source}): its container has ended, or this program is not root"
    )]
    Namespace {
        /// The process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The host's own namespace.
    #[error(
        "process {0} is in the host's own network namespace, which is never contained: its container must not use the host's network"
    )]
    OwnNamespace(u32),
    /// The namespace cannot be entered.
    #[error(
        "a network namespace cannot be entered ({source}): run the agent as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN"
    )]
    Enter {
        /// What the system said.
        source: io::Error,
    },
    /// There is no `nft`.
    #[error("the program nft is missing: install the package nftables")]
    NoNft,
    /// `nft` cannot be run.
    #[error("the program nft cannot be run ({source}): check that the agent may start /usr/sbin/nft")]
    Nft {
        /// What the system said.
        source: io::Error,
    },
    /// The rules were not accepted.
    #[error(
        "the containment rules were refused: {0:?}; the kernel needs nf_tables with the inet family, connection tracking and NFLOG (modules nf_tables, nf_conntrack, nfnetlink_log)"
    )]
    Refused(String),
    /// Netlink failed.
    #[error(
        "cannot {what} of a contained decky ({source}): if it restarted, its rules are installed again with the next pass"
    )]
    Netlink {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The installing thread panicked.
    #[error(
        "the installation of containment rules broke off: this is a mistake in the program, please report it"
    )]
    Broken,
}

/// What to contain, and what may leave.
#[derive(Clone)]
pub struct GuardOptions {
    /// Whose lines are written.
    pub decky: DeckyName,
    /// Addresses of the fleet, which may be called on any port.
    pub fleet: BTreeSet<Ipv4Addr>,
    /// Name servers that may be asked: the DNS sinkhole. None yet.
    pub resolvers: BTreeSet<Ipv4Addr>,
    /// Web servers that may be called: the canaries' callback. None yet.
    pub callbacks: BTreeSet<Ipv4Addr>,
    /// The time of lines.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for GuardOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardOptions")
            .field("decky", &self.decky)
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}

/// A contained network namespace.
#[derive(Debug)]
pub struct Guard {
    id: namespace::NamespaceId,
    control: Mutex<Control>,
    /// Ends the listener, which then tells what it gathered.
    _stop: DropGuard,
}

impl Guard {
    /// Contains the network namespace of process `pid`. The rules are in force when it returns, and refused packets are
    /// heard of from the first one on. Where the namespace has the rules already, they are replaced without a gap and its
    /// counter goes on.
    pub async fn install(pid: u32, options: GuardOptions, lines: Lines) -> Result<Self, ContainmentError> {
        let namespace = Namespace::of(pid)?;
        let id = namespace.id;
        let net = process::namespace(pid, "net")
            .ok_or_else(|| ContainmentError::Namespace { pid, source: io::ErrorKind::NotFound.into() })?;
        let GuardOptions { decky, fleet, resolvers, callbacks, clock } = options;
        let runtime = Handle::current();
        let (log, control) = namespace
            .inside(move || {
                // A socket that is waited on belongs to the runtime, not to this thread.
                let _runtime = runtime.enter();
                let netlink = |what| move |source| ContainmentError::Netlink { what, source };
                // First the ear, then the rules: not one refused packet goes unheard.
                let (log, group) = listen::open().map_err(netlink("hear of refused packets"))?;
                let allowed =
                    Allowed { fleet: Some(&fleet), resolvers: Some(&resolvers), callbacks: Some(&callbacks) };
                if let Err(error) = namespace::load(&rules::document(&allowed, group, true)) {
                    // A table of another version may have another shape.
                    if !matches!(error, ContainmentError::Refused(_)) {
                        return Err(error);
                    }
                    namespace::load(&rules::document(&allowed, group, false))?;
                }
                let control = Control::open().map_err(netlink("open the controls"))?;
                Ok((log, control))
            })
            .await?;
        let culprits = Arc::new(Mutex::new(Culprits::of(net)));
        let listener = Listener { decky, clock, lines, culprits };
        let stop = CancellationToken::new();
        tokio::spawn(listener.run(log, stop.clone()));
        Ok(Self { id, control: Mutex::new(control), _stop: stop.drop_guard() })
    }

    /// Replaces the fleet's addresses, in one step. A few system calls.
    pub fn set_fleet(&self, addresses: &BTreeSet<Ipv4Addr>) -> Result<(), ContainmentError> {
        let what = "set the fleet's addresses";
        self.control().set_fleet(addresses).map_err(|source| ContainmentError::Netlink { what, source })
    }

    /// How many packets were refused since the namespace was first contained. Two system calls.
    pub fn blocked(&self) -> Result<u64, ContainmentError> {
        let what = "read the counter";
        self.control().refused().map_err(|source| ContainmentError::Netlink { what, source })
    }

    /// Whether `pid` is in the namespace that this guard contains. False after its container has restarted.
    pub fn covers(&self, pid: u32) -> bool {
        namespace::of_process(pid) == Some(self.id)
    }

    fn control(&self) -> std::sync::MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
