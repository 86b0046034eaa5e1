//! The lines about captured files. Paths and names are their makers' choice: cleaned and cut here.

use std::{fs::Metadata, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path};

use chrono::{DateTime, SecondsFormat};
use decnet_logline::{Event, Severity, clean_bytes};

use super::{
    session::Culprit,
    store::{Kept, Skip},
};

/// Characters of a path in a line, after cleaning: with all other fields a line stays below its limit.
const MAX_PATH: usize = 4096;

/// Who closed a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Writer {
    /// Its number within the container.
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) name: Option<Vec<u8>>,
    /// It had ended when its file was looked at.
    pub(super) gone: bool,
}

/// A file that was closed.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) path: &'a Path,
    pub(super) deleted: bool,
    pub(super) meta: &'a Metadata,
    pub(super) writer: &'a Writer,
    pub(super) culprit: &'a Culprit,
    /// It was found later: nobody looked when it was closed.
    pub(super) recovered: bool,
}

/// The line about a file: kept or not.
pub(super) fn event(found: &Found<'_>, kept: &Result<Kept, Skip>) -> Event {
    let service = service(found.culprit);
    let event = match kept {
        Ok(kept) => Event::new(service, "file_captured")
            .opt("stored_as", kept.stored_as.as_ref())
            .field("sha256", &kept.sha256)
            .field("size", kept.size),
        Err(skip) => Event::new(service, "file_skipped")
            .severity(Severity::Warning)
            .field("reason", skip.reason())
            .field("size", found.meta.len()),
    };
    let mtime = u32::try_from(found.meta.mtime_nsec()).ok();
    let mtime = mtime.and_then(|nanos| DateTime::from_timestamp(found.meta.mtime(), nanos));
    let event = event
        .field("orig_path", cut(found.path.as_os_str().as_bytes(), MAX_PATH))
        .opt("deleted", found.deleted.then_some("true"))
        .field("mode", format_args!("{:04o}", found.meta.mode() & 0o7777));
    whose(event, found.culprit)
        .opt("writer_pid", found.writer.pid)
        .opt("writer_comm", found.writer.name.as_ref().map(|name| cut(name, 64)))
        .opt("writer_uid", found.writer.uid)
        .opt("writer_gone", found.writer.gone.then_some("true"))
        .opt("recovered", found.recovered.then_some("1"))
        .opt("mtime", mtime.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

/// The line about files that were not looked at.
pub(super) fn unseen(reason: &str, count: Option<u64>, culprit: &Culprit) -> Event {
    let event = Event::new(service(culprit), "file_skipped").severity(Severity::Warning);
    whose(event.field("reason", reason).opt("count", count), culprit)
}

fn service(culprit: &Culprit) -> &'static str {
    culprit.session.as_ref().map_or("ssh", |session| session.service())
}

fn whose(event: Event, culprit: &Culprit) -> Event {
    let event = match &culprit.session {
        Some(session) => session.describe(event).field("ssh_pid", session.inner_pid),
        None => event,
    };
    event.field("attribution", culprit.attribution.as_str())
}

fn cut(bytes: &[u8], most: usize) -> String {
    clean_bytes(bytes).chars().take(most).collect()
}
