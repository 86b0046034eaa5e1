//! Our own nats-server: started with a generated configuration below the state folder, started again when it dies,
//! on the same port and the same store, so that clients find it by themselves.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use decnet_bus::{
    Bus, BusConfig, BusIdentity, BusStatus, KeyFolder, Provisioning, Worker, provision_with,
    server::{Server, ServerConfig},
};
use decnet_kit::settings::Settings;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::console::Console;

/// The pause before the first restart; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a leftover may take to end by itself.
const LEFTOVER_BOUND: Duration = Duration::from_secs(5);

/// How to reach a broker.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    /// Where, and what everyone shows there.
    pub(super) config: BusConfig,
    /// The keys of our own broker, one for each.
    pub(super) keys: Option<KeyFolder>,
}

impl Reach {
    /// For this worker.
    pub(super) fn of(&self, holder: Worker) -> BusConfig {
        match &self.keys {
            Some(keys) => BusConfig { nkey_file: Some(keys.file(holder)), ..self.config.clone() },
            None => self.config.clone(),
        }
    }
}

/// A nats-server of ours.
pub(super) struct Broker(Server);

impl Broker {
    /// Starts it and waits until it answers.
    pub(super) async fn start(settings: &Settings, port: u16, console: &Console) -> Result<Self> {
        let folder = settings.state_dir.join("nats");
        end_leftover(&folder, console).await;
        let config = ServerConfig { port, ..ServerConfig::new(folder) }.with_keys(settings.host.clone());
        let server = Server::start(config).await.context("the broker")?;
        console.say(
            "nats",
            &format!("listens on 127.0.0.1:{}; its log is {}", server.port(), server.log().display()),
        );
        Ok(Self(server))
    }

    /// How to reach it.
    pub(super) fn reach(&self) -> Reach {
        Reach { config: BusConfig::nats(self.0.url()), keys: Some(self.0.keys()) }
    }

    /// Keeps it alive until the workers have been told to stop, then stops it last.
    pub(super) async fn keep(
        mut self,
        settings: Settings,
        console: Console,
        workers_gone: CancellationToken,
    ) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = workers_gone.cancelled() => break,
                () = self.0.ended() => {}
            }
            console.say("nats", &format!("has ended; starting again in {pause:?}"));
            tokio::select! {
                () = workers_gone.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            match self.0.restart().await {
                Ok(()) => {
                    console.say("nats", "is back");
                    // What it kept in memory only, the stream of last beats, died with it.
                    if let Err(error) = provision(&self.reach(), &settings).await {
                        console.say("nats", &format!("{error:#}"));
                    }
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    console.say("nats", &format!("{error}"));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.0.stop().await;
    }
}

/// Ends the broker of a supervisor that was killed. We hold the folder's lock, so it cannot belong to a living one.
async fn end_leftover(folder: &Path, console: &Console) {
    let pid = std::fs::read_to_string(folder.join("nats-server.pid"))
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else { return };
    let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let ours = folder.as_os_str().as_encoded_bytes();
    if !command.windows(ours.len()).any(|part| part == ours) {
        return;
    }
    console.say("nats", "ending the broker that a killed supervisor left behind");
    for signal in [Signal::TERM, Signal::KILL] {
        let deadline = Instant::now() + LEFTOVER_BOUND;
        while kill_process(pid, signal).is_ok() {
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Brings streams and consumers to what this version wants.
pub(super) async fn provision(reach: &Reach, settings: &Settings) -> Result<()> {
    let bus = Bus::nats(&reach.of(Worker::Migrate), BusIdentity::local(Worker::Migrate)).await?;
    let wish = Provisioning::for_hosts(std::slice::from_ref(&settings.host));
    provision_with(&bus, &wish).await.context("the broker's streams")?;
    bus.drain().await;
    Ok(())
}

/// Provisions a broker that is not ours again whenever it was away: what it kept in memory only, the stream of last
/// beats, may have died with it.
pub(super) async fn keep_provisioned(
    reach: Reach,
    settings: Settings,
    console: Console,
    stop: CancellationToken,
) {
    let watch = async {
        let bus = Bus::nats(&reach.of(Worker::Migrate), BusIdentity::local(Worker::Migrate)).await?;
        let mut status = bus.status();
        // The first connection finds what was provisioned a moment ago.
        let mut known = None;
        loop {
            let is_new = |status: &BusStatus| number(status).is_some_and(|now| Some(now) != known);
            let now = number(&*status.wait_for(is_new).await?);
            let before = known;
            known = now;
            if before.is_some()
                && let Err(error) = provision(&reach, &settings).await
            {
                console.say("nats", &format!("{error:#}"));
            }
        }
    };
    let watched: Option<Result<()>> = stop.run_until_cancelled(watch).await;
    if let Some(Err(error)) = watched {
        console.say("nats", &format!("{error:#}"));
    }
}

/// The number of the present connection.
fn number(status: &BusStatus) -> Option<u64> {
    match status {
        BusStatus::Connected { connects, .. } => Some(*connects),
        _ => None,
    }
}
