//! Keys out of the bytes that a terminal sends: which are text, which edit, which are answers of the terminal itself.
//! Knows nothing of what a program makes of them.

/// Longest escape sequence that is waited for.
const SEQUENCE_MAX: usize = 32;

/// A key as a line editor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Text(u8),
    Enter,
    /// A newline inside a paste that the terminal marks: it sends nothing yet.
    PastedNewline,
    Erase,
    EraseWord,
    EraseLine,
    Complete,
    EndOfFile,
    /// Gives the line up.
    Interrupt,
    /// Moves, recalls, searches, ...
    Edit,
    /// The terminal answers a program's question. Nobody pressed that.
    Answer,
}

/// Where in a sequence we are.
#[derive(Debug, Default)]
enum State {
    #[default]
    Plain,
    Escape,
    /// After `ESC [`.
    Control(Vec<u8>),
    /// After `ESC O`.
    Single,
    /// Inside an answer that a string terminator ends.
    Text {
        escaped: bool,
        len: usize,
    },
    /// After the key that takes the next one literally.
    Literal,
}

/// Makes keys of bytes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    state: State,
    pasting: bool,
}

impl Keys {
    /// The key that this byte completes.
    pub(super) fn next(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.state) {
            State::Plain => self.plain(byte),
            State::Literal => Some(Key::Text(byte)),
            State::Single => Some(Key::Edit),
            State::Escape => match byte {
                b'[' => self.stay(State::Control(Vec::new())),
                b'O' => self.stay(State::Single),
                b']' | b'P' | b'_' | b'^' => self.stay(State::Text { escaped: false, len: 0 }),
                0x1b => self.stay(State::Escape),
                _ => Some(Key::Edit),
            },
            State::Control(mut bytes) => {
                if (0x40..=0x7e).contains(&byte) {
                    return Some(self.sequence(&bytes, byte));
                }
                if bytes.len() >= SEQUENCE_MAX {
                    return Some(Key::Edit);
                }
                bytes.push(byte);
                self.stay(State::Control(bytes))
            }
            State::Text { escaped, len } => match byte {
                0x07 => Some(Key::Answer),
                b'\\' if escaped => Some(Key::Answer),
                _ if len > 8 * SEQUENCE_MAX => Some(Key::Edit),
                _ => self.stay(State::Text { escaped: byte == 0x1b, len: len + 1 }),
            },
        }
    }

    fn stay(&mut self, state: State) -> Option<Key> {
        self.state = state;
        None
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0x1b => return self.stay(State::Escape),
            b'\r' | b'\n' if self.pasting => Key::PastedNewline,
            b'\r' | b'\n' => Key::Enter,
            _ if self.pasting => Key::Text(byte),
            0x03 | 0x1a | 0x1c => Key::Interrupt,
            0x04 => Key::EndOfFile,
            0x08 | 0x7f => Key::Erase,
            b'\t' => Key::Complete,
            0x15 => Key::EraseLine,
            0x16 => return self.stay(State::Literal),
            0x17 => Key::EraseWord,
            0..0x20 => Key::Edit,
            _ => Key::Text(byte),
        })
    }

    fn sequence(&mut self, bytes: &[u8], end: u8) -> Key {
        match (bytes, end) {
            (b"200", b'~') => {
                self.pasting = true;
                Key::Answer
            }
            (b"201", b'~') => {
                self.pasting = false;
                Key::Answer
            }
            // Cursor position, what kind of terminal, state, focus, mouse.
            (_, b'R' | b'c' | b'n' | b'y' | b't' | b'I' | b'M' | b'm') => Key::Answer,
            _ => Key::Edit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.next(*byte)).collect()
    }

    #[test]
    fn a_paste_is_text_until_it_ends() {
        assert_eq!(
            keys(b"\x1b[200~a\r\x03\x1b[201~\r"),
            [Key::Answer, Key::Text(b'a'), Key::PastedNewline, Key::Text(3), Key::Answer, Key::Enter]
        );
    }

    #[test]
    fn answers_of_the_terminal_are_nobodys_keys() {
        assert_eq!(keys(b"\x1b[24;80R\x1b]11;rgb:00/00/00\x1b\\"), [Key::Answer; 2]);
        assert_eq!(keys(b"\x1b[A\x1bOA\x1bb"), [Key::Edit; 3]);
        assert_eq!(keys(&[&b"\x1b["[..], &[b'1'; 500]].concat()).first(), Some(&Key::Edit));
    }
}
