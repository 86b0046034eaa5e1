//! One API with its parts, and the few words that the tests speak to it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_api::{App, Config, Parts, Store, auth::Passwords, live, server, tasks};
use decnet_bus::{
    Bus, BusIdentity, Worker, provision,
    server::{Server, ServerConfig},
};
use decnet_core::{Clock, HostId, IdSource, SystemClock, SystemIds};
use decnet_db::{Db, DbOptions, IngestBatch, NewCredential, NewLog, NewUser, Origin, Role, SessionFacts};
use decnet_kit::{
    Database,
    settings::{Address, RuntimeKind, Secret},
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const ADMIN: &str = "root-of-all";
pub(crate) const VIEWER: &str = "onlooker";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) db: Db,
    pub(crate) app: App,
    pub(crate) client: Client,
    pub(crate) nats: Option<Server>,
    pub(crate) dir: tempfile::TempDir,
    stop: CancellationToken,
}

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) nats: bool,
    pub(crate) limiter: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keepalive: Duration,
    pub(crate) admin_password: Option<&'static str>,
    pub(crate) seed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nats: false,
            limiter: false,
            clock: Arc::new(SystemClock),
            keepalive: Duration::from_secs(15),
            admin_password: None,
            seed: false,
        }
    }
}

pub(crate) fn config(dir: &std::path::Path, options: &Options) -> Config {
    Config {
        host: HostId::default(),
        state_dir: dir.to_owned(),
        state_file: dir.join("decnet-state.json"),
        artifacts_root: dir.join("artifacts"),
        secret_file: dir.join("fleet.secret"),
        personas: Some(dir.join("people/pool.json")),
        webhook_key_file: dir.join("webhook.key"),
        runtime: RuntimeKind::Process,
        admin_user: "admin".to_owned(),
        admin_password: options.admin_password.map(Secret::new),
        cors_origins: vec!["https://panel.example".to_owned()],
        limiter_enabled: options.limiter,
        sse_max_per_user: 5,
        keepalive: options.keepalive,
        jwt_key: Secret::new("4f1c9b7e2a6d8035c1e4f7a9b2d6083e"),
        jwt_minutes: 240,
    }
}

