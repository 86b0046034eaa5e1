//! Recordings of terminals: `transcripts/sessions-YYYY-MM-DD.jsonl` in the artifact folder, one JSON line an event, each
//! line one append below 4096 bytes, so that sessions interleave and a killed decoy leaves whole lines.
//!
//! Lines are written by a thread of their own, started with the first recording; a slow disk slows the session down.
//! Nothing is read back here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::NaiveDate;
use decnet_core::Clock;
use serde::Serialize;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::shell::frame::Window;

/// Bytes of a recording.
const SESSION_MAX: u64 = 10 << 20;
/// Space that must be free for a new recording.
const FREE_MIN: u64 = 200 << 20;
/// Longest line, its newline included.
const LINE_MAX: usize = 4095;
/// Bytes of a line's data as JSON; the rest is its frame.
const DATA_MAX: usize = 3800;
/// Lines that may wait for the disk.
const QUEUE: usize = 64;

/// Why a session is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// There is no artifact folder.
    NoFolder,
    /// The disk is nearly full.
    DiskPressure,
    /// The day's file cannot be opened.
    OpenFailed,
}

impl Skip {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NoFolder => "no_artifact_folder",
            Self::DiskPressure => "disk_pressure",
            Self::OpenFailed => "shard_open_failed",
        }
    }
}

enum Job {
    Line(NaiveDate, String),
    Flush(oneshot::Sender<()>),
}

/// The folder of recordings.
pub(crate) struct Transcripts {
    folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    queue: OnceLock<Option<mpsc::Sender<Job>>>,
    /// A line could not be written.
    failed: Arc<AtomicBool>,
    free_min: u64,
}

impl Transcripts {
    /// Recordings below this artifact folder.
    pub(crate) fn new(artifacts: Option<&Path>, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: artifacts.map(|folder| folder.join("transcripts")),
            clock,
            queue: OnceLock::new(),
            failed: Arc::default(),
            free_min: FREE_MIN,
        }
    }

    /// Begins a recording.
    pub(super) async fn begin(
        &self,
        service: &str,
        sid: &str,
        window: Window,
        env: serde_json::Value,
    ) -> Result<Transcript, Skip> {
        let folder = self.folder.as_deref().ok_or(Skip::NoFolder)?;
        self.check(folder)?;
        let queue = self.queue.get_or_init(|| start(folder, self.failed.clone()).ok());
        let queue = queue.clone().ok_or(Skip::OpenFailed)?;
        let transcript = Transcript {
            sid: sid.to_owned(),
            began: Instant::now(),
            clock: self.clock.clone(),
            queue,
            failed: self.failed.clone(),
            written: 0,
            truncated: false,
            tails: [Vec::new(), Vec::new()],
        };
        let header = json!({"sid": sid, "hdr": {
            "version": 2,
            "width": window.cols,
            "height": window.rows,
            "timestamp": self.clock.now().timestamp(),
            "env": env,
            "service": service,
        }});
        let line = format!("{header}\n");
        // The environment is the intruder's: one that does not fit is left out.
        let line = if line.len() > LINE_MAX {
            let (width, height) = (window.cols, window.rows);
            let now = self.clock.now().timestamp();
            format!(
                "{}\n",
                json!({"sid": sid, "hdr": {"version": 2, "width": width, "height": height, "timestamp": now, "env": {}, "service": service}})
            )
        } else {
            line
        };
        let day = self.clock.now().date_naive();
        transcript.queue.send(Job::Line(day, line)).await.map_err(|_| Skip::OpenFailed)?;
        Ok(transcript)
    }

    fn check(&self, folder: &Path) -> Result<(), Skip> {
        // What an intruder typed and saw is for the group that the folder above hands on, not for all.
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
        made.map_err(|_| Skip::OpenFailed)?;
        let space = rustix::fs::statvfs(folder).map_err(|_| Skip::OpenFailed)?;
        if space.f_bavail.saturating_mul(space.f_frsize) < self.free_min {
            return Err(Skip::DiskPressure);
        }
        open(folder, self.clock.now().date_naive()).map_err(|_| Skip::OpenFailed)?;
        Ok(())
    }
}

/// One recording.
pub(super) struct Transcript {
    sid: String,
    began: Instant,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Job>,
    failed: Arc<AtomicBool>,
    written: u64,
    truncated: bool,
    /// The beginnings of characters whose rest has not come, of output and input.
    tails: [Vec<u8>; 2],
}

