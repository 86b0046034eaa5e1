//! The one table of settings: field, type, environment name, place in the INI file, default, and whether it is a secret.
//! The `Settings` struct, the loader, `decnet config check` and the flag `--set` all come from it.
//!
//! Settings that only one worker reads are flags of that worker, not rows here.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

use decnet_bus::{BusConfig, BusType};
use decnet_core::HostId;

use super::{Address, LogFilter, LogFormat, Millis, Mode, RuntimeKind, Seconds, Secret, load::Picker};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in `Settings`, in `decnet config check` and for `--set`.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Its places in the INI file, `section.key`, besides `[decnet]` and the section of the mode.
    pub ini: &'static [&'static str],
    /// Its default; `{state_dir}` stands for that setting. Empty = none.
    pub default: &'static str,
    /// Whether its value is hidden, and refused in the INI file and on the command line.
    pub secret: bool,
    /// What it does.
    pub help: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $field:ident: $ty:ty, $env:literal, [$($ini:literal),*], $default:literal $(, $secret:ident)?;)+) => {
        /// Every shared setting, typed. Build it with [`crate::settings::Sources::load`].
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $field: $ty,)+
        }

        /// The table, in the order of `decnet config check`.
        pub const SETTINGS: &[Setting] = &[
            $(Setting {
                key: stringify!($field),
                env: $env,
                ini: &[$($ini),*],
                default: $default,
                secret: settings!(@secret $($secret)?),
                help: concat!($($help),+),
            },)+
        ];

        impl Settings {
            pub(super) fn pick(picker: &mut Picker<'_>) -> Option<Self> {
                // Every row is read before any is missed, so that all mistakes are told at once.
                $(let $field = picker.take::<$ty>(stringify!($field));)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

settings! {
    /// What this machine is: `master` or `agent`.
    mode: Mode, "DECNET_MODE", [], "master";
    /// Refuse master-only commands on an agent.
    disallow_master: bool, "DECNET_DISALLOW_MASTER", [], "true";
    /// This machine's id in the fleet: `local` or its UUID.
    host: HostId, "DECNET_HOST_UUID", [], "local";
    /// The folder of everything that must survive a restart.
    state_dir: PathBuf, "DECNET_STATE_DIR", [], "/var/lib/decnet";
    /// The fleet's state file.
    state_file: PathBuf, "DECNET_STATE_FILE", [], "{state_dir}/decnet-state.json";
    /// The fleet secret: the root of every per-decky variation.
    secret_file: PathBuf, "DECNET_SECRET_FILE", [], "{state_dir}/fleet.secret";
    /// Where captured files are kept.
    artifacts_root: PathBuf, "DECNET_ARTIFACTS_ROOT", [], "{state_dir}/artifacts";
    /// The database: `sqlite://`, `postgres://` or `mysql://`.
    db_url: Address, "DECNET_DB_URL", ["database.url"], "sqlite://{state_dir}/decnet.db?mode=rwc";
    /// Whether events are published at all; without, workers poll the database.
    bus_enabled: bool, "DECNET_BUS_ENABLED", ["bus.enabled"], "true";
    /// What carries events: `nats`, or `fake` for one process.
    bus_type: BusType, "DECNET_BUS_TYPE", ["bus.type"], "nats";
    /// The broker.
    nats_url: Address, "DECNET_NATS_URL", ["bus.url"], "nats://127.0.0.1:4222";
    /// The broker's token, where it asks for one.
    nats_token: Option<Secret>, "DECNET_NATS_TOKEN", ["bus.token"], "", secret;
    /// The file of this worker's key on the broker, where it asks for one.
    nats_nkey_file: Option<PathBuf>, "DECNET_NATS_NKEY_FILE", ["bus.nkey-file"], "";
    /// What runs the deckies: `auto`, `docker` or `process`.
    runtime: RuntimeKind, "DECNET_RUNTIME", [], "auto";
    /// Root file systems for shells, one `<distribution>.tar` each (`decnet images`).
    images_dir: PathBuf, "DECNET_IMAGES_DIR", [], "{state_dir}/images";
    /// Whether an engine may pull a distribution's image from its registry where there is no file of it.
    images_pull: bool, "DECNET_IMAGES_PULL", [], "false";
    /// The file of the host-wide pool of personas; absent: `/etc/decnet/email_personas.json` or `~/.decnet/email_personas.json`.
    realism_personas: Option<PathBuf>, "DECNET_REALISM_PERSONAS", ["realism.personas"], "";
    /// The language model that writes some of the texts: `ollama`, `openai`, `canned`, or `off`.
    realism_llm: String, "DECNET_REALISM_LLM", ["realism.llm"], "off";
    /// The model's name; absent: `llama3.1` with Ollama.
    realism_model: Option<String>, "DECNET_REALISM_MODEL", ["realism.model"], "";
    /// The model server's base address; absent: `http://127.0.0.1:11434` with Ollama. Another's usually ends in `/v1`.
    realism_url: Option<String>, "DECNET_REALISM_URL", ["realism.url"], "";
    /// Seconds that one text of the model may take.
    realism_timeout: Seconds, "DECNET_REALISM_TIMEOUT", ["realism.timeout"], "60";
    /// The key that the model server asks for.
    realism_api_key: Option<Secret>, "DECNET_REALISM_API_KEY", ["realism.api-key"], "", secret;
    /// What the `canned` model answers: texts with a line `---` between them, or `!fail`, `!hang`, `!blank`, `!garbage`.
    realism_fake_output: Option<String>, "DECNET_REALISM_FAKE_OUTPUT", ["realism.fake-output"], "";
    /// The address that the API listens on.
    api_host: IpAddr, "DECNET_API_HOST", ["api.host"], "127.0.0.1";
    /// The port that the API listens on.
    api_port: u16, "DECNET_API_PORT", ["api.port"], "8000";
    /// Origins that browsers may call the API from, separated by commas.
    cors_origins: Vec<String>, "DECNET_CORS_ORIGINS", ["api.cors-origins", "web.cors-origins"], "";
    /// Whether the API limits the rate of logins.
    limiter_enabled: bool, "DECNET_LIMITER_ENABLED", ["api.limiter-enabled"], "true";
    /// Live streams that one user may hold open.
    sse_max_per_user: NonZeroU32, "DECNET_SSE_MAX_PER_USER", ["api.sse-max-per-user"], "5";
    /// The key that signs access tokens; when absent, the key file is used.
    jwt_secret: Option<Secret>, "DECNET_JWT_SECRET", ["api.jwt-secret"], "", secret;
    /// The file of the key that signs access tokens; the API makes it when it is missing.
    jwt_secret_file: PathBuf, "DECNET_JWT_SECRET_FILE", ["api.jwt-secret-file"], "{state_dir}/jwt.secret";
    /// How long an access token lives.
    jwt_exp_minutes: NonZeroU32, "DECNET_JWT_EXP_MINUTES", ["api.jwt-exp-minutes"], "240";
    /// The first administrator's name.
    admin_user: String, "DECNET_ADMIN_USER", ["web.admin-user", "api.admin-user"], "admin";
    /// The first administrator's password; when absent, one is made and shown once.
    admin_password: Option<Secret>, "DECNET_ADMIN_PASSWORD", ["web.admin-password", "api.admin-password"], "", secret;
    /// The file of the key that seals the secrets of webhooks in the database; made when it is missing.
    webhook_key_file: PathBuf, "DECNET_WEBHOOK_KEY_FILE", [], "{state_dir}/webhook.key";
    /// Lines that the collector writes in one transaction at most.
    batch_size: NonZeroU32, "DECNET_BATCH_SIZE", ["ingester.batch-size"], "1000";
    /// How long the collector waits for a batch to fill, in milliseconds.
    batch_max_wait_ms: Millis, "DECNET_BATCH_MAX_WAIT_MS", ["ingester.batch-max-wait-ms"], "250";
    /// Seconds after which the orchestrator looks again at which deckies run (events of deckies make it look at once).
    orchestrate_interval: Seconds, "DECNET_ORCHESTRATE_INTERVAL", ["orchestrator.interval"], "60";
    /// How many times faster than real people and machines the fleet lives; more than 1 is for demonstrations and tests.
    orchestrate_pace: NonZeroU32, "DECNET_ORCHESTRATE_PACE", ["orchestrator.pace"], "1";
    /// Which log lines are written: a level, or `target=level` pairs.
    log: LogFilter, "DECNET_LOG", ["logging.filter"], "info";
    /// The shape of log lines: `text` or `json`.
    log_format: LogFormat, "DECNET_LOG_FORMAT", ["logging.format"], "text";
}

impl Settings {
    /// How these settings reach the bus.
    pub fn bus_config(&self) -> BusConfig {
        BusConfig {
            enabled: self.bus_enabled,
            r#type: self.bus_type,
            url: self.nats_url.expose().to_owned(),
            token: self.nats_token.as_ref().map(|t| t.expose().to_owned()),
            nkey_file: self.nats_nkey_file.clone(),
        }
    }
}

/// Sections of the INI file whose keys we know; a key we do not know in one of them is worth a warning.
pub(super) const SECTIONS: &[&str] = &[
    "decnet",
    "master",
    "agent",
    "api",
    "web",
    "database",
    "bus",
    "swarm",
    "logging",
    "ingester",
    "tracing",
    "orchestrator",
    "realism",
];

/// The row that `name` means: its key, its environment name, or one of its INI places.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == name || s.env == name || s.ini.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_their_form() {
        let mut seen = BTreeSet::new();
        for row in SETTINGS {
            assert!(row.env.starts_with("DECNET_"), "{}", row.env);
            assert!(seen.insert(row.key) && seen.insert(row.env), "{} occurs twice", row.key);
            assert!(!row.help.trim().is_empty());
            for place in row.ini {
                let (section, key) = place.split_once('.').unwrap();
                assert!(SECTIONS.contains(&section), "[{section}] is not in SECTIONS");
                assert!(!key.contains('_'), "{place}: INI keys are kebab-case");
                assert!(seen.insert(place), "{place} occurs twice");
            }
            assert!(!row.secret || row.default.is_empty(), "{}: a secret has no default", row.key);
        }
    }
}
