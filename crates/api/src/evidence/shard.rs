//! One day's file of recorded terminals: JSON lines of many sessions, interleaved, still being written.
//!
//! Lines: `{"sid","hdr":{..}}`, `{"sid","t","ch":"o|i|r","d"}`, `{"sid","trunc":true}`. The index knows for each session how
//! many events it has and where every [`STRIDE`]th of them begins, so a page is read without reading what is before it,
//! and a file that has grown is read from where the index ended. A line that is no such line is skipped, a torn last
//! line is left until it is whole.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
};

use serde::Deserialize;
use serde_json::{Map, Value};

/// Most events of one page.
pub(crate) const MAX_EVENTS: u64 = 5000;
/// Bytes of event data on one page, however many events were asked for.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Longest line that is looked at; writers keep below 4096.
const MAX_LINE: usize = 64 * 1024;
/// Every so many events of a session their place is kept.
const STRIDE: u64 = 256;
/// Sessions of one shard that are kept; others are searched for one by one.
const MAX_SESSIONS: usize = 10_000;

/// One event: seconds since the start, channel, data.
pub(crate) type Event = (f64, String, String);
/// The head of a recording, as asciinema has it.
pub(crate) type Header = Map<String, Value>;

/// What is known of a day's file.
#[derive(Debug, Default)]
pub(super) struct Shard {
    inode: u64,
    mtime: (i64, i64),
    /// Everything before is in the index.
    scanned: u64,
    sessions: HashMap<Box<str>, Found>,
    /// There were more sessions than are kept.
    overflowed: bool,
}

/// What is known of a session in one shard.
#[derive(Debug, Default, Clone)]
pub(super) struct Found {
    pub(super) header: Option<Header>,
    pub(super) total: u64,
    pub(super) truncated: bool,
    /// Where event `n * STRIDE` begins.
    places: Vec<u64>,
}

#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    sid: Cow<'a, str>,
    hdr: Option<Header>,
    t: Option<f64>,
    #[serde(borrow, default)]
    ch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    d: Option<Cow<'a, str>>,
    #[serde(default)]
    trunc: bool,
}

impl Line<'_> {
    fn event(self) -> Option<Event> {
        let (t, ch, d) = (self.t?, self.ch?, self.d?);
        (matches!(&*ch, "o" | "i" | "r") && t >= 0.0).then(|| (t, ch.into_owned(), d.into_owned()))
    }

    fn is_event(&self) -> bool {
        let known = self.ch.as_deref().is_some_and(|ch| matches!(ch, "o" | "i" | "r"));
        known && self.d.is_some() && self.t.is_some_and(|t| t >= 0.0)
    }
}

impl Shard {
    /// Brings the index up to the file and looks a session up.
    pub(super) fn find(&mut self, file: &File, sid: &str) -> io::Result<Option<Found>> {
        let metadata = file.metadata()?;
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        let rewritten =
            metadata.len() < self.scanned || (metadata.len() == self.scanned && mtime != self.mtime);
        if metadata.ino() != self.inode || rewritten {
            *self = Self { inode: metadata.ino(), ..Self::default() };
        }
        self.mtime = mtime;
        let (sessions, overflowed) = (&mut self.sessions, &mut self.overflowed);
        self.scanned = each_line(file, self.scanned, |place, line| {
            if let Some(found) = sessions.get_mut(&*line.sid) {
                found.take(place, &line);
            } else if sessions.len() < MAX_SESSIONS {
                sessions.entry((&*line.sid).into()).or_default().take(place, &line);
            } else {
                *overflowed = true;
            }
            true
        })?;
        match self.sessions.get(sid) {
            Some(found) => Ok(Some(found.clone())),
            None if self.overflowed => search(file, sid),
            None => Ok(None),
        }
    }
}

impl Found {
    fn take(&mut self, place: u64, line: &Line<'_>) {
        if let Some(header) = &line.hdr {
            self.header.get_or_insert_with(|| header.clone());
        } else if line.is_event() {
            if self.total.is_multiple_of(STRIDE) {
                self.places.push(place);
            }
            self.total += 1;
        }
        self.truncated |= line.trunc;
    }
}

/// Reads the whole file for one session that the index has no room for.
fn search(file: &File, sid: &str) -> io::Result<Option<Found>> {
    let mut found: Option<Found> = None;
    each_line(file, 0, |place, line| {
        if line.sid == sid {
            found.get_or_insert_default().take(place, &line);
        }
        true
    })?;
    Ok(found)
}

/// Adds events `skip..skip + wanted` of a session to `events`.
pub(super) fn read(
    file: &File,
    sid: &str,
    found: &Found,
    skip: u64,
    wanted: usize,
    events: &mut Vec<Event>,
) -> io::Result<()> {
    let stride = skip / STRIDE;
    let Some(place) = usize::try_from(stride).ok().and_then(|n| found.places.get(n)) else { return Ok(()) };
    let mut before = skip - stride * STRIDE;
    let last = events.len() + wanted;
    let mut bytes = 0;
    each_line(file, *place, |_, line| {
        if line.sid == sid
            && line.hdr.is_none()
            && let Some(event) = line.event()
        {
            if before > 0 {
                before -= 1;
            } else {
                bytes += event.2.len();
                events.push(event);
            }
        }
        events.len() < last && bytes < MAX_PAGE_BYTES
    })?;
    Ok(())
}

/// Calls `take` with every whole line from `from` on until it says false; returns where the next line begins.
fn each_line(file: &File, from: u64, mut take: impl FnMut(u64, Line<'_>) -> bool) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(128 * 1024, file);
    reader.seek(SeekFrom::Start(from))?;
    let mut place = from;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        let mut length = read as u64;
        if line.last() != Some(&b'\n') {
            if read < MAX_LINE {
                // The end, or a line that is being written.
                return Ok(place);
            }
            let Some(rest) = skip_line(&mut reader)? else { return Ok(place) };
            length += rest;
            line.clear();
        }
        let at = place;
        place += length;
        if let Ok(parsed) = serde_json::from_slice::<Line<'_>>(&line)
            && !take(at, parsed)
        {
            return Ok(place);
        }
    }
}

/// Skips the rest of an overlong line and tells its length; `None` if its end is not there yet.
fn skip_line(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut length = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let step = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(step);
        length += step as u64;
        if end.is_some() {
            return Ok(Some(length));
        }
    }
}
