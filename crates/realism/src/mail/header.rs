//! Bytes of a message: header lines, folded and encoded, and the encoding of its text.
//!
//! Whatever a name or subject holds, a line end in it never reaches a header.

use std::fmt::Write as _;

use mail_builder::headers::{Header as _, address::Address, text::Text};

/// Characters of a line of quoted-printable, without the soft line end.
const QP: usize = 75;

/// One line: control characters become spaces.
pub(super) fn one_line(text: &str) -> String {
    let bad = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let text: String = text.chars().map(|c| if bad(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// `Subject` and the like: folded, in encoded words if it has to be.
pub(super) fn unstructured(name: &str, value: &str) -> String {
    let mut out = Vec::new();
    Text::new(one_line(value)).write_header(&mut out, name.len() + 2);
    closed(&out)
}

/// A mailbox. `quoted` programs put every name into quotes.
pub(super) fn mailbox(header: &str, name: &str, address: &str, quoted: bool) -> String {
    let (name, address) = (one_line(name), address_only(address));
    let atoms = !name.is_empty()
        && name.split(' ').all(|word| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/^_`{|}~".contains(&b))
        });
    let encoded_look = name.contains("=?");
    let short = header.len() + name.len() + address.len() + 8 < 78;
    if atoms && !encoded_look && short {
        return if quoted { format!("\"{name}\" <{address}>") } else { format!("{name} <{address}>") };
    }
    let mut out = Vec::new();
    Address::new_address(Some(name), address).write_header(&mut out, header.len() + 2);
    closed(&out)
}

fn closed(out: &[u8]) -> String {
    String::from_utf8_lossy(out).trim_end().to_owned()
}

/// An address without anything that could end it.
pub(super) fn address_only(address: &str) -> String {
    address
        .chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !"<>,;\"\\()[]:".contains(*c))
        .collect()
}

/// How a text is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// As it is; ASCII.
    SevenBit,
    /// As it is; not ASCII.
    EightBit,
    /// Quoted-printable.
    Quoted,
}

impl Transfer {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Quoted => "quoted-printable",
        }
    }

    /// For lines of text, by somebody who would rather send `eight` bits.
    pub(super) fn of(text: &str, eight: bool, longest: usize) -> Self {
        if text.lines().any(|line| line.len() > longest) {
            Self::Quoted
        } else if text.is_ascii() {
            Self::SevenBit
        } else if eight {
            Self::EightBit
        } else {
            Self::Quoted
        }
    }

    /// The body, CRLF throughout and at its end.
    pub(super) fn body(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        for line in text.trim_end_matches('\n').split('\n') {
            if self == Self::Quoted {
                quoted(line, &mut out);
            } else {
                out.push_str(line);
            }
            out.push_str("\r\n");
        }
        out
    }
}

fn quoted(line: &str, out: &mut String) {
    let bytes = line.as_bytes();
    let mut column = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let last = index + 1 == bytes.len();
        let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (*byte == b' ' && !last);
        let width = if plain { 1 } else { 3 };
        if column + width > QP {
            out.push_str("=\r\n");
            column = 0;
        }
        if plain {
            out.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "={byte:02X}");
        }
        column += width;
    }
}

/// The text of quoted-printable.
pub(super) fn unquoted(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'=');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
