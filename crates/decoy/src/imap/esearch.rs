//! `SEARCH RETURN (...)` (RFC 4731): the options, which the grammar of `imap-codec` does not know, and the answer to them.

use std::fmt::Write as _;

use super::changes::id_set;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each option of the command")]
pub struct Wanted {
    min: bool,
    max: bool,
    all: bool,
    count: bool,
}

/// Takes the options out of a command: the command without them, and what is asked for (`None` if it is not known).
/// A command without options is left alone.
pub fn take(command: &[u8]) -> Option<(Vec<u8>, Option<Wanted>)> {
    let word = |at: usize| -> (&[u8], usize) {
        let rest = command.get(at..).unwrap_or_default();
        let end = rest.iter().position(|b| b" \r\n".contains(b)).unwrap_or(rest.len());
        (rest.get(..end).unwrap_or_default(), at + end + 1)
    };
    let (_, at) = word(0);
    let (mut name, mut at) = word(at);
    if name.eq_ignore_ascii_case(b"UID") {
        (name, at) = word(at);
    }
    let (keyword, after) = word(at);
    if !name.eq_ignore_ascii_case(b"SEARCH") || !keyword.eq_ignore_ascii_case(b"RETURN") {
        return None;
    }
    let rest = command.get(after..)?.strip_prefix(b"(")?;
    let end = rest.iter().position(|b| *b == b')')?;
    let options = String::from_utf8_lossy(rest.get(..end)?).to_uppercase();
    let mut wanted = Some(Wanted::default());
    for option in options.split_ascii_whitespace() {
        wanted = wanted.and_then(|wanted| match option {
            "MIN" => Some(Wanted { min: true, ..wanted }),
            "MAX" => Some(Wanted { max: true, ..wanted }),
            "ALL" => Some(Wanted { all: true, ..wanted }),
            "COUNT" => Some(Wanted { count: true, ..wanted }),
            _ => None,
        });
    }
    let wanted = wanted.map(|wanted| {
        // Nothing asked for is all.
        if wanted == Wanted::default() { Wanted { all: true, ..wanted } } else { wanted }
    });
    let tail = rest.get(end + 1..)?;
    let mut plain = command.get(..at)?.to_vec();
    plain.extend_from_slice(tail.strip_prefix(b" ").unwrap_or(tail));
    Some((plain, wanted))
}

impl Wanted {
    /// The answer for these numbers, which ascend.
    pub fn answer(self, tag: &str, uid: bool, numbers: &[u32]) -> String {
        let mut out = format!("* ESEARCH (TAG \"{tag}\"){}", if uid { " UID" } else { "" });
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
            if self.min {
                let _ = write!(out, " MIN {first}");
            }
            if self.max {
                let _ = write!(out, " MAX {last}");
            }
            if self.all {
                let _ = write!(out, " ALL {}", id_set(numbers));
            }
        }
        if self.count {
            let _ = write!(out, " COUNT {}", numbers.len());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out() {
        let plain = |text: &str| {
            take(text.as_bytes()).map(|(text, wanted)| (String::from_utf8(text).unwrap(), wanted))
        };
        let all = Wanted { all: true, ..Wanted::default() };
        for (line, want, wanted) in [
            ("d SEARCH RETURN () ALL\r\n", "d SEARCH ALL\r\n", Some(all)),
            ("d uid search return (all) 1:2\r\n", "d uid search 1:2\r\n", Some(all)),
            ("d SEARCH RETURN (MIN FOO) ALL\r\n", "d SEARCH ALL\r\n", None),
            (
                "d SEARCH RETURN (min Max COUNT ALL) CHARSET UTF-8 ALL\r\n",
                "d SEARCH CHARSET UTF-8 ALL\r\n",
                Some(Wanted { min: true, max: true, all: true, count: true }),
            ),
        ] {
            assert_eq!(plain(line), Some((want.to_owned(), wanted)), "{line}");
        }
        for line in
            ["d SEARCH ALL\r\n", "d SEARCH RETURN\r\n", "d SEARCH RETURN (\r\n", "", "d FETCH RETURN ()\r\n"]
        {
            assert_eq!(plain(line), None, "{line}");
        }
    }
}
