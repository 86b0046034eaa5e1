//! The tool's connection to the broker: the configured one, or the one of a running `decnet up`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use decnet_bus::{Bus, BusConfig, BusIdentity, BusStatus, KeyFolder, Worker};
use decnet_kit::settings::{Layer, Loaded};

use crate::run_file::RunFile;

/// How long a broker may take to answer.
const CONNECT_BOUND: Duration = Duration::from_secs(5);

/// How to reach the broker: what the operator set, else what a running `decnet up` left, else the default with the key that
/// `decnet init` made.
pub(crate) fn reach(loaded: &Loaded, holder: Worker) -> BusConfig {
    let settings = &loaded.settings;
    let default = loaded.effective.iter().any(|e| e.key == "nats_url" && e.layer == Layer::Default);
    let config = settings.bus_config();
    let key_in = |folder: PathBuf| KeyFolder::new(folder).file(holder);
    match RunFile::read(&settings.state_dir).filter(|_| default) {
        Some(run) => BusConfig {
            url: run.nats_url,
            token: run.nats_token,
            nkey_file: run.nats_keys.map(key_in).or_else(|| config.nkey_file.clone()),
            ..config
        },
        None if config.nkey_file.is_none() && config.token.is_none() => {
            let key = key_in(Path::new(decnet_deploy::KEYS).to_owned());
            BusConfig { nkey_file: key.exists().then_some(key), ..config }
        }
        None => config,
    }
}

/// A connection that works, or one sentence that says what to do.
pub(crate) async fn connect(loaded: &Loaded) -> Result<Bus> {
    connect_as(loaded, Worker::Cli).await
}

/// The same with the key of the provisioner, which alone may make streams and consumers.
pub(crate) async fn connect_as(loaded: &Loaded, holder: Worker) -> Result<Bus> {
    let identity = BusIdentity { host: loaded.settings.host.clone(), ..BusIdentity::local(holder) };
    let bus = Bus::nats(&reach(loaded, holder), identity).await?;
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
