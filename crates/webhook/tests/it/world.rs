//! A broker, a database and the worker as a process, below one folder.

use std::{future::Future, path::PathBuf, process::Stdio, time::Duration};

use decnet_bus::{
    Bus, BusIdentity, Topic, TopicKind, Worker, payload, provision,
    server::{Server, ServerConfig},
};
use decnet_core::{IdSource, SystemIds};
use decnet_db::{Db, DbOptions, Edited, SealKey, Webhook, WebhookSettings};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub(crate) const SECRET: &str = "a secret of the receiver";
/// How long anything may take before a test calls it a failure: well beyond the half minute after which the broker brings back
/// what a killed worker held.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct World {
    folder: TempDir,
    pub(crate) nats: Server,
    pub(crate) db: Db,
    pub(crate) key: SealKey,
    pub(crate) events: Bus,
    pub(crate) api: Bus,
    worker: Option<Child>,
    pace: &'static str,
}

impl World {
    /// Everything but the worker. A pause of a minute is 0.6 seconds long.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = Server::start(ServerConfig::new(folder.path().join("nats"))).await.unwrap();
        let bus = async |worker| {
            let bus = Bus::nats(&nats.bus_config(), BusIdentity::local(worker)).await.unwrap();
            assert!(bus.connected_within(PATIENCE).await);
            bus
        };
        provision(&bus(Worker::Cli).await).await.unwrap();
        let (events, api) = (bus(Worker::Clusterer).await, bus(Worker::Api).await);
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("decnet.db").display());
        let db = Db::connect(&url, DbOptions::default()).await.unwrap();
        db.migrate().await.unwrap();
        let key = SealKey::load_or_create(&folder.path().join("webhook.key")).unwrap();
        Self { folder, nats, db, key, events, api, worker: None, pace: "0.01" }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the worker and waits until it answers.
    pub(crate) async fn start_worker(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("worker.log")).unwrap();
        let worker = Command::new(env!("CARGO_BIN_EXE_decnet-webhook"))
            .arg("--state-dir")
            .arg(self.folder.path())
            .args(["--nats-url", &self.nats.url(), "--pace", self.pace, "--log", "debug"])
            .env("DECNET_NATS_TOKEN", self.nats.token())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.worker = Some(worker);
        eventually("the worker answers", async || {
            let nobody = payload::WebhookTestRequest { webhook: "none".to_owned() };
            let answer =
                self.api.request::<_, payload::WebhookTested>(&ask(), &nobody, Duration::from_secs(2)).await;
            matches!(answer, Err(decnet_bus::RequestError::Remote(_)))
        })
        .await;
    }

    /// Kills the worker without a warning.
    pub(crate) async fn kill_worker(&mut self) {
        let mut worker = self.worker.take().unwrap();
        worker.kill().await.unwrap();
    }

    /// Stops the worker as its service manager would.
    pub(crate) async fn stop_worker(&mut self) {
        let mut worker = self.worker.take().unwrap();
        let pid = worker.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let status = tokio::time::timeout(PATIENCE, worker.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("worker.log")).unwrap_or_default()
    }

    pub(crate) fn settings(name: &str, url: &str, patterns: &[&str]) -> WebhookSettings {
        WebhookSettings {
            name: name.to_owned(),
            url: url.to_owned(),
            secret: String::new(),
            previous_secret: None,
            simple_events: Vec::new(),
            topic_patterns: patterns.iter().map(|text| (*text).to_owned()).collect(),
            allow_cidrs: vec!["127.0.0.1/32".to_owned()],
            enabled: true,
            ordered: true,
        }
    }

    pub(crate) async fn subscribe(&self, wish: WebhookSettings) -> Webhook {
        let uuid = SystemIds.next_id();
        let secret = self.key.seal(&Webhook::owner(uuid), SECRET).unwrap();
        let made =
            self.db.webhooks().create(uuid, &WebhookSettings { secret, ..wish }).await.unwrap().unwrap();
        self.changed().await;
        made
    }

    pub(crate) async fn edit(&self, uuid: uuid::Uuid, change: impl Fn(&mut WebhookSettings), reset: bool) {
        let read = self.webhook(uuid).await;
        let mut settings = read.settings.clone();
        change(&mut settings);
        let edited = self.db.webhooks().edit(&read, &settings, reset).await.unwrap();
        assert!(matches!(edited, Edited::Done(_)));
        self.changed().await;
    }

    pub(crate) async fn webhook(&self, uuid: uuid::Uuid) -> Webhook {
        self.db.webhooks().get(uuid).await.unwrap().unwrap()
    }

    /// Says that subscriptions changed.
    pub(crate) async fn changed(&self) {
        self.api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    }

    /// Publishes an event that is called `name`.
    pub(crate) async fn publish(&self, kind: TopicKind, name: &str) {
        let topic = match kind {
            TopicKind::CampaignMerged => Topic::CampaignMerged,
            _ => Topic::IdentityMerged,
        };
        let merged = payload::Merged { winner_uuid: name.to_owned(), loser_uuid: "x".to_owned() };
        let envelope = self.events.envelope(&topic, &merged).unwrap();
        eventually("the event is stored", async || {
            self.events.publish_acked(&topic, &envelope.id, &envelope).await.is_ok()
        })
        .await;
    }

    /// Publishes events of these numbers and returns their names.
    pub(crate) async fn publish_all(&self, numbers: std::ops::Range<u32>) -> Vec<String> {
        let names: Vec<_> = numbers.map(|number| format!("event-{number:04}")).collect();
        for name in &names {
            self.publish(TopicKind::IdentityMerged, name).await;
        }
        names
    }

    /// Waits until the subscription's consumer exists, so that what follows does not depend on who is quicker.
    pub(crate) async fn served(&self, webhook: &Webhook) {
        let webhook = self.webhook(webhook.uuid).await;
        let name = decnet_bus::Durable::webhook_name(webhook.uuid);
        let bus = Bus::nats(&self.nats.bus_config(), BusIdentity::local(Worker::Webhook)).await.unwrap();
        eventually("the consumer is there", async || {
            bus.siem_names().await.is_ok_and(|names| names.contains(&name))
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the worker's log ---\n{}", self.log());
        }
    }
}

pub(crate) fn ask() -> Topic {
    Topic::AskWebhookTest { host: decnet_core::HostId::default() }
}

/// Waits until `check` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(reason: &str, mut check: impl FnMut() -> F) {
    let waiting = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {reason}");
}