#[derive(Serialize)]
struct Event<'a> {
    sid: &'a str,
    t: f64,
    ch: &'a str,
    d: &'a str,
}

/// Lines on their way.
#[derive(Default)]
pub(super) struct Lines(Vec<(NaiveDate, String)>);

impl Lines {
    /// Hands them to the disk's thread.
    pub(super) async fn send(self, queue: &Queue) {
        for (day, line) in self.0 {
            // A thread that is gone has said so.
            let _ = queue.0.send(Job::Line(day, line)).await;
        }
    }
}

/// The way to the disk, without the recording's lock.
#[derive(Clone)]
pub(super) struct Queue(mpsc::Sender<Job>);

impl Transcript {
    pub(super) fn queue(&self) -> Queue {
        Queue(self.queue.clone())
    }

    /// What was shown.
    pub(super) fn output(&mut self, bytes: &[u8]) -> Lines {
        self.bytes("o", 0, bytes)
    }

    /// What was typed.
    pub(super) fn input(&mut self, bytes: &[u8]) -> Lines {
        self.bytes("i", 1, bytes)
    }

    /// The window's new size.
    pub(super) fn resize(&mut self, window: Window) -> Lines {
        let mut lines = Lines::default();
        self.event("r", &format!("{}x{}", window.cols, window.rows), &mut lines);
        lines
    }

    fn bytes(&mut self, channel: &str, tail: usize, bytes: &[u8]) -> Lines {
        let mut lines = Lines::default();
        let mut whole = self.tails.get_mut(tail).map(std::mem::take).unwrap_or_default();
        whole.extend_from_slice(bytes);
        let end = whole_characters(&whole);
        let text = String::from_utf8_lossy(whole.get(..end).unwrap_or_default()).into_owned();
        if let Some(kept) = self.tails.get_mut(tail) {
            *kept = whole.get(end..).unwrap_or_default().to_vec();
        }
        let (mut from, mut cost) = (0, 0);
        for (at, c) in text.char_indices() {
            cost += json_cost(c);
            if cost > DATA_MAX {
                self.event(channel, text.get(from..at).unwrap_or_default(), &mut lines);
                (from, cost) = (at, json_cost(c));
            }
        }
        self.event(channel, text.get(from..).unwrap_or_default(), &mut lines);
        lines
    }

    fn event(&mut self, ch: &str, d: &str, lines: &mut Lines) {
        if self.truncated || d.is_empty() {
            return;
        }
        let day = self.clock.now().date_naive();
        // Microseconds are plenty, and keep the line short.
        let t = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e6;
        let Ok(mut line) = serde_json::to_string(&Event { sid: &self.sid, t, ch, d }) else { return };
        line.push('\n');
        if self.written + line.len() as u64 > SESSION_MAX || self.failed.load(Ordering::Relaxed) {
            self.truncated = true;
            lines.0.push((day, format!("{}\n", json!({"sid": self.sid, "trunc": true}))));
            return;
        }
        self.written += line.len() as u64;
        lines.0.push((day, line));
    }

    /// Waits until all is with the system. Bytes, and whether some are missing.
    pub(super) async fn end(self) -> (u64, bool) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Job::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
        (self.written, self.truncated || self.failed.load(Ordering::Relaxed))
    }
}

/// What a character costs inside a JSON string.
fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => 6,
        _ => c.len_utf8(),
    }
}

/// Up to where the bytes are whole characters or no characters at all.
fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len()) {
        let at = bytes.len() - back;
        let len = match bytes.get(at) {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            Some(0x80..=0xbf) => continue,
            _ => return bytes.len(),
        };
        return if len > back { at } else { bytes.len() };
    }
    bytes.len()
}

fn open(folder: &Path, day: NaiveDate) -> io::Result<File> {
    let name = format!("sessions-{}.jsonl", day.format("%Y-%m-%d"));
    OpenOptions::new().append(true).create(true).mode(0o640).open(folder.join(name))
}

