//! What an installation consists of, rendered from the worker table: units, target, users, folders, polkit rule, the
//! broker's configuration. Pure: it renders text and touches nothing; `decnet init` writes, `cargo xtask gen` keeps a copy
//! under `deploy/generated` that can be read and checked.

mod files;
mod polkit;
mod settings;
mod unit;
mod users;

use std::path::Path;

use decnet_bus::{FULL_STORAGE, Worker, holders, render_accounts, server::ServiceConfig};
use decnet_core::HostId;

pub use self::{
    files::{Group, InstalledFile, InstalledFolder, folders},
    polkit::{polkit_rule, polkit_units},
    settings::settings_file,
    unit::{broker_unit, is_plain, migrate_unit, most_exposed, target, target_units, worker_unit},
    users::{sysusers, tmpfiles, user_of},
};

/// Binaries of ours, the broker's among them.
pub const BIN: &str = "/opt/decnet/bin";
/// Settings.
pub const ETC: &str = "/etc/decnet";
/// Keys of the broker's clients, and its configuration.
pub const KEYS: &str = "/etc/decnet/nats";
/// Everything that must survive a restart.
pub const STATE: &str = "/var/lib/decnet";
/// Units.
pub const UNITS: &str = "/etc/systemd/system";
/// The folder of the pool of personas.
pub const PERSONAS: &str = "/var/lib/decnet/personas";
/// The group of all workers.
pub const GROUP: &str = "decnet";
/// The target that holds all units.
pub const TARGET: &str = "decnet.target";
/// The broker's port.
pub const NATS_PORT: u16 = 4222;

/// The broker's configuration for an installation: public keys only, so anybody may read it.
pub fn broker_config(users: &[(Worker, String)], host: &HostId, max_storage: u64) -> std::io::Result<String> {
    let accounts = render_accounts(users, host);
    let store = Path::new(STATE).join("nats");
    ServiceConfig { port: NATS_PORT, store: &store, accounts: &accounts, max_storage }.render()
}

/// Every file that does not depend on the machine: what `decnet init` writes besides secrets and the broker's configuration.
pub fn files() -> Vec<InstalledFile> {
    let unit = |name: &str, text: String| InstalledFile::public(format!("{UNITS}/{name}"), text);
    let mut files = vec![
        InstalledFile::public("/etc/sysusers.d/decnet.conf", sysusers()),
        InstalledFile::public("/etc/tmpfiles.d/decnet.conf", tmpfiles()),
        InstalledFile::public("/etc/polkit-1/rules.d/50-decnet.rules", polkit_rule()),
        unit("decnet-migrate.service", migrate_unit()),
    ];
    for worker in Worker::BUILT_IN_START_ORDER {
        let text = if *worker == Worker::Bus { broker_unit() } else { worker_unit(*worker) };
        files.push(unit(&worker.unit(), text));
    }
    files.push(unit(TARGET, target()));
    files
}

/// The same for the copy in the repository: the broker's configuration with placeholders for keys, and the settings file.
pub fn generated() -> std::io::Result<Vec<InstalledFile>> {
    let mut all = files();
    all.push(settings_file());
    let users: Vec<_> = holders().map(|holder| (holder, format!("<public key of {holder}>"))).collect();
    let config = broker_config(&users, &HostId::default(), FULL_STORAGE)?;
    all.push(InstalledFile::public(format!("{KEYS}/nats.conf"), config));
    Ok(all)
}

#[cfg(test)]
mod tests;
