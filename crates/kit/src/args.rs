//! The flags that every worker and the operator's tool share.
//!
//! `--config` is deliberately not among them: `decnet deploy --config` names a deployment INI. The host's INI is `--settings`.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Loaded, SettingsError, Sources};

/// Flatten this into a clap parser: `#[command(flatten)] common: CommonArgs`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings (flag > environment > INI file > default)")]
pub struct CommonArgs {
    /// The host's INI file (else `$DECNET_CONFIG`, else /etc/decnet/decnet.ini)
    #[arg(long = "settings", value_name = "FILE", global = true)]
    pub settings: Option<PathBuf>,
    /// The folder of everything that must survive a restart
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<String>,
    /// The database: sqlite://, postgres:// or mysql://
    #[arg(long, value_name = "URL", global = true)]
    pub db_url: Option<String>,
    /// The broker
    #[arg(long, value_name = "URL", global = true)]
    pub nats_url: Option<String>,
    /// This machine's id in the fleet: `local` or its UUID
    #[arg(long, value_name = "ID", global = true)]
    pub host_id: Option<String>,
    /// Which log lines are written: a level, or target=level pairs
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// The shape of log lines: text or json
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
    /// Any other setting by key or variable, such as `api_port=9000` (see `decnet config check`)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair, global = true)]
    pub set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("write NAME=VALUE".to_owned()),
    }
}

impl CommonArgs {
    /// The process's environment under these flags.
    pub fn sources(&self) -> Sources {
        self.over(Sources::process())
    }

    /// These flags on top of `sources`.
    pub fn over(&self, mut sources: Sources) -> Sources {
        if let Some(path) = &self.settings {
            sources = sources.file(path);
        }
        for (name, value) in &self.set {
            sources = sources.flag(&format!("--set {name}"), name, value);
        }
        let named = [
            ("--state-dir", "state_dir", &self.state_dir),
            ("--db-url", "db_url", &self.db_url),
            ("--nats-url", "nats_url", &self.nats_url),
            ("--host-id", "host", &self.host_id),
            ("--log", "log", &self.log),
            ("--log-format", "log_format", &self.log_format),
        ];
        for (flag, key, value) in named {
            if let Some(value) = value {
                sources = sources.flag(flag, key, value);
            }
        }
        sources
    }

    /// Loads the settings of this process.
    pub fn load(&self) -> Result<Loaded, SettingsError> {
        self.sources().load()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Worker {
        #[command(flatten)]
        common: CommonArgs,
        #[command(subcommand)]
        verb: Option<Verb>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        Deploy {
            #[arg(long)]
            config: PathBuf,
        },
    }

    #[test]
    fn flags_reach_the_settings_also_behind_a_verb_with_its_own_config() {
        Worker::command().debug_assert();
        let worker = Worker::parse_from([
            "decnet",
            "deploy",
            "--config",
            "f.ini",
            "--nats-url",
            "nats://h:1",
            "--set",
            "api.port=77",
            "--set",
            "DECNET_LOG=warn",
        ]);
        assert!(matches!(worker.verb, Some(Verb::Deploy { .. })));
        let loaded =
            worker.common.over(Sources::variables([("DECNET_NATS_URL", "nats://e:2")])).load().unwrap();
        assert_eq!(loaded.settings.nats_url.expose(), "nats://h:1");
        assert_eq!(loaded.settings.api_port, 77);
        assert_eq!(loaded.settings.log.as_str(), "warn");
        let origin = |key| loaded.effective.iter().find(|e| e.key == key).map(|e| e.origin.clone()).unwrap();
        assert_eq!(origin("nats_url"), "flag --nats-url");
        assert_eq!(origin("api_port"), "flag --set api.port");
    }
}
