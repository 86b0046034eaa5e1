//! What watches over a running decky from the host: the containment of its network, and the capture of what an intruder
//! leaves in its shell container. Both write their lines into the decky's host-side output.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::{
    decky::{Decky, Host},
    resolver,
};
use crate::{
    RuntimeError,
    capture::Before,
    containment::{Guard, GuardOptions, Lines},
    error::{blocking, io_error},
};

/// What watches over one decky; capture is the host's, which knows it by the decky's name.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    guard: Option<Guard>,
}

impl Watchers {
    /// Packets that the containment has refused.
    pub(super) fn egress_blocked(&self) -> u64 {
        let Some(guard) = &self.guard else { return 0 };
        guard.blocked().unwrap_or_else(|error| {
            tracing::debug!(%error, "a containment's counter is not read");
            0
        })
    }
}

impl Decky {
    /// Contains the network of its front, whose process 1 is `front`. True if it was not contained before.
    pub(super) async fn contain(&self, front: u32) -> Result<bool, RuntimeError> {
        if self.live().watchers.guard.as_ref().is_some_and(|guard| guard.covers(front)) {
            return Ok(false);
        }
        let fleet = self.host.fleet();
        let options = GuardOptions {
            decky: self.name.clone(),
            fleet: fleet.clone(),
            resolvers: BTreeSet::new(),
            callbacks: BTreeSet::new(),
            clock: Arc::clone(&self.host.clock),
        };
        let guard = Guard::install(front, options, self.host_lines()).await;
        let guard = guard.map_err(|error| self.unwatched(&error))?;
        {
            let mut live = self.live();
            // Whoever changed the fleet meanwhile did not find this guard yet.
            let now = self.host.fleet();
            if now != fleet {
                guard.set_fleet(&now).map_err(|error| self.unwatched(&error))?;
            }
            live.watchers.guard = Some(guard);
        }
        let silenced = blocking(move || {
            resolver::remove(front).map_err(io_error("look into the network of", front.to_string()))
        });
        if let Err(error) = silenced.await {
            // A tell, and no reason to fail.
            tracing::debug!(decky = %self.name, %error, "the engine's resolver can be seen in the shell");
        }
        Ok(true)
    }

    /// Captures what is left in its shell container, whose process 1 is `shell`, and what was left `before`.
    pub(super) async fn capture(self: &Arc<Self>, shell: u32, before: Before) -> Result<(), RuntimeError> {
        let decky = Arc::clone(self);
        let watched = blocking(move || {
            let (journal, lines) = (decky.paths.captured(), decky.host_lines());
            Ok(decky.host.capture.watch(shell, &decky.name, &journal, before, lines))
        });
        watched.await?.map_err(|error| self.unwatched(&error))
    }

    /// Ends what watches over it.
    pub(super) fn unwatch(&self) {
        self.live().watchers = Watchers::default();
        self.host.capture.unwatch(&self.name);
    }

    /// Where the lines of its watchers go.
    fn host_lines(&self) -> Lines {
        let lines = self.lines.clone();
        Arc::new(move |record| {
            if let Err(error) = lines.write(&record) {
                tracing::error!(decky = %lines.decky(), %error, "a line of the host about a decky is lost: check the free space");
            }
        })
    }

    fn unwatched(&self, error: &dyn std::fmt::Display) -> RuntimeError {
        RuntimeError::Unwatched { decky: self.name.clone(), reason: error.to_string() }
    }
}

impl Host {
    /// Addresses that deckies of this fleet may talk to.
    pub(super) fn fleet(&self) -> BTreeSet<Ipv4Addr> {
        self.fleet.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl super::Shared {
    /// Deckies may talk to these addresses from now on.
    pub(super) fn set_fleet(&self, addresses: BTreeSet<IpAddr>) {
        let four = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        let addresses: BTreeSet<Ipv4Addr> = addresses.into_iter().filter_map(four).collect();
        {
            let mut fleet = self.host.fleet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if *fleet == addresses {
                return;
            }
            fleet.clone_from(&addresses);
        }
        for decky in self.all() {
            if let Some(guard) = &decky.live().watchers.guard
                && let Err(error) = guard.set_fleet(&addresses)
            {
                // Its next installation takes the new ones.
                tracing::warn!(decky = %decky.name, %error, "a decky does not know the fleet's new addresses");
            }
        }
    }
}