pub(crate) fn url_of(dir: &std::path::Path) -> String {
    format!("sqlite://{}?mode=rwc", dir.join("decnet.db").display())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = url_of(dir.path());
        let db_options =
            DbOptions { clock: Arc::clone(&options.clock), ids: Arc::new(SystemIds), ..DbOptions::default() };
        let db = Db::connect(&url, db_options).await.unwrap();
        db.migrate().await.unwrap();
        let nats = if options.nats {
            Some(Server::start(ServerConfig::new(dir.path().join("nats"))).await.unwrap())
        } else {
            None
        };
        let (base, app, stop) = serve(dir.path(), &url, nats.as_ref(), &options).await;
        let world = Self { base, db, app, client: Client::new(), nats, dir, stop };
        world.user(ADMIN, Role::Admin, false).await;
        world.user(VIEWER, Role::Viewer, false).await;
        if let Some(nats) = &world.nats {
            let bus = Bus::nats(&nats.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
            provision(&bus).await.unwrap();
            let connected = world.app.bus().connected_within(Duration::from_secs(10)).await;
            assert!(connected, "the API reaches the broker");
        }
        world
    }

    /// Another worker on the same broker.
    pub(crate) async fn peer(&self, worker: Worker) -> Bus {
        let nats = self.nats.as_ref().expect("a world with a broker");
        let bus = Bus::nats(&nats.bus_config(), BusIdentity::local(worker)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(10)).await);
        bus
    }

    pub(crate) async fn user(&self, name: &str, role: Role, must_change: bool) -> uuid::Uuid {
        // One hash for all: argon2 is slow on purpose.
        static HASH: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
        let hash =
            HASH.get_or_init(|| async { Passwords::new().unwrap().hash(PASSWORD).await.unwrap() }).await;
        let new = NewUser {
            username: name.to_owned(),
            password_hash: hash.clone(),
            role,
            must_change_password: must_change,
        };
        self.db.users().create(new).await.unwrap().expect("a fresh name").uuid
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, Some(token)).send().await.unwrap()
    }

    pub(crate) async fn get_json(&self, path: &str, token: &str) -> Value {
        let response = self.get(path, token).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Response {
        self.request(Method::POST, path, Some(token)).json(&body).send().await.unwrap()
    }

    pub(crate) async fn try_login(&self, name: &str, password: &str) -> Response {
        let body = json!({"username": name, "password": password});
        self.request(Method::POST, "/api/v1/auth/login", None).json(&body).send().await.unwrap()
    }

    pub(crate) async fn login_with(&self, name: &str, password: &str) -> String {
        let response = self.try_login(name, password).await;
        assert_eq!(response.status(), 200, "{name} logs in");
        let answer: Value = response.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn login(&self, name: &str) -> String {
        self.login_with(name, PASSWORD).await
    }

    pub(crate) async fn store(&self, logs: Vec<NewLog>) {
        let batch = IngestBatch { logs, ..IngestBatch::default() };
        self.db.ingest(&batch, |_| Vec::new()).await.unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An API on a free port, over the database at `url`.
pub(crate) async fn serve(
    dir: &std::path::Path,
    url: &str,
    nats: Option<&Server>,
    options: &Options,
) -> (String, App, CancellationToken) {
    let stop = CancellationToken::new();
    let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
    let bus = match nats {
        Some(nats) => Bus::nats(&nats.bus_config(), BusIdentity::local(Worker::Api)).await.unwrap(),
        None => Bus::null(BusIdentity::local(Worker::Api)),
    };
    let store = Database::new(
        Address::new(url),
        Arc::clone(&options.clock),
        Arc::clone(&ids),
        Duration::from_secs(2),
    );
    let app = App::new(Parts {
        config: config(dir, options),
        store: Store::Own(store),
        bus,
        clock: Arc::clone(&options.clock),
        ids,
        stop: stop.clone(),
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(live::follow_bus(app.clone()));
    tokio::spawn(live::follow_logs(app.clone()));
    if options.seed {
        tokio::spawn(tasks::first_admin(app.clone()));
    }
    tokio::spawn(server::serve(listener, app.clone()));
    (base, app, stop)
}

/// Polls until `check` has an answer; fails with the reason when it has none in time.
pub(crate) async fn eventually<T, F, Fut>(reason: &str, patience: Duration, mut check: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(answer) = check().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in {patience:?}: {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A captured line of an intruder.
pub(crate) fn line(seq: u64, ip: &str, text: &str) -> NewLog {
    let ip: IpAddr = ip.parse().unwrap();
    let timestamp: DateTime<Utc> = SystemClock.now() - TimeDelta::minutes(5);
    let fields = Map::from_iter([
        ("src_ip".to_owned(), Value::from(ip.to_string())),
        ("note".to_owned(), Value::from(text)),
    ]);
    NewLog {
        host_uuid: "local".to_owned(),
        source: "test".to_owned(),
        seq,
        timestamp,
        decky: "web-01".to_owned(),
        service: "ssh".to_owned(),
        event_type: "command".to_owned(),
        attacker_ip: Some(ip),
        src_port: Some(40_000),
        conn_id: Some(format!("conn-{ip}")),
        origin: Origin::Attacker,
        forged: false,
        raw_line: format!(
            "<134>1 2026-01-01T00:00:00Z web-01 ssh - command [relay@55555 src_ip=\"{ip}\"] {text}"
        ),
        fields,
        msg: Some(text.to_owned()),
        trace_id: None,
        span_id: None,
        interaction: true,
        credential: None,
        command: Some(text.to_owned()),
        session: Some(SessionFacts::default()),
    }
}

/// A captured login.
pub(crate) fn login_line(seq: u64, ip: &str, user: &str, secret: &str) -> NewLog {
    let mut new = line(seq, ip, "login");
    new.event_type = "auth".into();
    new.command = None;
    new.fields.insert("username".to_owned(), Value::from(user));
    new.fields.insert("secret_printable".to_owned(), Value::from(secret));
    new.raw_line = format!(
        "<134>1 2026-01-01T00:00:00Z web-01 ssh - auth [relay@55555 src_ip=\"{ip}\" secret_printable=\"{secret}\"] login"
    );
    new.credential = Some(NewCredential {
        principal: Some(user.to_owned()),
        secret_kind: "plaintext".to_owned(),
        secret_sha256: format!("{seq:064x}"),
        secret_len: secret.len() as u64,
        secret_b64: Some("c2VjcmV0".to_owned()),
        secret_printable: Some(secret.to_owned()),
        outcome: Some("rejected".to_owned()),
        fields: new.fields.clone(),
    });
    new
}
