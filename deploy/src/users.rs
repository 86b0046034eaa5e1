//! One user a worker, one group for all: sysusers.d and tmpfiles.d.

use std::fmt::Write;

use decnet_bus::Worker;

use crate::{GROUP, Group, STATE, folders};

/// The user that a worker runs as. The agent is root with most of root's powers taken away: what it hands into containers has
/// to belong to their root, which has no power to override that.
pub fn user_of(worker: Worker) -> String {
    if worker.spec().grant.docker { "root".to_owned() } else { format!("decnet-{}", worker.unit_stem()) }
}

/// Who needs a user: the built workers, the broker and the provisioner among them.
fn users() -> impl Iterator<Item = Worker> {
    let all = Worker::BUILT_IN_START_ORDER.iter().copied().chain([Worker::Migrate]);
    all.filter(|worker| !worker.spec().grant.docker)
}

/// `sysusers.d/decnet.conf`.
pub fn sysusers() -> String {
    let mut text = format!("# Written by decnet: one user a worker, none can log in.\ng {GROUP} -\n");
    for worker in users() {
        let user = user_of(worker);
        let _ = writeln!(text, "u {user} - \"DECNET {worker}\" {STATE}/{}", worker.unit_stem());
        let _ = writeln!(text, "m {user} {GROUP}");
    }
    text
}

/// `tmpfiles.d/decnet.conf`: the shared folders, made again should somebody remove them.
pub fn tmpfiles() -> String {
    let mut text = String::from("# Written by decnet: folders that workers share.\n");
    for folder in folders() {
        let group = match folder.group {
            Group::Root => "root",
            Group::Workers => GROUP,
        };
        let _ = writeln!(text, "# {}", folder.why);
        let _ = writeln!(text, "d {} {:04o} {} {group}", folder.path, folder.mode, folder.owner);
    }
    text
}
