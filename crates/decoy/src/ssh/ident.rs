//! The exchange of identification strings (RFC 4253 section 4.2), answered the way OpenSSH answers: also to
//! clients that speak something else. Nothing here outlives that first line.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream::Stream;

/// Longest first line that OpenSSH reads.
const LINE_MAX: usize = 8192;
/// Longest first line that russh takes (with its end); real clients are far below.
const TAKEN_MAX: usize = 255;

/// What the client's first line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Not complete.
    More,
    /// An identification string of this many bytes including its end, `text` of them without it.
    Ident { text: usize, whole: usize },
    /// Something else, answered with this.
    Wrong(&'static str),
}

const INVALID: Line = Line::Wrong("Invalid SSH identification string.\r\n");
const MAJOR: Line = Line::Wrong("Protocol major versions differ.\r\n");

/// Judges the bytes so far as OpenSSH 9.2 does.
pub(super) fn judge(bytes: &[u8]) -> Line {
    let mut after_cr = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => {
                let text = if after_cr { at - 1 } else { at };
                return version(bytes.get(..text).unwrap_or_default(), at + 1);
            }
            _ if after_cr || *byte == 0 => return INVALID,
            b'\r' => after_cr = true,
            _ if at >= LINE_MAX => return INVALID,
            _ => {}
        }
    }
    Line::More
}

fn version(line: &[u8], whole: usize) -> Line {
    // As sscanf("SSH-%d.%d-%[^\n]") reads it: two numbers and a software name that is not empty.
    let Some(rest) = line.strip_prefix(b"SSH-") else { return INVALID };
    let mut parts = rest.splitn(2, |byte| *byte == b'-');
    let (Some(numbers), Some(software)) = (parts.next(), parts.next()) else { return INVALID };
    let Some((major, minor)) = std::str::from_utf8(numbers).ok().and_then(|text| text.split_once('.')) else {
        return INVALID;
    };
    let (Ok(major), Ok(minor)) = (major.parse::<u32>(), minor.parse::<u32>()) else { return INVALID };
    if software.is_empty() {
        return INVALID;
    }
    match (major, minor) {
        (2, _) | (1, 99) => Line::Ident { text: line.len(), whole },
        _ => MAJOR,
    }
}

/// What came of the exchange.
pub(super) enum Exchange {
    /// The client speaks SSH. All bytes read so far, the first `text` of which are its identification.
    Ident { read: Vec<u8>, text: usize, whole: usize },
    /// It does not; it is told so and may go. Its first bytes.
    Wrong { read: Vec<u8>, answer: &'static str },
    /// It left, or never finished its line.
    Gone { read: Vec<u8> },
}

/// Sends our identification and reads the client's.
pub(super) async fn exchange(stream: &mut Stream, ours: &str) -> io::Result<Exchange> {
    stream.write_all(format!("{ours}\r\n").as_bytes()).await?;
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 512];
        let got = stream.read(&mut chunk).await?;
        read.extend_from_slice(chunk.get(..got).unwrap_or_default());
        match judge(&read) {
            Line::More if got == 0 => return Ok(Exchange::Gone { read }),
            Line::More => {}
            // OpenSSH would go on with these, russh cannot.
            Line::Ident { text, whole } if whole > TAKEN_MAX || !is_text(read.get(..text)) => {
                return Ok(Exchange::Wrong { read, answer: "" });
            }
            Line::Ident { text, whole } => return Ok(Exchange::Ident { read, text, whole }),
            Line::Wrong(answer) => return Ok(Exchange::Wrong { read, answer }),
        }
    }
}

fn is_text(line: Option<&[u8]>) -> bool {
    line.is_some_and(|line| std::str::from_utf8(line).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of Debian's OpenSSH 9.2p1, taken from a running server (`docs/fidelity.md`).
    #[test]
    fn judged_like_openssh() {
        for (bytes, line) in [
            (&b"SSH-2.0-OpenSSH_9.2p1 Debian\r\nrest"[..], Line::Ident { text: 28, whole: 30 }),
            (b"SSH-2.0-ok\n", Line::Ident { text: 10, whole: 11 }),
            (b"SSH-1.99-foo\r\n", Line::Ident { text: 12, whole: 14 }),
            (b"SSH-1.5-foo\r\n", MAJOR),
            (b"SSH-3.0-foo\r\n", MAJOR),
            (b"SSH-2.0\r\n", INVALID),
            (b"SSH-2.0-\r\n", INVALID),
            (b"ssh-2.0-x\r\n", INVALID),
            (b"GET / HTTP/1.0\r\n\r\n", INVALID),
            (b"\n", INVALID),
            (b"\x16\x03\x01\x00\xa5", INVALID),
            (b"SSH-2.0-a\rb\n", INVALID),
            (b"SSH-2.0-x", Line::More),
            (b"", Line::More),
        ] {
            assert_eq!(judge(bytes), line, "for {bytes:?}");
        }
        assert_eq!(judge(&[b'A'; 9000]), INVALID);
        assert_eq!(judge(&[b'A'; 8000]), Line::More);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = judge(&bytes);
        }
    }
}
