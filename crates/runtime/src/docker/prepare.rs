//! What the deckies of a plan share, and what would make their deploy fail half-way: checked before anything is changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use decnet_fleet::{
    DeckyPlan, Plan,
    plan::{ContainerPlan, Image, NetworkPlan},
};

use super::{
    Shared,
    deploy::name_taken,
    labels::{self, Seen},
};
use crate::{
    HostAbilities, RuntimeError,
    error::blocking,
    lan::{self, LanError, LinkState, MacAddress},
};

impl Shared {
    /// What this host can run.
    pub(super) async fn abilities(&self) -> HostAbilities {
        let (engine, network) = tokio::join!(self.host.engine.version(), lan::detect());
        HostAbilities { engine, network, shells: self.host.images.distros() }
    }

    /// Which addresses somebody else has.
    pub(super) async fn survey(
        &self,
        interface: Option<&str>,
        addresses: &[IpAddr],
    ) -> Result<BTreeMap<IpAddr, String>, RuntimeError> {
        let interface = match interface {
            Some(interface) => interface.to_owned(),
            None => {
                lan::detect().await.map(|network| network.interface).ok_or_else(|| RuntimeError::Unfit {
                    decky: None,
                    why: "no LAN is known on this host: name its interface with --interface".to_owned(),
                })?
            }
        };
        let own: HashSet<MacAddress> =
            self.all().iter().filter_map(|decky| mac(&decky.deployment()?.plan.mac)).collect();
        let four = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        };
        let addresses: Vec<Ipv4Addr> = addresses.iter().filter_map(four).collect();
        lan::survey(&interface, &addresses, &own).await.map_err(unfit)
    }

    /// Checks everything, then makes images, network and host link. What was made is taken back if a later step fails.
    pub(super) async fn prepare(&self, plan: &Plan) -> Result<(), RuntimeError> {
        let seen = labels::list(&self.host.engine, &self.host.ours, None).await?;
        self.check_images(plan).await?;
        self.check_names(plan, &seen).await?;
        for network in &plan.networks {
            self.check_lan(plan, network, &seen).await?;
        }
        for (decky, image) in images(plan) {
            self.host.images.get(image, decky.name()).await?;
        }
        // Those that run keep talking to each other until they are removed.
        let mut fleet: BTreeSet<IpAddr> =
            self.all().iter().filter_map(|decky| Some(decky.deployment()?.plan.ip())).collect();
        fleet.extend(plan.deckies.iter().map(DeckyPlan::ip));
        self.set_fleet(fleet);
        for network in &plan.networks {
            let made = self.host.ensure_network(network).await?;
            if let Err(error) = lan::Shim::ensure(network).await {
                if made && let Err(error) = self.host.remove_network(&network.name).await {
                    tracing::warn!(network = network.name, %error, "a network that was made in vain stays");
                }
                return Err(unfit(error));
            }
        }
        Ok(())
    }

    /// Whether every image can be had; the first decky that wants one that cannot is named.
    async fn check_images(&self, plan: &Plan) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        let wanted: Vec<_> =
            images(plan).into_iter().map(|(decky, image)| (decky.name().clone(), image.clone())).collect();
        blocking(move || {
            wanted
                .iter()
                .try_for_each(|(name, image)| host.images.check(image).map_err(|error| error.of(name)))
        })
        .await
    }

    /// Whether every container name is free or ours.
    async fn check_names(
        &self,
        plan: &Plan,
        seen: &BTreeMap<decnet_core::DeckyName, Vec<Seen>>,
    ) -> Result<(), RuntimeError> {
        let ours: HashSet<&str> = seen.values().flatten().map(|seen| seen.name.as_str()).collect();
        let taken = labels::names(&self.host.engine).await?;
        for decky in &plan.deckies {
            for ContainerPlan { name, .. } in &decky.containers {
                if taken.contains(name) && !ours.contains(name.as_str()) {
                    return Err(name_taken(decky.name(), name));
                }
            }
        }
        Ok(())
    }

    /// Whether the LAN can carry the deckies: the parent is there and up, the network is nobody else's, and nobody answers at
    /// the addresses of those that do not run yet.
    async fn check_lan(
        &self,
        plan: &Plan,
        network: &NetworkPlan,
        seen: &BTreeMap<decnet_core::DeckyName, Vec<Seen>>,
    ) -> Result<(), RuntimeError> {
        let Some(parent) = &network.parent else {
            let why =
                "the plan names no interface for its deckies: give --interface, or interface= in [general]";
            return Err(RuntimeError::Unfit { decky: None, why: why.to_owned() });
        };
        match lan::link_state(parent).await.map_err(unfit)? {
            LinkState::Up => {}
            LinkState::Missing => return Err(unfit(LanError::NoInterface(parent.clone()))),
            LinkState::Down => return Err(unfit(LanError::Down(parent.clone()))),
        }
        lan::supports(network.driver).await.map_err(unfit)?;
        self.host.check_network(network).await?;
        let runs =
            |decky: &&DeckyPlan| seen.get(decky.name()).is_some_and(|seen| seen.iter().any(Seen::runs));
        let fresh: Vec<&DeckyPlan> = plan.deckies.iter().filter(|decky| !runs(decky)).collect();
        let addresses: Vec<IpAddr> = fresh.iter().map(|decky| decky.ip()).collect();
        let taken = self.survey(Some(parent), &addresses).await?;
        for decky in fresh {
            if let Some(whose) = taken.get(&decky.ip()) {
                let why = format!(
                    "its address {} is taken: {whose} answers there; give it another (ip= in its section), or plan anew",
                    decky.ip()
                );
                return Err(RuntimeError::Unfit { decky: Some(decky.name().clone()), why });
            }
        }
        Ok(())
    }

    /// Removes what no decky of `plan` needs any more.
    pub(super) async fn settle(&self, plan: Option<&Plan>) -> Result<(), RuntimeError> {
        let wanted: BTreeSet<&str> =
            plan.into_iter().flat_map(|plan| &plan.networks).map(|network| network.name.as_str()).collect();
        for name in self.host.networks().await? {
            if !wanted.contains(name.as_str()) {
                self.host.remove_network(&name).await?;
            }
        }
        if let Some(plan) = plan {
            self.set_fleet(plan.deckies.iter().map(DeckyPlan::ip).collect());
            for network in &plan.networks {
                lan::Shim::ensure(network).await.map_err(unfit)?;
            }
        } else {
            self.set_fleet(BTreeSet::new());
            lan::Shim::remove(&format!("decnet-{}", self.host.ours.fleet)).await.map_err(unfit)?;
        }
        // Housekeeping, and the engine fails to list images while another one is being deleted: the next call does it.
        if let Err(error) = self.host.images.tidy().await {
            tracing::warn!(%error, "images that nobody needs stay at the engine for now");
        }
        Ok(())
    }
}

/// Each image of a plan once, with the first decky that wants it.
fn images(plan: &Plan) -> Vec<(&DeckyPlan, &Image)> {
    let mut found: Vec<(&DeckyPlan, &Image)> = Vec::new();
    for decky in &plan.deckies {
        for container in &decky.containers {
            if !found.iter().any(|(_, image)| **image == container.image) {
                found.push((decky, &container.image));
            }
        }
    }
    found
}

/// A hardware address in its usual form.
fn mac(text: &str) -> Option<MacAddress> {
    let parts: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    parts?.try_into().ok()
}

fn unfit(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Unfit { decky: None, why: error.to_string() }
}
