//! `decnet status`: what is deployed by the state file, and what runs by the agent. Works without broker and database.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use decnet_bus::{
    Topic,
    payload::{DeckyInspection, InspectReply, InspectRequest},
};
use decnet_fleet::StateStore;
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

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let loaded = config::load(common)?;
    let state = StateStore::new(&loaded.settings.state_file).load()?;
    let Some(state) = state else {
        if args.format.json {
            return render::json(&json!({ "deployed": false, "deckies": [] }));
        }
        return render::line("nothing is deployed");
    };
    // Without an agent the state file still tells what should be there.
    let seen = block_on(inspect(&loaded)).map_err(|error| {
        eprintln!("decnet: note: state of the deckies unknown: {error:#}");
    });
    let known = seen.is_ok();
    let seen: BTreeMap<String, DeckyInspection> =
        seen.unwrap_or_default().into_iter().map(|d| (d.name.to_string(), d)).collect();
    let state_of = |name: &str| match seen.get(name) {
        Some(inspection) => inspection.state.clone(),
        None if known => "torn_down".to_owned(),
        None => "unknown".to_owned(),
    };
    if args.format.json {
        let deckies: Vec<_> = state
            .config
            .deckies
            .iter()
            .map(|d| {
                let inspection = seen.get(d.name.as_str());
                json!({
                    "name": d.name, "ip": d.ip, "hostname": d.hostname, "distro": d.distro, "services": d.services,
                    "state": state_of(d.name.as_str()),
                    "service_states": inspection.map(|i| &i.services),
                    "last_error": inspection.and_then(|i| i.last_error.as_ref()),
                })
            })
            .collect();
        return render::json(&json!({
            "deployed": true, "generation": state.generation, "written_at": state.written_at, "deckies": deckies,
        }));
    }
    render::table(
        ["decky", "address", "host name", "state", "services", "last error"],
        state.config.deckies.iter().map(|d| {
            let inspection = seen.get(d.name.as_str());
            let services: Vec<_> = d
                .services
                .iter()
                .map(|slug| match inspection.map(|i| i.services.get(slug)) {
                    Some(Some(state)) => format!("{slug}: {state}"),
                    Some(None) => format!("{slug}: absent"),
                    None => slug.clone(),
                })
                .collect();
            [
                d.name.to_string(),
                d.ip.to_string(),
                d.hostname.clone(),
                state_of(d.name.as_str()),
                services.join(", "),
                inspection.and_then(|i| i.last_error.clone()).unwrap_or_default(),
            ]
        }),
    )
}

async fn inspect(loaded: &Loaded) -> Result<Vec<DeckyInspection>> {
    let bus = bus::connect(loaded).await?;
    let topic = Topic::AskInspect { host: loaded.settings.host.clone() };
    let reply: InspectReply = bus.request(&topic, &InspectRequest::default(), INSPECT_BOUND).await?;
    Ok(reply.deckies)
}
