//! Reads lines from a growing file. Bounded: it never holds more than one chunk and one longest line.
//!
//! Knows nothing of what a line means; a line that is not finished yet waits.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};

use super::Signal;
use crate::{MAX_OUTPUT_LINE, OutputItem, OutputLine, Position};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// How often the file is looked at where the kernel tells about changes: in case it missed one.
const WATCHED: Duration = Duration::from_secs(2);
/// How often it is looked at otherwise.
const UNWATCHED: Duration = Duration::from_millis(200);
/// A skipped line reports itself once in so many bytes, so that its space can be given back.
const SKIP_STEP: u64 = 1 << 20;

/// A reader of one output.
pub(crate) struct Tail {
    file: Arc<File>,
    signal: Arc<Signal>,
    /// Offset of the buffer's first byte.
    at: u64,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no newline.
    scanned: usize,
    /// Skipping the rest of an overlong line.
    skipping: bool,
    /// Where the last skip report was.
    reported: u64,
}

impl Tail {
    pub(crate) fn new(file: Arc<File>, signal: Arc<Signal>, from: Position) -> Self {
        Self {
            file,
            signal,
            at: from.offset,
            buffer: BytesMut::new(),
            scanned: 0,
            skipping: from.within_line,
            reported: from.offset,
        }
    }

    /// The next item; `None` once the output has ended and everything was read.
    pub(crate) async fn next(&mut self) -> io::Result<Option<OutputItem>> {
        loop {
            if let Some(item) = self.cut() {
                return Ok(Some(item));
            }
            // Asked before reading: what was written before the end is seen by the read after it.
            let ended = self.signal.has_ended();
            if self.read().await? {
                continue;
            }
            if ended {
                return Ok(self.rest());
            }
            let pause = if self.signal.watched.load(Ordering::Relaxed) { WATCHED } else { UNWATCHED };
            // Running out of patience is one of the two reasons to look again.
            let _ = tokio::time::timeout(pause, self.signal.changed.notified()).await;
        }
    }

    /// Takes the next item out of the buffer.
    fn cut(&mut self) -> Option<OutputItem> {
        loop {
            let newline = self.buffer.iter().skip(self.scanned).position(|byte| *byte == b'\n');
            let newline = newline.map(|index| index + self.scanned);
            if self.skipping {
                let drop = newline.map_or(self.buffer.len(), |index| index + 1);
                self.advance(drop);
                self.skipping = newline.is_none();
                if self.skipping {
                    let far = self.at >= self.reported.saturating_add(SKIP_STEP);
                    return far.then(|| self.skipped());
                }
                continue;
            }
            match newline {
                // Nothing to ship; the next line's position covers it.
                Some(0) => self.advance(1),
                Some(index) if index <= MAX_OUTPUT_LINE => {
                    let line = self.take(index);
                    self.advance(1);
                    return Some(self.line(line));
                }
                None if self.buffer.len() <= MAX_OUTPUT_LINE => {
                    self.scanned = self.buffer.len();
                    return None;
                }
                _ => {
                    let line = self.take(MAX_OUTPUT_LINE);
                    self.skipping = true;
                    self.reported = self.at;
                    return Some(self.line(line));
                }
            }
        }
    }

    fn skipped(&mut self) -> OutputItem {
        self.reported = self.at;
        OutputItem::Skipped(self.position())
    }

    /// What an ended output leaves without a newline.
    fn rest(&mut self) -> Option<OutputItem> {
        if self.skipping || self.buffer.is_empty() {
            return None;
        }
        let line = self.take(self.buffer.len().min(MAX_OUTPUT_LINE));
        Some(self.line(line))
    }

    fn line(&self, (seq, bytes): (u64, Bytes)) -> OutputItem {
        OutputItem::Line(OutputLine { seq, bytes, next: self.position() })
    }

    fn position(&self) -> Position {
        Position { offset: self.at, within_line: self.skipping }
    }

    fn take(&mut self, count: usize) -> (u64, Bytes) {
        let seq = self.at;
        let bytes = self.buffer.split_to(count).freeze();
        self.at += count as u64;
        self.scanned = 0;
        (seq, bytes)
    }

    fn advance(&mut self, count: usize) {
        self.buffer.advance(count);
        self.at += count as u64;
        self.scanned = 0;
    }

    /// Reads one more chunk; false if there is none.
    async fn read(&mut self) -> io::Result<bool> {
        let from = self.at + self.buffer.len() as u64;
        // Asking for the length is cheap and spares an idle output the trip to another thread.
        let there = self.file.metadata()?.len().saturating_sub(from);
        let count = usize::try_from(there).unwrap_or(CHUNK).min(CHUNK);
        if count == 0 {
            return Ok(false);
        }
        let file = Arc::clone(&self.file);
        let chunk = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
            let mut chunk = vec![0; count];
            let read = file.read_at(&mut chunk, from)?;
            chunk.truncate(read);
            Ok(chunk)
        })
        .await
        .map_err(io::Error::other)??;
        self.buffer.extend_from_slice(&chunk);
        Ok(!chunk.is_empty())
    }
}
