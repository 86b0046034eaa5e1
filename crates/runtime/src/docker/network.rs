//! The network of a fleet at the engine: made, reused while it fits, made anew when its LAN has changed, and removed with the
//! last decky. Host links and routes are `lan`'s.

use std::collections::HashMap;

use bollard::{
    models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkDisconnectRequest, NetworkInspect},
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder},
};
use decnet_fleet::plan::{NetworkDriver, NetworkPlan};

use super::{decky::Host, engine::status};
use crate::RuntimeError;

/// The option that names the parent.
const PARENT: &str = "parent";

impl Host {
    /// The network of this name, if there is one.
    pub(super) async fn network(&self, name: &str) -> Result<Option<NetworkInspect>, RuntimeError> {
        match self.engine.docker().await?.inspect_network(name, None::<InspectNetworkOptions>).await {
            // Names are looked up by their beginning too.
            Ok(found) if found.name.as_deref() == Some(name) => Ok(Some(found)),
            Ok(_) => Ok(None),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.engine.failure(format!("look at the network {name}"), &error)),
        }
    }

    /// Whether the network of `plan` is there and fits. An error if somebody else has its name.
    pub(super) async fn check_network(&self, plan: &NetworkPlan) -> Result<bool, RuntimeError> {
        let Some(found) = self.network(&plan.name).await? else { return Ok(false) };
        if !self.ours.has(found.labels.as_ref()) {
            let why = format!(
                "the engine has a network {} that is not of this fleet: remove it with `docker network rm {}`",
                plan.name, plan.name
            );
            return Err(RuntimeError::Unfit { decky: None, why });
        }
        Ok(fits(&found, plan))
    }

    /// Makes the network of `plan`, or makes it anew if its LAN is another now. True if it was made.
    pub(super) async fn ensure_network(&self, plan: &NetworkPlan) -> Result<bool, RuntimeError> {
        if self.check_network(plan).await? {
            return Ok(false);
        }
        self.remove_network(&plan.name).await?;
        let pool = IpamConfig {
            subnet: Some(plan.subnet.trunc().to_string()),
            gateway: plan.gateway.map(|gateway| gateway.to_string()),
            ip_range: Some(plan.ip_range.to_string()),
            auxiliary_addresses: None,
        };
        let mut options = HashMap::from([(PARENT.to_owned(), plan.parent.clone().unwrap_or_default())]);
        if plan.driver == NetworkDriver::Ipvlan {
            options.insert("ipvlan_mode".to_owned(), "l2".to_owned());
        }
        let request = NetworkCreateRequest {
            name: plan.name.clone(),
            driver: Some(driver(plan.driver).to_owned()),
            ipam: Some(Ipam { config: Some(vec![pool]), ..Ipam::default() }),
            options: Some(options),
            labels: Some(self.ours.labels().into()),
            ..NetworkCreateRequest::default()
        };
        match self.engine.docker().await?.create_network(request).await {
            Ok(_) => Ok(true),
            Err(error) => {
                Err(explain(self.engine.failure(format!("make the network {}", plan.name), &error), plan))
            }
        }
    }

    /// Removes a network of ours, whoever is still on it. It is no mistake if there is none.
    pub(super) async fn remove_network(&self, name: &str) -> Result<(), RuntimeError> {
        let Some(found) = self.network(name).await? else { return Ok(()) };
        if !self.ours.has(found.labels.as_ref()) {
            return Ok(());
        }
        let docker = self.engine.docker().await?;
        for container in found.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            if let Err(error) = docker.disconnect_network(name, request).await {
                tracing::debug!(network = name, %error, "a member is not disconnected");
            }
        }
        match docker.remove_network(name).await {
            Err(error) if status(&error) != Some(404) => {
                Err(self.engine.failure(format!("remove the network {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// The names of this fleet's networks.
    pub(super) async fn networks(&self) -> Result<Vec<String>, RuntimeError> {
        let options = ListNetworksOptionsBuilder::new().filters(&self.ours.filter(None)).build();
        let found = self.engine.docker().await?.list_networks(Some(options)).await;
        let found = found.map_err(|error| self.engine.failure("list the networks", &error))?;
        Ok(found.into_iter().filter_map(|network| network.name).collect())
    }
}

fn driver(driver: NetworkDriver) -> &'static str {
    match driver {
        NetworkDriver::Macvlan => "macvlan",
        NetworkDriver::Ipvlan => "ipvlan",
        NetworkDriver::Loopback => "none",
    }
}

/// Whether deckies of `plan` can be on `found`. Its range does not count: it grows with the fleet, every address is given
/// by name, and another network would take the running deckies off the air.
fn fits(found: &NetworkInspect, plan: &NetworkPlan) -> bool {
    let option = |name: &str| found.options.as_ref().and_then(|options| options.get(name));
    let pools = found.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
    let gateway = plan.gateway.map(|gateway| gateway.to_string());
    let is_pool = |pool: &IpamConfig| {
        pool.subnet == Some(plan.subnet.trunc().to_string()) && (gateway.is_none() || pool.gateway == gateway)
    };
    found.driver.as_deref() == Some(driver(plan.driver))
        && option(PARENT) == plan.parent.as_ref()
        && pools.len() == 1
        && pools.iter().all(is_pool)
}

/// What the engine's words about networks mean.
fn explain(error: RuntimeError, plan: &NetworkPlan) -> RuntimeError {
    let RuntimeError::Engine { reason, .. } = &error else { return error };
    let parent = plan.parent.as_deref().unwrap_or("?");
    let why = if reason.contains("already using parent interface") {
        format!(
            "another network of the engine is on {parent} already ({reason}): the engine allows one per parent; `docker network ls` shows it, and a second fleet needs a parent of its own (--interface), such as a VLAN link"
        )
    } else if reason.contains("overlaps") || reason.contains("ddress already in use") {
        format!(
            "another network of the engine has addresses of {} already ({reason}): remove it (`docker network ls`), or give this fleet another --subnet",
            plan.subnet
        )
    } else {
        return error;
    };
    RuntimeError::Unfit { decky: None, why }
}
