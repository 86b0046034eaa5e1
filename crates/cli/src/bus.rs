//! The tool's connection to the broker: the configured one, or the one of a running `decnet up`.

use std::time::Duration;

use anyhow::{Result, bail};
use decnet_bus::{Bus, BusConfig, BusIdentity, BusStatus, Worker};
use decnet_kit::settings::{Layer, Loaded};

use crate::run_file::RunFile;

/// How long a broker may take to answer.
const CONNECT_BOUND: Duration = Duration::from_secs(5);

/// How to reach the broker: what the operator set, else what a running `decnet up` left, else the default.
fn reach(loaded: &Loaded) -> BusConfig {
    let settings = &loaded.settings;
    let default = loaded.effective.iter().any(|e| e.key == "nats_url" && e.layer == Layer::Default);
    match RunFile::read(&settings.state_dir).filter(|_| default) {
        Some(run) => BusConfig { url: run.nats_url, token: run.nats_token, ..settings.bus_config() },
        None => settings.bus_config(),
    }
}

/// A connection that works, or one sentence that says what to do.
pub(crate) async fn connect(loaded: &Loaded) -> Result<Bus> {
    let identity = BusIdentity { host: loaded.settings.host.clone(), ..BusIdentity::local(Worker::Cli) };
    let bus = Bus::nats(&reach(loaded), identity).await?;
    if bus.connected_within(CONNECT_BOUND).await {
        return Ok(bus);
    }
    if let BusStatus::Refused(error) = &*bus.status().borrow() {
        bail!("{error}");
    }
    bail!(
        "no broker answers; start the workers with `decnet up --state-dir {}` or set DECNET_NATS_URL",
        loaded.settings.state_dir.display()
    )
}
