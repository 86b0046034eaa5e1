//! Where a command ends: lines, literals and their limits. The grammar inside is `imap-codec`'s.
//!
//! A command never holds more than [`COMMAND_MAX`] bytes; before login the limits are those of a login process.

/// Bytes of one command with its literals.
pub const COMMAND_MAX: usize = 1 << 20;
/// Bytes of one command before login.
const EARLY_MAX: usize = 8192;
/// Bytes of a line before login that has not ended yet.
const EARLY_LINE_MAX: usize = 1028;
/// Longest literal before login.
const EARLY_LITERAL_MAX: usize = 4096;
/// Bytes of a line after login.
const LINE_MAX: usize = 64 * 1024;

/// What stands at the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// More is needed.
    Partial,
    /// More is needed, and the client waits to be asked for it (once; see [`Framer::asked`]).
    Literal,
    /// A whole command of this many bytes.
    Command(usize),
    /// The line or the command is too long.
    TooLong,
    /// A literal is too large.
    LiteralTooLarge,
}

/// Finds the end of commands; remembers which literals were asked for.
#[derive(Debug, Default)]
pub struct Framer {
    /// Literals of the present command that the client may send.
    granted: usize,
}

impl Framer {
    /// Looks at the input; `early` before login.
    pub fn frame(&self, input: &[u8], early: bool) -> Framed {
        let most = if early { EARLY_MAX } else { COMMAND_MAX };
        let literal_max = if early { EARLY_LITERAL_MAX } else { COMMAND_MAX };
        let line_max = if early { EARLY_LINE_MAX } else { LINE_MAX };
        let mut at = 0;
        let mut literals = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|b| *b == b'\n') else {
                let full = rest.len() > line_max || input.len() > most;
                return if full { Framed::TooLong } else { Framed::Partial };
            };
            // Tag and name are read by the time that a line is found too long.
            if end > line_max + 8 || at + end > most {
                return Framed::TooLong;
            }
            let line = rest.get(..end).unwrap_or_default();
            at += end + 1;
            let Some((length, waits)) = literal(line.strip_suffix(b"\r").unwrap_or(line)) else {
                return Framed::Command(at);
            };
            match length {
                Some(length) if length <= literal_max && (early || at + length <= most) => {
                    if waits {
                        literals += 1;
                        if literals > self.granted {
                            return Framed::Literal;
                        }
                    }
                    if early && (input.len() - at).min(length) > EARLY_LINE_MAX {
                        return Framed::TooLong;
                    }
                    if input.len() < at + length {
                        return Framed::Partial;
                    }
                    at += length;
                }
                _ => return Framed::LiteralTooLarge,
            }
        }
    }

    /// The client was asked for its literal.
    pub fn asked(&mut self) {
        self.granted += 1;
    }

    /// A command was taken off the input.
    pub fn next(&mut self) {
        self.granted = 0;
    }
}

/// The literal that a line announces: its length (`None` if it is no number that fits) and whether the client waits.
fn literal(line: &[u8]) -> Option<(Option<usize>, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|b| *b == b'{')?;
    let digits = inner.get(open + 1..)?;
    let (digits, waits) = digits.strip_suffix(b"+").map_or((digits, true), |digits| (digits, false));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()), waits))
}

/// The command with bare line feeds outside literals made CRLF, as the grammar wants them.
pub fn canonical(command: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(command.len() + 2);
    let mut at = 0;
    while let Some(end) = command.get(at..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
        let line = command.get(at..at + end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        at += end + 1;
        if let Some((Some(length), _)) = literal(line) {
            out.extend_from_slice(command.get(at..at + length).unwrap_or_default());
            at += length;
        }
    }
    out.extend_from_slice(command.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_literals() {
        let mut framer = Framer::default();
        assert_eq!(framer.frame(b"a NOOP\r\nb", true), Framed::Command(8));
        assert_eq!(framer.frame(b"a NO", true), Framed::Partial);
        assert_eq!(framer.frame(b"a LOGIN {3}\r\n", true), Framed::Literal);
        framer.asked();
        assert_eq!(framer.frame(b"a LOGIN {3}\r\nfo", true), Framed::Partial);
        assert_eq!(framer.frame(b"a LOGIN {3}\r\nfoo {2}\r\n", true), Framed::Literal);
        framer.asked();
        assert_eq!(framer.frame(b"a LOGIN {3}\r\nfoo {2}\r\npw\r\n", true), Framed::Command(26));
        framer.next();
        assert_eq!(framer.frame(b"a LOGIN {1+}\r\nx {2+}\r\npw\r\nb", true), Framed::Command(26));
        assert_eq!(framer.frame(b"a LOGIN {99999999}\r\n", true), Framed::LiteralTooLarge);
        assert_eq!(framer.frame(b"a LOGIN {99999999999999999999999}\r\n", true), Framed::LiteralTooLarge);
        assert_eq!(framer.frame(&[b'x'; 1024], true), Framed::Partial);
        assert_eq!(framer.frame(&[b'x'; 1040], true), Framed::TooLong);
        let long = [&b"a LOGIN {1200+}\r\n"[..], &[b'x'; 1100]].concat();
        assert_eq!(framer.frame(&long, true), Framed::TooLong);
        assert_eq!(framer.frame(&[b'x'; 9000], false), Framed::Partial);
        assert_eq!(canonical(b"a LOGIN {3+}\nf\no x\n"), b"a LOGIN {3+}\r\nf\no x\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_framed(input in proptest::collection::vec(any::<u8>(), 0..200), early: bool) {
            let mut framer = Framer::default();
            framer.asked();
            if let Framed::Command(used) = framer.frame(&input, early) {
                prop_assert!(used > 0 && used <= input.len());
            }
            prop_assert!(canonical(&input).len() >= input.len());
        }
    }
}