fn start(folder: &Path, failed: Arc<AtomicBool>) -> io::Result<mpsc::Sender<Job>> {
    let (queue, mut jobs) = mpsc::channel(QUEUE);
    let folder = folder.to_owned();
    let run = move || {
        let mut shard: Option<(NaiveDate, File)> = None;
        let mut torn = false;
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Flush(done) => drop(done.send(())),
                Job::Line(day, line) => {
                    let outcome = write(&folder, &mut shard, day, &line, torn);
                    torn = outcome.is_err();
                    if let Err(error) = outcome
                        && !failed.swap(true, Ordering::Relaxed)
                    {
                        eprintln!(
                            "decoy: cannot write a transcript ({error}); check space and rights of {}",
                            folder.display()
                        );
                    } else if !torn {
                        failed.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    };
    std::thread::Builder::new().name("transcripts".to_owned()).stack_size(128 << 10).spawn(run)?;
    Ok(queue)
}

fn write(
    folder: &Path,
    shard: &mut Option<(NaiveDate, File)>,
    day: NaiveDate,
    line: &str,
    torn: bool,
) -> io::Result<()> {
    if shard.as_ref().is_none_or(|(of, _)| *of != day) {
        *shard = Some((day, open(folder, day)?));
    }
    let Some((_, file)) = shard else { return Ok(()) };
    if torn {
        // Ends what a full disk has left unfinished.
        file.write_all(b"\n")?;
    }
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use decnet_core::ManualClock;
    use serde_json::Value;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const WINDOW: Window = Window { cols: 80, rows: 24, width: 0, height: 0 };

    async fn recorded(parts: &[&[u8]]) -> (Vec<Value>, Vec<usize>, (u64, bool)) {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(DateTime::from_timestamp(1_767_225_659, 0).unwrap());
        let transcripts = Transcripts::new(Some(folder.path()), Arc::new(clock));
        let mut transcript = transcripts.begin("ssh", "s-1", WINDOW, json!({"TERM": "xterm"})).await.unwrap();
        for part in parts {
            let queue = transcript.queue();
            transcript.output(part).send(&queue).await;
        }
        let queue = transcript.queue();
        transcript.input(b"x").send(&queue).await;
        transcript.resize(Window { cols: 100, rows: 30, ..WINDOW }).send(&queue).await;
        let ended = transcript.end().await;
        let name = "transcripts/sessions-2026-01-01.jsonl";
        for path in ["transcripts", name] {
            let mode = fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o027, 0, "{path}: {mode:o}");
        }
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, text.lines().map(|line| line.len() + 1).collect(), ended)
    }

    #[tokio::test]
    async fn a_recording_has_the_agreed_form() {
        let (lines, _, ended) = recorded(&[b"gr\xc3", b"\xbc\xc3\x9fe\xff\r\n"]).await;
        assert_eq!(lines[0]["hdr"]["version"], 2);
        assert_eq!((&lines[0]["hdr"]["width"], &lines[0]["hdr"]["height"]), (&json!(80), &json!(24)));
        assert_eq!(lines[0]["hdr"]["env"]["TERM"], "xterm");
        let said: String =
            lines.iter().filter(|line| line["ch"] == "o").filter_map(|line| line["d"].as_str()).collect();
        assert_eq!(said, "gr\u{fc}\u{df}e\u{fffd}\r\n");
        assert!(lines.iter().any(|line| line["ch"] == "i" && line["d"] == "x"));
        assert!(lines.iter().any(|line| line["ch"] == "r" && line["d"] == "100x30"));
        assert!(!ended.1 && ended.0 > 0);
    }

    #[tokio::test]
    async fn every_line_is_one_short_append_whatever_is_shown() {
        let bytes: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
        let (lines, lengths, ended) = recorded(&[&bytes, "\u{1F600}".repeat(5000).as_bytes()]).await;
        assert!(lengths.iter().all(|len| *len <= LINE_MAX), "{:?}", lengths.iter().max());
        assert!(lines.len() > 30 && !ended.1);
    }

    #[tokio::test]
    async fn a_recording_ends_at_its_limit_and_says_so() {
        let (lines, lengths, ended) = recorded(&[&vec![b'x'; 11 << 20]]).await;
        assert!(ended.1);
        assert_eq!(lines.iter().filter(|line| line["trunc"] == true).count(), 1);
        assert!(lengths.iter().sum::<usize>() < (10 << 20) + 8192);
    }

    #[tokio::test]
    async fn no_recording_begins_on_a_full_disk_or_without_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(DateTime::UNIX_EPOCH));
        let mut transcripts = Transcripts::new(Some(folder.path()), clock.clone());
        transcripts.free_min = u64::MAX;
        let skip = |transcripts: Transcripts| async move {
            transcripts.begin("ssh", "s", WINDOW, json!({})).await.err()
        };
        assert_eq!(skip(transcripts).await, Some(Skip::DiskPressure));
        assert_eq!(skip(Transcripts::new(None, clock.clone())).await, Some(Skip::NoFolder));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(skip(Transcripts::new(Some(&file), clock)).await, Some(Skip::OpenFailed));
    }
}
