//! Request bodies: by length or in chunks, taken in pieces as they arrive, kept up to a bound.
//!
//! The reader never holds more than [`KEPT_MAX`] bytes; what follows is counted and thrown away. It knows
//! nothing of heads beyond the framing it is given.

/// Bytes of one body that are kept.
pub const KEPT_MAX: usize = 1 << 20;
/// Bytes of one body that are read at all; more ends the connection.
pub const READ_MAX: u64 = 64 << 20;
/// Longest line in chunk framing (size with extensions, trailers).
const LINE_MAX: usize = 4096;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// By `Content-Length`.
    Length(u64),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// What feeding bytes led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// The body is complete.
    Done,
    /// Chunk framing is broken.
    Broken,
    /// More than [`READ_MAX`].
    TooLarge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// A body being read.
#[derive(Debug)]
pub struct Body {
    state: State,
    line: Vec<u8>,
    kept: Vec<u8>,
    total: u64,
}

impl Body {
    /// A reader for this framing.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Length(left),
            Framing::Chunked => State::Size,
        };
        Self { state, line: Vec::new(), kept: Vec::new(), total: 0 }
    }

    /// The kept bytes.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Bytes of the body so far, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes bytes off the front of `input`; returns how many, and where the body stands.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Progress) {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match self.state {
                State::Done => return (used, Progress::Done),
                State::Length(left) => {
                    let taken = self.take(rest, left);
                    used += taken;
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    if left > 0 {
                        return (used, self.progress());
                    }
                }
                State::Data(left) => {
                    let taken = self.take(rest, left);
                    used += taken;
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    if left > 0 {
                        return (used, self.progress());
                    }
                }
                State::Size | State::DataEnd | State::Trailer => {
                    let (taken, complete) = self.take_line(rest);
                    used += taken;
                    if self.line.len() > LINE_MAX {
                        return (used, Progress::Broken);
                    }
                    if !complete {
                        return (used, self.progress());
                    }
                    let line = std::mem::take(&mut self.line);
                    match self.after_line(&line) {
                        Some(next) => self.state = next,
                        None => return (used, Progress::Broken),
                    }
                }
            }
            if self.total > READ_MAX {
                return (used, Progress::TooLarge);
            }
        }
    }

    fn progress(&self) -> Progress {
        if self.total > READ_MAX { Progress::TooLarge } else { Progress::More }
    }

    fn after_line(&self, line: &[u8]) -> Option<State> {
        match self.state {
            State::Size => {
                let digits = line.split(|b| *b == b';').next()?.trim_ascii();
                let text = std::str::from_utf8(digits).ok().filter(|t| !t.is_empty() && t.len() <= 12)?;
                // `from_str_radix` would take a sign.
                let size = text
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit())
                    .then(|| u64::from_str_radix(text, 16).ok())??;
                Some(if size == 0 { State::Trailer } else { State::Data(size) })
            }
            State::DataEnd => line.is_empty().then_some(State::Size),
            _ => Some(if line.is_empty() { State::Done } else { State::Trailer }),
        }
    }

    /// Takes body bytes, at most `left`.
    fn take(&mut self, rest: &[u8], left: u64) -> usize {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let room = KEPT_MAX - self.kept.len().min(KEPT_MAX);
        self.kept.extend_from_slice(rest.get(..want.min(room)).unwrap_or_default());
        self.total += want as u64;
        want
    }

    /// Takes bytes of a line up to its end; the line is kept without it.
    fn take_line(&mut self, rest: &[u8]) -> (usize, bool) {
        let end = rest.iter().position(|b| *b == b'\n');
        let (line, used) = match end {
            Some(at) => (rest.get(..at).unwrap_or_default(), at + 1),
            None => (rest, rest.len()),
        };
        let room = (LINE_MAX + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(line.get(..line.len().min(room)).unwrap_or_default());
        if end.is_some() && self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        (used, end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chunks_with_extension_and_trailer() {
        let input = b"3;a=b\r\nabc\r\n00002\r\nde\r\n0\r\nX: y\r\n\r\nGET /";
        let mut body = Body::new(Framing::Chunked);
        let (used, progress) = body.feed(input);
        assert_eq!((progress, body.kept(), &input[used..]), (Progress::Done, &b"abcde"[..], &b"GET /"[..]));
    }

    #[test]
    fn broken_chunks_are_told() {
        for bad in ["zz\r\n", "+3\r\nabc", "\r\n", "3\r\nabcd\r\n", "fffffffffffff\r\n"] {
            assert_eq!(Body::new(Framing::Chunked).feed(bad.as_bytes()).1, Progress::Broken, "{bad:?}");
        }
        assert_eq!(Body::new(Framing::Chunked).feed(&[b'1'; 5000]).1, Progress::Broken);
    }

    #[test]
    fn a_gigabyte_is_not_kept() {
        let mut body = Body::new(Framing::Length(1 << 30));
        let piece = vec![b'x'; 1 << 16];
        let mut last = Progress::More;
        for _ in 0..2000 {
            (_, last) = body.feed(&piece);
            if last != Progress::More {
                break;
            }
        }
        assert_eq!(last, Progress::TooLarge);
        assert_eq!(body.kept().len(), KEPT_MAX);
    }

    proptest! {
        #[test]
        fn the_way_of_arrival_does_not_matter(
            data in proptest::collection::vec(any::<u8>(), 0..300), size in 1usize..50, cut in 1usize..40
        ) {
            let mut wire = Vec::new();
            for chunk in data.chunks(size) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let mut body = Body::new(Framing::Chunked);
            let mut last = Progress::More;
            for piece in wire.chunks(cut) {
                let (used, progress) = body.feed(piece);
                prop_assert_eq!(used, piece.len());
                last = progress;
            }
            prop_assert_eq!(last, Progress::Done);
            prop_assert_eq!(body.kept(), &data[..]);
        }

        #[test]
        fn any_bytes_end_somewhere(input in proptest::collection::vec(any::<u8>(), 0..500)) {
            let (used, _) = Body::new(Framing::Chunked).feed(&input);
            prop_assert!(used <= input.len());
        }
    }
}
