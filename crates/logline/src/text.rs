//! Making hostile bytes harmless as text, once, where they enter a record.

use std::{borrow::Cow, fmt::Write};

/// Replaces every character that could end a line, drive a terminal or turn text around by its `\uXXXX` notation:
/// C0, DEL and C1 controls, line and paragraph separators, bidirectional marks. Idempotent; other text stays as it is.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_clean(&mut out, c);
    }
    Cow::Owned(out)
}

/// [`clean`] for bytes that may not be UTF-8: each byte that is part of no character becomes `\u00XX`.
pub fn clean_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_clean(&mut out, c));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\u{byte:04X}");
        }
    }
    out
}

fn push_clean(out: &mut String, c: char) {
    if is_hostile(c) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{:04X}", u32::from(c));
    } else {
        out.push(c);
    }
}

pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A header token of RFC 5424: printable ASCII without blanks, at most `max` characters, `-` when nothing is left.
pub(crate) fn header_token(text: &str, max: usize) -> Cow<'_, str> {
    let good = |b: u8| (33..=126).contains(&b);
    if !text.is_empty() && text.len() <= max && text.bytes().all(good) {
        return Cow::Borrowed(text);
    }
    let token: String =
        text.chars().take(max).map(|c| if c.is_ascii() && good(c as u8) { c } else { '_' }).collect();
    if token.is_empty() { Cow::Borrowed("-") } else { Cow::Owned(token) }
}

/// A PARAM-NAME of RFC 5424: as a header token, but without `=`, `]` and `"`, at most 32 characters.
pub(crate) fn param_name(text: &str) -> String {
    let name: String = text
        .chars()
        .take(32)
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"') { c } else { '_' })
        .collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_are_spelled_out() {
        assert_eq!(clean("plain äöü 漢字 🦀"), "plain äöü 漢字 🦀");
        assert_eq!(
            clean("a\r\nb\0\u{1b}[31m\u{85}\u{202e}"),
            "a\\u000D\\u000Ab\\u0000\\u001B[31m\\u0085\\u202E"
        );
        assert_eq!(clean_bytes(b"ok\xff\xfe\n\xc3\xa4\xc3"), "ok\\u00FF\\u00FE\\u000Aä\\u00C3");
        let once = clean("x\ny").into_owned();
        assert_eq!(clean(&once), once);
    }

    #[test]
    fn tokens_fit_their_places() {
        assert_eq!(header_token("web 01\n", 255), "web_01_");
        assert_eq!(header_token("", 48), "-");
        assert_eq!(header_token(&"x".repeat(99), 48).len(), 48);
        assert_eq!(param_name("a=b]c\"d é"), "a_b_c_d__");
    }
}
