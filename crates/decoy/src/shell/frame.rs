//! What the front and a session's process say to each other: small typed frames over a Unix stream.
//!
//! A frame is one byte of type, four bytes of length and a body. Both sides bound what they hold; neither trusts the
//! other's lengths. Nothing here knows sockets or terminals.

use decnet_core::SessionMark;
use serde::{Deserialize, Serialize};

/// Longest body; only a [`Start`] with a long command comes near.
pub const BODY_MAX: usize = 512 << 10;
/// Longest body of a frame that carries bytes of the session.
pub const DATA_MAX: usize = 16 << 10;
/// Bytes before the body.
pub const HEAD: usize = 5;

/// The kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// First of all: a [`Hello`].
    Hello = 0x01,
    /// What to run: a [`Start`].
    Start = 0x02,
    /// The client typed or sent this.
    Input = 0x03,
    /// The client will send no more.
    InputEnd = 0x04,
    /// The window has another size: a [`Window`].
    Resize = 0x05,
    /// A signal's name without `SIG`.
    Signal = 0x06,
    /// It runs.
    Started = 0x81,
    /// It does not run; the body says why, for the record only.
    Refused = 0x82,
    /// Standard output, or what the terminal shows.
    Output = 0x83,
    /// Standard error of a session without a terminal.
    Errors = 0x84,
    /// Input that has reached the terminal: one byte of [`Echo`], then the bytes.
    Typed = 0x85,
    /// No more output will come.
    OutputEnd = 0x86,
    /// It has ended: an [`Exit`].
    Exited = 0x87,
}

impl Tag {
    fn of(byte: u8) -> Option<Self> {
        use Tag::{
            Errors, Exited, Hello, Input, InputEnd, Output, OutputEnd, Refused, Resize, Signal, Start,
            Started, Typed,
        };
        [
            Hello, Start, Input, InputEnd, Resize, Signal, Started, Refused, Output, Errors, Typed,
            OutputEnd, Exited,
        ]
        .into_iter()
        .find(|tag| *tag as u8 == byte)
    }
}

/// Proves who calls and says for whom.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The link's key.
    pub key: String,
    /// Whose session it is.
    pub mark: SessionMark,
}

/// What a session is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The terminal, if there is one.
    pub terminal: Option<Terminal>,
    /// Environment that the client sent and the server takes.
    pub env: Vec<(String, String)>,
    /// The command.
    pub run: Run,
    /// The decky's address that was called, for `SSH_CONNECTION`.
    pub dst_ip: std::net::IpAddr,
    /// Files in which the server tells about itself.
    #[serde(default)]
    pub own_files: Vec<OwnFile>,
}

/// A file that the server of the machine must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFile {
    /// Below `/etc/ssh`.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Its content.
    pub text: String,
}

/// A requested terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// `TERM`.
    pub term: String,
    /// Its size.
    pub window: Window,
    /// Modes by their numbers of RFC 4254, section 8.
    pub modes: Vec<(u8, u32)>,
}

/// A size in characters and pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The three things that a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// The account's shell as login shell.
    Shell,
    /// A command line, base64 of its bytes.
    Exec(String),
    /// A subsystem by its name.
    Subsystem(String),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this status.
    Status(u32),
    /// By a signal (its name without `SIG`), and whether it left a core.
    Signal(String, bool),
}

/// What the terminal did with a typed byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// The terminal shows it.
    pub shown: bool,
    /// The terminal collects lines (and edits them); otherwise the program reads every key.
    pub lines: bool,
}

impl Echo {
    /// As one byte.
    pub fn byte(self) -> u8 {
        u8::from(self.shown) | (u8::from(self.lines) << 1)
    }

    /// From that byte.
    pub fn of(byte: u8) -> Self {
        Self { shown: byte & 1 != 0, lines: byte & 2 != 0 }
    }
}

/// A frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub tag: Tag,
    /// Its body.
    pub body: Vec<u8>,
}

/// What cannot be read as frames. The link is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A kind that nobody sends.
    #[error("a frame of unknown kind {0:#04x}")]
    Unknown(u8),
    /// A length that nobody sends.
    #[error("a frame of {0} bytes")]
    Long(usize),
}

/// Appends a frame to what is to be sent. Bodies beyond [`BODY_MAX`] are the caller's mistake and are cut.
pub fn push(to: &mut Vec<u8>, tag: Tag, body: &[&[u8]]) {
    let len: usize = body.iter().map(|part| part.len()).sum::<usize>().min(BODY_MAX);
    to.push(tag as u8);
    to.extend_from_slice(&u32::try_from(len).unwrap_or(0).to_be_bytes());
    let end = to.len() + len;
    for part in body {
        let room = end - to.len();
        to.extend_from_slice(part.get(..room).unwrap_or(part));
    }
}

/// Appends a frame with a JSON body.
pub fn push_json(to: &mut Vec<u8>, tag: Tag, value: &impl Serialize) -> Result<(), serde_json::Error> {
    push(to, tag, &[&serde_json::to_vec(value)?]);
    Ok(())
}

/// Reads the head of a frame: its kind and the length of its body, at most `max`.
pub fn head(bytes: [u8; HEAD], max: usize) -> Result<(Tag, usize), FrameError> {
    let [kind, a, b, c, d] = bytes;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let tag = Tag::of(kind).ok_or(FrameError::Unknown(kind))?;
    if len > max { Err(FrameError::Long(len)) } else { Ok((tag, len)) }
}

/// Makes frames of a stream of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((first, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(None) };
        let (tag, len) = head(*first, BODY_MAX)?;
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let frame = Frame { tag, body: body.to_vec() };
        self.taken += HEAD + len;
        if self.taken == self.bytes.len() {
            self.bytes = Vec::new();
            self.taken = 0;
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut_of_the_stream(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12),
            cut in 1..50usize,
        ) {
            let mut bytes = Vec::new();
            for body in &bodies {
                push(&mut bytes, Tag::Output, &[body]);
            }
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for part in bytes.chunks(cut) {
                decoder.push(part);
                while let Some(frame) = decoder.take().unwrap() {
                    seen.push(frame.body);
                }
            }
            prop_assert_eq!(seen, bodies);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(frame)) = decoder.take() {
                prop_assert!(frame.body.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_length_that_nobody_sends_is_an_error_before_anything_is_kept() {
        let mut decoder = Decoder::default();
        decoder.push(&[Tag::Output as u8, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(decoder.take(), Err(FrameError::Long(0xffff_ffff)));
    }
}
