//! `decnet status`: what is deployed by the state file, and what runs by the agent. Works without broker and database.
//!
//! A state file that cannot be read still lets the agent tell what runs; the verb then ends with 1.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Result;
use decnet_bus::{
    Topic,
    payload::{DeckyInspection, InspectReply, InspectRequest},
};
use decnet_fleet::{DeckyConfig, StateStore, catalogue};
use decnet_kit::{args::CommonArgs, settings::Loaded};
use serde_json::json;

use crate::{block_on, bus, config, render};

/// How long the agent may take to look.
const INSPECT_BOUND: Duration = Duration::from_secs(8);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    format: render::Format,
}

/// A decky as the state file and the agent know it; one of them may not.
struct Row {
    name: String,
    config: Option<DeckyConfig>,
    seen: Option<DeckyInspection>,
    state: String,
    /// It runs and nothing wants it.
    is_orphan: bool,
}

impl Row {
    /// Added to each standard port, if the agent says so.
    fn port_base(&self) -> Option<u16> {
        self.seen.as_ref().map(|seen| seen.port_base)
    }

    /// Every service, by the state file or else by the agent.
    fn services(&self) -> Vec<String> {
        match (&self.config, &self.seen) {
            (Some(config), _) => config.services.clone(),
            (None, Some(seen)) => seen.services.keys().cloned().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Where the service really listens, if that is known.
    fn listens(&self, slug: &str, services: &[String]) -> Vec<SocketAddr> {
        let Some((ip, base)) = self.config.as_ref().map(|c| c.ip).zip(self.port_base()) else {
            return Vec::new();
        };
        let others: Vec<&str> = services.iter().map(String::as_str).filter(|other| *other != slug).collect();
        let ports = catalogue::service(slug).map(|service| catalogue::listening_ports(service, &others));
        let real = ports.unwrap_or_default().into_iter().filter_map(|port| port.number.checked_add(base));
        real.map(|port| SocketAddr::new(ip, port)).collect()
    }

    fn as_json(&self) -> serde_json::Value {
        let services = self.services();
        let listens: BTreeMap<&str, Vec<SocketAddr>> =
            services.iter().map(|slug| (slug.as_str(), self.listens(slug, &services))).collect();
        let config = self.config.as_ref();
        json!({
            "name": self.name,
            "ip": config.map(|c| c.ip),
            "hostname": config.map(|c| &c.hostname),
            "distro": config.map(|c| &c.distro),
            "services": services,
            "state": self.state,
            "service_states": self.seen.as_ref().map(|seen| &seen.services),
            "port_base": self.port_base(),
            "listens": (config.is_some() && self.seen.is_some()).then_some(listens),
            "last_error": self.seen.as_ref().and_then(|seen| seen.last_error.as_ref()),
            "egress_blocked": self.seen.as_ref().map(|seen| seen.egress_blocked),
            "orphan": self.is_orphan,
        })
    }

    fn as_cells(&self) -> [String; 7] {
        let services = self.services();
        let told = services.iter().map(|slug| {
            let ports = self.listens(slug, &services);
            let ports: Vec<_> = ports.iter().map(|address| address.port().to_string()).collect();
            let place = if ports.is_empty() { String::new() } else { format!(" {}", ports.join("+")) };
            match self.seen.as_ref().map(|seen| seen.services.get(slug)) {
                Some(state) => format!("{slug}{place}: {}", state.map_or("absent", String::as_str)),
                None => slug.clone(),
            }
        });
        let config = self.config.as_ref();
        [
            self.name.clone(),
            config.map_or_else(|| "?".to_owned(), |c| c.ip.to_string()),
            config.map_or_else(|| "?".to_owned(), |c| c.hostname.clone()),
            if self.is_orphan { format!("{} (orphan)", self.state) } else { self.state.clone() },
            told.collect::<Vec<_>>().join(", "),
            self.seen.as_ref().map_or_else(String::new, |seen| seen.egress_blocked.to_string()),
            self.seen.as_ref().and_then(|seen| seen.last_error.clone()).unwrap_or_default(),
        ]
    }
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let loaded = config::load(common)?;
    let (state, unreadable) = match StateStore::new(&loaded.settings.state_file).known() {
        Ok(state) => (state, None),
        Err(error) => (None, Some(error)),
    };
    // Without an agent the state file still tells what should be there; where none ever ran, nobody is asked.
    let is_asked =
        state.is_some() || unreadable.is_some() || loaded.settings.state_dir.join("agent").exists();
    let seen = if is_asked { block_on(inspect(&loaded)) } else { Ok(Vec::new()) };
    if let Err(error) = &seen {
        eprintln!("decnet: note: state of the deckies unknown: {}", render::chain(error));
    }
    let is_known = seen.is_ok();
    let deployed = state.as_ref().map(|state| state.config.deckies.clone()).unwrap_or_default();
    let mut rows = rows(deployed, seen.unwrap_or_default(), is_known);
    if unreadable.is_some() {
        // Nobody knows what is wanted.
        for row in &mut rows {
            row.is_orphan = false;
        }
    }
    if args.format.json {
        render::json(&json!({
            // With an unreadable state file nobody knows.
            "deployed": unreadable.is_none().then_some(state.is_some()),
            "generation": state.as_ref().map(|state| state.generation),
            "written_at": state.as_ref().map(|state| state.written_at),
            "deckies": rows.iter().map(Row::as_json).collect::<Vec<_>>(),
        }))?;
    } else if rows.is_empty() && unreadable.is_none() {
        render::line("nothing is deployed")?;
    } else if !rows.is_empty() {
        render::table(
            ["decky", "address", "host name", "state", "services", "blocked", "last error"],
            rows.iter().map(Row::as_cells),
        )?;
    }
    unreadable.map_or(Ok(()), |error| Err(error.into()))
}

/// What is deployed in the order of the state file, then what runs and is not in it.
fn rows(deployed: Vec<DeckyConfig>, seen: Vec<DeckyInspection>, is_known: bool) -> Vec<Row> {
    let mut seen: BTreeMap<String, DeckyInspection> =
        seen.into_iter().map(|decky| (decky.name.to_string(), decky)).collect();
    let mut rows: Vec<Row> = deployed
        .into_iter()
        .map(|config| {
            let name = config.name.to_string();
            let seen = seen.remove(&name);
            let absent = if is_known { "torn_down" } else { "unknown" };
            let state = seen.as_ref().map_or_else(|| absent.to_owned(), |seen| seen.state.clone());
            Row { name, config: Some(config), seen, state, is_orphan: false }
        })
        .collect();
    rows.extend(seen.into_iter().map(|(name, seen)| Row {
        name,
        config: None,
        state: seen.state.clone(),
        // What is being started or removed right now is nobody's orphan.
        is_orphan: !matches!(seen.state.as_str(), "pending" | "tearing_down"),
        seen: Some(seen),
    }));
    rows
}

async fn inspect(loaded: &Loaded) -> Result<Vec<DeckyInspection>> {
    let bus = bus::connect(loaded).await?;
    let topic = Topic::AskInspect { host: loaded.settings.host.clone() };
    let reply: InspectReply = bus.request(&topic, &InspectRequest::default(), INSPECT_BOUND).await?;
    Ok(reply.deckies)
}

#[cfg(test)]
mod tests {
    use decnet_core::DeckyName;

    use super::*;

    fn config(name: &str) -> DeckyConfig {
        serde_json::from_value(json!({
            "name": name, "ip": "127.9.9.1", "services": ["ssh", "http"], "distro": "debian",
            "base_image": "debian", "build_base": "debian", "hostname": "SRV-1",
        }))
        .unwrap()
    }

    fn seen(name: &str, port_base: u16) -> DeckyInspection {
        DeckyInspection {
            name: DeckyName::parse(name).unwrap(),
            state: "running".to_owned(),
            services: BTreeMap::from([("ssh".to_owned(), "running".to_owned())]),
            last_error: None,
            port_base,
            plan_hash: None,
            egress_blocked: 0,
            incarnation: None,
        }
    }

    #[test]
    fn an_orphan_and_what_was_blocked_are_told() {
        let stray = DeckyInspection { egress_blocked: 7, ..seen("stray", 0) };
        let leaving = DeckyInspection { state: "tearing_down".to_owned(), ..seen("leaving", 0) };
        let rows = rows(vec![config("web")], vec![seen("web", 0), stray, leaving], true);
        let told: Vec<_> = rows.iter().map(|row| row.as_json()["orphan"].clone()).collect();
        assert_eq!(told, [false, false, true]);
        assert_eq!(
            (rows[2].as_json()["egress_blocked"].clone(), rows[2].as_cells()[5].as_str()),
            (json!(7), "7")
        );
        assert_eq!(rows[2].as_cells()[3], "running (orphan)");
    }

    #[test]
    fn it_is_told_where_services_really_listen() {
        let rows = rows(vec![config("web")], vec![seen("web", 20_000)], true);
        let told = rows[0].as_json();
        assert_eq!(told["port_base"], 20_000);
        assert_eq!(told["listens"], json!({"ssh": ["127.9.9.1:20022"], "http": ["127.9.9.1:20080"]}));
        assert_eq!(rows[0].as_cells()[4], "ssh 20022: running, http 20080: absent");
    }

    #[test]
    fn what_nobody_saw_is_unknown_or_gone_and_what_runs_unasked_is_shown() {
        let gone = rows(vec![config("web")], vec![seen("stray", 0)], true);
        assert_eq!((gone[0].state.as_str(), &gone[0].as_json()["listens"]), ("torn_down", &json!(null)));
        assert_eq!((gone[1].name.as_str(), &gone[1].as_json()["ip"]), ("stray", &json!(null)));
        assert_eq!(rows(vec![config("web")], Vec::new(), false)[0].state, "unknown");
    }
}
