//! Files in which the server of the container tells about itself: host keys and settings must be those that the front
//! shows, or whoever compares a fingerprint knows. Written once, by the first session; what has been changed since
//! the container started belongs to the intruder and stays.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path},
    time::{Duration, SystemTime},
};

use decnet_core::{Clock, SystemClock};

use super::{account::read, frame::OwnFile};

/// The only folder in which files are written.
const FOLDER: &str = "/etc/ssh";
/// Whose age the written files have; without it there is no server to tell about.
const MODEL: &str = "/etc/ssh/sshd_config";
/// Ticks of a second in `/proc/<pid>/stat`.
const TICKS: u64 = 100;

/// Writes what is missing or different.
pub(super) fn write(files: &[OwnFile]) {
    let (Some(started), Ok(model)) = (started(), fs::metadata(MODEL).and_then(|data| data.modified())) else {
        return;
    };
    for file in files {
        // A file that cannot be written tells no more than one that nobody tried to write.
        let _ = put(file, started, model);
    }
}

fn put(file: &OwnFile, started: SystemTime, model: SystemTime) -> io::Result<()> {
    let path = Path::new(&file.path);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let (true, true, Some(folder)) = (plain, path.starts_with(FOLDER), path.parent()) else { return Ok(()) };
    let folders_time = fs::symlink_metadata(folder)?.modified()?;
    let theirs = match fs::symlink_metadata(path) {
        Ok(data) => data.modified()? >= started || !data.is_file(),
        // Removed by the intruder, if the folder has changed.
        Err(_) => folders_time >= started,
    };
    if theirs || fs::read(path).is_ok_and(|text| text == file.text.as_bytes()) {
        return Ok(());
    }
    let flags = (rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits()).cast_signed();
    let mut written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(file.mode)
        .custom_flags(flags)
        .open(path)?;
    written.write_all(file.text.as_bytes())?;
    written.set_permissions(fs::Permissions::from_mode(file.mode))?;
    written.set_modified(model)?;
    File::open(folder)?.set_modified(folders_time)
}

/// When process 1 started.
fn started() -> Option<SystemTime> {
    let stat = read("/proc/1/stat");
    // Behind the name, which may contain anything, the start is the 20th field.
    let ticks: u64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let uptime: f64 = read("/proc/uptime").split_whitespace().next()?.parse().ok()?;
    let booted =
        SystemTime::from(SystemClock.now()).checked_sub(Duration::try_from_secs_f64(uptime).ok()?)?;
    booted.checked_add(Duration::from_millis(ticks * 1000 / TICKS))
}
